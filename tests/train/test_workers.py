"""Whatever ends the command ends its worker processes."""

import subprocess
import sys
import threading
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from node.train.workers import worker_processes

SCRIPT = """
import threading
from node.train.workers import worker_processes

def work():
    print("at work", flush=True)
    threading.Event().wait()

if __name__ == "__main__":
    with worker_processes(1) as pool:
        pool.submit(work).result()
"""


def test_a_killed_command_leaves_no_worker_behind(tmp_path: Path) -> None:
    script = tmp_path / "command.py"
    script.write_text(SCRIPT, encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == b"at work\n"
        command.kill()
        rest, _ = command.communicate(timeout=120)  # comes back when the last process that could print has ended
    assert rest == b""


def test_an_error_ends_the_workers_in_the_middle_of_their_work() -> None:
    waiting = []
    with pytest.raises(ZeroDivisionError), worker_processes(1) as pool:
        pool.submit(int, 0).result()
        waiting.append(pool.submit(_forever))
        raise ZeroDivisionError
    assert isinstance(waiting[0].exception(), BrokenProcessPool)


def _forever() -> None:
    threading.Event().wait()
