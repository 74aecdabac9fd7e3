"""The node as a service: its threads, its periodic chores, and its end.

One thread closes series, and as many work as the engine can hold cases: on each device one runs while the next is read
and prepared. Each other duty (delivering to a destination, asking it to confirm, answering for what was taken, ...) has
a thread of its own, so that none holds up another. Each calls one step again and again, and rings for the next one, so
that no case waits for a poll. SIGTERM and SIGINT drain: no pull goes on, no new association, no answer
from outside is waited for, the running cases end, what is left waits in the journal for the next start.
"""

import errno
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from node.caseflow import Caseflow
from node.errors import JournalError, NodeError, unexpected
from node.log import get_logger
from node.receive.listener import Listener
from node.systemd import Progress, keep_alive, notify

#: The longest that a thread waits without being rung for: only another host on the same journal does not ring.
_POLL_S = 2.0
_AFTER_FAILURE_S = 5.0
#: The longest that a step may take, and that the networks may take to load, before the service is stuck.
_LONGEST_S = 600.0
#: How long a step that was told to break off may still take, before the node ends without it.
HALTED_S = 10.0
_LOADING_S = 7200.0


class Engine(Protocol):
    """What the service loads at its start and ends at its end."""

    def loaded(self) -> object:
        """Load the networks, or return at once when they are.

        Raises NodeError when they cannot be, OSError when they cannot be now.
        """

    @property
    def capacity(self) -> int:
        """How many cases the loaded engine can hold at a time."""

    def close(self) -> None:
        """End the engine, even while it loads."""


@runtime_checkable
class Halting(Protocol):
    """What is around a service and has to end before its listener does, such as the pulls: an archive sends to it."""

    def halt(self) -> None:
        """Begin nothing more, and let what is under way end now."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Bells:
    """What the threads wait for."""

    #: An association has ended: a series may be complete by it.
    sender_done: Bell = field(default_factory=Bell)
    case_queued: Bell = field(default_factory=Bell)
    #: Results wait for a destination.
    results_wait: Bell = field(default_factory=Bell)

    def ring_all(self) -> None:
        """Wake everyone: an operator has changed something, or the service ends."""
        for bell in (self.sender_done, self.case_queued, self.results_wait):
            bell.ring()


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Something that a thread of its own does again and again."""

    name: str
    #: Returns the seconds until it is due again by itself, None when there is nothing to do.
    step: Callable[[], float | None]
    bell: Bell
    #: The longest that it waits without being rung for; None: two seconds.
    most_s: float | None = None
    #: A step that takes longer is stuck.
    longest_s: float = _LONGEST_S
    #: Breaks off, from another thread, what a step waits for outside of the node; the next start does it again.
    halt: Callable[[], None] | None = None


