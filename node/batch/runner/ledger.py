"""The ledger: what became of each case, on the disk, one line a run of a case.

    OUT/ledger/<host>-<pid>-<random>.jsonl      one file a writer, append-only
    {"crc32":"1c291ca3","record":{"key":"1.2.3","state":"done", ...}}

A worker writes the line, and waits for the disk, after the results of the case are on the disk: whoever dies after
that, driver or scheduler, loses nothing. A file has one writer and is never opened for writing again, so no file system
has to lock anything; and only its last line can be torn. A line whose checksum is wrong counts as not written, and is
named.
"""

import contextlib
import json
import os
import re
import secrets
import socket
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from node.durable import fsync_folder, make_folder_durably
from node.errors import SystemFailed

FOLDER = "ledger"

_HEAD = b'{"crc32":"'
_MIDDLE = b'","record":'
_BODY = len(_HEAD) + 8 + len(_MIDDLE)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,120}\.jsonl")


class State(Enum):
    """What became of a case."""

    #: Its results are in its folder.
    DONE = "done"
    #: The task does not take such an item, for the reasons in the record: no failure, and not tried again.
    REFUSED = "refused"
    #: It has no results.
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One run of a case that ended."""

    key: str
    state: State
    #: Digest of the task.
    task: str
    #: Which try it was, from 1.
    attempt: int
    #: Whether nobody tries again unless asked to.
    final: bool
    #: When it was written, in seconds since 1970.
    at: float = 0.0
    #: `WorkItem.mark`.
    mark: str = ""
    #: Of a case that was refused or failed: a stable code, and a sentence without patient data.
    code: str = ""
    reason: str = ""
    #: Who wrote it: the name of the file without its ending.
    worker: str = ""
    #: From when the worker took the case until its results were on the disk.
    seconds: float = 0.0
    #: How long the worker had been without a case; None for its first.
    idle_s: float | None = None
    #: What the work returned.
    returned: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> bytes:
        """Return the record as JSON, its fields in their order."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({**values, "state": self.state.value}, separators=(",", ":")).encode()

    def line(self) -> bytes:
        """Return the record as a line of the ledger."""
        body = self.json()
        return b"%b%08x%b%b}\n" % (_HEAD, zlib.crc32(body), _MIDDLE, body)

    @classmethod
    def parse(cls, body: bytes) -> "Record":
        """Return the record of such JSON."""
        fields: dict[str, Any] = json.loads(body)
        return cls(**{**fields, "state": State(fields["state"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where a line stands: the name of its file within the ledger, and its first byte."""

    file: str
    offset: int


class LedgerWriter:
    """One file of the ledger, for one thread. It is made with the first record."""

    def __init__(self, out: Path) -> None:
        self._folder = out / FOLDER
        host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:64].lstrip(".") or "host"
        self.name = f"{host}-{os.getpid()}-{secrets.token_hex(6)}"
        self._descriptor: int | None = None
        self._size = 0

    def append(self, record: Record) -> Spot:
        """Write `record`, whose `worker` is this writer's name; on return it is on the disk. Raises SystemFailed."""
        try:
            if self._descriptor is None:
                make_folder_durably(self._folder)
                path = self._folder / f"{self.name}.jsonl"
                self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC)
                fsync_folder(self._folder)
            return self._write(record.line())
        except OSError as error:
            self.close()  # what is torn stays the end of its file
            raise SystemFailed(f"the ledger in {self._folder} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Begin another file with the next record."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._size = 0
            self.name = f"{self.name.rpartition('-')[0]}-{secrets.token_hex(6)}"

    def _write(self, line: bytes) -> Spot:
        assert self._descriptor is not None  # noqa: S101 - opened by who calls
        spot = Spot(file=f"{self.name}.jsonl", offset=self._size)
        written = 0
        while written < len(line):
            written += os.write(self._descriptor, line[written:])
        os.fdatasync(self._descriptor)
        self._size += len(line)
        return spot


def ledger_files(out: Path) -> list[Path]:
    """Return the files of the ledger, by name; none where there is no ledger."""
    folder = out / FOLDER
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def read_lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """Yield where each line of one file begins, and the record in it as JSON, None where its checksum is wrong.

    A last line without its end is left out: it was never written. Raises OSError.
    """
    offset = 0
    with path.open("rb", buffering=1 << 20) as file:
        for line in file:
            if line.endswith(b"\n"):
                yield offset, _body(line)
            offset += len(line)


def read_record(out: Path, spot: Spot) -> Record | None:
    """Return the record at `spot`, None where no sound line begins. Raises OSError, but not for a missing file."""
    if not _NAME.fullmatch(spot.file):
        return None
    try:
        with (out / FOLDER / spot.file).open("rb") as file:
            file.seek(spot.offset)
            body = _body(file.readline())
    except FileNotFoundError:
        return None
    return None if body is None else Record.parse(body)


def find_record(out: Path, file: str, key: str) -> Record | None:
    """Return the last record of case `key` in one file of the ledger; None where there is none. Raises OSError."""
    if not _NAME.fullmatch(file):
        return None
    found: Record | None = None
    with contextlib.suppress(FileNotFoundError):
        for _, body in read_lines(out / FOLDER / file):
            if body is not None and (record := Record.parse(body)).key == key:
                found = record
    return found


def _body(line: bytes) -> bytes | None:
    """Return the record of a line, None where it is not as it was written."""
    body = line[_BODY:-2]
    if line[: len(_HEAD)] != _HEAD or line[_BODY - len(_MIDDLE) : _BODY] != _MIDDLE or line[-2:] != b"}\n":
        return None
    return body if line[len(_HEAD) : len(_HEAD) + 8] == b"%08x" % zlib.crc32(body) else None
