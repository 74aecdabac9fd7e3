"""The spool: received bytes, one file an instance, named by hashes and never by a received string."""

import contextlib
import hashlib
import os
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

from node.domain.arrivals import Arrival, Quarantined
from node.domain.identifiers import Digest, parse_uid
from node.durable import GrowingFile
from node.errors import InputError, InvalidIdentifier
from node.receive.headers import Identity, new_digest, read_identity, read_transfer_syntax

_SPOOL = "spool"
_QUARANTINE = "quarantine"
#: So much of the beginning of a file is kept in memory until its identity has been read.
_HEAD_BYTES = 64 << 10
_CHUNK = 1 << 20
#: How many files are remembered as safe, so that a duplicate of one is not written once more.
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRequest:
    """What is known of an instance before its data set arrives (PS3.7 9.1.1.1)."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One instance as a whole: file meta information and data set as they came."""

    #: Preamble, prefix and file meta information (PS3.10 7.1).
    file_meta: bytes
    data_set: bytes
    calling_ae: str


class Spool:
    """Puts received bytes on the disk, then reports them; only after both may the sender be told so.

    The order is the promise: temporary file, fsync, rename, fsync of the folder, report. `report` makes its record
    durable and returns whether it held anything new. Safe to use from several threads.
    """

    def __init__(self, state_dir: Path, report: Callable[[Arrival | Quarantined], bool]) -> None:
        self._state_dir = state_dir
        self._report = report
        self._safe: OrderedDict[str, int] = OrderedDict()
        self._remembering = threading.Lock()

    def open(self, request: StoreRequest) -> "Incoming":
        """Begin to keep an instance, whose data set follows in pieces. Raises OSError."""
        file_meta = encoded_file_meta(request)
        syntax = request.transfer_syntax_uid
        return Incoming(self, file_meta, syntax, request.calling_ae, (syntax, len(file_meta)))

    def take(self, received: Received) -> Arrival | Quarantined | None:
        """Keep one instance that is in memory, as `Incoming.keep` does. Raises OSError or JournalError."""
        head = received.file_meta or received.data_set[:_HEAD_BYTES]
        syntax = read_transfer_syntax(lambda offset, size: head[offset : offset + size])
        incoming = Incoming(self, received.file_meta, syntax, received.calling_ae)
        try:
            incoming.write(received.data_set)
            return incoming.keep()
        finally:
            incoming.discard()

    def keep(self, file: GrowingFile, taken: Arrival | Quarantined) -> Arrival | Quarantined | None:
        """Put a written file in its place and report it; None for a duplicate. Raises OSError or JournalError."""
        if self._is_safe(taken.path, file.size):
            file.discard()
        else:
            file.keep(self._state_dir / taken.path)
        new = self._report(taken)
        self._remember(taken.path, file.size)
        return taken if new else None

    def begin(self) -> GrowingFile:
        """Begin a file. Raises OSError."""
        return GrowingFile(self._state_dir / _SPOOL)

    def _is_safe(self, path: str, size: int) -> bool:
        """Say whether this process has put the same bytes in place, and they are there still."""
        with self._remembering:
            if self._safe.get(path) != size:
                return False
        try:
            os.utime(self._state_dir / path)  # retention, which may be deleting it just now, then leaves it alone
            return (self._state_dir / path).stat().st_size == size
        except OSError:
            return False

    def _remember(self, path: str, size: int) -> None:
        with self._remembering:
            self._safe[path] = size
            self._safe.move_to_end(path)
            if len(self._safe) > _REMEMBERED:
                self._safe.popitem(last=False)


