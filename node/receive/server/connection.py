"""A non-blocking connection: its bytes, its deadlines, and how another thread wakes it."""

import contextlib
import os
import select
import socket
import ssl
import threading
import time
from enum import Enum
from math import ceil

#: Enough for a stranger; and enough for a few system calls an image.
_FIRST_BYTES = 16 << 10
_BUFFER_BYTES = 256 << 10


class Filled(Enum):
    """How waiting for bytes ended."""

    #: There are more of them.
    BYTES = "bytes"
    #: The peer has closed, or the connection has failed.
    CLOSED = "closed"
    #: Nothing came before the deadline.
    LATE = "late"
    #: Another thread wants to be heard.
    WOKEN = "woken"


class Wake:
    """Wakes one waiting thread, from any other. A wake between two waits is not lost."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        #: A closed descriptor may soon be somebody else's.
        self._closing = threading.Lock()

    def ring(self) -> None:
        """Wake the thread, now or at its next wait; after `close` it does nothing."""
        with self._closing:
            if self.descriptor >= 0:
                os.eventfd_write(self.descriptor, 1)

    def hear(self) -> None:
        """Forget the rings so far."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.descriptor)

    def close(self) -> None:
        """Give the descriptor back."""
        with self._closing:
            descriptor, self.descriptor = self.descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)


class Connection:
    """A socket that is read into one buffer. Times are seconds of the monotonic clock. One thread uses it."""

    def __init__(self, sock: socket.socket, wake: Wake) -> None:
        sock.setblocking(False)
        self.socket = sock
        self._wake = wake
        self._poll = select.poll()
        self._poll.register(wake.descriptor, select.POLLIN)
        self._poll.register(sock.fileno(), select.POLLIN)
        self._buffer = bytearray(_FIRST_BYTES)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0

    @property
    def available(self) -> int:
        """How many bytes have been read and not yet taken."""
        return self._end - self._start

    def peek(self, size: int) -> memoryview:
        """Return up to `size` available bytes; they stay valid until the next `fill`."""
        return self._view[self._start : min(self._start + size, self._end)]

    def skip(self, size: int) -> None:
        """Take `size` of the available bytes away."""
        self._start += size

    def widen(self) -> None:
        """Read in large pieces from now on: the peer has been admitted."""
        rest = bytes(self.peek(self.available))
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._buffer[: len(rest)] = rest
        self._start, self._end = 0, len(rest)

    def fill(self, deadline: float) -> Filled:
        """Wait for more bytes, until the clock reaches `deadline`; what has been peeked at is invalid after."""
        self._make_room()
        events = select.POLLIN
        while True:
            try:
                size = self.socket.recv_into(self._view[self._end :])
            except (BlockingIOError, ssl.SSLWantReadError):
                events = select.POLLIN
            except ssl.SSLWantWriteError:
                events = select.POLLOUT
            except OSError:  # a reset, or a TLS alert
                return Filled.CLOSED
            else:
                self._end += size
                return Filled.BYTES if size else Filled.CLOSED
            waited = self.wait(events, deadline)
            if waited is not Filled.BYTES:
                return waited

    def _make_room(self) -> None:
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start > len(self._buffer) // 2 or self._end == len(self._buffer):
            rest = self._end - self._start
            self._buffer[:rest] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, rest

    def send(self, content: bytes, deadline: float) -> bool:
        """Send all of `content`; False when the connection failed, or the peer does not read, by `deadline`."""
        view = memoryview(content)
        events = select.POLLOUT
        while view:
            try:
                view = view[self.socket.send(view) :]
                continue
            except (BlockingIOError, ssl.SSLWantWriteError):
                events = select.POLLOUT
            except ssl.SSLWantReadError:
                events = select.POLLIN
            except OSError:
                return False
            if self.wait(events, deadline, wakes=False) is not Filled.BYTES:
                return False
        return True

    def handshake(self, deadline: float) -> Filled:
        """Do the TLS handshake. Raises OSError, of which SSLError is one, when it fails."""
        if not isinstance(self.socket, ssl.SSLSocket):
            return Filled.BYTES
        while True:
            try:
                self.socket.do_handshake()
            except ssl.SSLWantReadError:
                events = select.POLLIN
            except ssl.SSLWantWriteError:
                events = select.POLLOUT
            else:
                return Filled.BYTES
            waited = self.wait(events, deadline)
            if waited is not Filled.BYTES:
                return waited

    def wait(self, events: int, deadline: float, *, wakes: bool = True) -> Filled:
        """Wait until the socket is ready for `events`, or has failed: then the next call to it tells."""
        descriptor = self.socket.fileno()
        if descriptor < 0:
            return Filled.CLOSED
        self._poll.modify(descriptor, events)
        self._poll.modify(self._wake.descriptor, select.POLLIN if wakes else 0)
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return Filled.LATE  # whatever may be there by now: who drips gets no more time
        ready = dict(self._poll.poll(ceil(left_s * 1000)))
        if wakes and self._wake.descriptor in ready:
            self._wake.hear()
            return Filled.WOKEN
        if descriptor in ready:
            return Filled.BYTES
        return Filled.LATE

    def finish(self, deadline: float) -> None:
        """Wait until the peer has closed, or until `deadline`, and take no notice of what it sends.

        To close at once could destroy an answer that is still on its way.
        """
        with contextlib.suppress(OSError):
            if not isinstance(self.socket, ssl.SSLSocket):
                self.socket.shutdown(socket.SHUT_WR)
        while True:
            self._start = self._end = 0
            if self.fill(deadline) is not Filled.BYTES or time.monotonic() >= deadline:
                return

    def close(self) -> None:
        """Close the socket; a second time does nothing."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def forget(self) -> None:
        """Give the buffer back: pynetdicom's objects refer to each other and stay until garbage is collected."""
        self._start = self._end = 0
        self._buffer = bytearray()
        self._view = memoryview(self._buffer)
