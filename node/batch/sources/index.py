"""Which files belong to which series, in a SQLite file: a tree of a million series does not fit into memory.

A folder whose listing (names, sizes, times) is as it was is not read again, so that a batch that is taken up again
finds its input at once. Paths are bytes, as the file system has them.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from node.batch.sources.skipped import Skipped
from node.domain.case import Reason
from node.durable import make_folder_durably
from node.errors import SystemFailed

_SCHEMA = """
CREATE TABLE IF NOT EXISTS unit (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL, only_name BLOB NOT NULL, signature TEXT NOT NULL, run INTEGER NOT NULL,
    UNIQUE (path, only_name)
);
CREATE TABLE IF NOT EXISTS instance (
    unit INTEGER NOT NULL, series TEXT NOT NULL, name BLOB NOT NULL, member INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS named (
    unit INTEGER NOT NULL, key TEXT NOT NULL, name BLOB NOT NULL, refusal TEXT
);
CREATE TABLE IF NOT EXISTS skipped (
    unit INTEGER NOT NULL, name BLOB NOT NULL, member INTEGER, code TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS instance_series ON instance (series);
CREATE INDEX IF NOT EXISTS instance_unit ON instance (unit);
CREATE INDEX IF NOT EXISTS named_key ON named (key);
CREATE INDEX IF NOT EXISTS named_unit ON named (unit);
CREATE INDEX IF NOT EXISTS skipped_unit ON skipped (unit);
"""
_UNIT = "SELECT id, signature FROM unit WHERE path = ? AND only_name = ?"
_NEW_UNIT = "INSERT INTO unit (path, only_name, signature, run) VALUES (?, ?, '', ?)"
_SEEN = "UPDATE unit SET run = ?, signature = ? WHERE id = ?"
_LAST_RUN = "SELECT coalesce(max(run), 0) FROM unit"
_GONE = "SELECT id FROM unit WHERE run <> ?"
_FORGET = (
    "DELETE FROM instance WHERE unit = ?",
    "DELETE FROM named WHERE unit = ?",
    "DELETE FROM skipped WHERE unit = ?",
)
_FORGET_UNIT = "DELETE FROM unit WHERE id = ?"
_ADD_INSTANCE = "INSERT INTO instance (unit, series, name, member) VALUES (?, ?, ?, ?)"
_ADD_NAMED = "INSERT INTO named (unit, key, name, refusal) VALUES (?, ?, ?, ?)"
_ADD_SKIPPED = "INSERT INTO skipped (unit, name, member, code, text) VALUES (?, ?, ?, ?, ?)"
_NEXT_SERIES = "SELECT min(series) FROM instance WHERE series > ?"
_FILES = """
SELECT unit.path, instance.name, instance.member FROM instance JOIN unit ON unit.id = instance.unit
WHERE instance.series = ? ORDER BY unit.path, instance.name, instance.member
"""
_NAMED = """
SELECT named.key, unit.path, named.name, named.refusal,
    (SELECT count(*) FROM named AS other WHERE other.key = named.key) > 1
    OR EXISTS (SELECT 1 FROM instance WHERE instance.series = named.key)
FROM named JOIN unit ON unit.id = named.unit ORDER BY named.key, unit.path, named.name
"""
_SKIPPED = """
SELECT unit.path, skipped.name, skipped.member, skipped.code, skipped.text
FROM skipped JOIN unit ON unit.id = skipped.unit ORDER BY unit.path, skipped.name, skipped.member
"""
_COUNT = "SELECT (SELECT count(DISTINCT series) FROM instance) + (SELECT count(*) FROM named)"
#: How much of a scan a kill may cost.
_COMMIT_EVERY_S = 2.0
#: Stands for a file that lies in no zip.
_NO_MEMBER = -1


@dataclass(frozen=True, slots=True)
class Instances:
    """Files of a series with one name in one folder: a file, or what a zip has of it. `members` is empty for a file."""

    path: Path
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """An item that has its key from its name. `refusal`: why it is a zip that was not looked into; None: an image."""

    key: str
    #: Another item has this key too.
    shared: bool
    path: Path
    refusal: str | None


@contextlib.contextmanager
def open_index(path: Path) -> Iterator["Index"]:
    """Open the index at `path`, which is made when it is missing. Raises SystemFailed where it cannot be used."""
    try:
        make_folder_durably(path.parent.absolute())
        with contextlib.closing(sqlite3.connect(path, check_same_thread=False)) as connection:
            connection.executescript(_SCHEMA)
            yield Index(connection)
    except sqlite3.Error as error:
        text = f"the index of files cannot be used; without it the input is read anew: {type(error).__name__}"
        raise SystemFailed(f"{path}: {text}") from error


class Index:
    """The files of one input. A `run` is one look at all of it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        (last,) = connection.execute(_LAST_RUN).fetchone()
        self._run: int = last + 1
        self._committed_s = time.monotonic()

    def begin(self, folder: Path, only: str, signature: str) -> "Unit | None":
        """Return where to put what a folder (`only`: a file alone) holds; None where it is known as it is now."""
        place = (os.fsencode(folder), os.fsencode(only))
        known = self._connection.execute(_UNIT, place).fetchone()
        if known is not None and known[1] == signature:
            self._connection.execute(_SEEN, (self._run, signature, known[0]))
            return None
        if known is None:
            number = self._connection.execute(_NEW_UNIT, (*place, self._run)).lastrowid
        else:
            number = known[0]
            self._forget(number)
        return Unit(self._connection, number or 0, self._run, signature)

    def commit_now_and_then(self) -> None:
        """Put what is known onto the disk, not more often than every few seconds: a folder takes less than that."""
        if time.monotonic() > self._committed_s + _COMMIT_EVERY_S:
            self._connection.commit()
            self._committed_s = time.monotonic()

    def end(self) -> None:
        """Forget what is no longer there."""
        for (number,) in self._connection.execute(_GONE, (self._run,)).fetchall():
            self._forget(number)
            self._connection.execute(_FORGET_UNIT, (number,))
        self._connection.commit()

    def __len__(self) -> int:
        """Return how many items there are."""
        (count,) = self._connection.execute(_COUNT).fetchone()
        return int(count)

    def series(self) -> Iterator[tuple[str, tuple[Instances, ...]]]:
        """Yield each series with its files, sorted by UID and path."""
        (uid,) = self._connection.execute(_NEXT_SERIES, ("",)).fetchone()
        while uid is not None:
            files: dict[bytes, list[int]] = {}
            for folder, name, member in self._connection.execute(_FILES, (uid,)):
                files.setdefault(os.path.join(folder, name), []).append(member)  # noqa: PTH118 - bytes
            yield (
                uid,
                tuple(
                    Instances(Path(os.fsdecode(path)), tuple(member for member in members if member != _NO_MEMBER))
                    for path, members in files.items()
                ),
            )
            (uid,) = self._connection.execute(_NEXT_SERIES, (uid,)).fetchone()

    def named(self) -> Iterator[Named]:
        """Yield the items that have their keys from their names, sorted by key and path."""
        for key, folder, name, refusal, shared in self._connection.execute(_NAMED):
            yield Named(key=key, shared=bool(shared), path=_path(folder, name), refusal=refusal)

    def skipped(self) -> Iterator[Skipped]:
        """Yield what is part of no item, sorted by path."""
        for folder, name, member, code, text in self._connection.execute(_SKIPPED):
            yield Skipped(path=_path(folder, name), member=member, reason=Reason(code=code, text=text))

    def _forget(self, number: int) -> None:
        for statement in _FORGET:
            self._connection.execute(statement, (number,))


class Unit:
    """What one folder holds, while it is read. What is not ended has no signature, and the next run reads it again."""

    def __init__(self, connection: sqlite3.Connection, number: int, run: int, signature: str) -> None:
        self._connection = connection
        self._number = number
        self._run = run
        self._signature = signature

    def add_instances(self, found: Iterable[tuple[str, int | None, str]]) -> None:
        """Add (file name, number in the zip, Series Instance UID) of images."""
        self._connection.executemany(
            _ADD_INSTANCE,
            (
                (self._number, series, os.fsencode(name), _NO_MEMBER if member is None else member)
                for name, member, series in found
            ),
        )

    def add_named(self, key: str, name: str, refusal: str | None) -> None:
        """Add an item that has its key from its name."""
        self._connection.execute(_ADD_NAMED, (self._number, key, os.fsencode(name), refusal))

    def add_skipped(self, name: str, member: int | None, reason: Reason) -> None:
        """Add a file that is part of no item."""
        self._connection.execute(_ADD_SKIPPED, (self._number, os.fsencode(name), member, reason.code, reason.text))

    def end(self, *, again: bool) -> None:
        """All of the folder is added. `again`: the next run reads it anew, since something could not be read now."""
        self._connection.execute(_SEEN, (self._run, "" if again else self._signature, self._number))


def _path(folder: bytes, name: bytes) -> Path:
    return Path(os.fsdecode(os.path.join(folder, name)))  # noqa: PTH118 - bytes
