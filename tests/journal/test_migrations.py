"""Journals of older and newer software."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import older
import pytest
from older import ADDED_INDEXES
from sqlalchemy import inspect

from node.domain.case import CaseState
from node.errors import JournalError
from node.journal.check import check
from node.journal.journal import Journal
from node.journal.overview import events, overview
from node.journal.store import Store


@pytest.fixture
def old(tmp_path):
    """A journal of version 1: one case half delivered, one queued, one refused, and a series that receives."""
    return older.write_journal(tmp_path / "journal.sqlite", 1)


@pytest.fixture
def second(tmp_path):
    """A journal of version 2: results that are good, to be looked at and not to be used, one whose reasons were lost,
    a failure, and two cases without results."""
    return older.write_journal(tmp_path / "second.sqlite", 2)


def columns(store):
    """Return table -> column -> whether it may be NULL, and the indexes and unique constraints by their columns."""
    with store.reading() as connection:
        seen = inspect(connection)
        return {
            table: (
                {column["name"]: column["nullable"] for column in seen.get_columns(table)},
                sorted(tuple(index["column_names"]) for index in seen.get_indexes(table)),
                sorted(tuple(unique["column_names"]) for unique in seen.get_unique_constraints(table)),
            )
            for table in seen.get_table_names()
        }


def rows(path, table):
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f'SELECT * FROM "{table}" ORDER BY rowid')]


def test_a_journal_of_version_1_is_brought_up_without_loss(old):
    tables = ("instance", "series", "quarantine", "case", "object", "delivery", "event")
    before = {table: rows(old, table) for table in tables}
    Journal(old).close()
    for table in tables:
        after = rows(old, table)
        assert [{name: row[name] for name in kept} for row, kept in zip(after, before[table], strict=True)] == before[
            table
        ]


@pytest.mark.parametrize("version", ["old", "second"])
def test_what_was_brought_up_has_the_tables_of_a_new_journal(version, request, tmp_path):
    one, other = Store(request.getfixturevalue(version)), Store(tmp_path / "new.sqlite")
    assert columns(one) == columns(other)
    with one.reading() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0003"
        assert connection.exec_driver_sql("SELECT version FROM about").scalar() == 3
    one.close()
    other.close()


def test_the_work_goes_on_where_version_1_left_it(old, fill):
    journal = Journal(old)
    assert check(journal.store) == ()
    assert fill.states(journal) == ["sending", "queued", "rejected"]
    (series,) = journal.arrivals.open_series()
    assert (series.series_uid, series.instances, series.arrivals, series.calling_ae) == ("9.1", 1, 1, "PACS")
    (delivery,) = journal.deliveries.pending("archive")
    journal.deliveries.record_delivered(delivery)
    claim = journal.cases.claim("me")
    assert (claim.series_uid, claim.attempt, claim.number) == ("7.1", 2, 2)
    assert journal.cases.finish(claim, fill.results(2))
    assert [item.digest for item in journal.arrivals.instances("1.2.3")] == ["f" * 64, f"{2:064x}"]
    assert journal.cases.reprocess(3) is CaseState.REJECTED
    assert fill.states(journal) == ["delivered", "delivered", "rejected"]
    assert check(journal.store) == ()
    journal.close()


def test_the_counts_of_version_1_are_made_from_its_rows(old):
    Journal(old).close()
    counted = {row["series_uid"]: (row["arrivals"], row["instances"], row["calling_ae"]) for row in rows(old, "series")}
    assert counted == {
        "1.2.3": (3, 2, "OTHER"), "7.1": (1, 1, "PACS"), "8.1": (1, 1, "PACS"), "9.1": (1, 1, "PACS"),
    }  # fmt: skip


def test_the_verdicts_of_version_2_are_made_from_the_reasons(second):
    before = [{**row, "seal": None} for row in rows(second, "case")]
    journal = Journal(second)
    after = rows(second, "case")
    assert [row.pop("verdict") for row in after] == ["good", "review", "reject", None, None, None, None]
    assert [{**row, "seal": None} for row in after] == before
    assert check(journal.store) == ()
    journal.close()


def test_a_row_of_version_2_that_was_damaged_stays_so(second):
    with closing(sqlite3.connect(second)) as connection:
        connection.execute("UPDATE \"case\" SET route = 'other' WHERE id = 2")
        connection.commit()
    journal = Journal(second)
    assert [(item.table, item.row) for item in check(journal.store)] == [("case", 2)]
    assert [row["verdict"] for row in rows(second, "case")][:3] == ["good", None, "reject"]
    journal.close()


def test_the_old_journal_is_kept_beside_the_new_one(old):
    for _ in range(2):
        Journal(old).close()
    assert rows(old.with_name("journal.sqlite.v1.bak"), "about") == [{"version": 1}]
    assert len(rows(old.with_name("journal.sqlite.v1.bak"), "case")) == 3
    assert sorted(path.name for path in old.parent.iterdir() if "bak" in path.name) == ["journal.sqlite.v1.bak"]


def test_a_reader_does_not_bring_a_journal_up(old):
    with pytest.raises(JournalError, match="the journal has version 1, this software needs 3"):
        Store(old, read_only=True)
    assert rows(old, "about") == [{"version": 1}]


def test_a_step_that_fails_leaves_the_old_journal(old, monkeypatch):
    def broken(*_args):
        raise JournalError("stop")

    monkeypatch.setattr("node.journal.migrations.resealing.seal_of", broken)
    with pytest.raises(JournalError, match="stop"):
        Journal(old)
    monkeypatch.undo()
    assert rows(old, "about") == [{"version": 1}]
    assert "seal" not in rows(old, "case")[0]
    Journal(old).close()
    assert rows(old, "about") == [{"version": 3}]


@pytest.fixture
def second_in_postgresql(second, blank):
    """The same journal of version 2 in PostgreSQL."""
    older.second_in_postgresql(second, blank)
    return blank


@pytest.mark.peer("postgresql")
def test_a_journal_of_version_2_in_postgresql_is_brought_up(second_in_postgresql):
    with pytest.raises(JournalError, match="the journal has version 2, this software needs 3"):
        Store(second_in_postgresql, read_only=True)
    journal = Journal(second_in_postgresql)
    with journal.store.reading() as connection:
        verdicts = connection.exec_driver_sql('SELECT verdict FROM "case" ORDER BY id').scalars().all()
        indexes = {index["name"] for table in ("case", "event") for index in inspect(connection).get_indexes(table)}
    assert indexes >= ADDED_INDEXES
    assert verdicts == ["good", "review", "reject", None, None, None, None]
    assert check(journal.store) == ()
    journal.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from node.journal.journal import Journal
from node.journal.migrations.resealing import Rows
Rows.seal = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Journal(sys.argv[1] if "://" in sys.argv[1] else Path(sys.argv[1]))
"""


