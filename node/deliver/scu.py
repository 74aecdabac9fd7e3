"""Associations that the node requests (PS3.8 7.1), for C-ECHO and C-STORE."""

import contextlib
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pynetdicom import AE, _config
from pynetdicom.presentation import build_context

from node.errors import AssociationRefused, ContextsRefused, PeerUnreachable

_config.LOG_HANDLER_LEVEL = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Whom to call, and under which name."""

    host: str
    port: int
    ae_title: str
    calling_ae_title: str
    timeout_s: float


@contextlib.contextmanager
def associate(peer: Peer, contexts: Sequence[tuple[str, Sequence[str]]]) -> Iterator[Any]:
    """Open an association that offers `contexts`, (abstract syntax, transfer syntaxes) each, and release it after.

    Raises PeerUnreachable, AssociationRefused or ContextsRefused.
    """
    ae = AE(ae_title=peer.calling_ae_title)
    ae.connection_timeout = peer.timeout_s
    ae.acse_timeout = peer.timeout_s
    ae.dimse_timeout = peer.timeout_s
    ae.network_timeout = peer.timeout_s
    offered = [build_context(abstract, list(transfer)) for abstract, transfer in contexts]
    who = f"{peer.ae_title} at {peer.host}:{peer.port}"
    try:
        association = ae.associate(peer.host, peer.port, contexts=offered, ae_title=peer.ae_title)
    except OSError as error:  # the name of the host is not known
        raise PeerUnreachable(f"{who}: {error.strerror}") from error
    if not association.is_established:
        if association.is_rejected:
            raise AssociationRefused(f"{who} rejected the association")
        if association.is_aborted and association.acceptor.primitive is not None and not association.accepted_contexts:
            raise ContextsRefused(f"{who} accepts none of the presentation contexts")
        raise PeerUnreachable(f"{who} does not answer")
    _hold_reactor_while_sending(association)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def echo(peer: Peer) -> None:
    """Ask a peer whether it is there (C-ECHO, PS3.4 A). Raises PeerUnreachable or AssociationRefused."""
    with associate(peer, [("1.2.840.10008.1.1", ["1.2.840.10008.1.2"])]) as association:
        silent = f"{peer.ae_title} at {peer.host}:{peer.port} did not answer the C-ECHO"
        try:
            status = association.send_c_echo()
        except RuntimeError as error:  # pynetdicom: the association has ended
            raise PeerUnreachable(silent) from error
        if "Status" not in status:
            raise PeerUnreachable(silent)
        if status.Status != 0:
            raise AssociationRefused(f"{peer.ae_title} answered the C-ECHO with 0x{status.Status:04X}")


def _hold_reactor_while_sending(association: Any) -> None:
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
