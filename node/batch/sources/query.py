"""Items of a query to an archive: what it has by C-FIND; each worker fetches its own series by C-GET."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from node.batch.runner.task import WorkItem
from node.batch.sources.files import series_among
from node.deliver.build import peer_of
from node.domain.series import Series
from node.errors import SettingsError, SystemFailed
from node.scu.association import Peer
from node.scu.find import Criteria, find_series
from node.scu.retrieve import fetch_series
from node.scu.source import SeriesOfStudy
from node.settings import DicomDestination, Settings, has_two_addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesAtPeer:
    """A series that an archive has."""

    peer: Peer
    series: SeriesOfStudy

    def load(self, scratch: Path) -> Series:
        """Fetch the series into `scratch` and return it.

        Raises DeliveryError, which says whether trying again can help, InputError, and SystemFailed where a file cannot
        be written or read.
        """
        files = fetch_series(self.peer, self.series, scratch / "fetched")
        try:
            return series_among(files, self.series.series_uid)
        except OSError as error:
            raise SystemFailed(f"a file of the series cannot be read: {type(error).__name__}") from error


def items_of_query(peer: Peer, criteria: Criteria) -> Iterator[WorkItem]:
    """Yield an item for each series that `peer` has by `criteria`. Raises what `find_series` raises."""
    for series in find_series(peer, criteria):
        yield WorkItem(key=series.series_uid, source=SeriesAtPeer(peer=peer, series=series))


def peer_named(settings: Settings, name: str) -> Peer:
    """Return the archive `name` of the settings: the name of a [[destination]] with kind = "dicom", or the AE title of
    a [[peer]] with host and port. Raises SettingsError.
    """
    if has_two_addresses(name, settings.destination, settings.peer):
        raise SettingsError(f"{name!r} is a [[destination]], and a [[peer]] that is called otherwise")
    for destination in settings.destination:
        if destination.name == name:
            if not isinstance(destination, DicomDestination):
                raise SettingsError(f'destination {name!r}: only one with kind = "dicom" can be asked for series')
            return peer_of(destination, settings.node)
    for peer in settings.peer:
        if peer.ae_title == name:
            return peer_of(peer, settings.node)
    raise SettingsError(f"no [[destination]] has the name {name!r}, and no [[peer]] this AE title")
