"""A pull over TLS: questions, C-GET, and C-MOVE to the node's own TLS listener; nothing where somebody is not whom the
other trusts.
"""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, Pair
from pullrig import image, node_beside, run
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, build_context, evt
from pynetdicom.transport import ThreadedAssociationServer

from node.errors import DestinationMisconfigured
from node.scu.association import Peer
from node.scu.tls import client_context
from node.settings import ClientTlsSettings

FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
HELD = [image(1, 1, number) for number in (1, 2)]
KEYS = {
    "STUDY": ("StudyInstanceUID", "StudyDate", "StudyTime", "StudyDescription"),
    "SERIES": ("SeriesInstanceUID", "Modality", "SeriesDescription"),
    "IMAGE": ("SOPInstanceUID", "SOPClassUID"),
}


def on_find(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
    for held in HELD:
        answer = Dataset()
        for keyword in KEYS[event.identifier.QueryRetrieveLevel]:
            setattr(answer, keyword, held[keyword].value)
        yield 0xFF00, answer


def asked_for(event: evt.Event) -> list[Dataset]:
    wanted = event.identifier.get("SOPInstanceUID") or [held.SOPInstanceUID for held in HELD]
    return [held for held in HELD if held.SOPInstanceUID in wanted]


def on_get(event: evt.Event) -> Iterator[tuple[int, Dataset] | int]:
    sent = asked_for(event)
    yield len(sent)
    for held in sent:
        yield 0xFF00, held


class Mover:
    """Sends over TLS, with a certificate, to where the node listens."""

    def __init__(self, pki: Authority, own: Pair) -> None:
        self.port = 0
        self.context = client_context(ClientTlsSettings(authorities=pki.file, certificate=own.certificate, key=own.key))

    def on_move(self, event: evt.Event) -> Iterator[Any]:
        contexts = [build_context(MRImageStorage, ExplicitVRLittleEndian)]
        yield "127.0.0.1", self.port, {"contexts": contexts, "tls_args": (self.context, "127.0.0.1")}
        yield from on_get(event)


@contextmanager
def tls_archive(pki: Authority, mover: Mover | None = None) -> Iterator[tuple[int, ClientTlsSettings]]:
    """Run an archive that demands a certificate; yield its port, and what the node shows it."""
    own, node = pki.signs("archive", ips=("127.0.0.1",)), pki.signs("node")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(pki.file)
    ae = AE(ae_title="ARCHIVE")
    for abstract in (FIND, MOVE, GET):
        ae.add_supported_context(abstract)
    ae.add_supported_context(MRImageStorage, ExplicitVRLittleEndian, scu_role=True, scp_role=True)
    server = ae.make_server(
        ("127.0.0.1", 0),
        ssl_context=context,
        evt_handlers=[  # type: ignore[list-item]
            (evt.EVT_C_FIND, on_find),
            (evt.EVT_C_GET, on_get),
            *([(evt.EVT_C_MOVE, mover.on_move)] if mover else []),
        ],
        server_class=ThreadedAssociationServer,
    )
    ae._servers.append(server)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield (
            server.server_address[1],
            ClientTlsSettings(authorities=pki.file, certificate=node.certificate, key=node.key),
        )
    finally:
        ae.shutdown()


def asked(port: int, tls: ClientTlsSettings) -> Peer:
    return Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=20, tls=tls)


def test_a_pull_asks_and_fetches_over_tls(tmp_path: Path) -> None:
    pki = Authority(tmp_path / "pki", "ca")
    (tmp_path / "state").mkdir()
    with tls_archive(pki) as (port, tls), node_beside(tmp_path / "state") as node:
        peer = asked(port, tls)
        node.receive(HELD[:1])
        node.close_all()
        outcome, _ = run(node.pull(peer=peer, retrieve="get"))
        assert (outcome.document()["fetched"], node.arrivals()) == (1, ["1.2.1.1.2"])


@pytest.mark.parametrize("trusted", [True, False])
def test_an_archive_moves_into_the_tls_listener_with_a_certificate_that_is_trusted_there(
    tmp_path: Path, trusted: bool
) -> None:
    pki, other = Authority(tmp_path / "pki", "ca"), Authority(tmp_path / "other", "other")
    (tmp_path / "state").mkdir()
    own = pki.signs("own", ips=("127.0.0.1",))
    mover = Mover(pki, (pki if trusted else other).signs("mover"))
    tls = {"certificate": str(own.certificate), "key": str(own.key), "authorities": str(pki.file), "port": 0}
    with tls_archive(pki, mover) as (port, shown), node_beside(tmp_path / "state", tls=tls) as node:
        mover.port = node.tls_port
        outcome, [item] = run(node.pull(peer=asked(port, shown), retrieve="move"))
        arrived = node.arrivals()
    if trusted:
        assert (outcome.document()["fetched"], arrived) == (1, ["1.2.1.1.1", "1.2.1.1.2"])
    else:
        assert (outcome.document()["failed"], arrived) == (1, [])
        assert item.reason.text.endswith("where the AE title CSPINE listens, or cannot reach it there")


def test_an_archive_that_another_authority_has_signed_is_asked_nothing(tmp_path: Path) -> None:
    pki, other = Authority(tmp_path / "pki", "ca"), Authority(tmp_path / "other", "other")
    (tmp_path / "state").mkdir()
    with tls_archive(pki) as (port, tls), node_beside(tmp_path / "state") as node:
        peer = asked(port, tls.model_copy(update={"authorities": other.file}))
        with pytest.raises(DestinationMisconfigured, match="TLS failed"):
            run(node.pull(peer=peer, retrieve="get"))
