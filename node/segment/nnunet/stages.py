"""Seconds by stage."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stages:
    """Adds up the seconds of named stages, on the wall and of this process's CPU time.

    A stage within a stage counts for itself alone. `settle` waits for what a device still computes.
    """

    def __init__(self, settle: Callable[[], None] = lambda: None) -> None:
        self._settle = settle
        self._open: list[str] = []
        self._since = (0.0, 0.0)
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as part of stage `name`."""
        self._turn()
        self._open.append(name)
        try:
            yield
            self._settle()
        finally:
            self._turn()
            self._open.pop()

    def _turn(self) -> None:
        """Count the time since the last turn for the innermost open stage."""
        now = (time.perf_counter(), time.process_time())
        if self._open:
            name = self._open[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now[0] - self._since[0]
            self.cpu_seconds[name] = self.cpu_seconds.get(name, 0.0) + now[1] - self._since[1]
        self._since = now
