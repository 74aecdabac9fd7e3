"""An archive over DICOM that hears and never answers."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from pydicom.uid import MRImageStorage
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

PATIENCE_S = 60.0
ROOT = "1.2.840.10008.5.1.4.1.2.2"


class Silence:
    """Somebody was heard, and gets no answer before the test ends."""

    def __init__(self) -> None:
        self.heard, self.ends = threading.Event(), threading.Event()

    def keep(self, *_asked: Any) -> Iterator[Any]:
        self.heard.set()
        assert self.ends.wait(PATIENCE_S)
        yield from ()


@contextlib.contextmanager
def dicom_archive(silence: Silence) -> Iterator[int]:
    ae = AE(ae_title="ARCHIVE")
    for number in (1, 2, 3):
        ae.add_supported_context(f"{ROOT}.{number}")
    ae.add_supported_context(MRImageStorage, scu_role=True, scp_role=True)
    handlers = [(event, silence.keep) for event in (evt.EVT_C_FIND, evt.EVT_C_MOVE, evt.EVT_C_GET)]
    server = ae.make_server(("127.0.0.1", 0), evt_handlers=handlers, server_class=ThreadedAssociationServer)  # type: ignore[arg-type]
    ae._servers.append(server)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        silence.ends.set()
        ae.shutdown()
