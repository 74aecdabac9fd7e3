"""Damage: found where a row is read for work, and by the check of the whole journal."""

import random
import sqlite3
from contextlib import closing

import pytest

from node.domain.case import Reason
from node.domain.commitment import CommitmentRequest, Reference
from node.errors import JournalDamaged, JournalError
from node.journal.cases import Account
from node.journal.check import Damage, check
from node.journal.journal import Journal
from node.journal.store import Store

REQUEST = CommitmentRequest(
    transaction_uid="8.8", asked_by="MODALITY", references=(Reference(sop_class_uid="1.2", sop_instance_uid="3.4"),)
)


@pytest.fixture
def full(journal, fill):
    """A journal with a row in every sealed table."""
    claim = fill.running(journal)
    journal.cases.finish(claim, fill.results(1, "archive"), Account(reasons=[Reason(code="doubt", text="blurred")]))
    first, _ = journal.deliveries.pending("archive")
    journal.deliveries.record_sent(first)
    journal.commitments.begin("archive", "5.5", journal.deliveries.awaiting("archive"))
    journal.commitments.ask(REQUEST)
    journal.arrivals.record(fill.arrival(1, series="7.1"))
    fill.open_case(journal, series="7.1")
    return journal


def damage(journal, statement):
    with journal.store.transaction() as connection:
        connection.exec_driver_sql(statement)


def test_a_sound_journal_has_no_damage(full):
    assert check(full.store) == ()


@pytest.mark.parametrize(
    ("table", "statement", "work"),
    [
        ("instance", "UPDATE instance SET path = 'spool/x' WHERE id = 1", lambda j: j.arrivals.instances("1.2.3")),
        ("instance", "UPDATE instance SET digest = 'x' WHERE id = 1", lambda j: j.arrivals.held(["1.2.3.1"])),
        ("instance", "UPDATE instance SET seal = NULL WHERE id = 1", lambda j: j.arrivals.instances("1.2.3")),
        ("case", "UPDATE \"case\" SET route = 'x' WHERE id = 2", lambda j: j.cases.claim("me")),
        ("case", 'UPDATE "case" SET attempts = 9 WHERE id = 2', lambda j: j.cases.hold(2)),
        ("case", 'UPDATE "case" SET revision = 4 WHERE id = 1', lambda j: j.deliveries.pending("archive")),
        ("object", "UPDATE object SET digest = 'x' WHERE id = 2", lambda j: j.deliveries.pending("archive")),
        ("delivery", "UPDATE delivery SET attempts = 7 WHERE id = 2", lambda j: j.deliveries.pending("archive")),
        ("delivery", "UPDATE delivery SET state = 'sent' WHERE id = 2", lambda j: j.deliveries.awaiting("archive")),
        ("commitment", "UPDATE commitment SET asked_at = 'x' WHERE id = 1", lambda j: j.commitments.open("archive")),
        ("promise", "UPDATE promise SET asked_by = 'OTHER' WHERE id = 1", lambda j: j.commitments.due()),
    ],
)  # fmt: skip
def test_a_row_that_differs_from_its_seal_is_never_worked_with(full, table, statement, work):
    damage(full, statement)
    number = 2 if "id = 2" in statement else 1
    with pytest.raises(JournalDamaged, match=f"^row {number} of table {table} is not what was written$"):
        work(full)
    assert Damage(table=table, row=number, text="not what was written") in check(full.store)


def test_what_is_no_json_any_more_is_damage_and_its_text_is_not_told(full):
    damage(full, "UPDATE \"case\" SET reasons = 'ZZSECRET' WHERE id = 2")
    with pytest.raises(JournalDamaged, match="no JSON") as raised:
        full.cases.claim("me")
    assert "ZZSECRET" not in str(raised.value)
    assert [item.table for item in check(full.store)] == ["case"]


def test_a_lease_is_not_sealed_so_that_the_clock_of_the_database_can_give_it(full):
    claim = full.cases.claim("me", 60)
    assert full.cases.renew("me", [claim.case_id], 60) == {2}
    assert check(full.store) == ()


def test_a_reference_that_leads_nowhere_is_found(sqlite_journal, fill):
    sqlite_journal.cases.finish(fill.running(sqlite_journal), fill.results(1, "archive"))
    path = sqlite_journal.store.path
    sqlite_journal.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute('UPDATE "case" SET id = 5')
    store = Store(path, read_only=True)
    found = check(store)
    store.close()
    assert {(item.table, item.text) for item in found} == {("object", "no such row of case")}


@pytest.mark.parametrize("offset", [100, 4096 + 3])
def test_a_damaged_file_is_named_when_it_is_opened(tmp_path, fill, offset):
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    for number in range(40):
        journal.arrivals.record(fill.arrival(number))
    journal.close()
    content = bytearray(path.read_bytes())
    content[offset : offset + 60] = b"\xff" * 60
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(JournalDamaged, match="the journal is damaged"):
            Journal(path)


def test_a_text_that_cannot_be_decoded_is_damage_and_is_not_told(sqlite_journal, fill):
    fill.running(sqlite_journal)
    damage(sqlite_journal, "UPDATE instance SET path = CAST(X'5A5A534543524554FF' AS TEXT)")
    with pytest.raises(JournalDamaged, match="not UTF-8") as raised:
        sqlite_journal.arrivals.instances("1.2.3")
    assert "ZZSECRET" not in str(raised.value)
    assert [item.table for item in check(sqlite_journal.store)] == ["instance"]


def content(path):
    tables = ("about", "instance", "series", "case", "object", "delivery", "event")
    with closing(sqlite3.connect(path)) as connection:
        return {table: connection.execute(f'SELECT * FROM "{table}"').fetchall() for table in tables}


def damage_of(path):
    """Return whether anything is found wrong with a journal that nobody writes."""
    try:
        store = Store(path, read_only=True)
    except JournalError:
        return True
    found = check(store)
    store.close()
    return bool(found)


def test_of_random_bytes_in_the_file_none_changes_a_row_unseen(sqlite_journal, tmp_path, fill):
    for number in range(1, 17):
        sqlite_journal.cases.finish(fill.running(sqlite_journal, series=f"6.{number}"), fill.results(number, "archive"))
    path, copy = sqlite_journal.store.path, tmp_path / "copy.sqlite"
    sqlite_journal.close()
    clean, kept = path.read_bytes(), content(path)
    assert not damage_of(path)
    chance = random.Random(7)
    seen = 0
    for _ in range(120):  # few of the places hold a row: fewer than three found would be bad luck
        place = chance.randrange(len(clean) - 16)
        copy.write_bytes(clean[:place] + chance.randbytes(16) + clean[place + 16 :])
        if damage_of(copy):
            seen += 1
        else:
            assert content(copy) == kept, f"16 bytes at {place}"
    assert seen >= 3
