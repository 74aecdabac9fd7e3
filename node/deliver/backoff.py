"""When to try again: exponential, with jitter, up to a cap."""

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Pause:
    failures: int
    until_s: float


class Backoff:
    """Pauses by key, on a monotonic clock. A restart forgets them: everything is tried again at once."""

    def __init__(self, *, delay_s: float, cap_s: float, clock: Callable[[], float]) -> None:
        self._delay_s = delay_s
        self._cap_s = cap_s
        self._clock = clock
        self._jitter = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._pauses: dict[str, _Pause] = {}

    def failed(self, key: str) -> None:
        """Start a pause: the first between half the delay and all of it, then twice as long each time."""
        failures = self._pauses[key].failures + 1 if key in self._pauses else 1
        full_s = min(self._cap_s, self._delay_s * 2.0 ** min(failures - 1, 60))
        self._pauses[key] = _Pause(failures, self._clock() + full_s * self._jitter.uniform(0.5, 1.0))

    def succeeded(self, key: str) -> None:
        """Forget the failures of a key."""
        self._pauses.pop(key, None)

    def wait_s(self, key: str) -> float:
        """Return how long the key still has to wait, 0 when it may be tried."""
        pause = self._pauses.get(key)
        return max(0.0, pause.until_s - self._clock()) if pause else 0.0
