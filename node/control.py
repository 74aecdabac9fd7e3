"""How a command speaks to the node that runs: a Unix socket in the state folder.

One process writes the journal, so while the node runs, it alone can do what an operator asks. A message either way is
its length as four bytes, big endian, and so much JSON. The socket is its owner's alone (0600). A path in the state
folder may be longer than the 108 bytes that the address of a Unix socket holds (unix(7)); it is therefore reached
through a descriptor of the folder, as `/proc/self/fd/<number>/control.sock`.
"""

import contextlib
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from node.errors import AnswerTooLarge, InputError, NodeAlreadyRunning, NodeError, SystemFailed, Unanswered, unexpected
from node.log import get_logger

SOCKET = "control.sock"
#: Of a request in bytes.
MAXIMUM_MESSAGE = 1 << 20
#: Of an answer in bytes: about a request of the longest kind, an error for each of its cases fits.
MAXIMUM_ANSWER = 64 << 20
#: Seconds that a client has for its whole request, and for taking its answer.
PATIENCE_S = 10.0
#: Clients at a time; one more is told to come again.
CLIENTS = 8
#: Clients that wait to be let in. More do so only where the node hangs.
_WAITING = 128

Document = Mapping[str, Any]
_LENGTH = struct.Struct(">I")


class ControlServer:
    """Answers commands with what `handle` returns. One thread a client, so that a silent one holds up no other."""

    def __init__(
        self, state_dir: Path, handle: Callable[[Document], Document], *, patience_s: float = PATIENCE_S
    ) -> None:
        self._state_dir = state_dir
        self._handle = handle
        self._patience_s = patience_s
        self._free = threading.Semaphore(CLIENTS)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._stopping = threading.Event()
        self._clients: dict[threading.Thread, socket.socket] = {}
        self._changing = threading.Lock()
        self._accepting = threading.Thread(name="control", target=self._accept, daemon=True)

    def __enter__(self) -> "ControlServer":
        """Listen, as `start` does."""
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """End, as `stop` does."""
        self.stop()

    def start(self) -> None:
        """Listen; the socket file of a node that was killed is replaced. Raises NodeAlreadyRunning, SystemFailed."""
        try:
            with _address(self._state_dir) as address:
                _remove_stale(address)
                os.fchmod(self._listener.fileno(), 0o600)  # before it has a name: Linux makes the file with this mode
                self._listener.bind(address)
                self._listener.listen(_WAITING)
        except OSError as error:
            raise SystemFailed(f"{SOCKET} in the state folder: {error.strerror}") from error
        self._accepting.start()

    def stop(self) -> None:
        """Take no more requests, drop those who have not said theirs yet, and remove the socket file."""
        self._stopping.set()
        if self._accepting.ident is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            self._accepting.join()
            with contextlib.suppress(FileNotFoundError):
                (self._state_dir / SOCKET).unlink()
        self._listener.close()
        with self._changing:
            clients = dict(self._clients)
        for thread, client in clients.items():
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RD)
            thread.join()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError as error:
                if not self._stopping.is_set():
                    get_logger().error("control failed", text=error.strerror)
                    self._stopping.wait(1)  # descriptors are short: without a pause this loop would take a core
                continue
            if not self._free.acquire(blocking=False):
                self._refuse(client)
                continue
            thread = threading.Thread(name="control client", target=self._serve, args=(client,), daemon=True)
            with self._changing:
                self._clients[thread] = client
            thread.start()

    def _refuse(self, client: socket.socket) -> None:
        """Tell one too many so, as far as it fits into the socket without waiting."""
        with contextlib.closing(client), contextlib.suppress(OSError):
            client.setblocking(False)
            client.send(_packed(error_answer(SystemFailed("too many commands at once; try again"))))

    def _serve(self, client: socket.socket) -> None:
        """Answer one request. Whatever a client does ends its own conversation only."""
        try:
            with contextlib.closing(client):
                answer = self._answer(client)
                client.settimeout(self._patience_s)
                client.sendall(_fitting(answer))
        except OSError:  # the client went away, or takes no answer
            get_logger().info("a command did not wait for its answer")
        finally:
            with self._changing:
                self._clients.pop(threading.current_thread(), None)
            self._free.release()

    def _answer(self, client: socket.socket) -> Document:
        try:
            return self._handle(_received(client, self._patience_s, MAXIMUM_MESSAGE))
        except NodeError as error:
            return error_answer(error)
        except _TooLong as error:
            return error_answer(InputError(str(error)))
        except OSError as error:
            return error_answer(SystemFailed(error.strerror or "the machine failed"))
        except Exception as error:  # noqa: BLE001 - a command must not end the node, nor its message be told
            return error_answer(unexpected(error))


