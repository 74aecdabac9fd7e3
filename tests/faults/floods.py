"""Strangers at the listener's door, and how a legitimate peer fares meanwhile (docs/architecture.md, the listener).

Strangers call from 127.0.0.2 and onwards, the legitimate peer from 127.0.0.1.
"""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from faults import wire
from faults.processes import Listening, until

_CHUNK = b"\0" * 65536
MOST_GROWTH_MB = 50.0


@dataclass(slots=True)
class Strangers:
    """Connections of strangers; all are closed at the end of the block."""

    port: int
    lines: list[socket.socket] = field(default_factory=list)
    sent_bytes: int = 0
    answered: int = 0
    _threads: list[threading.Thread] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Strangers":
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        for line in self.lines:
            line.close()

    def connect(self, number: int = 0) -> socket.socket:
        """Open a connection from 127.0.0.`number + 2`. Raises OSError."""
        line = socket.create_connection(
            ("127.0.0.1", self.port), timeout=5, source_address=(f"127.0.0.{number + 2}", 0)
        )
        self.lines.append(line)
        return line

    def drop(self) -> None:
        """Close every connection now."""
        for line in self.lines:
            line.close()
        self.lines.clear()

    def keep(self, act: Callable[[], None], every_s: float) -> None:
        """Repeat `act` in a thread until the block ends."""

        def run() -> None:
            while not self._over.is_set():
                with contextlib.suppress(OSError):
                    act()
                self._over.wait(every_s)

        thread = threading.Thread(target=run)
        self._threads.append(thread)
        thread.start()

    def open_lines(self) -> int:
        """Return how many of the connections the listener has not closed."""
        return sum(map(_is_open, self.lines))


