"""The database under the journal: one writer, durable, versioned, readable beside the writer."""

import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from node.errors import JournalError, NodeAlreadyRunning, SettingsError
from node.journal import engines
from node.journal.engines import warn_of_wal_reset
from node.journal.journal import Journal
from node.journal.overview import overview
from node.journal.store import Store


def test_a_second_writer_is_refused_until_the_first_has_closed(tmp_path):
    path = tmp_path / "journal.sqlite"
    first = Journal(path)
    with pytest.raises(NodeAlreadyRunning, match="another process holds"):
        Journal(path)
    first.close()
    Journal(path).close()


def test_another_process_is_refused_and_a_dead_one_leaves_no_lock(tmp_path):
    path = tmp_path / "journal.sqlite"
    program = (
        "import sys, os; from pathlib import Path; from node.journal.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read(); os._exit(9)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout.readline() == "open\n"
        with pytest.raises(NodeAlreadyRunning):
            Journal(path)
        child.stdin.close()
        assert child.wait(60) == 9
    Journal(path).close()


def test_what_is_committed_is_there_after_a_restart(tmp_path, fill):
    journal = Journal(tmp_path / "journal.sqlite")
    claim = fill.running(journal)
    journal.cases.finish(claim, fill.results(1, "archive"))
    journal.close()
    journal = Journal(tmp_path / "journal.sqlite")
    assert fill.states(journal) == ["sending"]
    assert len(journal.deliveries.pending("archive")) == 2
    journal.close()


def test_the_writer_uses_a_write_ahead_log_and_full_synchronisation(sqlite_journal):
    with sqlite_journal.store.transaction() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_transaction_that_raises_leaves_nothing(journal, fill):
    with pytest.raises(RuntimeError, match="stop"), journal.store.transaction() as connection:
        journal.store.record(connection, "never", series_uid="1.2.3")
        raise RuntimeError("stop")
    assert fill.trail(journal) == []
    journal.arrivals.record(fill.arrival(1))
    assert len(journal.arrivals.open_series()) == 1


def test_a_fault_of_the_database_is_a_journal_error(journal):
    with (
        pytest.raises(JournalError, match=r"no such table: missing|SQLSTATE 42P01"),
        journal.store.transaction() as connection,
    ):
        connection.exec_driver_sql("SELECT * FROM missing")


@pytest.mark.parametrize("writer_open", [True, False])
def test_the_overview_is_read_beside_a_writer_and_after_it(tmp_path, fill, writer_open):
    path = tmp_path / "journal.sqlite"
    writer = Journal(path)
    fill.running(writer)
    if not writer_open:
        writer.close()
    reader = Store(path, read_only=True)
    assert overview(reader, latest=5)["cases"] == {"running": 1}
    if writer_open:
        with writer.store.transaction():
            assert overview(reader, latest=5)["cases"] == {"running": 1}
        writer.cases.release_claims(3)
        assert overview(reader, latest=5)["cases"] == {"queued": 1}
    reader.close()
    writer.close()


def test_a_reader_cannot_write_and_takes_no_lock(tmp_path, fill):
    path = tmp_path / "journal.sqlite"
    Journal(path).close()
    reader = Store(path, read_only=True)
    with pytest.raises(JournalError, match="readonly database"), reader.transaction() as connection:
        reader.record(connection, "never")
    Journal(path).close()
    reader.close()


def test_a_reader_follows_when_another_journal_is_put_in_the_place_of_the_first(tmp_path, fill):
    path = tmp_path / "journal.sqlite"
    Journal(path).close()
    other = Journal(tmp_path / "other.sqlite")
    fill.running(other)
    other.close()
    reader = Store(path, read_only=True)
    assert overview(reader, latest=1)["latest_cases"] == []
    (tmp_path / "other.sqlite").replace(path)
    assert overview(reader, latest=1)["latest_cases"][0]["state"] == "running"
    path.unlink()
    with pytest.raises(JournalError, match="unable to open"):
        overview(reader, latest=1)
    writer = Journal(path)
    assert overview(reader, latest=1)["latest_cases"] == []
    fill.running(writer)
    assert overview(reader, latest=1)["latest_cases"][0]["state"] == "running"
    writer.close()
    reader.close()


def test_a_reader_does_not_make_a_journal(tmp_path):
    with pytest.raises(JournalError, match="unable to open"):
        Store(tmp_path / "journal.sqlite", read_only=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("read_only", [True, False])
def test_a_journal_of_another_version_is_refused_untouched_and_its_lock_let_go(tmp_path, read_only):
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE about (version INTEGER NOT NULL)")
        other.execute("INSERT INTO about VALUES (4)")
    other.close()
    for _ in range(2):
        with pytest.raises(JournalError, match="the journal has version 4, this software needs 3"):
            Store(path, read_only=read_only)
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("about",)]
    other.close()


def test_a_file_that_is_no_database_is_a_journal_error(tmp_path):
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"not a database, but long enough to look at" * 30)
    for _ in range(2):
        with pytest.raises(JournalError, match="not a database"):
            Journal(path)


