"""When to try again: exponential, with jitter, up to a cap."""

import random
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass


@dataclass(slots=True)
class _Pause:
    failures: int
    until_s: float


class Backoff:
    """Pauses by key, on a monotonic clock. A restart forgets them; `spread` then keeps all from coming at once."""

    def __init__(self, *, delay_s: float, cap_s: float, clock: Callable[[], float], multiplier: float = 2.0) -> None:
        self._delay_s = delay_s
        self._cap_s = cap_s
        self._multiplier = multiplier
        self._clock = clock
        self._jitter = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._pauses: dict[str, _Pause] = {}
        self._lock = threading.Lock()

    def failed(self, key: str, *, at_least_s: float = 0.0) -> None:
        """Start a pause: the first between half the delay and all of it, then `multiplier` times as long each time.

        `at_least_s`: where the pause is known to need longer; the cap bounds that, too.
        """
        with self._lock:
            failures = self._pauses[key].failures + 1 if key in self._pauses else 1
            full_s = max(self._grown_s(failures), min(at_least_s * 2, self._cap_s))
            self._pauses[key] = _Pause(failures, self._clock() + full_s * self._jitter.uniform(0.5, 1.0))

    def _grown_s(self, failures: int) -> float:
        try:
            return min(self._cap_s, self._delay_s * self._multiplier ** (failures - 1))
        except OverflowError:
            return self._cap_s

    def hold(self, key: str) -> None:
        """Start the first pause again, without counting a failure."""
        with self._lock:
            failures = self._pauses[key].failures if key in self._pauses else 0
            until_s = self._clock() + min(self._delay_s, self._cap_s) * self._jitter.uniform(0.5, 1.0)
            self._pauses[key] = _Pause(failures, until_s)

    def spread(self, keys: Collection[str]) -> None:
        """Spread keys that failed in an earlier life: about one a delay, all within the cap; one alone may go now."""
        with self._lock:
            span_s = min(self._cap_s, self._delay_s * max(0, len(keys) - 1))
            for key in keys:
                if key not in self._pauses:
                    self._pauses[key] = _Pause(0, self._clock() + self._jitter.uniform(0.0, span_s))

    def succeeded(self, key: str) -> None:
        """Forget the failures of a key."""
        with self._lock:
            self._pauses.pop(key, None)

    def keep(self, keys: Collection[str]) -> None:
        """Forget every key but these."""
        with self._lock:
            self._pauses = {key: pause for key, pause in self._pauses.items() if key in keys}

    def wait_s(self, key: str) -> float:
        """Return how long the key still has to wait, 0 when it may be tried."""
        with self._lock:
            pause = self._pauses.get(key)
            return max(0.0, pause.until_s - self._clock()) if pause else 0.0
