"""What survives every fault: the sender with its memory of what was acknowledged, and the archive."""

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from fakes import storage_scp
from faults import wire
from oracle import write_blocks
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    Comprehensive3DSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

_ANSWER_S = 30.0
#: Of `wire.CONTEXTS`.
_MR_CONTEXT = 3
_RESULTS = (SegmentationStorage, Comprehensive3DSRStorage, SecondaryCaptureImageStorage)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instance:
    """One object that the sender has."""

    uid: str
    #: As it is sent.
    data_set: bytes
    #: As the node computes it: transfer syntax, line feed, data set.
    digest: str
    #: SHA-256 and length of the encoded data set.
    of_data_set: str
    length: int

    @property
    def promised(self) -> list[Any]:
        """What the check is told of an acknowledged instance."""
        return [self.uid, self.digest, self.of_data_set, self.length]


def series(folder: Path) -> list[Instance]:
    """Return the eight instances of a small series that the default route takes."""
    return [instance_of(pydicom.dcmread(path)) for path in write_blocks(folder)]


def instance_of(data_set: Dataset) -> Instance:
    """Return a data set, in Explicit VR Little Endian, as something to send."""
    encoded = encode(data_set, False, True)
    assert encoded is not None
    return Instance(
        uid=str(data_set.SOPInstanceUID),
        data_set=encoded,
        digest=hashlib.sha256(ExplicitVRLittleEndian.encode() + b"\n" + encoded).hexdigest(),
        of_data_set=hashlib.sha256(encoded).hexdigest(),
        length=len(encoded),
    )


def data_sets(instances: Sequence[Instance]) -> dict[str, list[Any]]:
    """Return SHA-256 and length of each data set by the digest that names its file."""
    return {instance.digest: [instance.of_data_set, instance.length] for instance in instances}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One C-STORE that was answered; times in ns of CLOCK_MONOTONIC, the same in all processes."""

    instance: Instance
    begun_ns: int
    ended_ns: int
    status: int


def send(port: int, instances: Sequence[Instance]) -> list[Sent]:
    """Send `instances` over one association until it ends; a connection that is refused sends nothing."""
    sent: list[Sent] = []
    with contextlib.suppress(OSError, EOFError), wire.Line(port, patience_s=_ANSWER_S) as line:
        if line.associate():
            for number, instance in enumerate(instances, start=1):
                command = wire.store_command(instance.uid.encode(), number)
                begun_ns = time.monotonic_ns()
                status = line.ask(wire.message(_MR_CONTEXT, command, instance.data_set)).status
                sent.append(Sent(instance=instance, begun_ns=begun_ns, ended_ns=time.monotonic_ns(), status=status))
            line.release()
    return sent


@dataclass(slots=True)
class Archive:
    """A storage SCP that keeps what it is sent. `stored`: the SHA-256 of every data set that came under a UID."""

    port: int = 0
    stored: dict[str, set[str]] = field(default_factory=dict)
    #: Every C-STORE that was taken: ns of CLOCK_MONOTONIC, UID, digest.
    taken: list[tuple[int, str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def store(self, event: Any) -> int:
        """Keep one object."""
        digest = hashlib.sha256(event.request.DataSet.getvalue()).hexdigest()
        uid = str(event.request.AffectedSOPInstanceUID)
        with self._lock:
            self.stored.setdefault(uid, set()).add(digest)
            self.taken.append((time.monotonic_ns(), uid, digest))
        return 0x0000

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self.stored.clear()
            self.taken.clear()

    def go_back(self, taken: Sequence[tuple[int, str, str]], until_ns: int) -> None:
        """Hold what had been taken at a moment, and nothing else."""
        self.clear()
        with self._lock:
            for at_ns, uid, digest in taken:
                if at_ns < until_ns:
                    self.stored.setdefault(uid, set()).add(digest)

    def wrong(self, wanted: dict[str, set[str]]) -> list[str]:
        """Return in what the archive differs from what it should hold."""
        with self._lock:
            told = [f"the archive lacks {uid}" for uid in wanted.keys() - self.stored.keys()]
            told += [f"the archive holds a duplicate result {uid}" for uid in self.stored.keys() - wanted.keys()]
            told += [
                f"other bytes under the UID {uid}"
                for uid in self.stored.keys() & wanted.keys()
                if self.stored[uid] != wanted[uid]
            ]
        return told


@contextlib.contextmanager
def archive() -> Iterator[Archive]:
    """Run an archive."""
    kept = Archive()
    contexts = [(str(uid), (str(ExplicitVRLittleEndian),)) for uid in _RESULTS]
    with storage_scp(kept.store, contexts) as port:
        kept.port = port
        yield kept
