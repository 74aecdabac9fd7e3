"""`python oracle_worker.py SOCKET`: a worker whose classes are read off the intensities."""

import sys
from pathlib import Path
from typing import Any

from oracle import OracleSegmenter

from node import log
from node.segment.process.door import opened
from node.segment.process.worker import Worker


class OraclePool(OracleSegmenter):
    """What a worker takes for a pool: loaded at once, two cases at a time."""

    capacity = 2

    def loaded(self) -> "OraclePool":
        return self

    def close(self) -> None:
        """Nothing to end."""


def say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def main() -> None:
    log.configure(level="info", key=None)
    pool: Any = OraclePool()
    Worker(pool, opened(Path(sys.argv[1])), longest_s=600.0).run(say_ready)


if __name__ == "__main__":
    main()
