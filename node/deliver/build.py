"""From the settings of a destination to the destination."""

from node.deliver.cstore import CStoreDestination
from node.deliver.destination import Destination
from node.deliver.folder import FileTreeDestination
from node.deliver.stow.destination import StowRsDestination
from node.errors import SettingsError
from node.scu.association import Peer
from node.settings import (
    DestinationSettings,
    DicomDestination,
    FolderDestination,
    NodeSettings,
    PeerSettings,
    StowDestination,
)

#: A `[[peer]]` has no time-outs of its own: those that a destination has by default.
_PEER_TIMEOUT_S = 30.0


def destination_of(settings: DestinationSettings, node: NodeSettings) -> Destination:
    """Return the destination that `settings` describe; nothing is opened before it is used."""
    if isinstance(settings, StowDestination):
        return StowRsDestination(settings)
    if isinstance(settings, FolderDestination):
        return FileTreeDestination(settings.path)
    return CStoreDestination(peer_of(settings, node))


def peer_of(whom: DicomDestination | PeerSettings, node: NodeSettings) -> Peer:
    """Return whom to call behind a destination or a `[[peer]]`. Raises SettingsError for a peer without a port."""
    if isinstance(whom, DicomDestination):
        return Peer(
            host=whom.host,
            port=whom.port,
            ae_title=whom.ae_title,
            calling_ae_title=node.ae_title,
            timeout_s=whom.timeout_s,
            minimum_kb_per_s=whom.minimum_kb_per_s,
            tls=whom.tls,
        )
    if whom.port is None or not whom.host:
        raise SettingsError(f"peer: {whom.ae_title} has no host and port to be called at")
    return Peer(
        host=whom.host,
        port=whom.port,
        ae_title=whom.ae_title,
        calling_ae_title=node.ae_title,
        timeout_s=_PEER_TIMEOUT_S,
        tls=whom.tls,
    )
