"""The engine as the node uses it: one child process a device, behind the pipeline's seam."""

import itertools
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from node.domain.findings import Algorithm, Segmentation
from node.domain.geometry import Volume
from node.errors import NodeError
from node.segment.bundle import Bundle
from node.segment.devices import Device, Devices
from node.segment.process.handle import COMMAND
from node.segment.process.job import Job
from node.segment.process.line import CASES_PER_PROCESS, Line
from node.segment.process.messages import Start
from node.segment.process.place import Place, closed
from node.settings import ModelSettings

#: Seconds before each further try when a process ends while it loads.
_PAUSES_S = (1.0, 10.0)


class EnginePool:
    """A bundle in the memory of one child process a device. Safe to use from several threads.

    `command`: what starts a child; the number of a file descriptor is added to it.
    """

    def __init__(
        self,
        bundle: Bundle,
        settings: ModelSettings,
        *,
        command: Sequence[str] = COMMAND,
        pauses_s: Sequence[float] = _PAUSES_S,
    ) -> None:
        self._start = Start(bundle=bundle.folder, digest=bundle.digest, settings=settings, device=settings.device)
        self._command = command
        self._pauses_s = pauses_s
        self._line = Line()
        self._numbers = itertools.count(1)
        self._loading = threading.Lock()
        self._changing = threading.Lock()
        self._places: list[Place] = []
        self._algorithm: Algorithm | None = None
        #: Places that still have or get a process.
        self._alive = 0
        self._failure: NodeError | None = None
        self._devices = Devices()

    def loaded(self) -> "EnginePool":
        """Return the pool once every device has its networks in memory.

        Raises what keeps them from it, also later, when no process can be had any more: BundleError, SettingsError,
        SelfTestFailed, EngineDied, EngineTimeout.
        """
        with self._loading:
            if not self._places:
                self._load()
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        return self

    @property
    def algorithm(self) -> Algorithm:
        """What answers here."""
        self.loaded()
        assert self._algorithm is not None  # noqa: S101 - set by the load
        return self._algorithm

    @property
    def is_ready(self) -> bool:
        """Whether the networks are in memory and a process is there to answer; it does not wait for either."""
        return self._algorithm is not None and self._failure is None

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices of the machine, as their driver sees them now."""
        return self._devices()

    @property
    def capacity(self) -> int:
        """How many cases the pool can hold at a time, running ones and ones that are made ready."""
        self.loaded()
        return CASES_PER_PROCESS * len(self._places)

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the children that are alive."""
        return tuple(pid for place in self._places if (pid := place.pid) is not None)

    def segment(self, volume: Volume) -> Segmentation:
        """Return the classes on the grid of `volume`.

        Raises EngineError: EngineDied when the process ended under the case, EngineTimeout when the case took longer
        than `model.timeout_s`, ImageRefused for a volume that no network can answer.
        """
        self.loaded()
        job = Job.of(next(self._numbers), volume)
        self._line.join(job)
        return job.answer.result()

    def close(self) -> None:
        """End every child, and whatever case one runs. A second time does nothing."""
        with self._changing:
            if self._failure is None:
                self._failure = closed()
            places = list(self._places)
        self._line.end(closed())
        for place in places:
            place.close()

    def __enter__(self) -> Self:
        """Return the pool; nothing is loaded yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pool."""
        self.close()

    def _load(self) -> None:
        """Start a process on the device of the settings and, when that is "auto", one on each further device."""
        first = self._place(self._start)
        if first is None:
            return
        ready = first.first.result()
        self._algorithm = ready.algorithm
        if self._start.device == "auto":
            kind = ready.device.partition(":")[0]
            devices = [f"{kind}:{number}" for number in range(1, ready.devices)]
            more = [self._place(self._start.model_copy(update={"device": device})) for device in devices]
            for place in more:
                if place is not None:
                    place.first.result()

    def _place(self, start: Start) -> Place | None:
        """Open a place; None when the pool was closed meanwhile."""
        with self._changing:
            if self._failure is not None:
                return None
            self._alive += 1
            place = Place(start, self._line, self._command, pauses_s=self._pauses_s, on_lost=self._lost)
            self._places.append(place)
            return place

    def _lost(self, error: NodeError) -> None:
        """A place has no process any more; with the last one the pool fails."""
        with self._changing:
            self._alive -= 1
            if self._alive:
                return
            if self._failure is None:
                self._failure = error
        self._line.end(error)
