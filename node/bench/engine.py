"""The engine under measurement: warm, in a process of its own, and asked as the node asks it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

from node.bench.processes import cpu_seconds, peak_resident_bytes, resident_bytes, tree
from node.domain.findings import Segmentation
from node.domain.geometry import Volume
from node.segment.bundle import Bundle
from node.segment.process.pool import EnginePool
from node.settings import ModelSettings

Given = ParamSpec("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """One answer of the engine, and what it took."""

    segmentation: Segmentation
    #: From the question to the answer in the asking process.
    seconds: float
    #: User and system time of the engine's process.
    cpu_s: float

    @property
    def non_network_cpu_s(self) -> float | None:
        """CPU time besides the networks; None where the engine does not count it by stage."""
        spent = getattr(self.segmentation.run, "cpu_s", None)
        return self.cpu_s - spent["network"] if spent else None


class WarmEngine:
    """The node's own engine process, after it has loaded its networks and answered once."""

    def __init__(self, pool: EnginePool, volume: Volume) -> None:
        begun = time.monotonic()
        self._pool = pool.loaded()
        (self._pid,) = self._pool.pids
        #: The answer for `volume` that warmed the engine up.
        self.first = self.segment(volume)
        #: Process, imports, networks and the first answer.
        self.start_s = time.monotonic() - begun

    def segment(self, volume: Volume) -> Answer:
        """Return the engine's answer. Raises EngineError."""
        cpu_before_s, begun = self._cpu_s(), time.perf_counter()
        segmentation = self._pool.segment(volume)
        seconds = time.perf_counter() - begun
        return Answer(segmentation=segmentation, seconds=seconds, cpu_s=self._cpu_s() - cpu_before_s)

    @property
    def resident_bytes(self) -> int:
        """Resident memory of the engine's process now."""
        return resident_bytes(self._pid)

    @property
    def peak_bytes(self) -> int:
        """Largest resident memory of the engine's process since it began."""
        return peak_resident_bytes(self._pid)

    def _cpu_s(self) -> float:
        return sum(cpu_seconds(pid) for pid in tree(self._pid))


@contextmanager
def warm_engine(bundle: Bundle, model: ModelSettings, volume: Volume) -> Iterator[WarmEngine]:
    """Run the engine on the one device that `model` names. Raises BundleError, SettingsError, EngineError."""
    with EnginePool(bundle, model) as pool:
        yield WarmEngine(pool, volume)


def elsewhere(function: Callable[Given, Made], *given: Given.args, **named: Given.kwargs) -> Made:
    """Call a function in a process that ends afterwards: what it takes on a device is free again."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *given, **named).result()
