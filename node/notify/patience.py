"""A limit to how long telling somebody may take in all: time-outs of sockets begin anew with every byte that comes."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def within(seconds: float, connection: Callable[[], socket.socket | None]) -> Iterator[None]:
    """End the connection in use, which `connection` returns, once the block has taken so many seconds.

    Whoever waits for its other side then gets an error.
    """
    timer = threading.Timer(seconds, _end, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(connection: Callable[[], socket.socket | None]) -> None:
    opened = connection()
    if opened is not None:
        with contextlib.suppress(OSError):  # TLS is not asked: it may be in use by the thread that waits
            socket.socket.shutdown(opened, socket.SHUT_RDWR)
