"""The fuzz of files: mutated DICOM files go the whole way of a received one, in a process that may crash or hang."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults import scorecard
from faults.file_seeds import seeds
from faults.file_worker import mutant

_TESTS = Path(__file__).parents[1]
REAL = _TESTS.parents[1] / "shared" / "data" / "dicom"
#: The codecs' own deadline is 20 s, and a file may have several frames' worth of trouble.
_DEADLINE_S = 120.0
#: For imports and for writing the seeds.
_START_S = 180.0
#: A flaw that comes once comes with the last of so many files.
_UNTIL_FLAW = 11
#: As many faults say enough.
_ENOUGH = 50

#: The negative controls, and what each is to be caught by.
CAUGHT = {
    "crash": "ended by SIGSEGV",
    "hang": "hangs",
    "stranger": "ValueError at",
    "warning": "UserWarning at",
    "canary": "canary was seen in what is stored",
    "log": "canary was seen in the log",
    "descriptor": "descriptors grew",
    "thread": "threads grew",
    "memory": "memory_mb grew",
}


@dataclass(slots=True)
class Found:
    """What became of the files."""

    files: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: int = -1
    growth: list[dict[str, Any]] = field(default_factory=list)
    duration_s: float = 0.0


def fuzz(
    numbers: range,
    seed: int,
    folder: Path,
    *,
    flaw: str = "",
    real: Path | None = None,
    deadline_s: float = _DEADLINE_S,
) -> Found:
    """Run files `numbers` of `seed`; a process that ends is replaced, and the files after the guilty one go on."""
    found, begun, left, round_number = Found(), time.monotonic(), numbers, 0
    while left and len(found.faults) < _ENOUGH:
        place = folder / str(round_number)
        place.mkdir(parents=True)
        order = {"seed": seed, "first": left.start, "count": len(left), "flaw": flaw, "folder": str(place)}
        order |= {"real": str(real) if real else "", "warm": min(300, len(left) // 3)}
        left, round_number = range(_round(order, found, deadline_s), left.stop), round_number + 1
    found.duration_s = time.monotonic() - begun
    return found


def fuzz_side_by_side(count: int, seed: int, folder: Path, *, real: Path | None, processes: int) -> Found:
    """Run files 0 to `count` of `seed` in several processes."""
    step = -(-count // processes)
    parts = [range(first, min(first + step, count)) for first in range(0, count, step)]
    with ThreadPoolExecutor(processes) as pool:
        done = list(pool.map(lambda part: fuzz(part, seed, folder / str(part.start), real=real), parts))
    whole = Found(duration_s=max(one.duration_s for one in done))
    for one in done:
        whole.files += one.files
        whole.ends += one.ends
        whole.faults += one.faults
        whole.growth += one.growth
        whole.slowest_s, whole.slowest = max((whole.slowest_s, whole.slowest), (one.slowest_s, one.slowest))
    return whole


def _round(order: dict[str, Any], found: Found, deadline_s: float) -> int:
    """Run one process; return the number of the first file that it left."""
    output = Path(order["folder"]) / "said"
    with output.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "faults.file_worker", json.dumps(order)],
            cwd=_TESTS,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        assert process.stdout is not None
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        reader = threading.Thread(target=_read, args=(process.stdout, lines))
        reader.start()
        try:
            reached = _follow(order, process, lines, found, deadline_s)
        finally:
            process.kill()
            process.wait()
            reader.join()
            process.stdout.close()
    if output.stat().st_size:
        found.faults.append(f"something was said: {output.read_text()[-300:]}")
    return reached


def _read(stream: Any, lines: "queue.SimpleQueue[str]") -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


def _follow(
    order: dict[str, Any],
    process: subprocess.Popen[str],
    lines: "queue.SimpleQueue[str]",
    found: Found,
    deadline_s: float,
) -> int:
    number, patience_s = order["first"], _START_S
    while True:
        try:
            line = lines.get(timeout=patience_s)
        except queue.Empty:
            found.faults.append(f"file {number}: hangs")
            return number + 1
        if not line:
            code = process.wait()
            if patience_s == _START_S:
                raise RuntimeError("no file was tried: " + (Path(order["folder"]) / "said").read_text()[-1000:])
            found.faults.append(f"file {number}: ended by {signal.Signals(-code).name if code < 0 else code}")
            return number + 1
        told = json.loads(line)
        if "ready" in told:
            patience_s = deadline_s
            continue
        if "grown" in told:
            found.growth.append(told)
            found.faults += told["grown"]
            return order["first"] + order["count"]
        number = told["number"] + 1
        _count(told, found)


def _count(told: dict[str, Any], found: Found) -> None:
    found.files += 1
    found.ends[told["ends"]] += 1
    if told["s"] > found.slowest_s:
        found.slowest_s, found.slowest = told["s"], told["number"]
    if told["fault"]:
        found.faults.append(f"file {told['number']} from {told['from']}: {told['fault']}")
        _say(found.faults[-1])
    elif found.files % 1000 == 0:
        _say(f"{found.files} files, up to number {told['number']}")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def is_caught(flaw: str, folder: Path, deadline_s: float = 20.0) -> bool:
    """Run a negative control; return whether it was caught, and by what it is to be caught by."""
    faults = fuzz(range(_UNTIL_FLAW), 1, folder, flaw=flaw, deadline_s=deadline_s).faults
    return len(faults) == 1 and CAUGHT[flaw] in faults[0]


def run(work: Path | None, seed: int, points: int) -> list[str]:
    """Run and record the whole harness over `points` files; return what was wrong."""
    real = REAL if REAL.is_dir() else None
    if real is None:
        _say("the files of real scanners are absent: only synthetic ones are mutated")
    with tempfile.TemporaryDirectory(prefix="mutated-files-", dir=work) as folder:
        found = fuzz_side_by_side(points, seed, Path(folder) / "files", real=real, processes=os.cpu_count() or 1)
        caught = {flaw: is_caught(flaw, Path(folder) / flaw) for flaw in CAUGHT}
    _record(found, caught, seed, real is not None)
    return found.faults + [f"control {flaw} was not caught" for flaw, noticed in caught.items() if not noticed]


def write_one(number: int, seed: int, where: Path) -> None:
    """Write one mutated file, to look at."""
    with tempfile.TemporaryDirectory() as folder:
        where.write_bytes(mutant(seed, number, seeds(Path(folder), REAL if REAL.is_dir() else None))[1])


def _record(found: Found, caught: dict[str, bool], seed: int, with_real: bool) -> None:
    scorecard.record(
        "files",
        title="Mutated files",
        points=found.files,
        unit="files",
        faults=len(found.faults),
        controls=f"{sum(caught.values())} of {len(caught)}",
        seed=seed,
        duration_s=found.duration_s,
        command="PYTHONPATH=.:tests python -m faults --only files",
        proves="Each file, mutated by its structure, goes through spool, gathering, rules and decoding, and ends in a "
        "sound volume or in a named error of the input: no crash, no hang, no other exception or warning, no thread, "
        "descriptor or child left, no patient's name in what is said. Codecs crash and hang in their own process.",
        limits="Other faults than those that the mutator makes. The codecs' process is not kept from system calls.",
        files_a_second=round(found.files / found.duration_s, 1),
        slowest_s=round(found.slowest_s, 2),
        files_of_real_scanners="among the seeds" if with_real else "absent",
        ends=dict(found.ends.most_common()),
        held_by_each_process=[{when: told[when] for when in ("before", "after")} for told in found.growth],
    )
