"""Back to older software, as docs/administrator.md has it, and up again."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from handbook import commands, older_release, run
from older import second_in_postgresql, write_journal
from sqlalchemy import select

from node.errors import JournalError
from node.journal import schema
from node.journal.check import check
from node.journal.journal import Journal
from node.journal.overview import overview
from node.journal.store import Store

BACK = "Back, when nothing of worth has come since"
SAID = "said by version 2"
#: What the older software does after it has been put back: a line of its trail.
GOES_ON = f"INSERT INTO event (at, series_uid, what, detail) VALUES ('2026-01-03', '1.1', '{SAID}', '{{}}')"

#: One more series comes, and the process dies: what it wrote last stands in the write-ahead log alone.
WORK = """
import os, signal, sys
from pathlib import Path
from node.domain.arrivals import Arrival
from node.journal.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.arrivals.record(Arrival(
    sop_instance_uid="99.1.1", sop_class_uid="1.2.840.10008.5.1.4.1.1.4", series_uid="99.1", study_uid="99",
    digest="a" * 64, path="spool/a.dcm", calling_ae="PACS", own_result=False))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """A journal of version 2 with seven cases, in a state folder."""
    path = tmp_path / "state" / "journal.sqlite"
    path.parent.mkdir()
    return write_journal(path, 2)