class Service:
    """A wired node. `around`: what is open while it serves, such as its periodic chores."""

    def __init__(
        self,
        *,
        flow: Caseflow,
        listener: Listener,
        engine: Engine,
        bells: Bells,
        duties: Sequence[Duty],
        around: Sequence[AbstractContextManager[object]],
    ) -> None:
        self._flow = flow
        self._listener = listener
        self._engine = engine
        self._bells = bells
        self._duties = (Duty(name="close", step=self._close_step, bell=bells.sender_done), *duties)
        self._around = around
        self._progress = Progress()
        self._engine_loaded = threading.Event()
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self._failure: NodeError | None = None

    def run(self, ready: Callable[[int], None]) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is told the port. Raises what ended a thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._stop.set())
        self._threads = [
            self._working_thread("work", first=self._load_engine),
            *(self._thread(duty) for duty in self._duties),
        ]
        with ExitStack() as opened:
            for context in self._around:
                opened.enter_context(context)
            port = self._listener.start()
            for thread in list(self._threads):
                thread.start()
            try:
                notify("READY=1")
                ready(port)
                keep_alive(self._progress, self._stop)
            finally:
                self._drain()
        if self._failure is not None:
            raise self._failure

    def _drain(self) -> None:
        """Let the running cases end; what is left waits in the journal."""
        self._stop.set()
        notify("STOPPING=1")
        get_logger().info("draining")
        for context in self._around:
            if isinstance(context, Halting):
                context.halt()
        for duty in self._duties:
            _halt(duty)
        halted_s = time.monotonic()
        self._listener.stop()
        for bell in (self._bells.case_queued, *(duty.bell for duty in self._duties)):
            bell.ring()
        if not self._engine_loaded.is_set():
            self._engine.close()
        for thread in self._threads:  # the first that works may still add others, behind itself
            if not thread.daemon:
                thread.join()
        self._end_halted(halted_s + HALTED_S)
        self._engine.close()

    def _end_halted(self, end_s: float) -> None:
        """Wait until `end_s` (monotonic) for those who were told to break off.

        A name that is looked up, a connection that STOW-RS waits for, a share that is slow or hangs: none can be ended.
        Whoever waits for that ends with the process, and the next start does it again.
        """
        for thread in self._threads:
            if thread.daemon:
                thread.join(max(0.0, end_s - time.monotonic()))
                if thread.is_alive():
                    get_logger().error("left behind", thread=thread.name)

    def _load_engine(self) -> None:
        """Load the engine, then start as many more threads as it can hold cases."""
        try:
            capacity = self._capacity()
        except NodeError:
            if self._stop.is_set():
                return
            raise
        if capacity is None:
            return
        self._engine_loaded.set()
        for number in range(2, capacity + 1):
            thread = self._working_thread(f"work {number}")
            self._threads.append(thread)
            thread.start()

    def _capacity(self) -> int | None:
        """Load the engine and return its capacity, None when the service ends before. Raises NodeError."""
        while not self._stop.is_set():
            try:
                with self._progress.step("load", _LOADING_S):
                    self._engine.loaded()
                    return self._engine.capacity
            except OSError as error:
                _tell(error)
                self._stop.wait(_AFTER_FAILURE_S)
        return None

    def _close_step(self) -> float | None:
        closing = self._flow.close()
        if closing.cases:
            self._bells.case_queued.ring()
        return closing.wait_s

    def _work_step(self) -> float:
        if not self._flow.work():
            return _POLL_S
        self._bells.results_wait.ring()
        return 0.0

    def _working_thread(self, name: str, first: Callable[[], None] | None = None) -> threading.Thread:
        bell, longest_s = self._bells.case_queued, self._flow.longest_work_s
        return self._thread(Duty(name=name, step=self._work_step, bell=bell, longest_s=longest_s), first)

    def _thread(self, duty: Duty, first: Callable[[], None] | None = None) -> threading.Thread:
        daemon = duty.halt is not None
        return threading.Thread(name=duty.name, target=self._loop, args=(duty, first), daemon=daemon)

    def _loop(self, duty: Duty, first: Callable[[], None] | None) -> None:
        """Repeat a step until the service stops, whenever its bell rings or its seconds have passed. A machine that
        fails is tried again; any other error ends the node: with a dead thread it would take instances and never
        answer.
        """
        try:
            if first is not None:
                first()
            while not self._stop.is_set():
                heard = duty.bell.rings()
                with self._progress.step(duty.name, duty.longest_s):
                    due_s = self._paced(duty.step)
                most_s = _POLL_S if duty.most_s is None else duty.most_s
                duty.bell.wait(heard, most_s if due_s is None else min(due_s, most_s))
        except NodeError as error:
            self._end_with(error)
        except Exception as error:  # noqa: BLE001 - its message may quote a patient, so it is not left to the thread
            self._end_with(unexpected(error))

    def _paced(self, step: Callable[[], float | None]) -> float | None:
        """Do one step and return the seconds until the next."""
        try:
            return step()
        except OSError as error:
            _tell(error)
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


def _halt(duty: Duty) -> None:
    """Let a duty break off; one that cannot must not keep the others from it, nor the node from its end."""
    if duty.halt is None:
        return
    try:
        duty.halt()
    except Exception as error:  # noqa: BLE001
        get_logger().error("not broken off", duty=duty.name, text=str(unexpected(error)))


def _tell(error: OSError) -> None:
    """Log that the machine failed; that a worker is away its engine has said, once."""
    if error.errno != errno.ENOTCONN:
        get_logger().error("machine failed", text=error.strerror)
