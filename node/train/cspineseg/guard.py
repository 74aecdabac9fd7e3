"""The process between this program and a command of nnU-Net, so that nothing of the command is left when either dies.

nnU-Net's workers go on for ever when their trainer is killed, and the trainer when its parent is. The guard holds a
line, its standard input, to the program that started it: when that closes, or when the command ends, whatever is left
of the command's session is killed.

    python -m node.train.cspineseg.guard COMMAND ARGUMENT ...
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from types import FrameType


def main() -> int:
    """Run the command in the arguments and return its exit code; 128 and the number where a signal ended it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _wait_for_the_line)  # a handler is not inherited, as SIG_IGN would be
    # close_fds: what this process inherited holds a lock, for as long as anything of the command lives
    child = subprocess.Popen(  # noqa: S603 - the program that started this one chose it
        sys.argv[1:], stdin=subprocess.DEVNULL, close_fds=False, start_new_session=True
    )
    threading.Thread(target=_end_with_parent, args=(child.pid,), daemon=True).start()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # not reaped yet, so that its session keeps its number
    _kill(child.pid)
    code = child.wait()
    return code if code >= 0 else 128 - code


def _wait_for_the_line(_number: int, _frame: FrameType | None) -> None:
    """Go on: the end comes by the line."""


def _end_with_parent(session: int) -> None:
    while os.read(sys.stdin.fileno(), 1):  # unbuffered: a lock of the buffer would be held when this program ends
        pass
    _kill(session)


def _kill(session: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(session, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
