"""The listener: C-STORE, C-ECHO and storage commitment as the SCP (PS3.4 B, A and J).

It speaks to whom `admission` lets in, offers what they may do, and hands instances to the spool.
"""

import itertools
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from pynetdicom import AE, _config, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from node.log import get_logger
from node.receive.admission import Caller, Grant, Rejection, admit
from node.receive.headroom import Shortage
from node.receive.intake import AssociationRefusal, Intake
from node.receive.server.acceptor import Acceptor
from node.receive.server.association import AcceptedAssociation, Desk, Limits
from node.receive.server.commitment import Commitment, Commitments
from node.receive.server.contexts import is_storage, offered
from node.receive.server.seats import Seats
from node.receive.server.storage import Storage
from node.receive.server.tls import certificate_of, server_context
from node.receive.spool import Spool, StoreRequest
from node.receive.traffic import Ending, Traffic
from node.settings import Settings

#: How long the end waits for instances that are on their way to the disk.
_STOP_S = 30.0
_NOTHING = Grant(store=False, commit=False, report=False)
_UNKNOWN_TITLE = {
    Rejection.CALLING_AE_TITLE_NOT_RECOGNISED: AssociationRefusal.CALLING_AE_TITLE,
    Rejection.CALLED_AE_TITLE_NOT_RECOGNISED: AssociationRefusal.CALLED_AE_TITLE,
}

_config.LOG_HANDLER_LEVEL = "none"


