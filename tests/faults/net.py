"""All network fault harnesses: `PYTHONPATH=tests python -m faults.net`; Orthanc is needed.

--only NAME     one harness, repeatable; --list tells them
--points N      sessions, kills, hours, seconds a flood, rounds of scenarios, instead of those of the full run
--seed N
--work FOLDER   where states lie; a folder in memory is quickest (default: /dev/shm where there is one)
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from faults import net_archives, net_kill, net_listener, scorecard

_MEMORY = Path("/dev/shm")

#: Name -> harness, how many points.
HARNESSES: dict[str, tuple[Callable[[Path | None, int, int], list[str]], int]] = {
    "net-archives": (net_archives.run_archives, 1),
    "net-dead-pacs": (net_archives.run_dead_pacs, 72),
    "net-floods": (net_listener.run_floods, 35),
    "net-fuzz": (net_listener.run_fuzz, 20_000),
    "net-kill": (net_kill.run_kill, 200),
}


def main() -> int:
    """Run what is asked for; 1 when a fault was found or a control was not caught."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=sorted(HARNESSES), default=[])
    parser.add_argument("--points", type=int, default=-1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, default=_MEMORY if _MEMORY.is_dir() else None)
    parser.add_argument("--list", action="store_true")
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(HARNESSES))
        return 0
    os.nice(10)
    wrong: list[str] = []
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
