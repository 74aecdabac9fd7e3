"""SIGKILL at random moments to worker, scheduler and driver of `cspine-node batch run`: the command, with its networks.

The batch under fire must end with every case in its ledger, with at most as many runs more than cases as there are
workers, and with the same objects, label maps and measurements, byte for byte, as one that nobody disturbed. A script:

    python tests/batch/runner/kills_segmenting.py [--kills 20] [--exams 60] [--seed 1]
"""

import argparse
import contextlib
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import cspineseg
from batchrig import cluster, environment

from node.batch.runner.batch import read_batch
from node.batch.runner.standing import Standings, read_standings

#: Each of one thread.
WORKERS = 2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--exams", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        found = trial(Path(name), asked)
    print(json.dumps(found, indent=2))  # noqa: T201 - a script
    if not (found["the same results"] and found["executions minus distinct"] <= WORKERS and found["all there"]):
        raise SystemExit(1)


def trial(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Run one batch in peace and one under fire over the same download, and return what became of them."""
    download = folder / "download"
    cspineseg.build(download, asked.exams, seed=asked.seed)
    peace, fire = folder / "peace", folder / "fire"
    with cluster(folder, folder / "notes-peace", WORKERS):
        driver(download, peace, folder).communicate()
    begun_s = time.monotonic()
    killed = run_under_fire(download, fire, folder, asked)
    in_peace, in_fire = standings(peace), standings(fire)
    return {
        "kills": killed,
        "seconds": round(time.monotonic() - begun_s),
        "cases": in_fire.counts(),
        "cases in peace": in_peace.counts(),
        "all there": sorted(in_fire.by_key) == sorted(in_peace.by_key),
        "executions": in_fire.executions,
        "executions minus distinct": in_fire.executions - len(in_fire.by_key),
        "files compared": len(contents(fire)),
        "the same results": contents(fire) == contents(peace),
    }


def run_under_fire(download: Path, out: Path, folder: Path, asked: argparse.Namespace) -> Counter[str]:
    """Run the batch to its end in spite of everything, and return who was killed how often."""
    chance = random.Random(asked.seed)
    killed: Counter[str] = Counter()
    with cluster(folder, folder / "notes", WORKERS) as kept:
        process = driver(download, out, folder)
        while killed.total() < asked.kills:
            wait_for_runs(process, out, runs(out) + chance.randint(0, 3))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.0, 2.0))
            if process.returncode is None:
                victim = chance.choice(["driver", *kept])
                if victim == "driver":
                    process.kill()
                    process.wait()
                else:
                    kept[victim].kill()
                killed[victim] += 1
            if process.returncode is not None:
                said = process.communicate()
                if process.returncode != -signal.SIGKILL:
                    raise SystemExit(f"ended by itself after {killed.total()} kills: {said}")
                process = driver(download, out, folder)
        process.communicate()
    return killed


def driver(download: Path, out: Path, folder: Path) -> "subprocess.Popen[bytes]":
    """Start `cspine-node batch run` with the cluster in `folder`."""
    batch = ("batch", "run", "--dataset", str(download), "--out", str(out), "--all-series", "--threads", "1", "--json")
    command = (sys.executable, "-m", "node", *batch, "--scheduler-file", str(folder / "scheduler.json"))
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def runs(out: Path) -> int:
    """Return how many cases have been begun."""
    return sum(1 for _ in out.glob("cases/*/*/.claim"))


def wait_for_runs(process: "subprocess.Popen[bytes]", out: Path, wanted: int) -> None:
    """Wait until so many cases have been begun, or the driver has ended."""
    while process.poll() is None and runs(out) < wanted:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)


def standings(out: Path) -> Standings:
    return read_standings(out, read_batch(out).task)


def contents(out: Path) -> dict[str, str]:
    """Return by its path the digest of each result. findings.json tells how long it took, and is left out."""
    names = ("*.dcm", "*.nii.gz", "measurements.tsv", "overlay.png")
    found = (path for name in names for path in (out / "cases").glob(f"*/*/{name}"))
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


if __name__ == "__main__":
    main()
