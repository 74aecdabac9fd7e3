"""Strangers at the listener: lengths, times and counts have an end, and nothing is left of who went beyond."""

import contextlib
import itertools
import os
import socket
import struct
import threading
import time
from pathlib import Path

import pytest
from fakes import mr_image
from faults import wire
from faults.wire import Line
from pynetdicom import dsutils

from node.receive.server.association import AcceptedAssociation
from node.receive.server.upper_layer import MonotonicTimer
from node.receive.traffic import Ending

MR = dsutils.encode(mr_image(), False, True)
STORE = wire.message(3, wire.store_command(b"1.2.3.1"), MR)


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_files() -> list[str]:
    """Return what the descriptors of this process point to."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that reads the folder
            found.append(str(link.readlink()))
    return found


def is_closed(line: Line) -> bool:
    """Wait for the end of a connection; an A-ABORT may come before it."""
    line.socket.settimeout(20)
    try:
        while line.socket.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True


def pour(line: Line, megabytes: int) -> None:
    """Send zeros for as long as the other side takes them."""
    try:
        for _ in range(megabytes * 16):
            line.send(bytes(1 << 16))
    except OSError:
        return


@pytest.mark.parametrize("kind", range(9))
def test_four_gigabytes_are_declared_and_not_one_is_taken(desk, kind):
    before = resident_mb()
    with Line(desk.port) as line:
        line.send(struct.pack(">BBL", kind, 0, 0xFFFFFFFF))
        pour(line, 64)
        assert is_closed(line)
    assert resident_mb() - before < 20
    assert wire.echo(desk.port)


@pytest.mark.parametrize("kind", range(9))
def test_the_same_behind_a_handshake(desk, kind):
    before = resident_mb()
    with Line(desk.port) as line:
        assert line.associate()
        line.send(struct.pack(">BBL", kind, 0, 0xFFFFFFFF))
        pour(line, 64)
        assert is_closed(line)
    assert resident_mb() - before < 20
    assert wire.echo(desk.port)


@pytest.mark.parametrize(
    "content",
    [
        wire.pdu(4, b""),
        wire.pdu(4, b"\0" * 5),
        wire.pdu(4, struct.pack(">LBB", 1, 1, 3)),
        wire.pdu(4, struct.pack(">LBB", 0xFFFFFFFF, 1, 3)),
        wire.p_data((1, 3, b"\0" * 7)),
        wire.p_data((9, 3, wire.command(wire.echo_command()))),
        wire.p_data((3, 2, b"data without a command")),
        wire.p_data((3, 0, b"data without a command")),
        wire.p_data(STORE[0]) + wire.p_data((3, 3, wire.command(wire.echo_command()))),
        wire.p_data(STORE[0]) + wire.p_data((1, 2, MR)),
        b"".join(wire.p_data((1, 1, b"x" * 16000)) for _ in range(3)),
        wire.p_data(wire.message(5, wire.action_command())[0]) + wire.p_data((5, 0, bytes(60000))) * 80,
        wire.p_data((1, 3, wire.command(wire.echo_command() | {0x0100: 0x7777}))),
        wire.pdu(5, b"12345"),
        wire.pdu(2, b""),
        wire.associate_rq(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_a_malformed_pdu_ends_the_association_and_nothing_else(desk, content):
    with Line(desk.port) as line:
        assert line.associate()
        line.send(content)
        kind, _ = line.receive()
        assert kind == wire.ABORT
        assert is_closed(line)
    desk.traffic.wait_for_endings(1)
    assert set(desk.traffic.endings) == {Ending.ABORTED}
    assert wire.echo(desk.port)
    assert desk.files() == []


def test_who_says_nothing_is_closed_at_its_time(open_desk):
    desk = open_desk(pdu_timeout_s=0.2, network_timeout_s=0.2)
    for content in (b"", wire.associate_rq()[:50]):
        with Line(desk.port) as line:
            line.send(content)
            assert is_closed(line)
    with Line(desk.port) as line:
        assert line.associate()
        kind, _ = line.receive()
        assert kind == wire.ABORT
    desk.traffic.wait_for_endings(1)


@pytest.mark.parametrize("associated", [False, True])
def test_who_drips_gets_no_more_time_than_who_is_silent(open_desk, associated):
    desk = open_desk(pdu_timeout_s=0.5)
    sent = []
    with Line(desk.port) as line:
        if associated:
            assert line.associate()
        content = wire.p_data(STORE[1]) if associated else wire.associate_rq()
        ended = threading.Event()

        def drip() -> None:
            for byte in content:
                try:
                    line.send(bytes([byte]))
                    sent.append(byte)
                except OSError:
                    return
                if ended.wait(0.05):
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        assert is_closed(line)
        ended.set()
        thread.join()
    assert 0 < len(sent) < len(content)
    assert desk.files() == []


def test_a_step_of_the_wall_clock_ends_no_association(desk, monkeypatch):
    real, steps = time.time, itertools.cycle([1e6, -1e6])
    with Line(desk.port) as line:
        monkeypatch.setattr(time, "time", lambda: real() + next(steps))
        assert line.associate()
        assert line.ask(STORE).status == 0x0000
        assert line.ask(wire.message(1, wire.echo_command())).status == 0x0000
        line.release()
        monkeypatch.undo()


def test_the_timers_of_the_state_machine_know_no_wall_clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "time", lambda: pytest.fail("the wall clock was asked"))
    timer = MonotonicTimer(5)
    assert (timer.remaining, timer.expired) == (5.0, False)
    timer.start()
    now[0] += 4
    assert (timer.remaining, timer.expired) == (1.0, False)
    now[0] += 2
    assert (timer.remaining, timer.expired) == (-1.0, True)
    timer.restart()
    assert not timer.expired
    timer.stop()
    now[0] += 99
    assert not timer.expired
    assert MonotonicTimer(None).remaining == 1.0


def test_connections_without_a_word_keep_nobody_out(open_desk):
    desk = open_desk(maximum_associations=2, maximum_connections=4, maximum_connections_per_address=4)
    silent = [Line(desk.port) for _ in range(8)]
    assert wire.echo(desk.port)
    assert desk.listener._desk.seats.taken <= 4
    for line in silent[:4]:
        assert is_closed(line)
    for line in silent:
        line.close()


def test_beyond_the_associations_they_are_rejected_and_beyond_the_connections_closed(open_desk):
    desk = open_desk(maximum_associations=2, maximum_connections=3, maximum_connections_per_address=3)
    with Line(desk.port) as first, Line(desk.port) as second, Line(desk.port) as third:
        assert first.associate()
        assert second.associate()
        third.send(wire.associate_rq())
        kind, body = third.receive()
        assert (kind, body[1:]) == (wire.ASSOCIATE_RJ, bytes([2, 3, 2]))
        assert is_closed(third)
        for line in (first, second):
            line.release()
            assert is_closed(line)
    assert wire.echo(desk.port)


def test_one_address_cannot_take_all_the_seats(open_desk):
    desk = open_desk(maximum_associations=9, maximum_connections=9, maximum_connections_per_address=2)
    with Line(desk.port) as first, Line(desk.port) as second:
        assert first.associate()
        assert second.associate()
        with Line(desk.port) as third:
            assert is_closed(third)
        with socket.create_connection(("127.0.0.1", desk.port), 20, source_address=("127.0.0.2", 0)) as other:
            other.sendall(wire.associate_rq())
            assert other.recv(1) == b"\x02"


def test_nothing_is_left_of_a_flood(open_desk):
    desk = open_desk(pdu_timeout_s=0.5)
    wire.echo(desk.port)
    desk.traffic.wait_for_endings(1)
    for number in range(30):
        with Line(desk.port) as line:
            if number % 3:
                line.associate()
            if number % 3 == 1:
                line.send(wire.p_data(STORE[0]) + wire.p_data((3, 0, MR[:40])))
    desk.listener.stop()
    assert [thread.name for thread in threading.enumerate() if "Acceptor" in thread.name] == []
    assert desk.listener._desk.seats.taken == 0
    assert desk.files() == []
    assert [name for name in open_files() if name.endswith(".part") or "eventfd" in name] == []


def test_a_connection_for_which_there_is_no_thread_is_closed_and_gives_its_seat_back(open_desk, monkeypatch):
    desk = open_desk(maximum_associations=1, maximum_connections=1, maximum_connections_per_address=1)

    def fail(_association):
        raise RuntimeError("can't start new thread")

    before = len(open_files())
    monkeypatch.setattr(AcceptedAssociation, "start", fail)
    with Line(desk.port) as line:
        assert is_closed(line)
    monkeypatch.undo()
    assert wire.echo(desk.port)
    desk.listener.stop()
    assert len(open_files()) <= before


@pytest.mark.parametrize(
    "item",
    [
        b"\x20\0" + struct.pack(">HL", 60004, 1 << 24) + b"\x40\0\0\0" * 15000,
        b"\x50\0" + struct.pack(">H", 60000) + b"\x51\0\0\0" * 15000,
        b"\x10\0\0\0" * 15000,
    ],
    ids=["transfer syntaxes", "user information", "items"],
)
def test_a_request_of_ten_thousand_items_is_not_built(desk, item, monkeypatch):
    built = []
    monkeypatch.setattr("node.receive.server.upper_layer.UpperLayer._decode_pdu", lambda *_: built.append(1))
    with Line(desk.port) as line:
        line.send(wire.associate_rq([item]))
        assert line.receive()[0] == wire.ABORT
        assert is_closed(line)
    assert built == []


def test_a_request_with_all_that_may_be_asked_for_is_taken(desk):
    syntaxes = [f"1.2.840.10008.1.2.4.{number}".encode() for number in range(50, 108)] + [wire.EXPLICIT]
    contexts = {2 * number + 1: (wire.MR_IMAGE, syntaxes) for number in range(128)}
    with Line(desk.port) as line:
        assert line.associate(wire.associate_rq(wire.associate_items(contexts)))
        assert len(line.accepted) == 128
        line.release()