class Listener:
    """Hears peers, with TLS, without, or both ways.

    `gate` says why nothing may be stored now, or None: an association that wants to store is then rejected as
    transient, and a C-STORE on an open one refused with 0xA700. C-ECHO and storage commitment go on.
    """

    def __init__(
        self,
        settings: Settings,
        spool: Spool,
        traffic: Traffic,
        gate: Callable[[], Shortage | None],
        commitments: Commitments,
    ) -> None:
        receive = settings.receive
        self._settings = settings
        self._traffic = traffic
        self._gate = gate
        #: What came in and what was refused, counted.
        self.intake = Intake()
        self._storage = Storage(spool, traffic, gate, receive.maximum_instance_mb << 20, self.intake)
        self._commitment = Commitment(commitments)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._known: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._grants: weakref.WeakKeyDictionary[Any, Grant] = weakref.WeakKeyDictionary()
        self._servers: dict[str, Any] = {}
        self._desk = Desk(
            limits=Limits(
                network_timeout_s=receive.network_timeout_s,
                pdu_timeout_s=receive.pdu_timeout_s,
                maximum_pdu_bytes=receive.maximum_pdu_bytes,
            ),
            seats=Seats(
                connections=receive.maximum_connections,
                per_address=receive.maximum_connections_per_address,
                associations=receive.maximum_associations,
            ),
            storage=self._storage,
            number=self._number,
        )
        self._ae = AE(ae_title=settings.node.ae_title)
        stock = receive.server == "stock"
        # the seats count for the hardened server; pynetdicom would count connections that have not said a word
        self._ae.maximum_associations = receive.maximum_associations if stock else receive.maximum_connections + 1000
        self._ae.maximum_pdu_size = receive.maximum_pdu_bytes
        self._ae.network_timeout = receive.network_timeout_s
        self._ae.acse_timeout = receive.pdu_timeout_s
        self._ae.add_supported_context(Verification)

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports that are listened on: "plain", "tls" or both; empty before the start."""
        return {name: int(server.server_address[1]) for name, server in self._servers.items()}

    @property
    def connections(self) -> int:
        """How many connections there are; those of the stock server are not counted."""
        return self._desk.seats.taken

    def start(self) -> int:
        """Listen, and return the port: the plain one where there is one.

        Raises OSError when an address is taken, SettingsError when a file of [receive.tls] cannot be used.
        """
        node, receive = self._settings.node, self._settings.receive
        try:
            if receive.plain:
                self._servers["plain"] = self._server((node.host, node.port), None)
            if receive.tls is not None:
                self._servers["tls"] = self._server((node.host, receive.tls.port), server_context(receive.tls))
        except BaseException:
            for server in self._servers.values():
                server.server_close()
            self._servers = {}
            raise
        for server in self._servers.values():
            self._run(server)
        return next(iter(self.ports.values()))

    def stop(self) -> None:
        """Stop listening and end the open associations; a second time does nothing."""
        servers, self._servers = list(self._servers.values()), {}
        deadline = time.monotonic() + _STOP_S
        for server in servers:
            if isinstance(server, Acceptor):
                server.stop(deadline)
            else:
                server.shutdown()
        self._ae.shutdown()

    def _server(self, address: tuple[str, int], context: Any) -> Any:
        """Return a bound server of the kind that the settings ask for."""
        handlers = self._handlers()
        if self._settings.receive.server == "stock":
            return self._ae.make_server(
                address, ssl_context=context, evt_handlers=handlers, server_class=ThreadedAssociationServer
            )
        return self._ae.make_server(
            address, ssl_context=context, evt_handlers=handlers, server_class=Acceptor, desk=self._desk
        )

    def _run(self, server: Any) -> None:
        if isinstance(server, Acceptor):
            server.start()
        else:
            self._ae._servers.append(server)
            threading.Thread(target=server.serve_forever, name="accept", daemon=True).start()

    def _handlers(self) -> list[Any]:
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_ACCEPTED, self._on_accepted),
            (evt.EVT_RELEASED, self._on_ended, [Ending.RELEASED]),
            (evt.EVT_ABORTED, self._on_ended, [Ending.ABORTED]),
            (evt.EVT_CONN_CLOSE, self._on_closed),
            (evt.EVT_N_ACTION, self._on_action),
            (evt.EVT_N_EVENT_REPORT, self._on_event_report),
        ]
        if self._settings.receive.server == "stock":
            handlers += [(evt.EVT_CONN_OPEN, self._on_connection), (evt.EVT_C_STORE, self._on_store)]
        return handlers

    def _number(self, association: Any) -> int:
        with self._lock:
            number = self._known.get(association)
            if number is None:
                number = self._known[association] = next(self._numbers)
            return number

    def _on_requested(self, event: Any) -> None:
        """Reject, or offer what the caller may do."""
        association = event.assoc
        association.acceptor.supported_contexts = []
        verdict = self._verdict(association)
        if not isinstance(verdict, Grant):
            rejection, why = verdict
            self.intake.count(why)
            get_logger().warning("association rejected", why=rejection.name.lower(), because=why.value)
            association.acse.send_reject(*rejection.value)
            association.kill()
            return
        with self._lock:
            self._grants[association] = verdict
        proposed = association.requestor.primitive.presentation_context_definition_list
        association.acceptor.supported_contexts = offered(proposed, verdict)

    def _verdict(self, association: Any) -> Grant | tuple[Rejection, AssociationRefusal]:
        request = association.requestor.primitive
        hardened = isinstance(association, AcceptedAssociation)
        certificate = association.certificate if hardened else certificate_of(association.dul.socket.socket)
        caller = Caller(
            calling_ae=str(request.calling_ae_title).strip(),
            called_ae=str(request.called_ae_title).strip(),
            address=association.requestor.address,
            certificate=certificate,
        )
        grant = admit(self._settings, caller)
        if isinstance(grant, Rejection):
            return grant, _UNKNOWN_TITLE[grant]
        proposed = request.presentation_context_definition_list
        if any(is_storage(str(context.abstract_syntax)) for context in proposed):
            closed = self._gate()
            if closed is not None:
                return Rejection.LOCAL_LIMIT_EXCEEDED, AssociationRefusal(closed)
        if hardened and not self._desk.seats.associate(association.seat):
            return Rejection.LOCAL_LIMIT_EXCEEDED, AssociationRefusal.NO_SEAT
        return grant

    def _on_accepted(self, event: Any) -> None:
        self.intake.accepted()
        self._traffic.opened(self._number(event.assoc))

    def _on_ended(self, event: Any, ending: Ending) -> None:
        self._traffic.ended(self._number(event.assoc), ending)

    def _on_closed(self, event: Any) -> None:
        """A connection that closes without a release counts as aborted.

        Either may be told of first: stock pynetdicom does so in two threads.
        """
        self._traffic.ended(self._number(event.assoc), Ending.ABORTED)

    def _grant(self, association: Any) -> Grant:
        with self._lock:
            return self._grants.get(association, _NOTHING)

    def _on_action(self, event: Any) -> tuple[int, None]:
        may = self._grant(event.assoc).commit
        calling_ae = str(event.assoc.requestor.ae_title).strip()
        syntax = str(event.context.transfer_syntax)
        return self._commitment.asked(event.request, syntax, calling_ae, may=may), None

    def _on_event_report(self, event: Any) -> tuple[int, None]:
        may = self._grant(event.assoc).report
        return self._commitment.told(event.request, str(event.context.transfer_syntax), may=may), None

    def _on_connection(self, event: Any) -> None:
        event.assoc.dul._run_loop_delay = 1e-4  # the reactor's pause, 1 ms by default

    def _on_store(self, event: Any) -> int:
        """Take an instance that the stock server has in memory."""
        request = event.request
        reception = self._storage.begin(
            StoreRequest(
                sop_class_uid=str(request.AffectedSOPClassUID),
                sop_instance_uid=str(request.AffectedSOPInstanceUID),
                transfer_syntax_uid=str(event.context.transfer_syntax),
                calling_ae=str(event.assoc.requestor.ae_title).strip(),
            ),
            self._number(event.assoc),
        )
        reception.write(request.DataSet.getbuffer())
        return reception.end()
