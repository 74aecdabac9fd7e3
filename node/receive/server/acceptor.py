"""Accepting connections: nothing here waits for a peer, and nobody gets a thread before there is a seat."""

import contextlib
import socket
import ssl
import threading
import time
from datetime import UTC, datetime
from typing import Any

from pynetdicom import AE
from pynetdicom.transport import AssociationServer, RequestHandler

from node.log import get_logger
from node.receive.intake import ConnectionRefusal
from node.receive.server.association import AcceptedAssociation, Desk
from node.receive.server.seats import Seat

_LOOK_S = 0.1
#: When no descriptor is left, accepting again at once would only burn the processor.
_AFTER_FAILURE_S = 0.1


class ConnectionHandler(RequestHandler):
    """Turns a connection into an association with its thread."""

    server: "Acceptor"

    def handle(self) -> None:
        """Start the association; without a thread for it nothing is left of it. Raises RuntimeError."""
        association = self._create_association()
        try:
            association.start()
        except RuntimeError:
            association.leave()
            raise

    def _create_association(self) -> AcceptedAssociation:
        """Return the association of this connection. It offers nothing before its caller is known."""
        association = AcceptedAssociation(self.ae, self.server.desk, self.server.seat_of(self.request))
        association._server = self.server
        association.name = f"AcceptorThread@{datetime.now(UTC).strftime('%Y%m%d%H%M%S')}"
        association.acceptor.maximum_length = self.ae.maximum_pdu_size
        association.acceptor.ae_title = self.server.ae_title
        association.acceptor.address_info = self.local
        association.acceptor.implementation_class_uid = self.ae.implementation_class_uid
        association.acceptor.implementation_version_name = self.ae.implementation_version_name
        association.requestor.address_info = self.remote
        for event, *handler in self.server.own_handlers:
            association.bind(event, *handler)
        association.take(self.request)
        self.server.remember(association)
        return association


class Acceptor(AssociationServer):
    """Listens on one port. Plain and TLS acceptors share a desk, and with it the seats."""

    request_queue_size = 128

    def __init__(
        self,
        ae: AE,
        address: tuple[str, int],
        ae_title: str,
        contexts: list[Any],
        ssl_context: ssl.SSLContext | None = None,
        **own: Any,
    ) -> None:
        """`own`: desk and evt_handlers; as `AE.make_server` hands them on. Raises OSError when the port is taken."""
        self.desk: Desk = own["desk"]
        self.own_handlers: list[Any] = own["evt_handlers"]
        self._associations: set[AcceptedAssociation] = set()
        self._changing = threading.Lock()
        self._seats: dict[Any, Seat] = {}
        super().__init__(ae, address, ae_title, contexts, ssl_context, request_handler=ConnectionHandler)
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": _LOOK_S}, name=f"accept {self.server_address[1]}"
        )

    def start(self) -> None:
        """Accept connections from now on."""
        self.ae._servers.append(self)  # type: ignore[arg-type]
        self._thread.start()

    def stop(self, deadline: float) -> None:
        """Accept no more, and abort what is open; return when it has ended, or at `deadline` (monotonic)."""
        self.shutdown()
        self._thread.join()
        with self._changing:
            left = list(self._associations)
        for association in left:
            association.stop()
        for association in left:
            association.join(max(deadline - time.monotonic(), 0.0))

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection. A TLS handshake is left to its own thread."""
        try:
            accepted, address = self.socket.accept()  # type: ignore[union-attr]
        except OSError:
            time.sleep(_AFTER_FAILURE_S)
            raise
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self.ssl_context is not None:
                accepted.setblocking(False)
                accepted = self.ssl_context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        except BaseException:
            accepted.close()
            raise
        return accepted, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Find a seat; without one the connection is closed at once."""
        seat = self.desk.seats.take(client_address[0])
        if seat is not None:
            self._seats[request] = seat
        else:
            self.desk.storage.intake.count(ConnectionRefusal.NO_SEAT)
        return seat is not None

    def seat_of(self, request: Any) -> Seat:
        """Return the seat that `verify_request` has found."""
        return self._seats[request]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the association of a connection; when that fails its seat is free again."""
        try:
            super().process_request(request, client_address)
        except BaseException:
            self.desk.seats.leave(self._seats[request])
            raise
        finally:
            del self._seats[request]

    def remember(self, association: AcceptedAssociation) -> None:
        """Know an association until it has ended."""
        with self._changing:
            self._associations = {known for known in self._associations if known.is_alive()} | {association}

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as the base class wants
        """Say what kind of error it was; its message may quote anybody."""
        get_logger().error("connection not served")

    def shutdown_request(self, request: Any) -> None:
        """Close a connection that is not served."""
        with contextlib.suppress(OSError):
            request.close()

    def service_actions(self) -> None:
        """Collect no garbage: connections close what they hold."""