def ask(state_dir: Path, request: Document, *, patience_s: float) -> Document | None:
    """Return what the node that runs over `state_dir` answers, or None where none runs.

    Raises Unanswered when the conversation breaks: then nobody knows whether the node did what was asked. Raises
    AnswerTooLarge where it did, and says more than is taken; SystemFailed where it cannot be asked.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.settimeout(patience_s)
        try:
            with _address(state_dir) as address:
                server.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except BlockingIOError as error:
            raise SystemFailed("the node takes no commands now: so many wait already that it must hang") from error
        except OSError as error:
            raise SystemFailed(f"{SOCKET} in the state folder: {error.strerror}") from error
        try:
            with contextlib.suppress(BrokenPipeError):  # refused before it was heard; the answer says why
                server.sendall(_packed(request))
            return _received(server, patience_s, MAXIMUM_ANSWER)
        except _TooLong as error:
            raise _too_large(error.length) from error
        except (OSError, InputError) as error:
            raise Unanswered("the node did not answer; `cspine-node status` tells what it did") from error


def error_answer(error: NodeError) -> dict[str, Any]:
    """Return an error as it stands in an answer, with the exit code that a command ends with."""
    said = {"code": error.code, "message": str(error), "retryable": error.retryable}
    return {"error": said, "exit_code": error.exit_code}


@contextlib.contextmanager
def _address(state_dir: Path) -> Iterator[str]:
    """Give the address of the socket, short however long the path of the folder is."""
    folder = os.open(state_dir, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET}"
    finally:
        os.close(folder)


def _remove_stale(address: str) -> None:
    """Remove the socket file of a node that is gone. Raises NodeAlreadyRunning when somebody listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PATIENCE_S)
        try:
            probe.connect(address)
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            Path(address).unlink()
            return
    raise NodeAlreadyRunning("another node listens for commands in the same state folder")


def _packed(document: Document) -> bytes:
    content = json.dumps(document, default=str).encode()
    return _LENGTH.pack(len(content)) + content


def _fitting(answer: Document) -> bytes:
    """Return an answer as a message, or where that is too long, one that says so."""
    message = _packed(answer)
    length = len(message) - _LENGTH.size
    if length <= MAXIMUM_ANSWER:
        return message
    get_logger().warning("an answer is too long", answer_bytes=length)
    return _packed(error_answer(_too_large(length)))


def _too_large(length: int) -> AnswerTooLarge:
    return AnswerTooLarge(
        f"the node did what was asked, but its answer of {length} bytes is longer than the {MAXIMUM_ANSWER} that are "
        "taken; `cspine-node status` tells what it did; ask for less at once"
    )


class _TooLong(ValueError):
    """A message of so many bytes is not read."""

    def __init__(self, length: int, most: int) -> None:
        super().__init__(f"a message of {length} bytes is longer than the {most} that are taken")
        self.length = length


def _received(sender: socket.socket, patience_s: float, most: int) -> Document:
    """Read one message of at most so many bytes within so many seconds. Raises _TooLong, or InputError."""
    deadline = time.monotonic() + patience_s
    (length,) = _LENGTH.unpack(_exactly(sender, _LENGTH.size, deadline))
    if length > most:
        raise _TooLong(length, most)
    try:
        document = json.loads(_exactly(sender, length, deadline))
    except (ValueError, RecursionError) as error:
        raise InputError("the message is not JSON") from error
    if not isinstance(document, dict):
        raise InputError("the message is no JSON object")
    return document


def _exactly(sender: socket.socket, count: int, deadline: float) -> bytes:
    """Read `count` bytes until `deadline` (monotonic). Raises InputError."""
    content = bytearray()
    while len(content) < count:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise InputError("the message did not end in time")
        sender.settimeout(left_s)
        try:
            part = sender.recv(min(count - len(content), 1 << 16))
        except TimeoutError as error:
            raise InputError("the message did not end in time") from error
        if not part:
            raise InputError("the message ended before its end")
        content += part
    return bytes(content)