@pytest.mark.parametrize("name", ["a b", "50%", "who?", "#1", "a%20b", "Größe"])
def test_any_folder_name_will_do(tmp_path: Path, name, fill):
    (tmp_path / name).mkdir()
    writer = Journal(tmp_path / name / "journal.sqlite")
    fill.running(writer)
    reader = Store(tmp_path / name / "journal.sqlite", read_only=True)
    assert overview(reader, latest=5)["cases"] == {"running": 1}
    reader.close()
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("url", ["postgresql://h:port/d", "postgresql:/h"])
def test_a_url_that_is_none_is_an_error_of_the_settings(url):
    with pytest.raises(SettingsError, match=r"journal\.url: not a URL"):
        Store(url)


def test_a_missing_driver_is_told_with_what_to_do(monkeypatch):
    monkeypatch.setattr("node.journal.engines.find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match=r"pip install cspine-node\[postgresql\]"):
        Store("postgresql://host/database")


@pytest.mark.peer("postgresql")
def test_a_server_that_is_not_there_is_an_error_that_may_pass_and_tells_no_password(tmp_path, cluster):
    with pytest.raises(JournalError, match="OperationalError") as raised:
        Store(f"postgresql://node:hidden@/postgres?host={tmp_path}")
    assert raised.value.retryable
    assert "hidden" not in str(raised.value)
    assert "hidden" not in str(raised.value.__cause__)


@pytest.mark.peer("postgresql")
def test_a_server_that_accepts_and_stays_silent_is_given_up(monkeypatch):
    monkeypatch.setitem(engines._PATIENCE, "connect_timeout", 2)
    failed = pytest.raises(JournalError, match=r"^the journal failed: OperationalError$")
    with socket.create_server(("127.0.0.1", 0)) as silent, failed:
        Store(f"postgresql://node@127.0.0.1:{silent.getsockname()[1]}/journal", read_only=True)


def test_a_transaction_that_lost_against_another_is_done_again(postgresql):
    store = Store(postgresql)
    tries = []

    def work(connection, number):
        tries.append(number)
        if len(tries) < 3:
            connection.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")
        return number

    assert store.run(work, 7) == 7
    assert tries == [7, 7, 7]
    store.close()


@pytest.mark.peer("postgresql")
def test_what_is_committed_to_postgresql_waits_for_its_disk(postgresql):
    store = Store(postgresql)
    with store.transaction() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    store.close()


@pytest.mark.parametrize(("version", "lines"), [((3, 40, 1), 1), ((3, 51, 2), 1), ((3, 51, 3), 0), ((3, 6, 23), 0)])
def test_a_version_of_sqlite_with_the_fault_of_the_log_is_told_once(monkeypatch, version, lines):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    warn_of_wal_reset.cache_clear()
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            warn_of_wal_reset()
    assert len(logs) == lines
    warn_of_wal_reset.cache_clear()
