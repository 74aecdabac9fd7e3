"""A damaged event of the journal is told of as that, once, and keeps nobody from being told of the rest."""

from pathlib import Path

import pytest
from notifying import Told, bytes_quarantined, quarantine
from outboxes import Rig
from structlog.testing import capture_logs

from node.errors import JournalDamaged, StoreRefused
from node.journal.store import Store


@pytest.fixture
def rig(tmp_path: Path):
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def damage(rig: Rig, change: str = "detail = '{'") -> int:
    """Damage the newest event, and return its number."""
    with rig.journal.store.transaction() as connection:
        number = connection.exec_driver_sql("SELECT max(id) FROM event").scalar_one()
        connection.exec_driver_sql(f"UPDATE event SET {change} WHERE id = {number}")
    return int(number)


def test_a_damaged_event_has_a_line_of_its_own_and_what_comes_after_is_told(rig):
    told = Told(rig)
    quarantine(rig, 1, "slice-gap")
    number = damage(rig)
    quarantine(rig, 2, "two-acquisitions")
    with capture_logs() as logs:
        texts = told.texts()
    assert texts == [
        f"event {number} of the journal is damaged, and what it had to tell is lost",
        "case 2 is quarantined: two-acquisitions",
    ]
    assert told.channel.taken[0].subject == "CSPINE on test: 1 failed, 1 quarantined"
    assert [notice["kind"] for notice in told.notices] == ["event-damaged", "case-quarantined"]
    passed = [(line["event_number"], line["code"]) for line in logs if line["event"] == "event passed over"]
    assert passed == [(number, "journal-damaged")]


@pytest.mark.parametrize("change", ["detail = '{}'", "detail = '[]'", "at = 'x'", "what = X'FF'"])
def test_whatever_is_damaged_of_an_event_it_is_told_of_once(rig, change):
    told = Told(rig)
    bytes_quarantined(rig, "not-dicom")
    number = damage(rig, change)
    for _ in range(3):
        assert told.texts() == [f"event {number} of the journal is damaged, and what it had to tell is lost"]
    told.start()
    bytes_quarantined(rig, "truncated-file", 2)
    assert told.texts()[1:] == ["received bytes are no instance and lie in quarantine: truncated-file"]


def test_a_message_with_a_damaged_event_is_the_same_once_more(rig):
    told = Told(rig)
    place = rig.state_dir / "notices" / "desk.json"
    before = place.read_bytes()
    quarantine(rig, 1, "slice-gap")
    bytes_quarantined(rig, "not-dicom")
    damage(rig, "at = CAST(X'FF' AS TEXT)")
    told.step()
    place.write_bytes(before)  # the process died between the answer and its note of it
    rig.clock.now += 60
    told.start()
    told.step()
    first, again = told.channel.taken
    assert (first.identity, first.body) == (again.identity, again.body)


def test_a_damaged_event_keeps_no_node_from_its_start(rig):
    quarantine(rig, 1, "slice-gap")
    damage(rig, "at = CAST(X'FF' AS TEXT)")
    told = Told(rig)
    bytes_quarantined(rig, "not-dicom")
    assert told.texts() == ["received bytes are no instance and lie in quarantine: not-dicom"]


def test_an_event_whose_case_is_damaged_is_told_of_as_that(rig):
    told = Told(rig)
    rig.archive.way = StoreRefused("no")
    rig.case(1)
    rig.deliver()
    with rig.journal.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE delivery SET code = CAST(X'FF' AS TEXT)")
    bytes_quarantined(rig, "not-dicom")
    (lost, after) = told.notices
    assert (lost["kind"], lost["case"], after["kind"]) == ("event-damaged", 1, "bytes-quarantined")


def test_who_wants_no_failures_is_told_of_no_damage_and_of_what_comes_after(rig):
    told = Told(rig, on=["quarantine"])
    quarantine(rig, 1, "slice-gap")
    damage(rig)
    bytes_quarantined(rig, "not-dicom")
    assert told.texts() == ["received bytes are no instance and lie in quarantine: not-dicom"]


def test_where_more_than_single_events_is_damaged_the_telling_ends_and_not_the_node(rig, monkeypatch):
    told = Told(rig)
    quarantine(rig, 1, "slice-gap")

    def broken(_store: Store) -> None:
        raise JournalDamaged("the journal is damaged: SQLITE_CORRUPT")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "reading", broken)
        assert told.step() == 900
    assert told.channel.taken == []
    assert told.texts() == ["case 1 is quarantined: slice-gap"]
