"""What arrives: instances, bytes that are none, and the traffic of a series."""

from dataclasses import dataclass
from enum import Enum

from node.domain.identifiers import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One instance that lies in the spool."""

    sop_instance_uid: str
    sop_class_uid: str
    series_uid: str
    study_uid: str
    digest: Digest
    #: Relative to the state folder.
    path: str
    calling_ae: str
    #: The object was made by this software.
    own_result: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """Received bytes that are no usable instance."""

    digest: Digest
    path: str
    code: str
    text: str
    calling_ae: str


class ExpectedBy(Enum):
    """Who said how many instances a series has; the first is believed before the next."""

    #: A storage commitment request named them.
    COMMITMENT = "commitment"
    #: The sub-operations of a C-MOVE or C-GET that brought them.
    RETRIEVE = "retrieve"
    #: NumberOfSeriesRelatedInstances, twice the same, at least 10 s apart.
    QUERY = "query"
    #: ImagesInAcquisition (0020,1002): a hint, and often wrong.
    HEADER = "header"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """How many instances a series has, and who said so."""

    instances: int
    by: ExpectedBy


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """The arrivals of one series, in seconds of one monotonic clock. A restart arms the last arrival anew."""

    #: May lie before the start of the process: a restart does not lengthen the hard cap.
    first_s: float
    last_s: float
    #: Last activity of the busiest association that carried the series and is still open; None when all have ended.
    open_association_s: float | None
    #: An association that carried the series ended by an abort, or with the process that held it.
    aborted: bool
    #: Distinct instances that are stored.
    instances: int = 0
    #: None while nobody has said.
    expected: Expectation | None = None
    #: How many revisions of the series have been closed before.
    revisions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The series is not complete before another `seconds` have passed without an arrival."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """The series needs no more waiting; `partial` when the hard cap ended the wait, or instances are known to lack."""

    partial: bool
