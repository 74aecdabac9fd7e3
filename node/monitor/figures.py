"""What only the running node knows of itself: asked for on its control socket by {"do": "figures"}.

The answer is a document made of `Figures`, and read back into them by whoever has asked.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import ProcessCollector
from pydantic import TypeAdapter, ValidationError

from node import __version__
from node.errors import SystemFailed
from node.receive.headroom import Shortage
from node.receive.intake import IntakeCounts
from node.segment.devices import Device

Document = Mapping[str, Any]

#: What is asked for.
REQUEST: Document = {"do": "figures"}
#: A node that does not answer that within so long is as good as down: a scraper waits for ten.
PATIENCE_S = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The node's process, without the engine. A value is None where /proc cannot be read."""

    cpu_s: float | None
    resident_bytes: float | None
    open_fds: float | None
    max_fds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The running node in figures."""

    version: str
    #: Seconds since the epoch.
    started_at: float
    #: The networks are in memory.
    engine_ready: bool
    #: Why nothing is taken now.
    closed: Shortage | None
    #: Open connections to the listener.
    connections: int
    intake: IntakeCounts
    process: Process
    devices: tuple[Device, ...]


_FIGURES = TypeAdapter(Figures)


def read_figures(answer: Document) -> Figures:
    """Return what a node has answered. Raises SystemFailed for an error, or for the answer of another version."""
    try:
        return _FIGURES.validate_python(answer.get("figures"))
    except ValidationError as error:
        raise SystemFailed("the node that runs does not tell its figures; is it of another version?") from error


class FiguresOfNode:
    """The figures, put together from those who know them."""

    def __init__(
        self,
        *,
        intake: Callable[[], IntakeCounts],
        connections: Callable[[], int],
        gate: Callable[[], Shortage | None],
        engine_ready: Callable[[], bool],
        devices: Callable[[], Sequence[Device]],
    ) -> None:
        self._intake = intake
        self._connections = connections
        self._gate = gate
        self._engine_ready = engine_ready
        self._devices = devices
        self._started_at = time.time()

    def answer(self, _request: Document) -> Document:
        """Return the figures of this moment as a document."""
        figures = Figures(
            version=__version__,
            started_at=self._started_at,
            engine_ready=self._engine_ready(),
            closed=self._gate(),
            connections=self._connections(),
            intake=self._intake(),
            process=own_process(),
            devices=tuple(self._devices()),
        )
        return {"figures": _FIGURES.dump_python(figures, mode="json")}


def own_process() -> Process:
    """Return the figures of this process (proc(5))."""
    collector = ProcessCollector(registry=None)
    found = {sample.name: sample.value for family in collector.collect() for sample in family.samples}
    return Process(
        cpu_s=found.get("process_cpu_seconds_total"),
        resident_bytes=found.get("process_resident_memory_bytes"),
        open_fds=found.get("process_open_fds"),
        max_fds=found.get("process_max_fds"),
    )
