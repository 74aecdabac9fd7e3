"""Cases and deliveries: their states, and which state may follow which."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from node.domain.identifiers import Digest
from node.errors import NodeError


class CaseState(Enum):
    """Where a case stands. A case is one accepted or refused revision of a series and its work."""

    #: No route took the series; the reasons are stored, nothing more happens.
    REJECTED = "rejected"
    #: Accepted, waiting for the worker.
    QUEUED = "queued"
    #: Claimed by the worker.
    RUNNING = "running"
    #: Results are on disk and on their way to the destinations.
    SENDING = "sending"
    #: Every destination has every object.
    DELIVERED = "delivered"
    #: At least one destination has refused an object for good.
    UNDELIVERED = "undelivered"
    #: The input cannot be used or its attempts are spent; the reason is stored.
    QUARANTINED = "quarantined"
    #: A later revision of the same series took over.
    SUPERSEDED = "superseded"


#: Which states may follow a state.
TRANSITIONS: Mapping[CaseState, frozenset[CaseState]] = {
    CaseState.REJECTED: frozenset({CaseState.SUPERSEDED}),
    CaseState.QUEUED: frozenset({CaseState.RUNNING, CaseState.SUPERSEDED}),
    CaseState.RUNNING: frozenset({CaseState.QUEUED, CaseState.SENDING, CaseState.QUARANTINED, CaseState.SUPERSEDED}),
    CaseState.SENDING: frozenset({CaseState.DELIVERED, CaseState.UNDELIVERED, CaseState.SUPERSEDED}),
    CaseState.DELIVERED: frozenset(),
    CaseState.UNDELIVERED: frozenset({CaseState.SUPERSEDED}),
    CaseState.QUARANTINED: frozenset({CaseState.SUPERSEDED}),
    CaseState.SUPERSEDED: frozenset(),
}


class DeliveryState(Enum):
    """Where one object stands on its way to one destination."""

    #: Not there yet; tried again until it is.
    PENDING = "pending"
    #: The destination answered Success or a warning.
    DELIVERED = "delivered"
    #: The destination will never take it.
    REFUSED = "refused"
    #: Its case was superseded before it left.
    CANCELLED = "cancelled"


#: Explicit VR Little Endian: how every result is encoded.
RESULT_TRANSFER_SYNTAX = "1.2.840.10008.1.2.1"


class ObjectKind(Enum):
    """What a result object is."""

    SEGMENTATION = "SEG"
    REPORT = "SR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something was refused: a stable code, and a sentence without patient data."""

    code: str
    text: str

    @classmethod
    def of(cls, error: NodeError) -> "Reason":
        """Return an error as the reason that is stored."""
        return cls(code=error.code, text=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultObject:
    """A SEG or SR on disk."""

    kind: ObjectKind
    sop_class_uid: str
    sop_instance_uid: str
    path: Path
    #: SHA-256 of the file.
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedObject:
    """A SEG or SR as the bytes of a DICOM file (PS3.10 7)."""

    kind: ObjectKind
    sop_class_uid: str
    sop_instance_uid: str
    content: bytes

    @property
    def digest(self) -> Digest:
        """SHA-256 of the file."""
        return Digest(hashlib.sha256(self.content).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultKey:
    """What a result follows from. The same key gives the same UIDs and the same bytes."""

    #: Digest of the set of instances.
    content_digest: Digest
    bundle_digest: str
    #: Digest of the settings and the engine, which change a result.
    settings_digest: str
    software_version: str
