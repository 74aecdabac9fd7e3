"""A limit to how long telling somebody may take in all: time-outs of sockets begin anew with every byte that comes.

And an end to it, for who stops the node.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

#: A connection that is not there yet, or is changed for one with TLS, is looked for again after so many seconds.
_AGAIN_S = 0.05


class Patience:
    """What is being told, for who has to end it from another thread."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._under_way: set[threading.Event] = set()
        self._ended = False

    def end(self) -> None:
        """End what is under way, and what is begun later: whoever waits for the other side gets an error at once."""
        with self._changing:
            self._ended = True
            for out_of_patience in self._under_way:
                out_of_patience.set()

    @contextlib.contextmanager
    def within(self, seconds: float, connection: Callable[[], socket.socket | None]) -> Iterator[None]:
        """End the connection in use, which `connection` returns, once the block has taken so many seconds.

        Whoever waits for its other side then gets an error.
        """
        out_of_patience, over = threading.Event(), threading.Event()
        with self._changing:
            self._under_way.add(out_of_patience)
            if self._ended:
                out_of_patience.set()

        def watch() -> None:
            out_of_patience.wait(seconds)
            while not over.is_set():
                _end(connection)
                over.wait(_AGAIN_S)

        threading.Thread(name="patience", target=watch, daemon=True).start()
        try:
            yield
        finally:
            over.set()
            out_of_patience.set()
            with self._changing:
                self._under_way.discard(out_of_patience)


def _end(connection: Callable[[], socket.socket | None]) -> None:
    opened = connection()
    if opened is not None:
        with contextlib.suppress(OSError):  # TLS is not asked: it may be in use by the thread that waits
            socket.socket.shutdown(opened, socket.SHUT_RDWR)
