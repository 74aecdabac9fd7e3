"""A node that hangs, asked by one page and not by every one that waits for its figures.

Whoever asks waits; so that pages stay quick, the others are told what came of it the last time.
"""

import threading
import time
from collections.abc import Callable

from node.errors import SystemFailed
from node.monitor.figures import REQUEST
from node.web.site import Document

Ask = Callable[[Document], Document | None]

#: Seconds for which a node that did not answer is not asked for its figures again.
_SPARED_S = 10.0
_HANGS = "the node did not answer a moment ago"


class Impatient:
    """Asks as `ask` does; while the node hangs, one request for its figures now and then finds out whether it does.

    Safe to be asked from many threads.
    """

    def __init__(self, ask: Ask, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._asking = threading.Lock()
        #: When a node that did not answer is asked again; None where it did.
        self._again_at: float | None = None

    def __call__(self, request: Document) -> Document | None:
        """Return what the node answers, None where none runs. Raises SystemFailed."""
        if request != REQUEST:
            return self._ask(request)
        if not self._asking.acquire(blocking=self._again_at is None):
            raise SystemFailed(_HANGS)
        try:
            return self._figures(request)
        finally:
            self._asking.release()

    def _figures(self, request: Document) -> Document | None:
        if self._again_at is not None and self._clock() < self._again_at:
            raise SystemFailed(_HANGS)
        try:
            answer = self._ask(request)
        except SystemFailed:
            self._again_at = self._clock() + _SPARED_S
            raise
        self._again_at = None
        return answer
