"""The node as a service: its threads, its periodic work, and its end.

One thread closes series, one a destination delivers, and as many work as the engine can hold cases: on each device one
runs while the next is read and prepared. pynetdicom has its own threads. Each calls one step of the case flow again and
again, and rings for the next one, so that no case waits for a poll. SIGTERM and SIGINT drain: no new association, the
running cases end, what is left waits in the journal for the next start.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any, Protocol

from apscheduler.schedulers.background import BackgroundScheduler

from node.caseflow import Caseflow
from node.errors import JournalError, NodeError, unexpected
from node.log import get_logger
from node.outbox import Outbox
from node.receive.listener import Listener

#: The longest that a thread waits without being rung for.
_POLL_S = 0.5
_AFTER_FAILURE_S = 5.0
_SWEEP_MINUTES = 60


class Engine(Protocol):
    """What the service loads at its start and ends at its end."""

    def loaded(self) -> object:
        """Load the networks, or return at once when they are. Raises NodeError when they cannot be."""

    @property
    def capacity(self) -> int:
        """How many cases the loaded engine can hold at a time."""

    def close(self) -> None:
        """End the engine, even while it loads."""


class Bell:
    """Wakes the threads that wait for work. A ring between two waits is not lost."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._rings = 0

    def ring(self) -> None:
        """Wake everyone who waits, now or next."""
        with self._condition:
            self._rings += 1
            self._condition.notify_all()

    def rings(self) -> int:
        """Return how often it has rung; to be read before looking for work, and handed to `wait` after."""
        with self._condition:
            return self._rings

    def wait(self, heard: int, wait_s: float) -> None:
        """Wait until it has rung more often than `heard`, or for `wait_s` seconds."""
        with self._condition:
            self._condition.wait_for(lambda: self._rings != heard, wait_s)


class Service:
    """A wired node. `sender_done` is rung when an association has ended."""

    def __init__(
        self,
        *,
        flow: Caseflow,
        outbox: Outbox,
        listener: Listener,
        engine: Engine,
        sender_done: Bell,
        sweep: Callable[[], int],
    ) -> None:
        self._flow = flow
        self._outbox = outbox
        self._listener = listener
        self._engine = engine
        self._sender_done = sender_done
        self._case_queued = Bell()
        self._results_wait = Bell()
        self._engine_loaded = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sweep = sweep
        self._stop = threading.Event()
        self._failure: NodeError | None = None

    def run(self, ready: Callable[[int], None]) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is told the port. Raises what ended a thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._stop.set())
        self._threads = [
            self._thread("close", self._close_step, self._sender_done),
            self._thread("work", self._work_step, self._case_queued, first=self._load_engine),
            *(
                self._thread(f"deliver {name}", self._deliver_step(name), self._results_wait)
                for name in self._outbox.destinations
            ),
        ]
        scheduler = BackgroundScheduler(timezone="UTC")
        scheduler.add_job(self._sweep, "interval", minutes=_SWEEP_MINUTES)
        port = self._listener.start()
        scheduler.start()
        for thread in list(self._threads):
            thread.start()
        try:
            _notify("READY=1")
            ready(port)
            self._stop.wait()
        finally:
            self._drain(scheduler)
        if self._failure is not None:
            raise self._failure

    def _drain(self, scheduler: BackgroundScheduler) -> None:
        """Let the running cases end; what is left waits in the journal."""
        self._stop.set()
        _notify("STOPPING=1")
        get_logger().info("draining")
        self._listener.stop()
        scheduler.shutdown(wait=True)
        for bell in (self._sender_done, self._case_queued, self._results_wait):
            bell.ring()
        if not self._engine_loaded.is_set():
            self._engine.close()
        for thread in self._threads:  # the first that works may still add others, behind itself
            thread.join()
        self._engine.close()

    def _load_engine(self) -> None:
        """Load the engine, then start as many more threads as it can hold cases."""
        try:
            self._engine.loaded()
            capacity = self._engine.capacity
        except NodeError:
            if self._stop.is_set():
                return
            raise
        self._engine_loaded.set()
        for number in range(2, capacity + 1):
            thread = self._thread(f"work {number}", self._work_step, self._case_queued)
            self._threads.append(thread)
            thread.start()

    def _close_step(self) -> float:
        closing = self._flow.close()
        if closing.cases:
            self._case_queued.ring()
        return _POLL_S if closing.wait_s is None else min(closing.wait_s, _POLL_S)

    def _work_step(self) -> float:
        if not self._flow.work():
            return _POLL_S
        self._results_wait.ring()
        return 0.0

    def _deliver_step(self, name: str) -> Callable[[], float]:
        def step() -> float:
            return min(self._outbox.deliver(name) or _POLL_S, _POLL_S)

        return step

    def _thread(
        self, name: str, step: Callable[[], float], bell: Bell, first: Callable[[], None] | None = None
    ) -> threading.Thread:
        return threading.Thread(name=name, target=self._loop, args=(step, bell, first))

    def _loop(self, step: Callable[[], float], bell: Bell, first: Callable[[], None] | None) -> None:
        """Repeat `step` until the service stops, whenever `bell` rings or its seconds have passed. A machine that fails
        is tried again; any other error ends the node: with a dead thread it would take instances and never answer.
        """
        try:
            if first is not None:
                first()
            while not self._stop.is_set():
                heard = bell.rings()
                bell.wait(heard, self._paced(step))
        except NodeError as error:
            self._end_with(error)
        except Exception as error:  # noqa: BLE001 - its message may quote a patient, so it is not left to the thread
            self._end_with(unexpected(error))

    def _paced(self, step: Callable[[], float]) -> float:
        """Do one step and return the seconds until the next."""
        try:
            return step()
        except OSError as error:
            get_logger().error("machine failed", text=error.strerror)
        except JournalError as error:
            if not error.retryable:
                raise
            get_logger().error("journal failed", text=str(error))
        self._stop.wait(_AFTER_FAILURE_S)  # whoever rings
        return 0.0

    def _end_with(self, error: NodeError) -> None:
        get_logger().error("thread ended", thread=threading.current_thread().name, code=error.code, text=str(error))
        self._failure = error
        self._stop.set()


def _notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); nothing happens where there is no systemd."""
    address: Any = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(state.encode(), address)
