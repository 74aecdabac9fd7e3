"""What came in and what was refused at the door, counted since the start of the process."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar


class ConnectionRefusal(Enum):
    """Why a connection was closed before anybody asked for an association over it."""

    #: All seats are taken, in all or those of the address.
    NO_SEAT = "no-seat"
    #: The handshake failed: no certificate, one that nobody known has signed, or no TLS at all.
    TLS = "tls"


class AssociationRefusal(Enum):
    """Why an association was rejected (A-ASSOCIATE-RJ, PS3.8 9.3.4)."""

    CALLING_AE_TITLE = "calling-ae-title"
    CALLED_AE_TITLE = "called-ae-title"
    #: There are `receive.maximum_associations`.
    NO_SEAT = "no-seat"
    #: The three of `node.receive.headroom`.
    DISK = "disk"
    BACKLOG = "backlog"
    JOURNAL = "journal"


class InstanceEnd(Enum):
    """What became of an instance that was answered with Success."""

    STORED = "stored"
    #: The same bytes are there already.
    DUPLICATE = "duplicate"
    #: No usable instance; the bytes are kept with the reason.
    QUARANTINED = "quarantined"


class InstanceRefusal(Enum):
    """Why a C-STORE was answered with a failure."""

    DISK = "disk"
    BACKLOG = "backlog"
    JOURNAL = "journal"
    #: Larger than `receive.maximum_instance_mb`.
    TOO_LARGE = "too-large"
    #: The disk or the journal failed while it was written.
    NOT_STORED = "not-stored"
    #: Not of the SOP Class that its presentation context was negotiated for.
    CLASS_NOT_SUPPORTED = "class-not-supported"
    #: No data set came with it.
    NO_DATA_SET = "no-data-set"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeCounts:
    """Counts since the start of the process, by the values of the enumerations above; none is left out."""

    associations_accepted: int
    associations_rejected: Mapping[str, int]
    connections_refused: Mapping[str, int]
    instances: Mapping[str, int]
    instances_refused: Mapping[str, int]
    #: Of data sets, those of refused instances too.
    bytes_received: int


Counted = ConnectionRefusal | AssociationRefusal | InstanceEnd | InstanceRefusal
Kind = TypeVar("Kind", ConnectionRefusal, AssociationRefusal, InstanceEnd, InstanceRefusal)


class Intake:
    """Counts. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Counted] = Counter()
        self._accepted = 0
        self._bytes = 0

    def accepted(self) -> None:
        """Count an association that was accepted."""
        with self._lock:
            self._accepted += 1

    def count(self, what: Counted) -> None:
        """Count a refusal, or the end of an instance."""
        with self._lock:
            self._counts[what] += 1

    def received(self, size: int) -> None:
        """Count the bytes of a data set."""
        with self._lock:
            self._bytes += size

    def counts(self) -> IntakeCounts:
        """Return the counts of one moment."""
        with self._lock:
            return IntakeCounts(
                associations_accepted=self._accepted,
                associations_rejected=self._of(AssociationRefusal),
                connections_refused=self._of(ConnectionRefusal),
                instances=self._of(InstanceEnd),
                instances_refused=self._of(InstanceRefusal),
                bytes_received=self._bytes,
            )

    def _of(self, kind: type[Kind]) -> Mapping[str, int]:
        return {what.value: self._counts[what] for what in kind}
