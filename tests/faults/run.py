"""All storage fault harnesses: `PYTHONPATH=tests python -m faults.run`; root, strace and FUSE are needed.

--only NAME     one harness, repeatable; --list tells them
--points N      so many points of it, instead of what the scorecard is about
--seed N
--work FOLDER   where the states lie that are hit; a folder in memory is quickest (default: /dev/shm where there is one)
--page          write docs/reliability.md from what is recorded, and run nothing
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from faults import clocks, damage, full_disk, io_errors, kill, power, scorecard

_MEMORY = Path("/dev/shm")

#: Name -> harness, how many points.
HARNESSES: dict[str, tuple[Callable[[Path | None, int, int], list[str]], int]] = {
    "kill": (kill.run, 600),
    "io-errors": (io_errors.run, 400),
    "power": (power.run, 1200),
    "full-disk": (full_disk.run, 20),
    "damage": (damage.run, 300),
    "clocks": (clocks.run, 0),
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
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(HARNESSES))
        return 0
    wrong: list[str] = []
    if not asked.page:
        os.nice(10)
        for name in asked.only or HARNESSES:
            harness, points = HARNESSES[name]
            begun = time.monotonic()
            told = harness(asked.work, asked.seed, points if asked.points < 0 else asked.points)
            print(f"{name}: {len(told)} wrong, {time.monotonic() - begun:.0f} s", flush=True)
            print("".join(f"  {line}\n" for line in told[:50]), end="", flush=True)
            wrong += told
    scorecard.write_page()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