@pytest.mark.parametrize(
    "place", ["second", pytest.param("second_in_postgresql", marks=pytest.mark.peer("postgresql"))]
)
def test_a_process_that_is_killed_while_it_brings_a_journal_up_leaves_the_old_one(place, request):
    where = request.getfixturevalue(place)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(where)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(JournalError, match="the journal has version 2, this software needs 3"):
        Store(where, read_only=True)
    journal = Journal(where)
    assert check(journal.store) == ()
    with journal.store.reading() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all() == ["0003"]
    journal.close()


@pytest.mark.peer("postgresql")
def test_a_journal_in_postgresql_is_made_once_and_one_of_newer_software_is_refused(blank, fill):
    first, second = Journal(blank), Journal(blank)
    fill.running(first)
    assert fill.states(second) == ["running"]
    with first.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE about SET version = 4")
    for read_only in (True, False):
        with pytest.raises(JournalError, match="the journal has version 4, this software needs 3"):
            Store(blank, read_only=read_only)
    first.close()
    second.close()


@pytest.mark.peer("postgresql")
def test_a_reader_of_postgresql_cannot_write(postgresql, fill):
    writer, reader = Journal(postgresql), Store(postgresql, read_only=True)
    fill.running(writer)
    assert overview(reader, latest=5)["cases"] == {"running": 1}
    assert next(event["what"] for event in events(reader, series_uid="1.2.3")) == "series receiving"
    with pytest.raises(JournalError, match="SQLSTATE 25006"), reader.transaction() as connection:
        reader.record(connection, "never")
    reader.close()
    writer.close()
