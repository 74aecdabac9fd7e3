"""The version of a journal: made new, brought up from an older one, or refused."""

import filecmp
import os
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path

from sqlalchemy import Connection, func, insert, inspect, select

from node.durable import fsync_folder
from node.errors import JournalDamaged, JournalError
from node.journal import migrations, schema

#: One host at a time makes or changes the tables of a PostgreSQL journal.
_TABLES_LOCK = 0x63737069


def require_current(connection: Connection) -> None:
    """Raise JournalError unless the journal has the version of this software."""
    version = _version(connection)
    if version != schema.VERSION:
        raise _refused(version)


def is_older(connection: Connection) -> bool:
    """Return whether the journal has to be brought up. Raises JournalError for one of newer software."""
    version = _version(connection)
    if version is not None and version > schema.VERSION:
        raise _refused(version)
    return version is not None and version < schema.VERSION


def keep_copy(path: Path) -> Path:
    """Copy a SQLite journal beside itself before it is changed; return the copy, which is on the disk.

    One of an earlier try, after which the older software went on, makes room as `.bak.1` and so on: the copy that the
    way back is by is always that of now.
    """
    with closing(sqlite3.connect(path)) as source:
        (version,) = source.execute("SELECT version FROM about").fetchone()
        copy = path.with_name(f"{path.name}.v{version}.bak")
        temporary = path.with_name(f".{copy.name}.part")
        temporary.unlink(missing_ok=True)
        with closing(sqlite3.connect(temporary)) as target:
            source.backup(target)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    if copy.exists():
        if filecmp.cmp(temporary, copy, shallow=False):
            temporary.unlink()
            return copy
        copy.rename(next(aside for number in count(1) if not (aside := Path(f"{copy}.{number}")).exists()))
    temporary.replace(copy)
    fsync_folder(path.parent)
    return copy


def bring_up(connection: Connection) -> None:
    """Make the tables of a new journal, or bring an older one up. Raises JournalError for one of newer software."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_TABLES_LOCK)))
    version = _version(connection)
    if version is None:
        schema.metadata.create_all(connection)
        connection.execute(insert(schema.about).values(version=schema.VERSION))
        migrations.stamp(connection, schema.VERSION)
    elif version > schema.VERSION:
        raise _refused(version)
    elif version < schema.VERSION:
        migrations.upgrade(connection, version)
        connection.execute(schema.about.update().values(version=schema.VERSION))


def _version(connection: Connection) -> int | None:
    """Return the version of the journal, None where there are no tables."""
    if not inspect(connection).has_table(schema.about.name):
        return None
    version = connection.execute(select(schema.about.c.version)).scalar()
    if version is not None and not isinstance(version, int):
        raise JournalDamaged("the journal is damaged: its version is no number")
    return version


def _refused(version: int | None) -> JournalError:
    return JournalError(f"the journal has version {version}, this software needs {schema.VERSION}")
