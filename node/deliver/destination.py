"""What every destination can do."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from node.domain.commitment import CommitmentReport
from node.errors import DeliveryError


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One object to deliver."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    #: The encoding of the file.
    transfer_syntax_uid: str
    #: Of the object itself, for questions about it and for folders; "" where nobody knows.
    study_uid: str = ""
    series_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a destination said of one object: `error` is None when it has taken it; `note` is what else it said."""

    parcel: Parcel
    error: DeliveryError | None
    note: str | None
    #: It says that it has an object of this UID already, or what it says cannot be read: to be verified.
    unsure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """Whether a destination has one object."""

    parcel: Parcel
    found: bool


class Destination(Protocol):
    """A place that takes results. Every method raises DeliveryError when the whole way is closed."""

    def deliver(self, parcels: Sequence[Parcel]) -> Generator[Answer, None, None]:
        """Deliver `parcels` in order, answering for each at once; whoever stops asking stops the delivery."""

    def confirm(self, parcels: Sequence[Parcel]) -> Generator[Confirmation, None, None]:
        """Ask for each of `parcels` whether it is there. Raises ContextsRefused where nothing can be asked."""

    def ask_commitment(self, transaction_uid: str, parcels: Sequence[Parcel], /) -> CommitmentReport | None:
        """Ask for storage commitment of `parcels` (PS3.4 J.3.2); return the report where it comes at once.

        Raises DestinationMisconfigured where the destination knows no storage commitment.
        """

    def reach(self) -> None:
        """Ask whether the destination is there and knows the node."""

    def hang_up(self) -> None:
        """End what other threads do here, and what they begin later: who waits for an answer gets PeerUnreachable."""
