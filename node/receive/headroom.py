"""Headroom: what the disk and the worker can still take, and what is done when they cannot.

New instances are refused before the disk is full, since a full disk cannot even forget: SQLite needs space for a
DELETE. For the same reason a file of ballast lies in the state folder. It is given up when the disk has filled
nevertheless, by results or by somebody else, and made anew when there is space again.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from node.durable import fsync_folder
from node.errors import JournalError
from node.log import get_logger

BALLAST = "ballast"
#: Why nothing may be taken now; "journal" when it cannot be asked how many cases wait.
Shortage = Literal["disk", "backlog", "journal"]
_MB = 1 << 20
#: Of the ballast in bytes: at most so much and at most a hundredth of the disk, but enough for a transaction.
_MOST_BALLAST = 64 * _MB
_LEAST_BALLAST = 256 << 10
#: The disk is as good as full when less is free than this part of the ballast.
_FULL = 4
#: What was refused is taken again when there is a tenth more space, or a tenth less work, than where it was refused.
_HYSTERESIS = 0.1
#: Seconds that a look at the disk or the queue is believed.
_BELIEVED_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """A disk, in bytes."""

    total: int
    #: What this process may still take of it.
    free: int


def space_of(folder: Path) -> Space:
    """Return the space on the disk of `folder` (statvfs(3)). Raises OSError."""
    found = os.statvfs(folder)
    return Space(total=found.f_blocks * found.f_frsize, free=found.f_bavail * found.f_frsize)


class Headroom:
    """Watermarks of one state folder. Safe to be asked from many threads.

    `queued`: how many cases wait for the worker. `minimum_free_mb`, `maximum_backlog`: as in the settings.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        minimum_free_mb: int,
        maximum_backlog: int = 0,
        queued: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
        space: Callable[[Path], Space] = space_of,
    ) -> None:
        self._state_dir = state_dir
        self._ballast = state_dir / BALLAST
        self._minimum_free = minimum_free_mb * _MB
        self._maximum_backlog = maximum_backlog
        self._queued = queued
        self._clock = clock
        self._space = space
        self._looking = threading.Lock()
        self._looked_s: float | None = None
        self._closed: Shortage | None = None

    def gate(self) -> Shortage | None:
        """Return None, or why nothing may be taken now."""
        with self._looking:
            now = self._clock()
            if self._looked_s is None or not 0 <= now - self._looked_s < _BELIEVED_S:
                self._looked_s = now
                self._decide(self._reason())
            return self._closed

    def tend(self) -> None:
        """Give up the ballast of a full disk, or make it anew where there is space. To be called every few seconds."""
        with self._looking, contextlib.suppress(OSError):  # the next look tells of a disk that cannot be asked
            self._tend()

    @contextlib.contextmanager
    def spared(self) -> Iterator[None]:
        """Give up the ballast while the block runs, where the disk is nearly full; for work that frees space."""
        with self._looking, contextlib.suppress(OSError):
            space = self._space(self._state_dir)
            if space.free < _ballast_size(space):
                self._give_up()
        try:
            yield
        finally:
            self.tend()

    def _reason(self) -> Shortage | None:
        try:
            self._tend()
            if self._missing_space() > 0:
                return "disk"
        except OSError as error:  # a disk that cannot be asked, or not written to, holds nothing safely
            if self._closed != "disk":
                get_logger().error("machine failed", text=error.strerror)
            return "disk"
        return self._reason_of_backlog()

    def _reason_of_backlog(self) -> Shortage | None:
        if not self._maximum_backlog:
            return None
        try:
            queued = self._queued()
        except JournalError:
            return "journal"
        bearable = self._maximum_backlog - 1
        if self._closed == "backlog":
            bearable -= int(self._maximum_backlog * _HYSTERESIS)
        return "backlog" if queued > bearable else None

    def _decide(self, reason: Shortage | None) -> None:
        if reason == self._closed:
            return
        if reason is None:
            get_logger().info("instances are taken again", was=self._closed)
        else:
            get_logger().warning("instances are refused", why=reason)
        self._closed = reason

    def _missing_space(self) -> int:
        """Return how many bytes the disk is short of; below 1 when it is not. The ballast's own space is not free."""
        space = self._space(self._state_dir)
        wanted = self._minimum_free
        if self._closed == "disk":
            wanted += int(wanted * _HYSTERESIS)
        return wanted + self._unmade(space) - space.free

    def _tend(self) -> None:
        space = self._space(self._state_dir)
        unmade = self._unmade(space)
        if not unmade and space.free < _ballast_size(space) // _FULL:
            self._give_up()
        elif unmade and space.free - unmade >= 2 * _ballast_size(space) // _FULL:
            self._make(_ballast_size(space))

    def _unmade(self, space: Space) -> int:
        """Return how many bytes of the ballast are not there."""
        try:
            made = self._ballast.lstat().st_size
        except FileNotFoundError:
            made = 0
        return max(0, _ballast_size(space) - made)

    def _make(self, size: int) -> None:
        """Put the ballast on the disk; on failure nothing is left of it."""
        descriptor = os.open(self._ballast, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
            os.fsync(descriptor)
        except OSError:
            self._ballast.unlink()
            raise
        finally:
            os.close(descriptor)
        fsync_folder(self._state_dir)

    def _give_up(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._ballast.unlink()
            get_logger().warning("the disk is full; its ballast is given up")


def _ballast_size(space: Space) -> int:
    return min(_MOST_BALLAST, max(space.total // 100, _LEAST_BALLAST))
