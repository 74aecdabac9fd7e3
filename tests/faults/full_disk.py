"""A small disk that fills up at random moments, by the node and by somebody else, and is emptied again."""

import contextlib
import io
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from faults import scorecard
from faults.forks import PATIENCE_S, Gone, Process, Raised
from faults.kill import Bench, bench
from faults.stage import Instance, instance_of, send
from pydicom.filewriter import dcmwrite

_SIZE_MB = 8
_FILLER = "filler"


@dataclass(slots=True)
class _Life:
    """What a node on a small disk has been sent."""

    process: Process
    port: int
    state_dir: Path
    promised: list[Instance] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)

    def offer(self, instances: list[Instance]) -> bool:
        """Send `instances`, each over an association of its own, and return whether all were taken."""
        taken = True
        for instance in instances:
            answers = send(self.port, [instance])
            status = answers[0].status if answers else None
            self.statuses["association refused" if status is None else f"0x{status:04X}"] += 1
            if status == 0:
                self.promised.append(instance)
            taken = taken and status == 0
        return taken


@contextlib.contextmanager
def small_disk(where: Path, size_mb: int = _SIZE_MB) -> Iterator[Path]:
    """Mount a disk of a few megabytes for the length of the block."""
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "faults", str(where)], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)


def others(made: Bench, chooser: random.Random, number: int) -> list[Instance]:
    """Return instances of other series, of some 100 KB, that no route takes: one slice each."""
    source = pydicom.dcmread(made.work / "series" / "0000.dcm")
    found = []
    for index in range(number):
        data_set = source.copy()
        data_set.SeriesInstanceUID = f"2.25.{chooser.getrandbits(64)}"
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = f"2.25.{chooser.getrandbits(64)}"
        data_set.Rows = data_set.Columns = 224
        data_set.PixelData = np.random.default_rng(index).integers(0, 500, 224 * 224, dtype=np.uint16).tobytes()
        buffer = io.BytesIO()
        dcmwrite(buffer, data_set, enforce_file_format=True)
        found.append(instance_of(pydicom.dcmread(io.BytesIO(buffer.getvalue()))))
    return found


def fill(disk: Path, most: int | None = None) -> None:
    """Let somebody else write to the disk until it is full, or until he has `most` more bytes."""
    with (disk / _FILLER).open("ab", buffering=0) as file, contextlib.suppress(OSError):
        written = 0
        while most is None or written < most:
            written += file.write(bytes(4096))


def try_life(made: Bench, seed: int, *, gate: bool) -> tuple[Counter[str], list[str]]:
    """Fill the disk of a node at a random moment of its work; return what it answered, and what is wrong."""
    chooser = random.Random(seed)
    made.archive.clear()
    folder = made.folder()
    with small_disk(folder / "disk") as disk, made.template.process() as process:
        state_dir = disk / "state"
        arguments = {"state_dir": str(state_dir), "archive_port": made.archive.port, "gate": gate}
        life = _Life(process=process, port=process.ask("open", **arguments), state_dir=state_dir)
        try:
            wrong = _live(made, life, disk, chooser)
            if gate:
                wrong += _purged(made, life, disk)
        except (Gone, Raised) as error:
            wrong = [f"the process ended: {error}"]
    shutil.rmtree(folder)
    return life.statuses, wrong


def _live(made: Bench, life: _Life, disk: Path, chooser: random.Random) -> list[str]:
    before = chooser.randint(0, len(made.instances))
    strangers = others(made, chooser, 12)
    life.offer(made.instances[:before])
    for stranger in strangers[:6]:
        life.offer([stranger])
        fill(disk, chooser.randint(0, 600_000))
    if chooser.random() < 0.5:
        fill(disk)
    life.offer(made.instances[before:])
    fill(disk)
    wrong = [] if not life.offer(strangers[6:]) else ["a full disk took everything"]
    life.process.ask("finish")
    (disk / _FILLER).unlink()
    lacking = [instance for instance in made.instances if instance not in life.promised]
    deadline = time.monotonic() + PATIENCE_S
    while lacking and time.monotonic() < deadline:
        life.offer(lacking)
        lacking = [instance for instance in made.instances if instance not in life.promised]
    if lacking:
        wrong.append(f"after there was space again {len(lacking)} instances are still refused")
    promised = [instance.promised for instance in life.promised]
    return wrong + made.go_on(life.process, life.port, life.state_dir, promised, [])


def _purged(made: Bench, life: _Life, disk: Path) -> list[str]:
    """Fill the disk once more, and let the node delete what is settled."""
    arguments = {"state_dir": str(life.state_dir), "archive_port": made.archive.port, "gate": True}
    life.port = life.process.ask("open", **arguments)
    life.offer(made.instances[:1])
    fill(disk)
    before = shutil.disk_usage(disk).free
    purged = life.process.ask("purge")
    freed = shutil.disk_usage(disk).free - before
    return [] if purged and freed > 0 else [f"on a full disk {purged} series are purged, {freed} bytes become free"]


def run(work: Path | None, seed: int, number: int = 0) -> list[str]:
    """Fill `number` disks, record the figures, and return what is wrong."""
    begun = time.monotonic()
    wrong: list[str] = []
    answers: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    lives = number or 2
    with bench(work) as made:
        for life in range(lives):
            gate = life % 2 == 0
            statuses, told = try_life(made, seed + life, gate=gate)
            answers[gate] += statuses
            wrong += [f"disk {life}{'' if gate else ' without watermarks'}: {line}" for line in told]
    scorecard.record(
        "full-disk",
        title=f"A disk of {_SIZE_MB} MB that fills up at random moments",
        points=lives,
        unit="disks",
        faults=len(wrong),
        controls="-",
        seed=seed,
        duration_s=time.monotonic() - begun,
        command="PYTHONPATH=.:tests python -m faults --only full-disk",
        proves="A full disk makes the node refuse, with its watermarks and, on every second disk, without;"
        " nothing acknowledged is lost; the same process takes instances again as soon as there is space,"
        " and ends its case. With watermarks it can purge on a full disk, by its ballast.",
        limits="Disks with quotas, and those that promise space which they do not have.",
        answers_with_watermarks=dict(sorted(answers[True].items())),
        answers_without=dict(sorted(answers[False].items())),
        what_was_wrong=sorted(set(wrong))[:20],
    )
    return wrong
