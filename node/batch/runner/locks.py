"""Who holds what, by locks that end with their process (flock), where the file system has such."""

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from node.durable import make_folder_durably
from node.errors import BatchInterrupted

_FOLDER = "locks"
#: What file systems answer that know no such locks, as NFS without its lock service and Lustre without `-o flock`.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})


def lock(descriptor: int, *, wait: bool, shared: bool = False) -> bool:
    """Lock an open file; return False where another process holds it and `wait` is not set. Raises OSError.

    A file system without locks lets everyone pass.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


@contextlib.contextmanager
def held(out: Path, name: str, *, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """Hold the lock `name` of the results at `out`. Raises BatchInterrupted where another process holds it, OSError."""
    make_folder_durably(out / _FOLDER)
    descriptor = os.open(out / _FOLDER / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if not lock(descriptor, wait=wait, shared=shared):
            who = os.pread(descriptor, 200, 0).decode("ascii", "replace").strip()
            raise BatchInterrupted(f"{out}: another batch runs there{': ' if who else ''}{who}")
        if not shared:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
