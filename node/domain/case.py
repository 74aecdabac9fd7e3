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
    #: Claimed by a worker, whose lease runs.
    RUNNING = "running"
    #: An operator stopped it before the worker or before the destinations, until released.
    HELD = "held"
    #: Results are on disk and on their way to the destinations.
    SENDING = "sending"
    #: Every destination has every object that is meant for it, confirmed where that is configured; nothing is owed
    #: where none is.
    DELIVERED = "delivered"
    #: At least one destination has refused an object for good, or its attempts are spent.
    UNDELIVERED = "undelivered"
    #: The input cannot be used or its attempts are spent; the reason is stored.
    QUARANTINED = "quarantined"
    #: An operator ended it.
    CANCELLED = "cancelled"
    #: A later revision of the same series took over.
    SUPERSEDED = "superseded"


#: Which states may follow a state.
TRANSITIONS: Mapping[CaseState, frozenset[CaseState]] = {
    CaseState.REJECTED: frozenset({CaseState.SUPERSEDED}),
    CaseState.QUEUED: frozenset({CaseState.RUNNING, CaseState.HELD, CaseState.CANCELLED, CaseState.SUPERSEDED}),
    CaseState.RUNNING: frozenset(
        {
            CaseState.QUEUED,
            CaseState.SENDING,
            CaseState.QUARANTINED,
            CaseState.HELD,
            CaseState.CANCELLED,
            CaseState.SUPERSEDED,
        }
    ),
    CaseState.HELD: frozenset({CaseState.QUEUED, CaseState.SENDING, CaseState.CANCELLED, CaseState.SUPERSEDED}),
    CaseState.SENDING: frozenset(
        {CaseState.DELIVERED, CaseState.UNDELIVERED, CaseState.HELD, CaseState.CANCELLED, CaseState.SUPERSEDED}
    ),
    #: An operator sends it once more, or to another destination.
    CaseState.DELIVERED: frozenset({CaseState.SENDING}),
    CaseState.UNDELIVERED: frozenset({CaseState.SENDING, CaseState.CANCELLED, CaseState.SUPERSEDED}),
    CaseState.QUARANTINED: frozenset({CaseState.QUEUED, CaseState.CANCELLED, CaseState.SUPERSEDED}),
    CaseState.CANCELLED: frozenset({CaseState.SUPERSEDED}),
    CaseState.SUPERSEDED: frozenset(),
}


class DeliveryState(Enum):
    """Where one object stands on its way to one destination."""

    #: Not there yet; tried again until it is.
    PENDING = "pending"
    #: The destination answered Success or a warning, and has yet to confirm that it keeps the object.
    SENT = "sent"
    #: Confirmed; or sent to a destination that is not asked to confirm.
    DELIVERED = "delivered"
    #: The destination will never take it, or its attempts are spent.
    REFUSED = "refused"
    #: Its case was cancelled or superseded before it left.
    CANCELLED = "cancelled"


#: The states of deliveries that are not settled yet.
UNSETTLED = frozenset({DeliveryState.PENDING, DeliveryState.SENT})


class ObjectKind(Enum):
    """What a result object is."""

    SEGMENTATION = "SEG"
    REPORT = "SR"
    KEY_IMAGE = "SC"


class SegmentationForm(Enum):
    """How a SEG holds its voxels."""

    #: One bit a voxel and segment: what every viewer and archive reads.
    BINARY = "binary"
    #: One number a voxel (Label Map Segmentation Storage): a thirtieth of the size, for archives that know the class.
    LABELMAP = "labelmap"
    #: How probable each voxel is.
    FRACTIONAL = "fractional"


class ReportForm(Enum):
    """The storage class of a SR."""

    #: Comprehensive 3D SR, as IHE AI Results asks.
    COMPREHENSIVE_3D = "comprehensive-3d"
    #: For archives that lack the 3D class.
    COMPREHENSIVE = "comprehensive"
    #: For archives that lack both.
    ENHANCED = "enhanced"


class SegmentsOf(Enum):
    """What a SEG has a segment for."""

    #: Each named body and disc; those without a name share one segment a class.
    STRUCTURES = "structures"
    #: All bodies, all discs.
    CLASSES = "classes"


class OnReject(Enum):
    """What is sent of a result whose quality verdict is "reject"."""

    NOTHING = "nothing"
    #: A SR that says so, without measurements.
    REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The forms in which one destination takes results."""

    segmentation: SegmentationForm = SegmentationForm.BINARY
    report: ReportForm = ReportForm.COMPREHENSIVE_3D
    #: Pictures with the findings burned in, for viewers that show neither SEG nor SR.
    key_images: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be made of the findings of a case, by its route and the route's destinations."""

    segments: SegmentsOf = SegmentsOf.STRUCTURES
    on_reject: OnReject = OnReject.REPORT
    #: Never empty; the default is kept on disk even where no destination wants it.
    wanted: frozenset[Wanted] = frozenset({Wanted()})


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
    """A result object on disk."""

    kind: ObjectKind
    sop_class_uid: str
    sop_instance_uid: str
    path: Path
    #: SHA-256 of the file.
    digest: Digest
    #: Names of the destinations that it goes to.
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedObject:
    """A result object as the bytes of a DICOM file (PS3.10 7)."""

    kind: ObjectKind
    #: Its file's name in the folder of a case, such as "seg.dcm", "sr-enhanced.dcm" or "key-1.dcm".
    name: str
    sop_class_uid: str
    sop_instance_uid: str
    content: bytes
    #: What it is meant for: an object goes to the destinations that want one of these.
    wanted: frozenset[Wanted]

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
