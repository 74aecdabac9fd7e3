"""Journals as older versions of the software left them."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import select

from node.journal import migrations, schema
from node.journal.engines import postgresql_engine, sqlite_engine
from node.journal.journal import Journal
from node.journal.migrations.resealing import Rows

_JOURNALS = Path(__file__).with_name("journal")
#: By version 3.
ADDED_INDEXES = {"case_by_study", "case_by_time", "case_by_route", "event_by_case", "event_by_what"}


def write_journal(path: Path, version: int) -> Path:
    """Write the journal of a version, `versionN.sql`, as a SQLite file, and return its path."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((_JOURNALS / f"version{version}.sql").read_text(encoding="utf-8"))
        connection.execute("PRAGMA journal_mode=WAL")
    return path


def as_version_2(path: Path) -> None:
    """Make of a SQLite journal of today what version 2 would have made of the same work."""
    engine = sqlite_engine(path, read_only=False, writes=True)
    with engine.begin() as connection:
        connection.exec_driver_sql('ALTER TABLE "case" DROP COLUMN verdict')
        for index in ADDED_INDEXES:
            connection.exec_driver_sql(f"DROP INDEX {index}")
        connection.execute(schema.about.update().values(version=2))
        migrations.stamp(connection, 2)
        cases = Rows(connection, schema.case)
        cases.seal(cases.all())
    engine.dispose()


def second_in_postgresql(second: Path, url: str) -> None:
    """Write a journal of version 2 into PostgreSQL: the tables of today without what version 3 added, and its rows."""
    Journal(url).close()
    source, target = sqlite_engine(second, read_only=True, writes=False), postgresql_engine(url, read_only=False)
    with source.connect() as old, target.begin() as new:
        new.exec_driver_sql('ALTER TABLE "case" DROP COLUMN verdict')
        for index in ADDED_INDEXES:
            new.exec_driver_sql(f"DROP INDEX {index}")
        for table in (schema.about, schema.alembic_version):
            new.execute(table.delete())
        for table in schema.metadata.sorted_tables:
            kept = [column for column in table.c if column.name != "verdict"]
            found = [dict(row) for row in old.execute(select(*kept).order_by(*table.primary_key)).mappings()]
            if found:
                new.execute(table.insert(), found)
                if "id" in table.c:  # numbers that were given away stay so
                    new.exec_driver_sql(
                        f"SELECT setval(pg_get_serial_sequence('\"{table}\"', 'id'), {found[-1]['id']})"
                    )
    source.dispose()
    target.dispose()