def content(path: Path) -> list[str]:
    """Return everything that is in a journal, tables and indexes too, as SQL."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def rows(url: str) -> dict[str, list[str]]:
    """Return every row of a PostgreSQL journal, by table, as text."""
    import psycopg  # noqa: PLC0415 - needs the driver

    with psycopg.connect(url) as connection:
        listed = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        tables = [name for (name,) in connection.execute(listed).fetchall()]
        found = {name: connection.execute(f'SELECT t::text FROM "{name}" t').fetchall() for name in tables}
        columns = connection.execute(
            "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public'"
        )
        return {name: sorted(row for (row,) in table) for name, table in {**found, "": columns.fetchall()}.items()}


def cases(journal: Journal) -> list[tuple[int, str, str]]:
    found = overview(journal.store, latest=1000)["latest_cases"]
    return sorted((case["id"], case["series_uid"], case["state"]) for case in found)


def series(where: Path) -> set[str]:
    store = Store(where, read_only=True)
    with store.reading() as connection:
        found = set(connection.execute(select(schema.series.c.series_uid)).scalars())
    store.close()
    return found


def work(path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", WORK, str(path)], check=False).returncode == -signal.SIGKILL
    assert path.with_name("journal.sqlite-wal").stat().st_size


def go_on(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(GOES_ON)
        connection.commit()


def roll_back(folder: Path) -> None:
    """What the document says, on the state folder `state` and the releases in `opt`."""
    places = older_release(folder, folder / "state")
    asked = run(commands(BACK), folder, places)
    assert asked == ["stop cspine-node.target", "daemon-reload", "start cspine-node.target"]
    assert (folder / "opt" / "cspine-node").readlink() == folder / "opt" / "cspine-node-0.1.0"
    assert (folder / "etc" / "cspine-node.toml").read_text() == "of 0.1.0"
    assert {path.read_text() for path in (folder / "units").iterdir()} == {"of 0.1.0"}


def test_the_way_back_brings_the_older_journal_as_it_was_and_keeps_the_newer_one(second: Path, tmp_path: Path) -> None:
    before = content(second)
    work(second)
    roll_back(tmp_path)
    assert sorted(path.name for path in second.parent.glob("journal*")) == ["journal.lock", "journal.sqlite"]
    assert content(second) == before
    with pytest.raises(JournalError, match="the journal has version 2, this software needs 3"):
        Store(second, read_only=True)
    assert series(second.parent / "newer" / "journal.sqlite") == {*(f"{number}.1" for number in range(1, 8)), "99.1"}


def test_an_upgrade_after_the_way_back_loses_no_case_and_makes_its_copy_anew(second: Path, tmp_path: Path) -> None:
    journal = Journal(second)
    first = cases(journal)
    journal.close()
    assert len(first) == 7
    work(second)
    roll_back(tmp_path)
    go_on(second)
    journal = Journal(second)
    assert cases(journal) == first
    assert check(journal.store) == ()
    journal.close()
    for place in (second, second.with_name("journal.sqlite.v2.bak")):
        assert SAID in "".join(content(place))


def test_a_second_way_back_stops_before_it_changes_anything(second: Path, tmp_path: Path) -> None:
    work(second)
    (second.parent / "newer").mkdir()
    before = sorted(path.name for path in second.parent.iterdir())
    with pytest.raises(AssertionError, match="newer"):
        roll_back(tmp_path)
    assert sorted(path.name for path in second.parent.iterdir()) == before


@pytest.mark.parametrize("goes_on", [True, False])
def test_the_copy_is_that_of_the_last_try_and_an_earlier_one_stays(
    second: Path, monkeypatch: pytest.MonkeyPatch, goes_on: bool
) -> None:
    """An upgrade fails, the older software goes on over the same journal, and the upgrade is tried again."""

    def broken(*_args: object) -> None:
        raise JournalError("stop")

    monkeypatch.setattr("node.journal.migrations.resealing.seal_of", broken)
    for _ in range(2):
        with pytest.raises(JournalError, match="stop"):
            Journal(second)
    monkeypatch.undo()
    copy, earlier = (second.with_name(f"journal.sqlite.v2.bak{end}") for end in ("", ".1"))
    before = content(copy)
    if goes_on:
        go_on(second)
    Journal(second).close()
    assert (SAID in "".join(content(copy))) == goes_on
    assert earlier.exists() == goes_on
    assert content(earlier if goes_on else copy) == before


@pytest.fixture
def database(cluster: str) -> Iterator[SimpleNamespace]:
    """An empty database of the names in the document: the URL for the node, and the environment for commands."""
    import psycopg  # noqa: PLC0415 - needs the driver

    host = cluster.partition("host=")[2]
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute('CREATE ROLE "cspine-node" LOGIN')
        connection.execute('CREATE DATABASE cspine OWNER "cspine-node"')
    yield SimpleNamespace(
        url=f"postgresql://cspine-node@/cspine?host={host}", environment={"PGHOST": host, "PGUSER": "node"}
    )
    with psycopg.connect(cluster, autocommit=True) as connection:
        for name in ("cspine", "cspine_newer"):
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute('DROP ROLE "cspine-node"')


@pytest.mark.peer("postgresql")
def test_a_journal_in_postgresql_comes_back_by_the_copy_that_was_made_before(
    database: SimpleNamespace, second: Path, tmp_path: Path, fill: SimpleNamespace
) -> None:
    second_in_postgresql(second, database.url)
    before = rows(database.url)
    copy = {"/var/lib/postgresql": tmp_path}
    run(commands("Of a journal in PostgreSQL nothing makes a copy"), tmp_path, copy, **database.environment)
    journal = Journal(database.url)
    first = cases(journal)
    claim = journal.cases.claim("me")
    assert claim is not None
    journal.cases.finish(claim, fill.results(claim.case_id))
    fill.running(journal, series="99.1")
    assert cases(journal) != first
    journal.close()

    run(commands("And back, in the place of the line"), tmp_path, copy, **database.environment)
    assert rows(database.url) == before
    with pytest.raises(JournalError, match="the journal has version 2, this software needs 3"):
        Store(database.url, read_only=True)
    newer = Store(database.url.replace("/cspine?", "/cspine_newer?"), read_only=True)
    assert "99.1" in {case["series_uid"] for case in overview(newer, latest=100)["latest_cases"]}
    newer.close()

    journal = Journal(database.url)
    assert cases(journal) == first
    assert check(journal.store) == ()
    journal.close()
