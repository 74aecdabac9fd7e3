"""The C-STORE and C-ECHO SCP (PS3.4 B and A).

A C-STORE is answered with Success only after the bytes, their name and their row in the journal are on the disk. What
cannot be parsed is kept too and answered with Success: a failure would make some senders drop the object.
"""

import itertools
import threading
import weakref
from collections.abc import Callable
from typing import Any

from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config, evt
from pynetdicom.presentation import build_context
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import Verification, uid_to_service_class  # type: ignore[attr-defined]

from node.domain.arrivals import Arrival, Quarantined
from node.errors import JournalError
from node.log import get_logger
from node.receive.spool import Received
from node.receive.traffic import Ending, Traffic
from node.settings import NodeSettings, ReceiveSettings

_SUCCESS = 0x0000
#: Refused: Out of Resources (PS3.4 B.2.3): the sender may try again.
_OUT_OF_RESOURCES = 0xA700

#: A deflated data set of 400 KB can unfold to a gigabyte before its first element is read.
_DEFLATED = frozenset(
    {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205", "1.2.840.10008.1.2.8.1"}
)

_PREFERRED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))

_config.LOG_HANDLER_LEVEL = "none"


class Listener:
    """An SCP. `take` keeps one received instance, and raises OSError or JournalError when it could not."""

    def __init__(
        self,
        node: NodeSettings,
        receive: ReceiveSettings,
        take: Callable[[Received], Arrival | Quarantined | None],
        traffic: Traffic,
    ) -> None:
        self._node = node
        self._take = take
        self._traffic = traffic
        self._numbers = itertools.count(1)
        self._numbering = threading.Lock()
        self._association_numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._server: Any = None
        self._ae = AE(ae_title=node.ae_title)
        self._ae.maximum_associations = receive.maximum_associations
        self._ae.maximum_pdu_size = receive.maximum_pdu_bytes
        self._ae.network_timeout = receive.network_timeout_s
        self._ae.require_calling_aet = list(receive.calling_ae_titles)
        self._ae.add_supported_context(Verification)

    def start(self) -> int:
        """Listen, and return the port. Raises OSError when the address is taken."""
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, self._on_connection),
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_ACCEPTED, self._on_accepted),
            (evt.EVT_RELEASED, self._on_ended, [Ending.RELEASED]),
            (evt.EVT_ABORTED, self._on_ended, [Ending.ABORTED]),
            (evt.EVT_CONN_CLOSE, self._on_closed),
            (evt.EVT_C_STORE, self._on_store),
        ]
        self._server = self._ae.start_server((self._node.host, self._node.port), block=False, evt_handlers=handlers)
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Stop listening and end the open associations; a second time does nothing."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None
            self._ae.shutdown()

    def _number(self, association: Any) -> int:
        with self._numbering:
            return self._association_numbers.setdefault(association, next(self._numbers))

    def _on_connection(self, event: Any) -> None:
        event.assoc.dul._run_loop_delay = 1e-4  # the reactor's pause, 1 ms by default

    def _on_requested(self, event: Any) -> None:
        """Offer what the peer asks for and the node can keep: any storage class in any encoding but a deflated one."""
        offered: dict[str, list[str]] = {}
        for context in event.assoc.requestor.primitive.presentation_context_definition_list:
            abstract = str(context.abstract_syntax)
            if uid_to_service_class(abstract) is StorageServiceClass:
                offered.setdefault(abstract, []).extend(str(uid) for uid in context.transfer_syntax)
        contexts = [build_context(Verification)]
        for abstract, proposed in offered.items():
            allowed = [
                uid for uid in dict.fromkeys((*_PREFERRED, *proposed)) if uid in proposed and uid not in _DEFLATED
            ]
            if allowed:
                contexts.append(build_context(abstract, allowed))
        event.assoc.acceptor.supported_contexts = contexts

    def _on_accepted(self, event: Any) -> None:
        self._traffic.opened(self._number(event.assoc))

    def _on_ended(self, event: Any, ending: Ending) -> None:
        self._traffic.ended(self._number(event.assoc), ending)

    def _on_closed(self, event: Any) -> None:
        """A connection that closes without a release counts as aborted.

        pynetdicom tells of the close in one thread and of the release in another, so either may come first.
        """
        self._traffic.ended(self._number(event.assoc), Ending.ABORTED)

    def _on_store(self, event: Any) -> int:
        association = self._number(event.assoc)
        self._traffic.active(association)
        received = Received(
            file_meta=_encoded_file_meta(event.file_meta),
            data_set=event.request.DataSet.getvalue(),
            calling_ae=str(event.assoc.requestor.ae_title).strip(),
        )
        try:
            taken = self._take(received)
        except (OSError, JournalError) as error:
            get_logger().error("instance not stored", error=type(error).__name__, status="0xA700")
            return _OUT_OF_RESOURCES
        if isinstance(taken, Arrival):
            self._traffic.arrived(taken.series_uid, association)
        elif isinstance(taken, Quarantined):
            get_logger().warning("bytes quarantined", code=taken.code)
        return _SUCCESS


def _encoded_file_meta(file_meta: Any) -> bytes:
    """Return preamble, prefix and file meta information (PS3.10 7.1)."""
    buffer = DicomBytesIO()
    buffer.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(buffer, file_meta)
    return bytes(buffer.getvalue())
