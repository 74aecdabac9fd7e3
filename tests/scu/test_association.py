"""Associations that the node requests, against real peers on loopback."""

import socket
import threading
from contextlib import closing, contextmanager

import pytest
from fakes import storage_scp
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage
from pynetdicom import evt
from pynetdicom.sop_class import Verification

from node.errors import AssociationRefused, ContextsRefused, DestinationMisconfigured, PeerUnreachable, RequestFailed
from node.scu.association import Peer, associate, echo

MR = [(MRImageStorage, [ExplicitVRLittleEndian])]
ECHO = [(Verification, (ImplicitVRLittleEndian,))]


def peer(port: int, *, timeout_s: float = 20, host: str = "127.0.0.1") -> Peer:
    return Peer(host=host, port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=timeout_s)


def never(_event):
    raise AssertionError("nothing is stored here")


@contextmanager
def raw_server(answer):
    """Accept one TCP connection and hand it to `answer`."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(20)


def read_pdu(connection):
    head = connection.recv(6, socket.MSG_WAITALL)
    return head + connection.recv(int.from_bytes(head[2:], "big"), socket.MSG_WAITALL)


def test_an_association_is_released_when_the_block_ends_and_when_it_raises():
    with storage_scp(never) as port:
        with associate(peer(port), MR) as association:
            assert association.is_established
        assert association.is_released
        with pytest.raises(KeyError), associate(peer(port), MR) as association:
            raise KeyError("stop")
        assert association.is_released


def test_the_peer_sees_both_ae_titles():
    def configure(ae):
        ae.require_called_aet = True
        ae.require_calling_aet = ["CSPINE"]

    with storage_scp(never, configure=configure) as port, associate(peer(port), MR) as association:
        assert association.is_established


def test_an_echo_that_is_answered_returns():
    with storage_scp(never, ECHO) as port:
        assert echo(peer(port)) is None


def test_an_echo_that_is_answered_with_a_failure_is_refused():
    handlers = [(evt.EVT_C_ECHO, lambda event: 0x0122)]
    with (
        storage_scp(never, ECHO, more_handlers=handlers) as port,
        pytest.raises(RequestFailed, match="ARCHIVE answered the C-ECHO with 0x0122"),
    ):
        echo(peer(port))


def test_an_echo_to_a_peer_that_aborts_is_unreachable():
    def abort(event):
        event.assoc.abort()
        return 0

    with (
        storage_scp(never, ECHO, more_handlers=[(evt.EVT_C_ECHO, abort)]) as port,
        pytest.raises(PeerUnreachable, match="did not answer the C-ECHO"),
    ):
        echo(peer(port))


def test_nobody_listening_is_unreachable():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    with (
        pytest.raises(PeerUnreachable, match=f"^ARCHIVE at 127.0.0.1:{port} does not answer$"),
        associate(peer(port), MR),
    ):
        pass


def test_a_host_that_does_not_exist_is_unreachable():
    with pytest.raises(PeerUnreachable), associate(peer(104, host="no-such-host.invalid"), MR):
        pass


def test_a_peer_that_is_silent_after_the_connection_is_unreachable():
    done = threading.Event()
    with raw_server(lambda connection: done.wait(20)) as port:
        with pytest.raises(PeerUnreachable), associate(peer(port, timeout_s=0.3), MR):
            pass
        done.set()


def test_a_peer_that_hangs_up_is_unreachable():
    with (
        raw_server(lambda connection: connection.recv(10)) as port,
        pytest.raises(PeerUnreachable),
        associate(peer(port), MR),
    ):
        pass


def test_a_peer_that_speaks_no_dicom_is_unreachable():
    def answer(connection):
        connection.recv(10)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with raw_server(answer) as port, pytest.raises(PeerUnreachable), associate(peer(port, timeout_s=2), MR):
        pass


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("require_called_aet", True, "called AE title not recognised"),
        ("require_calling_aet", ["FRIEND"], "calling AE title not recognised"),
    ],
)
def test_a_rejection_for_good_is_for_an_operator(attribute, value, reason):
    def configure(ae):
        ae.ae_title = "ANOTHER"
        setattr(ae, attribute, value)

    with (
        storage_scp(never, configure=configure) as port,
        pytest.raises(DestinationMisconfigured, match=f"rejected the association for good: {reason}"),
        associate(peer(port), MR),
    ):
        pass


@pytest.mark.parametrize(("result", "error"), [(1, DestinationMisconfigured), (2, AssociationRefused)])
def test_a_rejection_that_ends_the_connection_before_anyone_looks_is_a_rejection(result, error):
    def reject(connection):
        read_pdu(connection)
        connection.sendall(bytes([3, 0, 0, 0, 0, 4, 0, result, 3, 2]))
        connection.recv(1)

    ended = threading.Event()
    handlers = [(evt.EVT_CONN_CLOSE, lambda _event: ended.set()), (evt.EVT_REQUESTED, lambda _event: ended.wait(20))]
    with (
        raw_server(reject) as port,
        pytest.raises(error, match="local limit exceeded"),
        associate(peer(port), MR, handlers=handlers),
    ):
        pass
    assert ended.is_set()


def test_an_acceptance_that_is_aborted_before_anyone_looks_is_no_refusal():
    def accept_and_abort(connection):
        with socket.create_connection(("127.0.0.1", accepting)) as archive:
            archive.sendall(read_pdu(connection))
            connection.sendall(read_pdu(archive) + bytes([7, 0, 0, 0, 0, 4, 0, 0, 0, 0]))
        connection.recv(1)

    ended = threading.Event()
    handlers = [(evt.EVT_CONN_CLOSE, lambda _event: ended.set()), (evt.EVT_REQUESTED, lambda _event: ended.wait(20))]
    with (
        storage_scp(never) as accepting,
        raw_server(accept_and_abort) as port,
        pytest.raises(PeerUnreachable, match="does not answer"),
        associate(peer(port), MR, handlers=handlers),
    ):
        pass
    assert ended.is_set()


def test_a_rejection_for_now_is_refused():
    def configure(ae):
        ae.maximum_associations = 1

    with (
        storage_scp(never, configure=configure) as port,
        associate(peer(port), MR),
        pytest.raises(AssociationRefused, match="rejected the association for now: local limit exceeded"),
        associate(peer(port), MR),
    ):
        pass


def test_a_peer_that_takes_no_context_is_refused():
    with (
        storage_scp(never, ECHO) as port,
        pytest.raises(ContextsRefused, match="accepts none of the presentation contexts"),
        associate(peer(port), MR),
    ):
        pass


def test_the_reactor_does_not_take_a_response_while_a_send_waits_for_it():
    with storage_scp(never, ECHO) as port, associate(peer(port), ECHO) as association:
        association._reactor_checkpoint.clear()
        association.dimse.msg_queue.put((1, "response"))
        assert association.dimse.get_msg(block=False) == (None, None)
        assert association.dimse.get_msg(block=True) == (1, "response")
        association._reactor_checkpoint.set()


def test_a_pdu_of_four_gigabytes_ends_the_connection():
    def answer(connection):
        connection.recv(1000)
        connection.sendall(b"\x02\x00\xff\xff\xff\xff" + bytes(1000))
        connection.recv(1000)

    with (
        raw_server(answer) as port,
        pytest.raises(PeerUnreachable, match="does not answer"),
        associate(peer(port), MR),
    ):
        pass
