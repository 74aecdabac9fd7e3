"""Settings into destinations."""

from pathlib import Path

import pytest

from node.deliver.build import destination_of, peer_of
from node.deliver.cstore import CStoreDestination
from node.deliver.folder import FileTreeDestination
from node.deliver.stow.destination import StowRsDestination
from node.errors import SettingsError
from node.scu.association import Peer
from node.settings import ClientTlsSettings, PeerSettings, parse_settings

NODE = {"state_dir": "/nowhere", "ae_title": "CSPINE"}
DICOM = {"name": "a", "host": "pacs", "port": 104, "ae_title": "PACS"}


def settings(destination):
    return parse_settings({"node": NODE, "destination": [destination]}, name="test")


@pytest.mark.parametrize(
    ("destination", "kind"),
    [
        (DICOM, CStoreDestination),
        ({"name": "b", "kind": "stow", "url": "https://pacs/dicom-web"}, StowRsDestination),
        ({"name": "c", "kind": "folder", "path": "/data"}, FileTreeDestination),
    ],
)
def test_each_kind_has_its_destination(destination, kind):
    made = settings(destination)
    assert type(destination_of(made.destination[0], made.node)) is kind


def test_a_peer_has_what_its_settings_say():
    tls = {"authorities": "ca.pem"}
    made = settings({**DICOM, "timeout_s": 7, "minimum_kb_per_s": 9, "tls": tls})
    assert peer_of(made.destination[0], made.node) == Peer(
        host="pacs",
        port=104,
        ae_title="PACS",
        calling_ae_title="CSPINE",
        timeout_s=7,
        minimum_kb_per_s=9,
        tls=ClientTlsSettings(authorities=Path("ca.pem")),
    )


def test_who_sends_to_the_node_can_be_called_where_the_settings_say_where():
    node = settings(DICOM).node
    known = peer_of(PeerSettings(ae_title="MR", host="mr", port=11112), node)
    assert (known.host, known.port, known.ae_title, known.calling_ae_title) == ("mr", 11112, "MR", "CSPINE")
    with pytest.raises(SettingsError, match="peer: MR has no host and port"):
        peer_of(PeerSettings(ae_title="MR"), node)
