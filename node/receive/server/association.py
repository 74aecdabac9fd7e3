"""One association as the acceptor: pynetdicom's, with one thread that waits for what comes."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.pdu_primitives import A_ASSOCIATE, P_DATA

from node.log import get_logger
from node.receive.intake import ConnectionRefusal
from node.receive.server.connection import Connection, Filled, Wake
from node.receive.server.messages import Messages
from node.receive.server.pdus import PduReader
from node.receive.server.seats import Seat, Seats
from node.receive.server.storage import Storage
from node.receive.server.tls import certificate_of
from node.receive.server.upper_layer import Transport, UpperLayer

#: How long the peer may take to close after the last word.
_FINISH_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a connection may take, in seconds and bytes."""

    network_timeout_s: float
    pdu_timeout_s: float
    maximum_pdu_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What all connections of the server share."""

    limits: Limits
    seats: Seats
    storage: Storage
    #: The number of an association among all of this process.
    number: Callable[[Any], int]


class AcceptedAssociation(Association):
    """An association that a peer has asked for. Its thread reads, serves and answers."""

    dul: UpperLayer

    def __init__(self, ae: Any, desk: Desk, seat: Seat) -> None:
        super().__init__(ae, "acceptor")
        self.desk = desk
        self.seat = seat
        self.certificate: Any = None
        self._wake = Wake()
        self._stopping = False
        self.dul = UpperLayer(self, self._wake.ring)
        self.acse_timeout = desk.limits.pdu_timeout_s
        self.network_timeout = desk.limits.network_timeout_s
        self._messages = Messages(self)

    def take(self, sock: Any) -> None:
        """Take over an accepted socket, whose TLS handshake, if there is to be one, is still to be done."""
        self.connection = Connection(sock, self._wake)
        self._transport = Transport(self, self.connection, self.desk.limits.pdu_timeout_s)
        self.set_socket(self._transport)
        self._pdus = PduReader(self.connection, self._messages, self.desk.limits)
        self.desk.seats.waking(self.seat, self._wake.ring)

    def stop(self) -> None:
        """Abort the association, from another thread, as soon as it has answered what it is at."""
        self._stopping = True
        self._wake.ring()

    def run_reactor(self) -> None:
        """Serve the connection until it ends. Nothing of it is left then."""
        try:
            if self._secured():
                self._serve()
        except Exception as error:  # noqa: BLE001 - its message may quote a patient, so it is not left to the thread
            get_logger().error("association failed", error=type(error).__name__)
        finally:
            self.leave()

    def _secured(self) -> bool:
        """Do the TLS handshake; False when it failed, or nobody waits for it any more."""
        deadline = time.monotonic() + self.desk.limits.pdu_timeout_s
        try:
            while (filled := self.connection.handshake(deadline)) is Filled.WOKEN:
                if self._stopping or self.seat.lost:
                    return False
            if filled is Filled.BYTES:
                self.certificate = certificate_of(self.connection.socket)
        except OSError as error:
            get_logger().warning("TLS refused", why=getattr(error, "reason", None) or type(error).__name__)
            self.desk.storage.intake.count(ConnectionRefusal.TLS)
            return False
        return filled is Filled.BYTES

    def _serve(self) -> None:
        self.dul.advance()
        opened = time.monotonic()
        limits = self.desk.limits
        while not self.dul.ended and self.dul.state != "Sta13":
            waiting = self.dul.state == "Sta2"
            deadline = opened + limits.pdu_timeout_s if waiting else time.monotonic() + limits.network_timeout_s
            event = self._pdus.read(self.dul, deadline)
            if event is Filled.WOKEN:
                self._woken()
            elif event is Filled.LATE:
                self._late()
            elif event is Filled.CLOSED:
                self.dul.happen("Evt17")
            elif isinstance(event, str):
                self.dul.happen(event)
            elif self._stopping:
                self._woken()
            self.dul.advance()
            self._user_turn()
        if not self.dul.ended:
            self.connection.finish(time.monotonic() + (0.0 if self._stopping else _FINISH_S))
            self._transport.close()
            self.dul.advance()

    def _woken(self) -> None:
        """Another thread has queued something, wants the end, or has given the seat away."""
        self.dul.advance()
        if self.seat.lost:
            self.dul.happen("Evt18" if self.dul.state == "Sta2" else "Evt17")
        elif self._stopping:
            self._late()

    def _late(self) -> None:
        """End a connection that has been silent, or that is to end."""
        if self.dul.state == "Sta2":
            self.dul.happen("Evt18")
        else:
            self.abort()

    def _user_turn(self) -> None:
        """Do what pynetdicom's acceptor does with the primitives that the state machine has issued."""
        primitive = self.dul.peek_next_pdu()
        if primitive is None:
            return
        if isinstance(primitive, A_ASSOCIATE):
            self.requestor.primitive = self.dul.receive_pdu(wait=False)
            evt.trigger(self, evt.EVT_REQUESTED, {})
            if not self.is_aborted and not self.is_rejected:
                self.acse.negotiate_association()
                self.connection.widen()
        elif self.acse.is_release_requested():
            self._messages.drop()
            self.desk.seats.dissociate(self.seat)  # before the answer: the peer may ask for the next one at once
            self.acse.send_release(is_response=True)
            self.is_released, self.is_established = True, False
            evt.trigger(self, evt.EVT_RELEASED, {})
        elif self.acse.is_aborted():
            self.dul.receive_pdu(wait=False)
            self.is_aborted, self.is_established = True, False
            evt.trigger(self, evt.EVT_ABORTED, {})

    def serve_message(self, context_id: int, command_set: bytes, data_set: bytes | None) -> None:
        """Let pynetdicom serve a message that is no C-STORE-RQ; it answers over `dul.send_pdu`."""
        fragments = P_DATA()
        fragments.presentation_data_value_list.append((context_id, b"\x03" + command_set))
        if data_set is not None:
            fragments.presentation_data_value_list.append((context_id, b"\x02" + data_set))
        message = DIMSEMessage()
        try:
            message.decode_msg(fragments, self)
            primitive: Any = message.message_to_primitive()
        except Exception:  # noqa: BLE001 - foreign bytes raise anything; as in pynetdicom the message is then invalid
            self.dul.happen("Evt19")
            return
        self._serve_request(primitive, context_id)

    def _abort_blocking(self, block: bool = True) -> None:  # noqa: ARG002 - it never blocks
        """Send an A-ABORT, once. The thread ends by itself."""
        if self._sent_abort or self.is_released:
            return
        self._sent_abort = True
        self.acse.send_abort(0x00)
        evt.trigger(self, evt.EVT_ABORTED, {})

    def leave(self) -> None:
        """Close and forget everything; nobody may wait for this connection any more."""
        self._messages.drop()
        self.desk.seats.leave(self.seat)
        with contextlib.suppress(Exception):
            if not self.dul.ended:
                self._transport.close()
                self.dul.advance()
        self.connection.close()
        self.connection.forget()
        self._wake.close()
