"""An archive that speaks DICOM over TLS only, with certificates of both sides."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from certificates import Authority, Pair
from pullrig import image
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, build_context, evt
from pynetdicom.transport import ThreadedAssociationServer

from node.scu.tls import client_context
from node.settings import ClientTlsSettings

FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
VERIFICATION = "1.2.840.10008.1.1"
HELD = [image(1, 1, number) for number in (1, 2)]
KEYS = {
    "STUDY": ("StudyInstanceUID", "StudyDate", "StudyTime", "StudyDescription"),
    "SERIES": ("SeriesInstanceUID", "Modality", "SeriesDescription"),
    "IMAGE": ("SOPInstanceUID", "SOPClassUID"),
}


def on_find(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
    level = event.identifier.QueryRetrieveLevel
    for held in HELD:
        answer = Dataset()
        for keyword in KEYS[level]:
            setattr(answer, keyword, held[keyword].value)
        if level == "SERIES":
            answer.NumberOfSeriesRelatedInstances = len(HELD)
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
    for abstract in (VERIFICATION, FIND, MOVE, GET):
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