def _is_open(line: socket.socket) -> bool:
    try:
        line.setblocking(False)
        while line.recv(65536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def huge_header(strangers: Strangers) -> None:
    """One connection declares a PDU of 4 GB before its association and sends as fast as it may."""
    line = strangers.connect()
    line.sendall(struct.pack(">BBI", wire.ASSOCIATE_RQ, 0, 0xFFFFFFFF))
    strangers.keep(lambda: _pour(strangers, line), 0)


def huge_header_after_handshake(strangers: Strangers) -> None:
    """The same behind a completed handshake, as P-DATA-TF."""
    line = strangers.connect()
    line.sendall(wire.associate_rq())
    line.recv(4096)
    line.sendall(struct.pack(">BBI", wire.P_DATA, 0, 0xFFFFFFFF))
    strangers.keep(lambda: _pour(strangers, line), 0)


def _pour(strangers: Strangers, line: socket.socket) -> None:
    try:
        strangers.sent_bytes += line.send(_CHUNK)
    except OSError:
        strangers._over.wait(0.05)  # closed on us, as it should be


def slow_drip(strangers: Strangers, count: int = 60, addresses: int = 1) -> None:
    """Many connections send a request for an association, one byte every quarter of a second."""
    _connect_many(strangers, count, addresses)
    request, place = wire.associate_rq(), iter(range(1 << 20))
    strangers.keep(lambda: _drip(strangers, request[next(place) % 74 :][:1]), 0.25)


def slow_drip_after_handshake(strangers: Strangers, count: int = 60, addresses: int = 1) -> None:
    """Many associations begin a P-DATA-TF and send one byte of it every quarter of a second."""
    for line in _connect_many(strangers, count, addresses):
        with contextlib.suppress(OSError):
            line.sendall(wire.associate_rq())
            line.settimeout(1)
            strangers.answered += line.recv(1, socket.MSG_PEEK) == b"\x02"
            line.sendall(struct.pack(">BBI", wire.P_DATA, 0, 16000))
    strangers.keep(lambda: _drip(strangers, b"\0"), 0.25)


def _connect_many(strangers: Strangers, count: int, addresses: int) -> list[socket.socket]:
    for number in range(count):
        with contextlib.suppress(OSError):
            strangers.connect(number % addresses)
    return list(strangers.lines)


def _drip(strangers: Strangers, content: bytes) -> None:
    for line in strangers.lines:
        with contextlib.suppress(OSError):
            line.setblocking(False)
            line.send(content)


def silent(strangers: Strangers, count: int = 3) -> None:
    """Connections that never say anything: at a TLS port the handshake waits for them."""
    _connect_many(strangers, count, 1)


def half_open(strangers: Strangers, count: int = 60) -> None:
    """Connections that have sent a part of a request and then their end, and do not close."""
    for line in _connect_many(strangers, count, 1):
        with contextlib.suppress(OSError):
            line.sendall(wire.associate_rq()[:40])
            line.shutdown(socket.SHUT_WR)


def association_flood(strangers: Strangers) -> None:
    """Eight threads associate and go away without a word, as fast as they can."""

    def once() -> None:
        with contextlib.closing(
            socket.create_connection(("127.0.0.1", strangers.port), timeout=5, source_address=("127.0.0.2", 0))
        ) as line:
            line.sendall(wire.associate_rq())
            strangers.answered += line.recv(1) == b"\x02"

    for _ in range(8):
        strangers.keep(once, 0)


def connection_flood(strangers: Strangers) -> None:
    """Connections that are opened and dropped at once, as fast as one thread can."""

    def once() -> None:
        socket.create_connection(("127.0.0.1", strangers.port), timeout=5, source_address=("127.0.0.2", 0)).close()

    strangers.keep(once, 0)


def idle_associations(strangers: Strangers, count: int = 40) -> None:
    """Associations that are open and say nothing."""
    for line in _connect_many(strangers, count, 1):
        line.sendall(wire.associate_rq())
        strangers.answered += line.recv(1, socket.MSG_PEEK) == b"\x02"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weathered:
    """What a flood did to a listener."""

    growth_mb: float
    threads: int
    descriptors: int
    echoes: int
    echoes_failed: int
    #: Slowest answer to a C-ECHO with its association, in seconds.
    slowest_echo_s: float
    #: Of the strangers' connections, those that the listener still held at the end.
    held: int
    #: Bytes that strangers could make the listener read.
    taken_mb: float
    #: Threads and descriptors have gone back after the strangers went.
    went_back: bool


def weather(
    listener: Listening,
    flood: Callable[[Strangers], None],
    *,
    for_s: float,
    tls: ssl.SSLContext | None = None,
    patience_s: float = 40.0,
) -> Weathered:
    """Let a flood come over the listener for some seconds, and measure; the legitimate peer echoes all the while.

    With `tls` all of it happens at the TLS port.
    """
    port = listener.ports["tls" if tls else "plain"]
    assert wire.echo(port, tls=tls)
    threads, descriptors = _idle(listener)
    before_mb = listener.memory_mb()
    listener.forget_peak()
    times_s: list[float] = []
    failed = 0
    with Strangers(port) as strangers:
        begun = time.monotonic()
        flood(strangers)
        most_threads, most_descriptors = listener.threads(), listener.descriptors()
        while time.monotonic() < begun + for_s:
            asked = time.monotonic()
            failed += not wire.echo(port, patience_s=5, tls=tls)
            times_s.append(time.monotonic() - asked)
            most_threads = max(most_threads, listener.threads())
            most_descriptors = max(most_descriptors, listener.descriptors())
            threading.Event().wait(0.1)
        held = strangers.open_lines()
        growth_mb = listener.peak_mb() - before_mb
    went_back = until(lambda: listener.threads() <= threads and listener.descriptors() <= descriptors, patience_s)
    return Weathered(
        growth_mb=round(growth_mb, 1),
        threads=most_threads - threads,
        descriptors=most_descriptors - descriptors,
        echoes=len(times_s),
        echoes_failed=failed,
        slowest_echo_s=round(max(times_s), 3),
        held=held,
        taken_mb=round(strangers.sent_bytes / 1e6, 1),
        went_back=went_back,
    )


def complaints(flood: str, weathered: Weathered, *, slowest_s: float | None = 1.0) -> list[str]:
    """Return what a flood may not do to a listener and did; `slowest_s` None: times are not looked at."""
    told = []
    if weathered.growth_mb >= MOST_GROWTH_MB:
        told.append(f"memory grew by {weathered.growth_mb} MB")
    if weathered.echoes_failed:
        told.append(f"{weathered.echoes_failed} of {weathered.echoes} C-ECHOs were not answered")
    if slowest_s is not None and weathered.slowest_echo_s > slowest_s:
        told.append(f"a C-ECHO took {weathered.slowest_echo_s} s")
    if not weathered.went_back:
        told.append("threads or descriptors did not go back")
    return [f"{flood}: {what}" for what in told]


def _idle(listener: Listening) -> tuple[int, int]:
    """Return threads and descriptors when both have stopped changing."""
    seen = [(-1, -1)]

    def same() -> bool:
        seen.append((listener.threads(), listener.descriptors()))
        return len(seen) > 25 and len(set(seen[-25:])) == 1

    until(same)
    return seen[-1]


@contextlib.contextmanager
def idle_cpu(listener: Listening, count: int, for_s: float) -> Iterator[float]:
    """Yield the share of one core that `count` idle associations cost, measured over `for_s` seconds."""
    with Strangers(listener.port) as strangers:
        idle_associations(strangers, count)
        assert strangers.answered == count, f"{strangers.answered} of {count} associations"
        threading.Event().wait(1)
        before_s, begun = listener.cpu_s(), time.monotonic()
        threading.Event().wait(for_s)
        yield (listener.cpu_s() - before_s) / (time.monotonic() - begun)
