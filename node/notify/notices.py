"""What is told: a notice about one case, one destination, one pull, or one thing received."""

from dataclasses import dataclass
from enum import Enum

from node.settings import Topic


class Kind(Enum):
    """What has happened."""

    #: It cannot be segmented, or its attempts are spent.
    CASE_QUARANTINED = "case-quarantined"
    #: At least one destination has refused its results for good.
    CASE_UNDELIVERED = "case-undelivered"
    #: A series of which one of the two had been told has reached every destination after all.
    CASE_DELIVERED = "case-delivered"
    #: Received bytes that are no instance.
    BYTES_QUARANTINED = "bytes-quarantined"
    DESTINATION_FAILING = "destination-failing"
    DESTINATION_WORKS = "destination-works"
    PULL_FAILING = "pull-failing"
    PULL_WORKS = "pull-works"
    #: How far had been told could not be read any more: earlier events may not have been told.
    NOTICES_LOST = "notices-lost"
    #: An event of the journal that cannot be read any more, or whose case cannot: what it would have told is lost.
    EVENT_DAMAGED = "event-damaged"


TOPICS = {
    Kind.CASE_QUARANTINED: Topic.QUARANTINE,
    Kind.CASE_UNDELIVERED: Topic.FAILURE,
    Kind.CASE_DELIVERED: Topic.RECOVERY,
    Kind.BYTES_QUARANTINED: Topic.QUARANTINE,
    Kind.DESTINATION_FAILING: Topic.FAILURE,
    Kind.DESTINATION_WORKS: Topic.RECOVERY,
    Kind.PULL_FAILING: Topic.FAILURE,
    Kind.PULL_WORKS: Topic.RECOVERY,
    Kind.NOTICES_LOST: Topic.FAILURE,
    Kind.EVENT_DAMAGED: Topic.FAILURE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to be told. Its words hold codes and names of the settings, nothing of a patient."""

    kind: Kind
    #: Number of the event in the journal; with the kind it is the same whenever this is told again.
    event: int
    #: UTC, ISO 8601.
    at: str
    text: str
    case: int | None = None
    destination: str | None = None
    pull: str | None = None
    #: Codes of errors (`node.errors`) and of reasons.
    codes: tuple[str, ...] = ()

    @property
    def topic(self) -> Topic:
        """What it counts as."""
        return TOPICS[self.kind]
