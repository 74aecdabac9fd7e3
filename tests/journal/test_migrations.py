"""Journals of older and newer software."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect

from node.domain.case import CaseState
from node.errors import JournalError
from node.journal.check import check
from node.journal.journal import Journal
from node.journal.overview import events, overview
from node.journal.store import Store

VERSION_1 = Path(__file__).with_name("version1.sql").read_text(encoding="utf-8")


@pytest.fixture
def old(tmp_path):
    """A journal of version 1: one case half delivered, one queued, one refused, and a series that receives."""
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
        connection.execute("PRAGMA journal_mode=WAL")
    return path


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


def test_what_was_brought_up_has_the_tables_of_a_new_journal(old, tmp_path):
    one, other = Store(old), Store(tmp_path / "new.sqlite")
    assert columns(one) == columns(other)
    with one.reading() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0002"
        assert connection.exec_driver_sql("SELECT version FROM about").scalar() == 2
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


def test_the_old_journal_is_kept_beside_the_new_one(old):
    for _ in range(2):
        Journal(old).close()
    assert rows(old.with_name("journal.sqlite.v1.bak"), "about") == [{"version": 1}]
    assert len(rows(old.with_name("journal.sqlite.v1.bak"), "case")) == 3
    assert sorted(path.name for path in old.parent.iterdir() if "bak" in path.name) == ["journal.sqlite.v1.bak"]


def test_a_reader_does_not_bring_a_journal_up(old):
    with pytest.raises(JournalError, match="the journal has version 1, this software needs 2"):
        Store(old, read_only=True)
    assert rows(old, "about") == [{"version": 1}]


def test_a_step_that_fails_leaves_the_old_journal(old, monkeypatch):
    def broken(*_args):
        raise JournalError("stop")

    monkeypatch.setattr("node.journal.seals.seal_of", broken)
    with pytest.raises(JournalError, match="stop"):
        Journal(old)
    monkeypatch.undo()
    assert rows(old, "about") == [{"version": 1}]
    assert "seal" not in rows(old, "case")[0]
    Journal(old).close()
    assert rows(old, "about") == [{"version": 2}]


@pytest.mark.peer("postgresql")
def test_a_journal_in_postgresql_is_made_once_and_one_of_newer_software_is_refused(blank, fill):
    first, second = Journal(blank), Journal(blank)
    fill.running(first)
    assert fill.states(second) == ["running"]
    with first.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE about SET version = 3")
    for read_only in (True, False):
        with pytest.raises(JournalError, match="the journal has version 3, this software needs 2"):
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
