"""What /proc says of a child that is told what to take."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from node.bench.processes import cpu_seconds, peak_of, peak_resident_bytes, resident_bytes, tree, tree_bytes

MIB = 1024 * 1024

#: Starts a child of its own; each takes 64 MiB, the child gives it back, both say so and wait to be ended.
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
taken = bytearray(b"1") * (64 << 20)
sum(range(3_000_000))
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
child.stdin.close()
child.wait()
"""
CHILD = """
import sys
taken = bytearray(b"1") * (64 << 20)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def family() -> Iterator[tuple[int, int]]:
    """A process that holds 64 MiB and its child that holds as much: their process ids."""
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.communicate()


def test_the_tree_of_a_process_is_itself_and_its_child(family: tuple[int, int]) -> None:
    assert list(tree(family[0])) == list(family)


def test_the_memory_of_a_tree_counts_parent_and_child(family: tuple[int, int]) -> None:
    parent, child = family
    assert 128 * MIB < tree_bytes(parent) < 200 * MIB
    assert 64 * MIB < tree_bytes(child) < 100 * MIB
    assert 64 * MIB < resident_bytes(child) <= peak_resident_bytes(child)


def test_the_peak_of_a_tree_is_seen_while_it_lives(family: tuple[int, int]) -> None:
    asked = threading.Event()

    def probe() -> int:
        found = tree_bytes(family[0])
        asked.set()
        return found

    with peak_of(probe, every_s=0.01) as peak:
        assert asked.wait(30)
    assert 128 * MIB < peak.value < 200 * MIB


def test_work_shows_as_cpu_time(family: tuple[int, int]) -> None:
    assert cpu_seconds(family[0]) > 0.0


def test_a_process_that_is_gone_has_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert (tree_bytes(gone.pid), resident_bytes(gone.pid), cpu_seconds(gone.pid)) == (0, 0, 0.0)
    assert list(tree(gone.pid)) == [gone.pid]
