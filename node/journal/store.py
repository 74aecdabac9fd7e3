"""The database under the journal, and the transactions on it.

A SQLite journal is written by one process, held by a lock on a file beside it; a PostgreSQL journal by any number of
hosts at once. The statements are the same.
"""

import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TextIO, TypeVar

from sqlalchemy import ColumnElement, Connection, Float, Insert, Table, cast, extract, func, insert, literal
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from node.errors import JournalDamaged, NodeAlreadyRunning
from node.journal import schema, versions
from node.journal.engines import journal_error, may_succeed_again, postgresql_engine, sqlite_engine

Clock = Callable[[], datetime]
P = ParamSpec("P")
T = TypeVar("T")

#: How often a transaction that loses against another one is tried.
_TRIES = 10
#: A larger file is not looked through when it is opened.
_QUICK_CHECK_BYTES = 64 << 20
_INSERT_EVENT = insert(schema.event)


def utc_now() -> datetime:
    """Return the wall clock in UTC."""
    return datetime.now(UTC)


class Store:
    """Transactions on one journal.

    On SQLite those that write take turns, and a reader waits for nobody; on PostgreSQL rows are locked. Raises
    NodeAlreadyRunning, JournalDamaged, JournalError for another version, SettingsError.
    """

    def __init__(
        self,
        where: Path | str,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        read_only: bool = False,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._lock_file: TextIO | None = None
        self.path = where if isinstance(where, Path) else None
        if isinstance(where, Path):
            self._turn: Any = threading.Lock()
            if not read_only:
                self._lock_file = _take_lock(where.with_suffix(".lock"))
            self._engine = sqlite_engine(where, read_only=read_only, writes=not read_only)
            self._reader = self._engine if read_only else sqlite_engine(where, read_only=False, writes=False)
        else:
            self._turn = nullcontext()
            self._engine = self._reader = postgresql_engine(where, read_only=read_only)
        #: Faults of the database, by way of SQLAlchemy or straight from the driver.
        self._faults = (SQLAlchemyError, self.dialect.dbapi.Error, UnicodeDecodeError)
        try:
            self._open(read_only=read_only)
        except BaseException:
            self.close()
            raise

    @property
    def dialect(self) -> Any:
        """The dialect of the database, as SQLAlchemy has it."""
        return self._engine.dialect

    def now(self) -> str:
        """Return the time of the clock as it is stored: UTC, ISO 8601."""
        return self._clock().isoformat(timespec="milliseconds")

    def age_s(self, at: str) -> float:
        """Return the seconds since a stored time, never less than 0. Raises JournalDamaged for what is no time."""
        try:
            then = datetime.fromisoformat(at)
            return max(0.0, (self._clock() - then).total_seconds())
        except (TypeError, ValueError) as error:
            raise JournalDamaged("a row holds no time where it should") from error

    def lease_clock(self) -> ColumnElement[float]:
        """Return the seconds of the clock of the leases: this process's monotonic one, or that of the server."""
        if self.path is not None:
            return literal(self._monotonic(), Float)
        return cast(extract("epoch", func.clock_timestamp()), Float)

    def insert_or_ignore(self, table: Table) -> Insert:
        """Return an INSERT that leaves a row alone that is there already."""
        made = sqlite.insert(table) if self.path is not None else postgresql.insert(table)
        return made.on_conflict_do_nothing()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction that may write: on the disk when the block ends, undone when it raises."""
        with self._turn, _named_errors(self._faults), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that only reads; it waits for no writer."""
        with _named_errors(self._faults), self._reader.connect() as connection, connection.begin():
            yield connection

    def run(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `work(connection, ...)`, done in a transaction, and again when it lost against another one."""
        for tries_left in reversed(range(_TRIES)):
            try:
                with self._turn, self._engine.begin() as connection:
                    return work(connection, *args, **kwargs)
            except self._faults as error:
                if not (tries_left and may_succeed_again(error)):
                    raise journal_error(error) from error
        raise AssertionError

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
        connection.execute(_INSERT_EVENT, self.event(what, series_uid=series_uid, case_id=case_id, **detail))

    def event(
        self, what: str, *, series_uid: str | None = None, case_id: int | None = None, **detail: Any
    ) -> dict[str, Any]:
        """Return an event as a row."""
        return {"at": self.now(), "series_uid": series_uid, "case_id": case_id, "what": what, "detail": detail}

    def close(self) -> None:
        """Close the database and let go of its lock."""
        self._reader.dispose()
        self._engine.dispose()
        if self._lock_file is not None:
            self._lock_file.close()

    def _open(self, *, read_only: bool) -> None:
        if read_only:
            with self.reading() as connection:
                versions.require_current(connection)
            return
        if self.path is not None and self.path.exists() and self.path.stat().st_size:
            if self.path.stat().st_size <= _QUICK_CHECK_BYTES:
                self._look_through()
            with self.reading() as connection:
                older = versions.is_older(connection)
            if older:
                versions.keep_copy(self.path)
        with self.transaction() as connection:
            versions.bring_up(connection)

    def _look_through(self) -> None:
        with self.transaction() as connection:
            first = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if first != "ok":
            raise JournalDamaged(f"the journal is damaged: {first}")


@contextmanager
def _named_errors(faults: tuple[type[Exception], ...]) -> Iterator[None]:
    try:
        yield
    except faults as error:
        raise journal_error(error) from error


def _take_lock(path: Path) -> TextIO:
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise NodeAlreadyRunning(f"another process holds {path}") from error
    return file
