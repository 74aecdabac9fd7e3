"""A device, and the process that computes on it: kept alive, held to the time limit, started anew when it ends."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from node.domain.findings import Segmentation
from node.errors import EngineDied, EngineTimeout, NodeError, unexpected
from node.log import get_logger
from node.segment.process.channel import Array
from node.segment.process.handle import Close, Ended, EngineProcess, Event, Said
from node.segment.process.job import Job
from node.segment.process.line import Line
from node.segment.process.messages import Answer, Begun, Failure, Ready, Start

#: Loading and the self-test of a large bundle take minutes on a slow machine.
_LOAD_LIMIT_S = 1800.0


class Place:
    """One device. Its thread alone speaks to its process."""

    def __init__(
        self,
        start: Start,
        line: Line,
        command: Sequence[str],
        *,
        pauses_s: Sequence[float],
        on_lost: Callable[[NodeError], None],
    ) -> None:
        """`pauses_s`: before each further try when the process ends while it loads. `on_lost` is told what remains."""
        self._start = start
        self._line = line
        self._command = command
        self._pauses_s = pauses_s
        self._on_lost = on_lost
        self._limit_s = start.settings.timeout_s
        self._closing = threading.Event()
        self._process: EngineProcess | None = None
        #: Whether the process that runs now was given a case, and whether it has begun with one.
        self._given = self._begun = False
        self._thread = threading.Thread(name=f"engine on {start.device}", target=self._keep, daemon=True)
        #: What the first process said when it had loaded, or why none did.
        self.first: Future[Ready] = Future()
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Process id of the engine, None while there is none."""
        return self._process.pid if self._process is not None else None

    def close(self) -> None:
        """End the process and wait for it; a case that runs there gets EngineDied."""
        self._closing.set()
        if (process := self._process) is not None:
            process.events.put(Close())
        self._thread.join()

    def _keep(self) -> None:
        """Keep a process alive until the place is closed, or until none can be had."""
        try:
            self._go_on()
            self._lose(closed())
        except NodeError as error:
            self._lose(error)
        except Exception as error:  # noqa: BLE001 - a thread that ends in silence would let its callers wait for ever
            self._lose(unexpected(error))

    def _go_on(self) -> None:
        """Run one process after the other. Raises what keeps the last one from loading."""
        died = 0
        while not self._closing.is_set():
            try:
                useful = self._run()
            except EngineDied:
                if died == len(self._pauses_s):
                    raise
                self._closing.wait(self._pauses_s[died])
                died += 1
            else:
                died = 0
                if not useful:
                    self._closing.wait(self._pauses_s[0])

    def _run(self) -> bool:
        """Start a process and let it answer until it ends; return whether it worked on any case.

        Raises NodeError when it does not load, or loads and then never begins with the case that it is given.
        """
        process = EngineProcess(self._command, stuck_s=self._limit_s)
        self._process = process
        self._given = self._begun = False
        end: NodeError = EngineDied("the engine's process was given up")
        try:
            ready = self._loaded(process)
            self._line.open(process)  # before anybody hears that this place is ready
            if not self.first.done():
                # A device that is lost later must not be replaced by a slower one in silence.
                self._start = self._start.model_copy(update={"device": ready.device})
                self.first.set_result(ready)
            get_logger().info("engine ready", device=ready.device, pid=process.pid, seconds=ready.seconds)
            end = self._answer(process)
            if not self._closing.is_set():
                get_logger().warning("engine ended", device=ready.device, pid=process.pid, code=end.code, text=str(end))
        finally:
            self._process = None
            process.kill()
            if (running := self._line.close(process)) is not None:
                running.answer.set_exception(end)
        if self._given and not self._begun:
            raise EngineDied(str(end))
        return self._begun

    def _loaded(self, process: EngineProcess) -> Ready:
        """Wait until the networks are in memory. Raises what the child failed with, EngineDied or EngineTimeout."""
        with contextlib.suppress(OSError):  # the end of a process comes in as an event
            process.start(self._start)
        if self._closing.is_set():
            raise closed()
        match process.next_event(_LOAD_LIMIT_S):
            case Said(message=Ready() as ready):
                return ready
            case Said(message=Failure() as failure):
                raise failure.error()
            case Close():
                raise closed()
            case None:
                raise EngineTimeout(f"the engine did not load within {_LOAD_LIMIT_S:.0f} s")
            case _:
                raise EngineDied(f"the engine's process {process.kill()} while it loaded")

    def _answer(self, process: EngineProcess) -> NodeError:
        """Pass cases on and answers back until the process is not to go on; return why, as the running case's error.

        The time of a case runs from when it is sent, or from when the one before it is answered.
        """
        deadline_s: float | None = None
        while True:
            event = process.next_event(None if deadline_s is None else max(0.0, deadline_s - time.monotonic()))
            if (end := self._handle(process, event)) is not None:
                return end
            if not self._line.held(process):
                deadline_s = None
            elif deadline_s is None or (isinstance(event, Said) and not isinstance(event.message, Begun)):
                deadline_s = time.monotonic() + self._limit_s

    def _handle(self, process: EngineProcess, event: Event | None) -> NodeError | None:
        """Deal with one event; return the error that ends the process and its running case."""
        match event:
            case Job() as job:
                return self._send(process, job)
            case Said() as said:
                return self._hear(process, said)
            case Ended():
                return EngineDied(f"the engine's process {process.kill()} while it held the case")
            case Close():
                process.close()
                return closed()
            case None:
                return EngineTimeout(f"the case took longer than {self._limit_s:g} s, so the engine was ended")

    def _hear(self, process: EngineProcess, said: Said) -> NodeError | None:
        match said.message:
            case Begun(number=number):
                return self._begin(process, number)
            case Answer() as answer if said.array is not None:
                return self._take(process, answer, said.array)
            case Failure(number=int(number)) as failure if not failure.ends:
                return self._settle(process, number, failure.error())
            case Failure() as failure:
                return failure.error()
            case _:
                return EngineDied("the engine said something that makes no sense, so it was ended")

    def _send(self, process: EngineProcess, job: Job) -> NodeError | None:
        self._given = True
        try:
            process.send(job)
        except BlockingIOError:
            return EngineTimeout(f"the engine took nothing for {self._limit_s:g} s, so it was ended")
        except OSError:
            return EngineDied(f"the engine's process {process.kill()} while it held the case")
        return None

    def _begin(self, process: EngineProcess, number: int) -> NodeError | None:
        """From here on the case may be why the process ends."""
        self._begun = True
        job = next((job for job in self._line.held(process) if job.case.number == number), None)
        if job is None:
            return EngineDied("the engine began with a case that it was not given")
        job.begun = True
        return None

    def _take(self, process: EngineProcess, answer: Answer, voxels: Array) -> NodeError | None:
        """Unpack an answer, once it is sure that it takes no more memory than the case asks for."""
        job = next(iter(self._line.held(process)), None)
        if job is not None and job.case.shape != answer.shape:
            return EngineDied("the engine answered on another grid than the case's, so it was ended")
        return self._settle(process, answer.number, answer.segmentation(voxels))

    def _settle(self, process: EngineProcess, number: int, outcome: Segmentation | NodeError) -> NodeError | None:
        """Give the running case its outcome."""
        job = next(iter(self._line.held(process)), None)
        if job is None or job.case.number != number:
            return EngineDied("the engine answered another case than the one it was running")
        self._line.done(process)
        if isinstance(outcome, NodeError):
            job.answer.set_exception(outcome)
        else:
            job.answer.set_result(outcome)
        return None

    def _lose(self, error: NodeError) -> None:
        """There will be no process here any more."""
        if not self.first.done():
            self.first.set_exception(error)
        elif not self._closing.is_set():
            get_logger().error("engine lost", device=self._start.device, code=error.code, text=str(error))
        self._on_lost(error)


def closed() -> EngineDied:
    """Return the error of who asks an engine that was closed."""
    return EngineDied("the engine was closed")
