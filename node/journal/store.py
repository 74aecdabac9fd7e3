"""The database under the journal, and the transactions on it.

SQLite in WAL mode with `synchronous=FULL`: a committed transaction survives a power cut. One process writes it, held
by a lock on a file beside it.
"""

import fcntl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from sqlalchemy import URL, Connection, create_engine, event, insert, select
from sqlalchemy.exc import SQLAlchemyError

from node.errors import JournalError, NodeAlreadyRunning
from node.journal import schema

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the wall clock in UTC."""
    return datetime.now(UTC)


class Store:
    """Transactions on one journal. Those within the process take turns; a reader in another process does not wait."""

    def __init__(self, path: Path, *, clock: Clock = utc_now, read_only: bool = False) -> None:
        self._clock = clock
        self._turn = threading.Lock()
        self._lock_file: TextIO | None = None if read_only else _take_lock(path.with_suffix(".lock"))
        self._engine = create_engine(_url(path, read_only=read_only), connect_args={"timeout": 30})
        event.listen(self._engine, "connect", _prepare_reader if read_only else _prepare_writer)
        event.listen(self._engine, "begin", _begin_deferred if read_only else _begin_immediate)
        try:
            self._check_version(create=not read_only)
        except JournalError:
            self.close()
            raise

    def now(self) -> str:
        """Return the time of the clock as it is stored: UTC, ISO 8601."""
        return self._clock().isoformat(timespec="milliseconds")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction: committed and on the disk when the block ends, undone when it raises."""
        with self._turn:
            try:
                with self._engine.begin() as connection:
                    yield connection
            except SQLAlchemyError as error:
                raise JournalError(f"the journal failed: {type(error).__name__}: {_cause(error)}") from error

    def record(
        self,
        connection: Connection,
        what: str,
        *,
        series_uid: str | None = None,
        case_id: int | None = None,
        **detail: Any,
    ) -> None:
        """Append an event to the audit trail, within the transaction that it tells of."""
        values = {"at": self.now(), "series_uid": series_uid, "case_id": case_id, "what": what, "detail": detail}
        connection.execute(insert(schema.event).values(values))

    def close(self) -> None:
        """Close the database and let go of its lock."""
        self._engine.dispose()
        if self._lock_file is not None:
            self._lock_file.close()

    def _check_version(self, *, create: bool) -> None:
        with self.transaction() as connection:
            if create:
                schema.metadata.create_all(connection)
            version = connection.execute(select(schema.about.c.version)).scalar()
            if version is None and create:
                connection.execute(insert(schema.about).values(version=schema.VERSION))
            elif version != schema.VERSION:
                raise JournalError(f"the journal has version {version}, this software needs {schema.VERSION}")


def _url(path: Path, *, read_only: bool) -> URL:
    if read_only:
        return URL.create("sqlite", database=f"{path.resolve().as_uri()}?mode=ro", query={"uri": "true"})
    return URL.create("sqlite", database=str(path))


def _take_lock(path: Path) -> TextIO:
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise NodeAlreadyRunning(f"another process holds {path}") from error
    return file


def _prepare_writer(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_reader(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _cause(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or "see the cause")
