"""A worker: the pool in a service of its own, asked by nodes over a Unix socket.

The node that hears the network then needs no device, and no memory that is written and executed; what opens devices
and runs compiled networks hears nobody but it. Each case has the time limit of the pool, which kills and restarts its
processes as it does within a node. SIGTERM drains: no further case is taken, the running ones are answered.
"""

import contextlib
import signal
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from node import __version__
from node.domain.geometry import Volume
from node.errors import EngineError, NodeError, unexpected
from node.log import get_logger
from node.segment.devices import Device, Devices
from node.segment.process.channel import Array, Channel
from node.segment.process.door import is_ours
from node.segment.process.line import CASES_PER_PROCESS
from node.segment.process.messages import Alive, Answer, Case, Failure, Message, Serving
from node.segment.process.pool import EnginePool
from node.systemd import Progress, keep_alive, notify

#: Seconds between two signs of life, and until a node that takes nothing is given up.
ALIVE_S = 5.0
_STUCK_S = 60
#: Between two looks at whether the pool can go on.
_LOOK_S = 1.0


class Worker:
    """One pool behind one listening socket."""

    def __init__(self, pool: EnginePool, door: socket.socket, *, longest_s: float, alive_s: float = ALIVE_S) -> None:
        """`longest_s`: the longest that a sound pool takes for a case, waiting and loading anew included."""
        self._pool = pool
        self._door = door
        self._longest_s = longest_s
        self._alive_s = alive_s
        self._progress = Progress()
        self._stop = threading.Event()
        self._failure: NodeError | None = None
        self._changing = threading.Lock()
        self._guests: set[_Guest] = set()
        self._loaded = False
        self._devices = Devices()

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is called when the networks are in memory.

        Raises what keeps the pool from answering: BundleError, SettingsError, SelfTestFailed, EngineDied.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._stop.set())
        host = threading.Thread(name="host", target=self._host, args=(ready,))
        host.start()
        keep_alive(self._progress, self._stop)
        self._drain(host)
        if self._failure is not None:
            raise self._failure

    def _drain(self, host: threading.Thread) -> None:
        notify("STOPPING=1")
        get_logger().info("draining")
        if not self._loaded:
            self._pool.close()
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        host.join()
        Path(self._door.getsockname()).unlink(missing_ok=True)
        self._door.close()
        with self._changing:
            guests = set(self._guests)
        for guest in guests:
            guest.dismiss()
        self._pool.close()

    def _host(self, ready: Callable[[], None]) -> None:
        """Load, then let nodes in."""
        try:
            devices = self._pool.loaded().capacity // CASES_PER_PROCESS
            self._loaded = True
            notify("READY=1")
            ready()
            self._let_in(Serving(version=__version__, algorithm=self._pool.algorithm, devices=devices))
        except NodeError as error:
            self._end_with(error)
        except Exception as error:  # noqa: BLE001 - its message may quote anything, so it is not left to the thread
            self._end_with(unexpected(error))

    def _let_in(self, serving: Serving) -> None:
        """Let nodes in until the worker ends. Raises what keeps the pool from answering, also while nobody asks."""
        self._door.settimeout(_LOOK_S)
        while not self._stop.is_set():
            try:
                connection, _ = self._door.accept()
            except TimeoutError:
                self._pool.loaded()
                continue
            except OSError as error:
                if not self._stop.is_set():
                    get_logger().error("machine failed", text=error.strerror)
                    self._stop.wait(1)  # descriptors are short: without a pause this loop would take a core
                continue
            if not is_ours(connection):
                get_logger().warning("another user asked the worker")
                connection.close()
                continue
            guest = _Guest(connection, self._answered, self._devices, on_gone=self._gone)
            with self._changing:
                self._guests.add(guest)
            guest.serve(serving, self._alive_s)

    def _gone(self, guest: "_Guest") -> None:
        with self._changing:
            self._guests.discard(guest)

    def _answered(self, case: Case, voxels: Array) -> tuple[Message, Array | None]:
        """Return the answer to a case, or its error. Raises what ends the worker."""
        volume = Volume(grid=case.grid, voxels=voxels, sources=(), acquired_in_3d=False)
        try:
            with self._progress.step("segment", self._longest_s):
                return Answer.of(case.number, self._pool.segment(volume))
        except Exception as caught:  # noqa: BLE001 - it costs this case, not the next one
            error = caught if isinstance(caught, NodeError) else unexpected(caught)
            self._must_go_on()
            return Failure.of(error, number=case.number, ends=False), None

    def _must_go_on(self) -> None:
        """Raise EngineError, and end the worker, when the pool will answer no case any more."""
        try:
            self._pool.loaded()
        except NodeError as error:
            self._end_with(error)
            raise EngineError("the worker ends") from error

    def _end_with(self, error: NodeError) -> None:
        if not self._stop.is_set():  # what a pool that was closed says is nobody's failure
            get_logger().error("worker ends", code=error.code, text=str(error))
            self._failure = error
            self._stop.set()


class _Guest:
    """A node that was let in: its cases are answered as they are done, each by a thread of its own."""

    def __init__(
        self,
        connection: socket.socket,
        answered: Callable[[Case, Array], tuple[Message, Array | None]],
        devices: Callable[[], tuple[Device, ...]],
        *,
        on_gone: "Callable[[_Guest], None]",
    ) -> None:
        self._connection = connection
        self._channel = Channel(connection)
        self._answered = answered
        self._devices = devices
        self._on_gone = on_gone
        self._leaving = threading.Event()
        self._dismissed = False
        self._cases: set[threading.Thread] = set()
        self._reader = threading.Thread(name="guest", target=self._read, daemon=True)

    def serve(self, serving: Serving, alive_s: float) -> None:
        """Say what answers here, and take cases."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _STUCK_S, 0))
        threading.Thread(name="alive", target=self._tell, args=(serving, alive_s), daemon=True).start()
        self._reader.start()

    def dismiss(self) -> None:
        """Take no more cases, and let go once those that were taken are answered."""
        self._dismissed = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)
        self._reader.join()

    def _tell(self, serving: Serving, alive_s: float) -> None:
        try:
            self._channel.send(serving)
            while not self._leaving.wait(alive_s):
                self._channel.send(Alive(devices=self._devices()))
        except OSError:
            self._hang_up()

    def _read(self) -> None:
        """Take cases until the node leaves or is dismissed; who is dismissed gets the answers that it waits for."""
        try:
            while True:
                message, array = self._channel.receive()
                if not isinstance(message, Case) or array is None:
                    break
                thread = threading.Thread(name="case", target=self._answer, args=(message, array), daemon=True)
                self._cases = {other for other in self._cases if other.is_alive()} | {thread}
                thread.start()
                del message, array
        except (EOFError, EngineError):
            pass
        if self._dismissed:
            for thread in self._cases:
                thread.join()
        self._leaving.set()
        self._hang_up()
        self._channel.close()
        self._on_gone(self)

    def _answer(self, case: Case, voxels: Array) -> None:
        try:
            self._channel.send(*self._answered(case, voxels))
        except (OSError, EngineError):
            self._hang_up()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):  # closed, or hung up by the node
            self._connection.shutdown(socket.SHUT_RDWR)
