"""What every destination can do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from node.errors import DeliveryError


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One object to deliver."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    #: The encoding of the file, offered as it is: nothing is transcoded on the way.
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a destination said of one object: `error` is None when it has taken it; `note` is what else it said."""

    parcel: Parcel
    error: DeliveryError | None
    note: str | None


class Destination(Protocol):
    """A place that takes results."""

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Answer]:
        """Deliver `parcels` in order, answering for each at once. Raises DeliveryError when the whole way is closed."""
