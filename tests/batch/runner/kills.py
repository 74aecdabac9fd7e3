"""SIGKILL at random moments to worker, scheduler and driver of one batch, until it is through. Run as a script:

    python tests/batch/runner/kills.py [--kills 20] [--items 60] [--seed 1] [--local]

`--local`: the workers of a driver's own; scheduler and driver are then one process, which dies with its workers.
"""

import argparse
import contextlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from batchrig import Kept, cluster, driver
from batchwork import begun, ended, names

from node.batch.runner.batch import read_batch
from node.batch.runner.standing import read_standings

#: Of the toy's computing: a second or so a case.
ROUNDS = 8000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--local", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        print(json.dumps(trial(Path(name), asked), indent=2))  # noqa: T201 - a script


def trial(folder: Path, asked: argparse.Namespace) -> dict[str, object]:
    """Run one batch under fire, and return what became of it."""
    chance = random.Random(asked.seed)
    out, notes = folder / "out", folder / "notes"
    killed: Counter[str] = Counter()
    begun_s = time.monotonic()
    with contextlib.ExitStack() as stack:
        kept = {} if asked.local else stack.enter_context(cluster(folder, notes))
        file = {} if asked.local else {"scheduler_file": str(folder / "scheduler.json")}
        drivers = 1
        process = driver(out, notes, count=asked.items, rounds=ROUNDS, **file)
        while killed.total() < asked.kills:
            wait_for_work(process, len(begun(notes)) + chance.randint(0, 3), notes)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.0, 0.5))
            if process.returncode is None:
                killed[shoot(chance, process, kept)] += 1
            if process.returncode is not None:
                if process.returncode != -signal.SIGKILL:
                    raise SystemExit(f"ended after {killed.total()} kills: {process.communicate()}")
                process.communicate()
                process = driver(out, notes, count=asked.items, rounds=ROUNDS, **file)
                drivers += 1
        output, _ = process.communicate()
    standings = read_standings(out, read_batch(out).task)
    return {
        "kills": killed,
        "drivers": drivers,
        "seconds": round(time.monotonic() - begun_s),
        "cases": standings.counts(),
        "executions": standings.executions,
        "executions minus distinct": standings.executions - len(standings.by_key),
        "runs that wrote results": len(ended(notes)),
        "runs that began": len(begun(notes)),
        "most runs of one case that began": max(Counter(begun(notes)).values()),
        "all there": sorted(standings.by_key) == names(asked.items),
        "last report": json.loads(output),
    }


def wait_for_work(process: "subprocess.Popen[bytes]", runs: int, notes: Path) -> None:
    """Wait until so many runs of cases have begun, or the driver has ended."""
    while process.poll() is None and len(begun(notes)) < runs:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)


def shoot(chance: random.Random, process: "subprocess.Popen[bytes]", kept: dict[str, Kept]) -> str:
    """Kill somebody and return whom."""
    victim = chance.choice(["driver", *kept] if kept else ["driver", "worker"])
    if victim == "driver":
        process.kill()
        process.wait()
    elif kept:
        kept[victim].kill()
    else:
        workers = [
            child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())
        ]
        if workers:
            chance.choice(workers).kill()
    return victim


if __name__ == "__main__":
    main()