class Incoming:
    """One instance on its way to the disk. One thread uses it; at the end it is kept or discarded."""

    def __init__(
        self,
        spool: Spool,
        file_meta: bytes,
        transfer_syntax_uid: str,
        calling_ae: str,
        known: tuple[str, int] | None = None,
    ) -> None:
        """`file_meta` is preamble, prefix and file meta information, or empty where the data set holds them.

        `known`: Transfer Syntax UID and length of a `file_meta` that the node has made itself.
        """
        self._spool = spool
        self._known = known
        self._calling_ae = calling_ae
        self._digest = new_digest(transfer_syntax_uid)
        self._head = bytearray(file_meta)
        self._file = spool.begin()
        try:
            self._file.write(file_meta)
        except OSError:
            self._file.discard()
            raise

    def write(self, fragment: bytes | memoryview) -> None:
        """Append a piece of the data set. Raises OSError; nothing is left then."""
        try:
            self._file.write(fragment)
        except OSError:
            self._file.discard()
            raise
        self._digest.update(fragment)
        if len(self._head) < _HEAD_BYTES:
            self._head += fragment[: _HEAD_BYTES - len(self._head)]

    def keep(self) -> Arrival | Quarantined | None:
        """Keep the instance: as an arrival of its series, in quarantine with the reason, or None for a duplicate.

        On return the bytes and the report are durable. Raises OSError or JournalError when they are not.
        """
        try:
            return self._spool.keep(self._file, self._taken())
        finally:
            self.discard()

    def discard(self) -> None:
        """Leave nothing of what has not been kept; a second time does nothing."""
        self._file.discard()

    def _fetch(self, offset: int, size: int) -> bytes | bytearray:
        if offset + size <= len(self._head):
            return self._head[offset : offset + size]
        return self._file.read(offset, size)

    def _taken(self) -> Arrival | Quarantined:
        try:
            return self._arrival(read_identity(self._fetch, self._known))
        except InputError as error:
            return self._quarantined(error)

    def _arrival(self, identity: Identity) -> Arrival:
        digest = Digest(self._digest.hexdigest())
        folder = hashlib.sha256(identity.series_uid.encode()).hexdigest()[:32]
        return Arrival(
            sop_instance_uid=identity.sop_instance_uid,
            sop_class_uid=identity.sop_class_uid,
            series_uid=identity.series_uid,
            study_uid=identity.study_uid,
            digest=digest,
            path=f"{_SPOOL}/{folder}/{digest}.dcm",
            calling_ae=self._calling_ae,
            own_result=identity.own_result,
        )

    def _quarantined(self, error: InputError) -> Quarantined:
        """Name the bytes by the digest of the whole file: what they mean is not known."""
        whole = new_digest("")
        for offset in range(0, self._file.size, _CHUNK):
            whole.update(self._file.read(offset, _CHUNK))
        digest = Digest(whole.hexdigest())
        return Quarantined(
            digest=digest,
            path=f"{_QUARANTINE}/{digest}.dcm",
            code=error.code,
            text=str(error),
            calling_ae=self._calling_ae,
        )


def encoded_file_meta(request: StoreRequest) -> bytes:
    """Return preamble, prefix and file meta information (PS3.10 7.1), with who has sent the instance.

    A SOP Class or Instance UID that is none is left out.
    """
    elements = [b"\x02\x00\x01\x00OB\0\0\x02\0\0\0\0\1"]
    for number, uid in ((0x0002, request.sop_class_uid), (0x0003, request.sop_instance_uid)):
        with contextlib.suppress(InvalidIdentifier):
            elements.append(_short(number, b"UI", parse_uid(uid)))
    elements += [
        _short(0x0010, b"UI", request.transfer_syntax_uid),
        _short(0x0012, b"UI", PYNETDICOM_IMPLEMENTATION_UID),
        _short(0x0013, b"SH", PYNETDICOM_IMPLEMENTATION_VERSION),
        _short(0x0016, b"AE", request.calling_ae),
    ]
    meta = b"".join(elements)
    return b"\0" * 128 + b"DICM" + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(meta)) + meta


def _short(number: int, vr: bytes, text: str) -> bytes:
    """Return an element of group 2 whose length has 16 bits (PS3.5 7.1.2)."""
    value = text.encode("ascii", "replace")[:64]
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", 2, number, vr, len(value)) + value


def sweep(folders: Iterable[Path], *, older_than_s: float, now_s: float) -> int:
    """Delete temporary files that a crash left behind; return how many. Times are seconds since the epoch."""
    deleted = 0
    for path in [part for folder in folders for part in folder.rglob(".*.part")]:
        with contextlib.suppress(FileNotFoundError):  # renamed in the meantime
            if now_s - path.stat().st_mtime > older_than_s:
                path.unlink()
                deleted += 1
    return deleted
