"""A Dask cluster of processes on loopback that are started again when they die, and drivers that are."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent


class Kept:
    """A process that is started again whenever it ends, its id in a file."""

    def __init__(self, command: Sequence[str], note: Path) -> None:
        self._command = command
        self._note = note
        self._ending = threading.Event()
        self.starts = 0
        self._process = self._start()
        self._thread = threading.Thread(target=self._keep)
        self._thread.start()

    def kill(self) -> None:
        """End the process at once; another one follows."""
        self._process.kill()

    def end(self) -> None:
        """End the process and start no other."""
        self._ending.set()
        while self._thread.is_alive():
            self._process.kill()
            self._thread.join(0.1)

    def _keep(self) -> None:
        while True:
            self._process.wait()
            if self._ending.is_set():
                return
            self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        process = subprocess.Popen(
            self._command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._note.write_text(str(process.pid))
        return process


@contextlib.contextmanager
def cluster(folder: Path, notes: Path, workers: int = 2) -> Iterator[dict[str, Kept]]:
    """Give a scheduler and workers; `folder`/scheduler.json says where the scheduler is."""
    notes.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    file = str(folder / "scheduler.json")
    host = ("--host", "127.0.0.1", "--no-dashboard")
    scheduler = (sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", port, "--scheduler-file", file)
    worker = (sys.executable, "-m", "distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}", "--nthreads", "1")
    local = ("--no-nanny", "--death-timeout", "60", "--local-directory", str(folder))
    kept: dict[str, Kept] = {}
    try:
        kept["scheduler"] = Kept((*scheduler, *host), notes / "scheduler")
        for number in range(workers):
            kept[f"worker-{number}"] = Kept((*worker, *host, *local), notes / f"worker-{number}")
        yield kept
    finally:
        for process in kept.values():
            process.end()


def driver(out: Path, notes: Path, **more: Any) -> subprocess.Popen[bytes]:
    """Start a driver (`batchwork.main`)."""
    notes.mkdir(parents=True, exist_ok=True)
    arguments = {"out": str(out), "notes": str(notes), **more}
    code = "import json, sys, batchwork; batchwork.main(json.loads(sys.argv[1]))"
    command = (sys.executable, "-c", code, json.dumps(arguments))
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def environment() -> dict[str, str]:
    """Return an environment in which Python finds the tests' modules."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent)))}
