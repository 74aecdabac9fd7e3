"""The Unix socket between a node and a worker, and who may come through it: the same user, or root.

A mode of the socket's file alone would not do: the one who knocks must also know that the right one opens. The kernel
says who is there (SO_PEERCRED, unix(7)), and nobody can say it in another's name.
"""

import contextlib
import errno
import os
import socket
import struct
from pathlib import Path

from node.errors import NodeAlreadyRunning, SystemFailed

_ROOT = 0
#: Nodes that wait to be let in.
_BACKLOG = 8
_CREDENTIALS = struct.Struct("3i")


def opened(path: Path) -> socket.socket:
    """Return a socket that listens at `path`, which its owner alone may use; one that was left there is replaced.

    Raises NodeAlreadyRunning when another worker listens there, SystemFailed when the folder does not do.
    """
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        os.fchmod(door.fileno(), 0o600)  # before it has a name: Linux makes the file with this mode
        door.bind(str(path))
        door.listen(_BACKLOG)
    except OSError as error:
        door.close()
        raise SystemFailed(f"model.worker: {path}: {error.strerror or error}") from error
    except NodeAlreadyRunning:
        door.close()
        raise
    return door


def knocked(path: Path, patience_s: float) -> socket.socket:
    """Return a connection to the worker at `path`. Raises OSError when none is there, or one of another user."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(patience_s)
        connection.connect(str(path))
        ours = is_ours(connection)
    except OSError:
        connection.close()
        raise
    if not ours:
        connection.close()
        raise PermissionError(errno.EPERM, "another user listens there")
    return connection


def is_ours(connection: socket.socket) -> bool:
    """Say whether the other side of a connection is of this process's user, or root."""
    _, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return user in {os.geteuid(), _ROOT}


def _remove_stale(path: Path) -> None:
    """Remove the socket of a worker that is gone. Raises NodeAlreadyRunning when one listens there, OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full queue of those who wait is a sign of life, too
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            return
        except BlockingIOError:
            pass
    raise NodeAlreadyRunning(f"another worker listens at {path}")
