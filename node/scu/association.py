"""Associations that the node requests (PS3.8 7.1), for every service it is a SCU of."""

import contextlib
import socket
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pynetdicom import AE, _config, evt
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import build_context, build_role

from node.errors import (
    AssociationRefused,
    ContextsRefused,
    DeliveryError,
    DestinationMisconfigured,
    PeerUnreachable,
    RequestFailed,
)
from node.scu.tls import ClientContext, client_context
from node.settings import ClientTlsSettings

_config.LOG_HANDLER_LEVEL = "none"

#: Bytes. What the node receives as SCU is short: PDUs of 16 KB as agreed, and the answer to its own request.
_LONGEST_PDU = 1 << 20
#: Results of an A-ASSOCIATE-RJ (PS3.8 9.3.4).
_REJECTED = (_REJECTED_PERMANENT, _REJECTED_TRANSIENT) = (1, 2)
#: (source, reason) of an A-ASSOCIATE-RJ (PS3.8 9.3.4).
_REASONS = {
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


class Calls:
    """The associations that are open, for who has to end them from another thread."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._open: set[Any] = set()
        self.ended = False

    def end(self) -> None:
        """End them, and each that is opened later: whoever waits for an answer gets PeerUnreachable at once.

        So does whoever waits for a connection; only the look-up of a name (DNS) goes on until it ends by itself.
        """
        with self._changing:
            self.ended = True
            for association in self._open:
                _hang_up(association)

    @contextlib.contextmanager
    def requesting(self) -> Iterator[Callable[[Any], bool]]:
        """Give what an association is handed to that the block requests: it counts as open until the block ends.

        It returns False where no association is opened any more, and has ended this one.
        """
        requested: list[Any] = []

        def take(association: Any) -> bool:
            requested.append(association)
            with self._changing:
                self._open.add(association)
                if self.ended:
                    _hang_up(association)
                return not self.ended

        try:
            yield take
        finally:
            with self._changing:
                self._open.difference_update(requested)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Whom to call, and under which name."""

    host: str
    port: int
    ae_title: str
    calling_ae_title: str
    #: For connecting, and for each answer beyond the time that the bytes themselves may take.
    timeout_s: float
    #: The slowest line that is put up with.
    minimum_kb_per_s: float = 64.0
    tls: ClientTlsSettings | None = None
    #: Where its associations are counted as open, by who may have to end them.
    calls: Calls | None = None

    @property
    def who(self) -> str:
        """Return how the peer is called in messages."""
        return f"{self.ae_title} at {self.host}:{self.port}"

    def patience_s(self, size: int) -> float:
        """Return how long the answer to `size` bytes may take: pynetdicom's DIMSE time-out includes sending them."""
        return self.timeout_s + size / (1000.0 * self.minimum_kb_per_s)


@contextlib.contextmanager
def associate(
    peer: Peer,
    contexts: Sequence[tuple[str, Sequence[str]]],
    *,
    as_scp: Sequence[str] = (),
    handlers: Sequence[Any] = (),
) -> Iterator[Any]:
    """Open an association that offers `contexts`, (abstract syntax, transfer syntaxes) each, and release it after.

    `as_scp`: abstract syntaxes whose SCP the node is, although it calls (PS3.7 D.3.3.4); `handlers`: (event, handler)
    pairs for what the peer asks.
    Raises PeerUnreachable, AssociationRefused (for now), DestinationMisconfigured (rejected for good, or TLS failed) or
    ContextsRefused.
    """
    with (peer.calls or Calls()).requesting() as take:
        counted = (evt.EVT_CONN_OPEN, lambda event: take(event.assoc))
        ae = _CallingAE(peer, take)
        with _associated(ae, peer, contexts, as_scp, [counted, *handlers]) as association:
            yield association


class _CallingAE(AE):
    """Hands each association to `take` before it has a socket: a connection that is never made is waited for, too."""

    def __init__(self, peer: Peer, take: Callable[[Any], bool]) -> None:
        super().__init__(ae_title=peer.calling_ae_title)
        self._peer = peer
        self.connection_timeout = peer.timeout_s
        self.acse_timeout = peer.timeout_s
        self.dimse_timeout = peer.timeout_s
        self.network_timeout = peer.timeout_s
        self._take = take

    def _create_socket(self, assoc: Any, *more: Any) -> Any:
        if not self._take(assoc):
            raise PeerUnreachable(f"{self._peer.who} is not called any more")
        return super()._create_socket(assoc, *more)


@contextlib.contextmanager
def _associated(
    ae: AE, peer: Peer, contexts: Sequence[tuple[str, Sequence[str]]], as_scp: Sequence[str], handlers: Sequence[Any]
) -> Iterator[Any]:
    offered = [build_context(abstract, list(transfer)) for abstract, transfer in contexts]
    tls = client_context(peer.tls) if peer.tls else None
    try:
        association = ae.associate(
            peer.host,
            peer.port,
            contexts=offered,
            ae_title=peer.ae_title,
            ext_neg=[build_role(abstract, scp_role=True) for abstract in as_scp],
            tls_args=(tls, (peer.tls and peer.tls.server_name) or peer.host) if tls else None,
            evt_handlers=[(evt.EVT_CONN_OPEN, _prepare_socket, [peer.timeout_s]), *handlers],
        )
    except OSError as error:  # the name of the host is not known
        raise PeerUnreachable(f"{peer.who}: {error.strerror}") from error
    if not association.is_established:
        raise _refusal(peer, association, tls)
    hold_reactor_while_sending(association)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def echo(peer: Peer) -> None:
    """Ask a peer whether it is there (C-ECHO, PS3.4 A).

    Raises PeerUnreachable, AssociationRefused, DestinationMisconfigured, ContextsRefused or RequestFailed.
    """
    with associate(peer, [("1.2.840.10008.1.1", ["1.2.840.10008.1.2"])]) as association:
        silent = f"{peer.who} did not answer the C-ECHO"
        try:
            status = association.send_c_echo()
        except RuntimeError as error:  # pynetdicom: the association has ended
            raise PeerUnreachable(silent) from error
        if "Status" not in status:
            raise PeerUnreachable(silent)
        if status.Status != 0:
            raise RequestFailed(f"{peer.ae_title} answered the C-ECHO with 0x{status.Status:04X}")


def _refusal(peer: Peer, association: Any, tls: ClientContext | None) -> DeliveryError:
    """Return why there is no association."""
    answer = association.acceptor.primitive or _unread_answer(association)
    if answer is not None and answer.result in _REJECTED:
        reason = _REASONS.get((answer.result_source, answer.diagnostic), "no reason given")
        if answer.result == _REJECTED_PERMANENT:
            return DestinationMisconfigured(f"{peer.who} rejected the association for good: {reason}")
        return AssociationRefused(f"{peer.who} rejected the association for now: {reason}")
    if association.is_aborted and answer is not None and not association.accepted_contexts:
        return ContextsRefused(f"{peer.who} accepts none of the presentation contexts")
    if tls is not None and tls.objection is not None:
        return DestinationMisconfigured(f"{peer.who}: TLS failed: {tls.objection}")
    return PeerUnreachable(f"{peer.who} does not answer")


def _unread_answer(association: Any) -> Any:
    """Return a rejection that came at once.

    It ends the connection, and where it does so before pynetdicom has looked whether there is one, pynetdicom takes it
    for a connection that was never made and leaves the answer in the queue (28 of 300, on a busy machine). An
    acceptance that is left there says nothing: its connection ended before it was of use.
    """
    waiting = association.dul.peek_next_pdu()
    return waiting if isinstance(waiting, A_ASSOCIATE) and waiting.result in _REJECTED else None


def _hang_up(association: Any) -> None:
    """Let the connection end; pynetdicom tells whoever waits for an answer."""
    transport = association.dul.socket
    connection = None if transport is None else transport.socket  # its own thread sets it to None at any time
    if connection is not None:
        with contextlib.suppress(OSError):  # it has ended
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _prepare_socket(event: Any, timeout_s: float) -> None:
    """Let no send or receive block for ever, and send small PDUs at once: Nagle's algorithm costs 40 ms an object.

    A PDU may declare 4 GB; one that is longer than anything that is asked for here ends the connection.
    """
    transport = event.assoc.dul.socket
    transport.socket.settimeout(timeout_s)
    transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    receive = transport.recv

    def recv(length: int) -> Any:
        if length > _LONGEST_PDU:
            raise OSError("the peer sends a PDU that is too long")
        return receive(length)

    transport.recv = recv


def hold_reactor_while_sending(association: Any) -> None:
    """Keep pynetdicom's reactor thread from taking a response that the sending thread waits for.

    The reactor may have passed its checkpoint just before a send closes it, and then takes the response from the queue
    as if it were a request: the send times out and the association is lost (39 of 4,439 sends with six threads). So
    its own look into the queue asks the checkpoint once more.
    """
    provider = association.dimse
    look = provider.get_msg
    checkpoint = association._reactor_checkpoint

    def get_msg(_self: Any, block: bool = False) -> Any:
        if not block and not checkpoint.is_set():
            return None, None
        return look(block=block)

    provider.get_msg = types.MethodType(get_msg, provider)
