"""The node as a service: its threads, its periodic work, and its end.

One thread closes series, one works, one a destination delivers; pynetdicom has its own. Each calls one step of the case
flow again and again. SIGTERM and SIGINT drain: no new association, the running case ends, what is left waits in the
journal for the next start.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler

from node.caseflow import Caseflow
from node.errors import JournalError, NodeError, unexpected
from node.log import get_logger
from node.outbox import Outbox
from node.receive.listener import Listener

_POLL_S = 0.5
_AFTER_FAILURE_S = 5.0
_SWEEP_MINUTES = 60


class Service:
    """A wired node."""

    def __init__(
        self,
        *,
        flow: Caseflow,
        outbox: Outbox,
        listener: Listener,
        destinations: Sequence[str],
        load_engine: Callable[[], None],
        sweep: Callable[[], int],
    ) -> None:
        self._flow = flow
        self._outbox = outbox
        self._listener = listener
        self._destinations = destinations
        self._load_engine = load_engine
        self._sweep = sweep
        self._stop = threading.Event()
        self._failure: NodeError | None = None

    def run(self, ready: Callable[[int], None]) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is told the port. Raises what ended a thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._stop.set())
        threads = [
            self._thread("close", self._close_step),
            self._thread("work", self._work_step, first=self._load_engine),
            *(self._thread(f"deliver {name}", self._deliver_step(name)) for name in self._destinations),
        ]
        scheduler = BackgroundScheduler(timezone="UTC")
        scheduler.add_job(self._sweep, "interval", minutes=_SWEEP_MINUTES)
        port = self._listener.start()
        scheduler.start()
        for thread in threads:
            thread.start()
        try:
            _notify("READY=1")
            ready(port)
            self._stop.wait()
        finally:
            self._drain(threads, scheduler)
        if self._failure is not None:
            raise self._failure

    def _drain(self, threads: Sequence[threading.Thread], scheduler: BackgroundScheduler) -> None:
        """Let the running case end; what is left waits in the journal."""
        self._stop.set()
        _notify("STOPPING=1")
        get_logger().info("draining")
        self._listener.stop()
        scheduler.shutdown(wait=True)
        for thread in threads:
            thread.join()

    def _close_step(self) -> float:
        self._flow.close()
        return _POLL_S

    def _work_step(self) -> float:
        return 0.0 if self._flow.work() else _POLL_S

    def _deliver_step(self, name: str) -> Callable[[], float]:
        def step() -> float:
            return min(self._outbox.deliver(name) or _POLL_S, _POLL_S)

        return step

    def _thread(
        self, name: str, step: Callable[[], float], first: Callable[[], None] | None = None
    ) -> threading.Thread:
        return threading.Thread(name=name, target=self._loop, args=(step, first))

    def _loop(self, step: Callable[[], float], first: Callable[[], None] | None) -> None:
        """Repeat `step` until the service stops. A machine that fails is tried again; any other error ends the node:
        with a dead thread it would take instances and never answer.
        """
        try:
            if first is not None:
                first()
            while not self._stop.is_set():
                self._stop.wait(self._paced(step))
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
        return _AFTER_FAILURE_S

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
