"""Processes that end with the command that started them, however it ends: two trainings must not write one state."""

import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager


@contextmanager
def worker_processes(count: int) -> Iterator[Executor]:
    """Give `count` fresh processes to work in; on an error they are ended in the middle of what they do."""
    others = multiprocessing.active_children()
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _start) as pool:
        try:
            yield pool
        except BaseException:
            for child in multiprocessing.active_children():
                if child not in others:
                    child.terminate()
            raise


def _start() -> None:
    """Say on standard error how far it is, and keep every numerical library to one thread unless told otherwise."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
