"""What arrives: instances, bytes that are none, and the traffic of a series."""

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """The arrivals of one series, in seconds of one monotonic clock. A restart arms the times anew."""

    first_s: float
    last_s: float
    #: Last activity of the busiest association that carried the series and is still open; None when all have ended.
    open_association_s: float | None
    #: An association that carried the series ended by an abort.
    aborted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The series is not complete before another `seconds` have passed without an arrival."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """The series needs no more waiting; `partial` when the hard cap ended the wait."""

    partial: bool
