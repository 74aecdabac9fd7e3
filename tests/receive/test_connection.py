"""A non-blocking connection: bytes, deadlines, and being woken."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from node.receive.server.connection import Connection, Filled, Wake

LATER_S = 20.0


@pytest.fixture
def wake() -> Iterator[Wake]:
    made = Wake()
    yield made
    made.close()


@pytest.fixture
def ends(wake: Wake) -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        yield Connection(ours, wake), theirs


def soon() -> float:
    return time.monotonic() + LATER_S


def test_bytes_are_peeked_at_and_skipped(ends):
    connection, peer = ends
    peer.sendall(b"abcdef")
    assert connection.fill(soon()) is Filled.BYTES
    assert (connection.available, bytes(connection.peek(4))) == (6, b"abcd")
    connection.skip(4)
    assert bytes(connection.peek(99)) == b"ef"


@pytest.mark.parametrize("wide", [False, True])
def test_no_byte_is_lost_or_moved_whatever_the_pieces(ends, wide):
    connection, peer = ends
    content = bytes(number % 251 for number in range(1_000_000))
    thread = threading.Thread(target=peer.sendall, args=[content])
    thread.start()
    found = bytearray()
    while len(found) < len(content):
        assert connection.fill(soon()) is Filled.BYTES
        if wide:
            connection.widen()
        size = connection.available - (1 if len(found) % 3 and connection.available > 1 else 0)
        found += connection.peek(size)
        connection.skip(size)
        if connection.available and len(found) + connection.available == len(content):
            found += connection.peek(connection.available)
    thread.join()
    assert bytes(found) == content


def test_the_end_of_the_line_and_a_deadline_that_has_passed_are_told_apart(ends):
    connection, peer = ends
    assert connection.fill(time.monotonic() - 1) is Filled.LATE
    peer.close()
    assert connection.fill(soon()) is Filled.CLOSED


def test_a_ring_is_heard_once_even_before_the_wait(ends, wake):
    connection, _ = ends
    wake.ring()
    wake.ring()
    assert connection.fill(soon()) is Filled.WOKEN
    assert connection.fill(time.monotonic() + 0.01) is Filled.LATE


def test_a_ring_ends_a_wait(ends, wake):
    connection, _ = ends
    timer = threading.Timer(0.05, wake.ring)
    timer.start()
    assert connection.fill(soon()) is Filled.WOKEN
    timer.join()


def test_a_ring_after_the_end_disturbs_nobody(wake):
    wake.close()
    wake.close()
    wake.ring()


def test_who_does_not_read_is_not_waited_for(ends):
    connection, peer = ends
    assert connection.send(b"x" * 10, soon())
    assert peer.recv(99) == b"x" * 10
    assert not connection.send(bytes(1 << 22), time.monotonic() + 0.05)


def test_nothing_can_be_sent_to_who_is_gone(ends):
    connection, peer = ends
    peer.close()
    assert not connection.send(b"x", soon())
    connection.close()
    connection.close()
    assert not connection.send(b"x", soon())
    assert connection.fill(soon()) is Filled.CLOSED
