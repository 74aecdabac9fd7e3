"""Faults at chosen system calls of a running process, by strace; each thread counts its calls for itself."""

import contextlib
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from peers import program

#: Calls that change the disk or the network. strace skips those that the machine does not know ("?").
CALLS = (
    "openat",
    "write",
    "pwrite64",
    "writev",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "mkdir",
    "mkdirat",
    "unlink",
    "unlinkat",
    "rmdir",
    "ftruncate",
    "fallocate",
    "close",
    "sendto",
    "sendmsg",
    "recvfrom",
    "recvmsg",
    "connect",
    "accept4",
    "bind",
    "listen",
    "flock",
    "fchmod",
)
#: Of these, the ones that a failing disk fails.
DISK = ("openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "mkdir", "unlink", "ftruncate", "pread64")

_PATIENCE_S, _PROMPT_S = 10.0, 0.2


class Tracer:
    """strace, attached to a process and all its threads."""

    def __init__(self, pid: int, log: Path, inject: str = "", calls: Sequence[str] = CALLS) -> None:
        """Attach. `inject` is strace's own, such as "fsync:signal=KILL:when=3"; `calls` are traced into `log`."""
        strace = program("strace")
        assert strace is not None
        self._pid = pid
        traced = ",".join(f"?{call}" for call in calls)
        options = ["-f", "-ttt", "-e", "signal=none", "-e", f"trace={traced}", "-s", "0", "-o", str(log)]
        if inject:
            options += ["-e", f"inject={inject}"]
        self._popen = subprocess.Popen([strace, *options, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
        assert self._popen.stderr is not None
        line = self._popen.stderr.readline()
        assert "attached" in line, line

    def detach(self) -> None:
        """Let go of the process, which goes on without faults, or see that it has ended."""
        self._popen.send_signal(signal.SIGINT)
        try:
            self._popen.communicate(timeout=_PROMPT_S if self._has_ended() else _PATIENCE_S)
        except subprocess.TimeoutExpired:  # it may wait for the threads of a process that is dead
            self._popen.kill()
            self._popen.communicate()

    def _has_ended(self) -> bool:
        try:
            return Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
        except FileNotFoundError:
            return True


@contextlib.contextmanager
def tracing(pid: int, log: Path, inject: str = "", calls: Sequence[str] = CALLS) -> Iterator[Tracer]:
    """Trace a process for the length of the block."""
    tracer = Tracer(pid, log, inject, calls)
    try:
        yield tracer
    finally:
        tracer.detach()


def counted(log: Path) -> dict[str, int]:
    """Return how often the busiest thread made each call: `when` from 1 to this meets the call."""
    each: Counter[tuple[str, str]] = Counter()
    for line in log.read_text().splitlines():
        found = re.match(r"(\d+) +[\d.]+ (\w+)\(", line)
        if found:
            each[found.groups()] += 1  # type: ignore[index]
    busiest: dict[str, int] = {}
    for (_thread, call), times in each.items():
        busiest[call] = max(busiest.get(call, 0), times)
    return busiest


def injected(log: Path) -> int:
    """Return how often the log tells of an injected error."""
    return log.read_text().count("(INJECTED)") if log.exists() else 0
