"""All fault harnesses: `make faults`, or `PYTHONPATH=.:tests python -m faults`; with root, strace, FUSE and Orthanc.

--only NAME     one harness, repeatable; --list tells them
--points N      so many points of it, instead of what the scorecard is about
--seed N
--work FOLDER   where the states lie that are hit; a folder in memory is quickest (default: /dev/shm where there is one)
--page          write docs/reliability.md from what is recorded, and run nothing
--mutated N FILE   write mutated file number N, to look at, and run nothing
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from faults import (
    clocks,
    damage,
    files,
    full_disk,
    io_errors,
    kill,
    net_archives,
    net_kill,
    net_listener,
    power,
    scorecard,
)

_MEMORY = Path("/dev/shm")

#: Name -> harness, how many points.
HARNESSES: dict[str, tuple[Callable[[Path | None, int, int], list[str]], int]] = {
    "kill": (kill.run, 500),
    "io-errors": (io_errors.run, 300),
    "power": (power.run, 2000),
    "full-disk": (full_disk.run, 20),
    "damage": (damage.run, 200),
    "clocks": (clocks.run, 0),
    "net-archives": (net_archives.run_archives, 1),
    "net-dead-pacs": (net_archives.run_dead_pacs, 72),
    "net-floods": (net_listener.run_floods, 35),
    "net-fuzz": (net_listener.run_fuzz, 20_000),
    "net-kill": (net_kill.run_kill, 200),
    "files": (files.run, 20_000),
}


def main() -> int:
    """Run what is asked for; 1 when a fault was found or a control was not caught."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=sorted(HARNESSES), default=[])
    parser.add_argument("--points", type=int, default=-1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, default=_MEMORY if _MEMORY.is_dir() else None)
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--mutated", nargs=2, metavar=("N", "FILE"))
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(HARNESSES))
        return 0
    if asked.mutated:
        files.write_one(int(asked.mutated[0]), asked.seed, Path(asked.mutated[1]))
        return 0
    names = [] if asked.page else asked.only or list(HARNESSES)
    wrong = [line for name in names for line in _run(name, asked.work, asked.seed, asked.points)]
    scorecard.write_page()
    return 1 if wrong else 0


def _run(name: str, work: Path | None, seed: int, points: int) -> list[str]:
    os.nice(10 - os.nice(0))
    harness, usual = HARNESSES[name]
    begun = time.monotonic()
    told = harness(work, seed, usual if points < 0 else points)
    print(f"{name}: {len(told)} wrong, {time.monotonic() - begun:.0f} s", flush=True)
    print("".join(f"  {line}\n" for line in told[:50]), end="", flush=True)
    return told


if __name__ == "__main__":
    sys.exit(main())
