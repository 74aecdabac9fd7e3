"""A task that needs no network, and a driver of it; worker processes import this file."""

import contextlib
import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.assemble.nifti import NiftiImage
from node.batch.runner.options import RunOptions
from node.batch.runner.run import run_batch
from node.batch.runner.task import Work, WorkerPlace, WorkItem
from node.domain.series import Series
from node.durable import write_durably
from node.errors import EngineError, InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Nowhere:
    """A source that is never loaded."""

    def load(self, scratch: Path) -> Series | NiftiImage:
        raise InputError("there is nothing here")


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    """Notes each run that begins, spends some computing on it, and does to a key what `deeds` says.

    `deeds`: "input": fails for good; "engine": fails in a way that may pass; "once": fails so the first time; "refuse";
    "kill": ends the worker, each time; "kill NAME": ends, the first time, the process whose id stands in `notes`/NAME.
    """

    notes: Path
    rounds: int = 0
    deeds: Mapping[str, str] | None = None
    version: str = "1"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.version.encode()).hexdigest()

    @contextlib.contextmanager
    def ready(self, place: WorkerPlace) -> Iterator[Work]:
        note(self.notes / "ready", f"{os.getpid()} {place.index} {place.threads}")
        yield self.work

    def work(self, item: WorkItem, scratch: Path, folder: Path) -> Mapping[str, Any]:
        note(self.notes / "begun", item.key)
        assert scratch.is_dir()
        data = item.key.encode()
        for _ in range(self.rounds):
            data = hashlib.sha256(data * 1000).digest()
        self._deed(item.key)
        if (self.deeds or {}).get(item.key) == "refuse":
            return {"refused": [{"code": "plane", "text": "not sagittal"}]}
        write_durably(folder / "result.txt", [data])
        note(self.notes / "ended", item.key)
        return {"verdict": "good", "bodies": 7, "discs": 6, "pipeline_s": 0.0}

    def _deed(self, key: str) -> None:
        match (self.deeds or {}).get(key):
            case "input":
                raise InputError("a slice\tis missing")
            case "engine":
                raise EngineError("the network failed")
            case "once" if begun(self.notes).count(key) == 1:
                raise EngineError("the network failed once")
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            # Not by the count of begun runs: a run may begin and end with its worker before it comes to its deed.
            case str(deed) if deed.startswith("kill ") and key not in _lines(self.notes / "kills"):
                note(self.notes / "kills", key)
                os.kill(int((self.notes / deed[5:]).read_text()), signal.SIGKILL)


def note(path: Path, text: str) -> None:
    """Append a line; lines of several processes do not mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, f"{text}\n".encode())
    os.close(descriptor)


def begun(notes: Path) -> list[str]:
    """Return the keys of the runs that began."""
    return _lines(notes / "begun")


def ended(notes: Path) -> list[str]:
    """Return the keys of the runs whose results were written."""
    return _lines(notes / "ended")


def ready(notes: Path) -> list[str]:
    """Return the processes that made the task ready, with their number and threads."""
    return _lines(notes / "ready")


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def names(count: int) -> list[str]:
    """Return the keys of the first items."""
    return [item.key for item in items(count)]


def items(count: int, first: int = 0) -> Iterator[WorkItem]:
    """Yield items named case-0000 and so on."""
    for number in range(first, first + count):
        yield WorkItem(key=f"case-{number:04}", source=Nowhere())


def main(arguments: dict[str, Any]) -> None:
    """Be a driver: run `count` items on a scheduler, or else on `workers` of this machine."""
    notes = Path(arguments["notes"])
    (notes / "driver").write_text(str(os.getpid()))
    file = arguments.get("scheduler_file")
    options = RunOptions(workers=2, scheduler_file=Path(file) if file else None, patience_s=60.0)
    task = Toy(notes=notes, rounds=arguments.get("rounds", 0), deeds=arguments.get("deeds"))
    report = run_batch(items(arguments["count"]), task, Path(arguments["out"]), options)
    sys.stdout.write(json.dumps(report.document()))
