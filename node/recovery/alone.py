"""The lock of a SQLite journal, for who changes its files while no node may run."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.errors import NodeAlreadyRunning


@contextmanager
def journal_alone(path: Path) -> Iterator[None]:
    """Hold the lock of the journal at `path` while the block runs. Raises NodeAlreadyRunning where another has it."""
    with path.with_suffix(".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NodeAlreadyRunning("another process holds the journal") from error
        yield
