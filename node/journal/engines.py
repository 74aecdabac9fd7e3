"""How the two databases are opened: SQLite by a path, PostgreSQL by a URL; and what their faults mean.

SQLite in WAL mode with `synchronous=FULL`, PostgreSQL with `synchronous_commit=on`: a committed transaction survives
a power cut. Only one connection at a time writes and checkpoints a SQLite journal.
"""

import functools
import sqlite3
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, SQLAlchemyError

from node.errors import JournalDamaged, JournalError, SettingsError
from node.log import get_logger

_WAIT_S = 30
#: Connections kept open and opened on demand: more than threads of a listener at its limits.
_POOL = {"pool_size": 16, "max_overflow": 48, "pool_timeout": _WAIT_S}

#: A server that does not answer: seconds until a connection is given up, milliseconds until one that is open is
#: (libpq, 34.1.2). What the URL says goes before.
_PATIENCE = {"connect_timeout": 10, "tcp_user_timeout": 60_000}

#: Result codes of SQLite (sqlite.org/rescode.html).
_DAMAGE = {11: "SQLITE_CORRUPT", 26: "SQLITE_NOTADB"}
_UNDECODABLE = "Could not decode to UTF-8"
#: serialization_failure and deadlock_detected (PostgreSQL, appendix A): the same transaction may succeed again.
_AGAIN = frozenset({"40001", "40P01"})
#: Versions in which a checkpoint beside a write of another connection may damage the file (sqlite.org/wal.html).
_WAL_RESET = ((3, 7, 0), (3, 51, 2))
#: A checkpoint moves pages that were written many times once: every 32 MB, where SQLite would take 4.
_CHECKPOINT_PAGES = 8000


def sqlite_engine(path: Path, *, read_only: bool, writes: bool) -> Engine:
    """Return the engine of a file: `read_only` for another process's file, `writes` for the one connection that may."""
    url = URL.create("sqlite", database=str(path))
    if read_only:
        url = URL.create("sqlite", database=f"{path.resolve().as_uri()}?mode=ro", query={"uri": "true"})
    engine = create_engine(url, connect_args={"timeout": _WAIT_S}, **_POOL)
    pragmas = ["query_only=ON"]
    if writes:
        pragmas = ["journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"wal_autocheckpoint={_CHECKPOINT_PAGES}"]

    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        try:
            for pragma in [] if read_only else pragmas:
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            connection.close()
            raise

    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", lambda connection: _begin(connection, begin))
    if read_only:
        _follow(engine, path)
    return engine


def _follow(engine: Engine, path: Path) -> None:
    """Let no connection outlive its file: whoever only reads holds no lock, so a journal may be put in its place."""

    def note(_dialect: Any, record: Any, _arguments: Any, _options: Any) -> None:
        record.info["file"] = _file(path)  # before it is opened: one that is replaced meanwhile is opened once more

    def check(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info["file"] != _file(path):
            raise DisconnectionError("another journal has taken the place of this one")  # the pool connects anew

    event.listen(engine, "do_connect", note)
    event.listen(engine, "checkout", check)


def _file(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of the same name; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def postgresql_engine(url: str, *, read_only: bool) -> Engine:
    """Return the engine of a "postgresql://" URL. Raises SettingsError without psycopg, or for a URL that is none."""
    if find_spec("psycopg") is None:
        raise SettingsError("journal.url: PostgreSQL needs its driver: pip install cspine-node[postgresql]")
    try:
        parsed = make_url(url).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError) as error:
        raise SettingsError("journal.url: not a URL of a PostgreSQL database") from error
    patience = {name: value for name, value in _PATIENCE.items() if name not in parsed.query}
    engine = create_engine(parsed, isolation_level="READ COMMITTED", pool_pre_ping=True, connect_args=patience, **_POOL)

    def prepare(connection: Any, _record: Any) -> None:
        connection.autocommit = True
        connection.execute("SET synchronous_commit = on")
        connection.execute(f"SET default_transaction_read_only = {'on' if read_only else 'off'}")
        connection.autocommit = False

    event.listen(engine, "connect", prepare)
    return engine


def may_succeed_again(error: Exception) -> bool:
    """Return whether the transaction lost against another one, and nothing else was wrong."""
    return getattr(_of_driver(error), "sqlstate", None) in _AGAIN


def journal_error(error: Exception) -> JournalError:
    """Return a fault of the database as an error of the node. Values of rows never become part of its message."""
    orig = _of_driver(error)
    if isinstance(orig, sqlite3.Error):
        code = getattr(orig, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGE:
            return JournalDamaged(f"the journal is damaged: {_DAMAGE[code]}: {orig}")
        if str(orig).startswith(_UNDECODABLE):
            return JournalDamaged("the journal is damaged: a text is not UTF-8")
        return JournalError(f"the journal failed: {type(error).__name__}: {orig}")
    if isinstance(orig, UnicodeDecodeError):
        return JournalDamaged("the journal is damaged: a name is not UTF-8")
    state = getattr(orig, "sqlstate", None)
    return JournalError(f"the journal failed: {type(error).__name__}{f', SQLSTATE {state}' if state else ''}")


@functools.cache
def warn_of_wal_reset() -> None:
    """Say once where this SQLite has the fault that one writer avoids."""
    first, last = _WAL_RESET
    if first <= sqlite3.sqlite_version_info <= last:
        get_logger().warning(
            "this SQLite can damage a journal that two connections write; the node writes it with one only",
            sqlite=sqlite3.sqlite_version,
            mended_in="3.51.3",
        )


def _begin(connection: Connection, statement: str) -> None:
    """Begin by the driver itself, which takes a tenth of the time."""
    connection.connection.cursor().execute(statement)


def _of_driver(error: Exception) -> BaseException | None:
    """Return the error of the driver, which SQLAlchemy may have wrapped."""
    if isinstance(error, SQLAlchemyError):
        return error.orig if isinstance(error, DBAPIError) else None
    return error
