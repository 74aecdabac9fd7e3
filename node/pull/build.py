"""From the settings of a pull to the pull."""

from collections.abc import Sequence

from node.deliver.build import peer_of
from node.errors import SettingsError
from node.journal.journal import Journal
from node.journal.pulls import PullJournal
from node.pull.archive import Archive
from node.pull.dicom import DicomArchive
from node.pull.dicomweb import DicomwebArchive
from node.pull.door import Door
from node.pull.pulls import Pulls
from node.pull.run import Fetching, Pull
from node.receive.server.storage import Storage
from node.settings import DicomDestination, PullSettings, Settings, StowDestination

#: Of an instance that is fetched into memory, where the settings set no limit.
_MOST_BYTES = 4 << 30


def pulls_of_node(settings: Settings, journal: Journal, storage: Storage) -> Pulls:
    """Return the pulls of a node that serves; `storage` takes what they fetch over associations of their own."""
    beside = PullJournal(journal.store)
    fetching = Fetching(arrivals=journal.arrivals, door=Door(storage), gate=storage.gate)
    return Pulls(pulls_of(settings, beside, fetching), beside)


def pulls_of(settings: Settings, journal: PullJournal, fetching: Fetching | None = None) -> Sequence[Pull]:
    """Return the pulls of the settings; without `fetching` they can only look. Nothing is asked yet."""
    return [Pull(pull, settings.route, archive_of(pull, settings), journal, fetching) for pull in settings.pull]


def archive_of(pull: PullSettings, settings: Settings) -> Archive:
    """Return the archive that a pull asks. Raises SettingsError where nothing of its name can be asked."""
    for place in settings.destination:
        if place.name == pull.archive and isinstance(place, StowDestination):
            most_bytes = settings.receive.maximum_instance_mb << 20 or _MOST_BYTES
            return DicomwebArchive(place, silence_s=pull.timeout_s, most_bytes=most_bytes)
        if place.name == pull.archive and isinstance(place, DicomDestination):
            return DicomArchive(peer_of(place, settings.node), pull)
    for peer in settings.peer:
        if peer.ae_title == pull.archive:
            return DicomArchive(peer_of(peer, settings.node), pull)
    raise SettingsError(f"pull {pull.name}: archive {pull.archive!r} cannot be asked")
