"""`python scripted_worker.py FOLDER SOCKET TIMEOUT_S`: a worker whose engine follows the script in a folder."""

import sys
from pathlib import Path

import scripted

from node import log
from node.errors import NodeError
from node.segment.bundle import STARTER, load_bundle
from node.segment.process.door import opened
from node.segment.process.pool import EnginePool
from node.segment.process.worker import Worker
from node.settings import ModelSettings


def say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def main() -> None:
    folder, path, timeout_s = sys.argv[1:]
    log.configure(level="info", key=None)
    command = (sys.executable, scripted.__file__, folder)
    settings = ModelSettings(timeout_s=float(timeout_s))
    pool = EnginePool(load_bundle(STARTER), settings, command=command, pauses_s=(0.0, 0.0))
    worker = Worker(pool, opened(Path(path)), longest_s=3600.0, alive_s=0.2)
    try:
        worker.run(say_ready)
    except NodeError as error:
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
