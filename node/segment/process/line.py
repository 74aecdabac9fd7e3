"""The cases that wait for an engine, and who holds which."""

import threading
from collections import deque
from collections.abc import Iterable

from node.errors import NodeError
from node.segment.process.handle import EngineProcess
from node.segment.process.job import Job

#: One case runs, the next is prepared meanwhile.
CASES_PER_PROCESS = 2


class Line:
    """Hands each case to the process that holds the fewest. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        #: The first case of a process is its running one.
        self._held: dict[EngineProcess, deque[Job]] = {}
        self._end: NodeError | None = None

    def join(self, job: Job) -> None:
        """Put a case at the end of the line. Raises what ended the line."""
        with self._lock:
            if self._end is not None:
                raise self._end.with_traceback(None)
            self._waiting.append(job)
            self._hand_out()

    def open(self, process: EngineProcess) -> None:
        """Let a process take cases."""
        with self._lock:
            self._held[process] = deque()
            self._hand_out()

    def held(self, process: EngineProcess) -> tuple[Job, ...]:
        """Return the cases of a process, its running one first."""
        with self._lock:
            return tuple(self._held[process])

    def done(self, process: EngineProcess) -> None:
        """The running case of a process is answered."""
        with self._lock:
            self._held[process].popleft()
            self._hand_out()

    def close(self, process: EngineProcess) -> Job | None:
        """Let a process take no more; return the case that it was running, if it had begun with it.

        What waited behind goes back to the head of the line. A process that was never opened holds nothing.
        """
        with self._lock:
            held = self._held.pop(process, deque())
            running = held.popleft() if held and held[0].begun else None
            for job in held:
                job.begun, job.returned = False, True
            self._waiting.extendleft(reversed(held))
            self._hand_out()
        return running

    def end(self, error: NodeError) -> None:
        """There will be no process any more: whoever waits, or comes, gets `error`."""
        with self._lock:
            self._end = error
            left, self._waiting = self._waiting, deque()
        _fail(left, error)

    def _hand_out(self) -> None:
        while self._waiting:
            room = 1 if self._waiting[0].returned else CASES_PER_PROCESS
            free = [process for process, held in self._held.items() if len(held) < room]
            if not free:
                return
            chosen = min(free, key=lambda process: len(self._held[process]))
            job = self._waiting.popleft()
            self._held[chosen].append(job)
            chosen.events.put(job)


def _fail(jobs: Iterable[Job], error: NodeError) -> None:
    for job in jobs:
        job.answer.set_exception(error)
