"""An archive that is asked by C-FIND, and that sends by C-MOVE or C-GET (PS3.4 C.4)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from node.domain.listing import ListedInstance, ListedSeries, ListedStudy
from node.errors import DestinationMisconfigured
from node.pull.door import Door, Take
from node.pull.gaps import Gap
from node.receive.spool import StoreRequest
from node.scu.association import Calls, Peer
from node.scu.catalogue import Catalogue
from node.scu.get import MR_IMAGES, Inbox, get_series
from node.scu.move import move_series
from node.scu.source import SeriesOfStudy
from node.settings import PullSettings

#: Statuses of a C-MOVE (PS3.4 table C.4-2).
_SUCCESS, _DESTINATION_UNKNOWN = 0x0000, 0xA801
#: UIDs in one request: of 64 characters each, they fit into one PDU of the smallest usual size.
_UIDS_AT_ONCE = 200


class DicomArchive:
    """A Query/Retrieve SCP."""

    def __init__(self, peer: Peer, pull: PullSettings) -> None:
        self._calls = Calls()
        self._peer = replace(peer, calls=self._calls)
        #: An archive may be silent for long while it reads a series from its tapes.
        self._retrieving = replace(self._peer, timeout_s=pull.timeout_s)
        self._by_get = pull.retrieve == "get"
        self._catalogue = Catalogue(self._peer)

    def studies(
        self, dates: Sequence[str], modalities: Sequence[str], study_uids: Sequence[str] = ()
    ) -> Sequence[ListedStudy]:
        """Ask at the level of studies. Raises what `Catalogue` raises, and so below."""
        return self._catalogue.studies(dates, modalities, study_uids)

    def series(self, studies: Sequence[ListedStudy]) -> Sequence[ListedSeries]:
        """Ask at the level of series."""
        return self._catalogue.series(studies)

    def instances(self, series: Sequence[SeriesOfStudy]) -> Mapping[str, tuple[ListedInstance, ...]]:
        """Ask at the level of instances."""
        return self._catalogue.instances(series)

    def passed_over(self) -> int:
        """Return how many answers have named what they tell of by no valid UID."""
        return self._catalogue.reader.passed_over()

    def fetch(self, series: SeriesOfStudy, gap: Gap, door: Door) -> str:
        """Have a series sent, as a whole or by its instances. Raises what `move_series` or `get_series` raises."""
        uids = () if gap.whole else tuple(instance.sop_instance_uid for instance in gap.wanted)
        said: list[str] = []
        for part in _parts(uids):
            if self._by_get:
                self._get(series, gap.wanted, part, door)
            else:
                said.append(self._move(series, part))
        return "; ".join(dict.fromkeys(filter(None, said)))

    def hang_up(self) -> None:
        """End its associations."""
        self._calls.end()

    def _move(self, series: SeriesOfStudy, uids: Sequence[str]) -> str:
        node_title = self._peer.calling_ae_title
        moved = move_series(self._retrieving, series, node_title, uids)
        if moved.status == _DESTINATION_UNKNOWN:
            text = f"does not know where the AE title {node_title} listens, or cannot reach it there"
            raise DestinationMisconfigured(f"{self._peer.who} {text}")
        return "" if moved.status == _SUCCESS else f"it ended the C-MOVE with {moved.text}"

    def _get(self, series: SeriesOfStudy, wanted: Sequence[ListedInstance], uids: Sequence[str], door: Door) -> None:
        classes = sorted({instance.sop_class_uid for instance in wanted} - {""}) or MR_IMAGES
        with door.opened() as take:
            inbox = Inbox(self._peer, series, lambda event: _kept(event, self._peer.ae_title, take))
            get_series(self._retrieving, series, inbox, sop_class_uids=classes, sop_instance_uids=uids)


def _kept(event: Any, ae_title: str, take: Take) -> int:
    request = StoreRequest(
        sop_class_uid=str(event.request.AffectedSOPClassUID),
        sop_instance_uid=str(event.request.AffectedSOPInstanceUID),
        transfer_syntax_uid=str(event.context.transfer_syntax),
        calling_ae=ae_title,
    )
    return take(request, event.request.DataSet.getbuffer())


def _parts(uids: Sequence[str]) -> list[Sequence[str]]:
    """Return the UIDs of each request; one request without any asks for the series as a whole."""
    return [uids[first : first + _UIDS_AT_ONCE] for first in range(0, len(uids), _UIDS_AT_ONCE)] or [()]
