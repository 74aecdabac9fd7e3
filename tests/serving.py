"""A node in a process of its own, as an administrator runs it, and what a test may do to it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers import program

from node.demo.archive import free_port
from node.journal.overview import overview
from node.journal.store import Store
from node.scu.association import Peer

_PATIENCE_S = 240.0


@dataclass(slots=True)
class Node:
    """`cspine-node serve` over one state folder; it can be killed and started again."""

    folder: Path
    archive: Peer
    port: int
    quiet_s: float = 1.5
    #: Further sections of the settings file.
    more: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def peer(self) -> Peer:
        return Peer(host="127.0.0.1", port=self.port, ae_title="CSPINE", calling_ae_title="TEST", timeout_s=30)

    def start(self) -> None:
        """Start and wait until it listens."""
        config = self.folder / "cspine-node.toml"
        config.write_text(
            f'[node]\nstate_dir = "state"\nport = {self.port}\n[completeness]\nquiet_s = {self.quiet_s}\n'
            f"quiet_after_abort_s = {self.quiet_s}\n"
            '[[route]]\nname = "cervical"\ndestinations = ["archive"]\n'
            f'[[destination]]\nname = "archive"\nhost = "127.0.0.1"\nport = {self.archive.port}\n'
            f'ae_title = "{self.archive.ae_title}"\nretry_delay_s = 0.5\nretry_cap_s = 1\n{self.more}'
        )
        with (self.folder / "node.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "node", "serve", "--config", str(config), "--json"],
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"{\n"
        assert b"ae_title" in self.process.stdout.readline(), self.log()

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nothing is drained."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        return self._end(signal.SIGTERM)

    def log(self) -> str:
        return (self.folder / "node.log").read_text()

    def overview(self) -> dict[str, Any]:
        store = Store(self.state_dir / "journal.sqlite", read_only=True)
        try:
            return overview(store, latest=100)
        finally:
            store.close()

    def cases(self) -> list[dict[str, Any]]:
        """Return the cases, oldest first."""
        return list(reversed(self.overview()["latest_cases"]))

    def until(self, happened: Callable[["Node"], bool]) -> None:
        """Poll until something has happened."""
        deadline = time.monotonic() + _PATIENCE_S
        poll = threading.Event()
        while not happened(self):
            assert time.monotonic() < deadline, f"{self.overview()}\n{self.log()[-3000:]}"
            poll.wait(0.02)

    def until_cases(self, *states: str) -> None:
        """Poll until the cases have these states, oldest first."""
        self.until(lambda node: [case["state"] for case in node.cases()] == list(states))

    def _end(self, number: int) -> int:
        assert self.process is not None
        os.kill(self.process.pid, number)
        self.process.communicate()
        code = self.process.returncode
        self.process = None
        return code


@contextlib.contextmanager
def serving(folder: Path, archive: Peer, more: str = "") -> Iterator[Node]:
    """Run a node until the block ends. `more`: further sections of its settings file."""
    node = Node(folder=folder, archive=archive, port=free_port(), more=more)
    node.start()
    try:
        yield node
    finally:
        if node.process is not None:
            node.stop()


def storescu(node: Node, files: Sequence[Path]) -> subprocess.CompletedProcess[str]:
    """Send files with DCMTK's storescu, as a PACS would."""
    sender = program("storescu")
    assert sender is not None
    command = [sender, "-aec", "CSPINE", "-aet", "PACS", "127.0.0.1", str(node.port), *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "TCP_NODELAY": "1"})
