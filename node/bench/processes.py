"""What processes take, read from /proc (proc(5)): memory and CPU time of one, and of all that came from it."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_KIB = 1024
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
#: Fields of /proc/PID/stat after the name in brackets, counted from 0: utime and stime.
_USER, _SYSTEM = 11, 12


def tree(pid: int) -> Iterator[int]:
    """Yield a process and its descendants, as far as they live."""
    yield pid
    for child in _children(pid):
        yield from tree(child)


def cpu_seconds(pid: int) -> float:
    """Return user and system time of all threads of a process; 0 when it is gone."""
    text = _read(_PROC / str(pid) / "stat")
    if not text:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_PER_S


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process now (VmRSS)."""
    return _field(_PROC / str(pid) / "status", "VmRSS")


def peak_resident_bytes(pid: int) -> int:
    """Return the largest resident memory of a process since it began (VmHWM)."""
    return _field(_PROC / str(pid) / "status", "VmHWM")


def tree_bytes(pid: int) -> int:
    """Return the memory of a process and its descendants now: the sum of their proportional sets (PSS), in which a
    page that several share counts once.
    """
    return sum(_field(_PROC / str(member) / "smaps_rollup", "Pss") for member in tree(pid))


@dataclass(slots=True)
class Peak:
    """The largest value seen."""

    value: int = 0


@contextmanager
def peak_of(probe: Callable[[], int], every_s: float = 0.05) -> Iterator[Peak]:
    """Ask `probe` again and again in a thread until the block ends, and keep the largest answer.

    It takes time from what it watches: let it not run beside a measurement of time.
    """
    peak = Peak()
    stop = threading.Event()

    def watch() -> None:
        while True:
            peak.value = max(peak.value, probe())
            if stop.wait(every_s):
                return

    thread = threading.Thread(name="peak", target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def _children(pid: int) -> list[int]:
    try:
        tasks = list((_PROC / str(pid) / "task").iterdir())
    except OSError:
        return []
    return [int(child) for task in tasks for child in _read(task / "children").split()]


def _field(path: Path, name: str) -> int:
    """Return a field of a /proc file that is given in kB, in bytes; 0 when the process is gone."""
    for line in _read(path).splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * _KIB
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
