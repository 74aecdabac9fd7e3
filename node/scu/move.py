"""Having an archive send to the node's own listener, by C-MOVE (PS3.4 C.4.2), Study Root model.

What it answers is told, and proves nothing: a wrong study and an unknown destination give the same status in some
archives. Only what arrived counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from node.errors import PeerUnreachable
from node.scu.association import Peer, associate
from node.scu.query import ENCODINGS
from node.scu.source import SeriesOfStudy, series_identifier

#: Study Root Query/Retrieve Information Model, MOVE (PS3.4 C.6.2).
_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
_COUNTS = tuple(f"NumberOf{kind}Suboperations" for kind in ("Remaining", "Completed", "Failed", "Warning"))
#: Statuses of a C-MOVE in words (PS3.4 table C.4-2).
_MEANINGS = {
    0xA701: "out of resources: unable to calculate the number of matches",
    0xA702: "out of resources: unable to perform sub-operations",
    0xA801: "move destination unknown",
    0xA900: "identifier does not match SOP Class",
    0xB000: "sub-operations complete, one or more failures or warnings",
    0xFE00: "sub-operations cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """How an archive ended a C-MOVE."""

    status: int
    #: How many sub-operations it spoke of; None where it named no number.
    suboperations: int | None = None

    @property
    def text(self) -> str:
        """Return the status in words."""
        meaning = _MEANINGS.get(self.status)
        return f"0x{self.status:04X}" + (f" ({meaning})" if meaning else "")


def move_series(peer: Peer, series: SeriesOfStudy, destination: str, sop_instance_uids: Sequence[str] = ()) -> Moved:
    """Have `peer` send a series, or those of its instances that are named, to the AE title `destination`, and wait.

    Raises what `associate` raises, ContextsRefused where the peer knows no C-MOVE, or PeerUnreachable.
    """
    last: Any = None
    suboperations: int | None = None
    with associate(peer, [(_MOVE, ENCODINGS)]) as association:
        try:
            for last, _failed in association.send_c_move(
                series_identifier(series, sop_instance_uids), destination, _MOVE
            ):
                if "Status" not in last:
                    raise PeerUnreachable(f"{peer.who} did not finish a C-MOVE")
                numbers = [last.get(keyword) for keyword in _COUNTS]
                if any(number is not None for number in numbers):
                    suboperations = sum(number or 0 for number in numbers)
        except RuntimeError as error:  # pynetdicom: the association has ended
            raise PeerUnreachable(f"{peer.who} ended the association") from error
    if last is None:
        raise PeerUnreachable(f"{peer.who} did not finish a C-MOVE")
    return Moved(status=int(last.Status), suboperations=suboperations)
