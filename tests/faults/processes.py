"""A listener in a process of its own, and what the kernel says of a process (proc(5))."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE_S = 60.0
_PROGRAM = Path(__file__).parent / "listening.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A process under observation."""

    pid: int

    def alive(self) -> bool:
        """True while it runs."""
        try:
            return "Z" not in Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return False

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def memory_mb(self) -> float:
        """Resident memory now."""
        return self._status("VmRSS") / 1024

    def peak_mb(self) -> float:
        """Greatest resident memory since the start or since `forget_peak`."""
        return self._status("VmHWM") / 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def cpu_s(self) -> float:
        """User and system time of all its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening(Watched):
    """The process of `listening.py`."""

    state_dir: Path
    ports: dict[str, int]

    @property
    def port(self) -> int:
        return self.ports["plain"]

    @property
    def log(self) -> Path:
        return self.state_dir.parent / "listener.log"

    def leftovers(self) -> list[str]:
        """Return the names of temporary files in the state folder."""
        return [path.name for path in self.state_dir.rglob("*.part")]


@contextlib.contextmanager
def listening(folder: Path, *, flaw: str = "", **receive: Any) -> Iterator[Listening]:
    """Run a listener over `folder`/state until the block ends; `receive`: keys of the settings' section."""
    state_dir = folder / "state"
    state_dir.mkdir(parents=True, exist_ok=True)
    with (folder / "listener.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, str(_PROGRAM), str(state_dir), json.dumps({"receive": receive, "flaw": flaw})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(_PROGRAM.parents[2]), str(_PROGRAM.parents[1])))},
        )
    assert process.stdin is not None and process.stdout is not None
    try:
        ports = process.stdout.readline()
        assert ports, (folder / "listener.log").read_text()[-3000:]
        yield Listening(pid=process.pid, state_dir=state_dir, ports=json.loads(ports))
    finally:
        process.stdin.close()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()


def until(happened: Callable[[], bool], patience_s: float = _PATIENCE_S) -> bool:
    """Poll until something has happened; False when it did not in time."""
    deadline, poll = time.monotonic() + patience_s, threading.Event()
    while not happened():
        if time.monotonic() > deadline:
            return False
        poll.wait(0.02)
    return True
