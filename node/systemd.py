"""What a service tells systemd (sd_notify(3)), and for how long it goes on telling it that all is well.

Nothing happens where there is no systemd.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from node.log import get_logger

#: Seconds after which steps are looked at again, at most; where no watchdog asks, always.
_LOOK_S = 10.0
#: How long systemd is waited for, when it has not read yet what it was told before.
_PATIENCE_S = 5.0


def notify(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Tell systemd, such as "READY=1".

    A socket that is not there, as in some containers, ends no service, and one that nobody reads holds none up.
    """
    address = environment.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.settimeout(_PATIENCE_S)
            channel.sendto(state.encode(), address)
    except OSError as error:
        get_logger().warning("systemd not told", state=state, text=error.strerror or "it does not listen")


def watchdog_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Return within how many seconds systemd wants to hear of this process, None where it does not ask."""
    asked = environment.get("WATCHDOG_USEC", "")
    if not asked.isdecimal() or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(asked) / 1e6


def interval_s(environment: Mapping[str, str] = os.environ) -> float:
    """Return after how many seconds systemd's watchdog is to be told again: three times within what it asks for."""
    asked_s = watchdog_s(environment)
    return _LOOK_S if asked_s is None else min(_LOOK_S, asked_s / 3)


class Progress:
    """The steps that are under way, and until when each must be over. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        #: Name and end of each step, by a key of its own: two threads may do the same.
        self._steps: dict[object, tuple[str, float]] = {}

    @contextmanager
    def step(self, name: str, longest_s: float) -> Iterator[None]:
        """Mark what is done meanwhile as one step, which takes `longest_s` seconds at most."""
        key = object()
        with self._lock:
            self._steps[key] = name, self._clock() + longest_s
        try:
            yield
        finally:
            with self._lock:
                del self._steps[key]

    def stuck(self) -> frozenset[str]:
        """Return the names of the steps that take longer than they may."""
        with self._lock:
            return frozenset(name for name, end_s in self._steps.values() if self._clock() > end_s)


def keep_alive(progress: Progress, stop: threading.Event) -> None:
    """Tell systemd's watchdog that all is well, for as long as no step is stuck; return when `stop` is set.

    A service that falls silent is ended by systemd and started anew (WatchdogSec=, systemd.service(5)).
    """
    is_asked, every_s = watchdog_s() is not None, interval_s()
    told: frozenset[str] = frozenset()
    while True:
        stuck = progress.stuck()
        for name in sorted(stuck - told):
            get_logger().error("step is stuck", step=name)
        told = stuck
        if is_asked and not stuck:
            notify("WATCHDOG=1")
        if stop.wait(every_s):
            return
