"""The quick part of the storage fault harnesses: a few points of each, chosen by a fixed seed, and every control."""

import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import clocks, controls, damage, disk, full_disk, io_errors, kill, power, scorecard
from faults.kill import Bench
from faults.recorder import ROOT, Operation
from oracle import write_blocks
from peers import missing
from wired import Node

from node import verdict

_SEED = 5


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One stage for all."""
    with kill.bench(tmp_path_factory.mktemp("faults")) as stage:
        yield stage


@pytest.mark.peer("strace")
def test_a_process_killed_at_any_call_loses_nothing_and_sends_no_result_twice(made: Bench) -> None:
    points = kill.sample(kill.points(made), 5, _SEED)
    found = {point: kill.try_point(made, point)[1] for point in points}
    assert {point: wrong for point, wrong in found.items() if wrong} == {}


@pytest.mark.peer("strace")
def test_a_node_that_sends_under_new_uids_is_caught(made: Bench) -> None:
    assert kill.caught(made, kill.points(made))


@pytest.mark.peer("strace")
def test_a_failing_disk_loses_nothing_that_was_acknowledged(made: Bench) -> None:
    points = io_errors.sample(io_errors.points(made), 4, _SEED)
    found = {point: io_errors.try_point(made, point)[1] for point in points}
    assert {point: wrong for point, wrong in found.items() if wrong} == {}


@pytest.mark.peer("strace")
def test_nothing_is_acknowledged_while_no_fsync_succeeds(made: Bench) -> None:
    assert io_errors.deny(made, "fsync", "EIO") == []


@pytest.mark.peer("fuse")
def test_a_power_cut_loses_nothing_that_was_acknowledged(made: Bench) -> None:
    assert power.quick(made, _SEED, every=40) == []


@pytest.mark.peer("fuse")
@pytest.mark.parametrize("variant", controls.DISK)
def test_a_node_that_skips_a_step_towards_the_disk_is_caught(made: Bench, variant: str) -> None:
    noticed, _ = power.catch(made, variant, _SEED, 1)
    assert noticed == 1


def test_a_full_disk_refuses_and_takes_again_when_there_is_space(made: Bench) -> None:
    if os.geteuid() != 0:
        missing("root, to mount a small disk")
    statuses, wrong = full_disk.try_life(made, _SEED, gate=True)
    assert wrong == []
    assert set(statuses) <= {"0x0000", "0xA700", "association refused"}


def test_a_changed_journal_is_noticed_or_harmless(made: Bench) -> None:
    assert damage.quick(made, _SEED, 4) == []


@pytest.mark.parametrize("step_s", clocks.STEPS_S[1:3])
@pytest.mark.parametrize("scene", clocks.SCENES, ids=lambda scene: scene.__name__)
def test_a_step_of_the_wall_clock_changes_nothing(scene: object, step_s: float) -> None:
    assert clocks.play(scene, step_s) == []  # type: ignore[arg-type]


def test_a_monotonic_clock_that_is_none_is_caught() -> None:
    assert clocks.caught() == ["waiting", "leased", "backing_off"]


def _life() -> disk.Disk:
    """A file of 1,024 bytes, of which the first sector is synced, under a name that is synced; another name is not."""
    made = disk.Disk()
    for what in (
        Operation(1, "create", ROOT, name="a", target=2),
        Operation(2, "write", 2, content=b"x" * 512),
        Operation(3, "fsync", 2),
        Operation(4, "fsyncdir", ROOT),
        Operation(5, "write", 2, offset=512, content=b"y" * 512),
        Operation(6, "rename", ROOT, name="a", new_name="b", target=2),
    ):
        made.apply(what)
    return made


def test_the_strict_disk_keeps_what_was_synced_and_nothing_else(tmp_path: Path) -> None:
    _life().restore(tmp_path / "disk", None)
    assert {path.name: path.read_bytes() for path in (tmp_path / "disk").iterdir()} == {"a": b"x" * 512}


def test_the_torn_disk_keeps_any_part_of_the_rest(tmp_path: Path) -> None:
    chooser = random.Random(1)
    seen = set()
    for number in range(60):
        _life().restore(tmp_path / str(number), chooser)
        (left,) = (tmp_path / str(number)).iterdir()
        seen.add((left.name, left.read_bytes()))
    assert seen == {(name, b"x" * 512 + rest) for name in "ab" for rest in (b"", b"y" * 512)}


def test_the_scorecard_tells_every_harness_that_was_run(tmp_path: Path) -> None:
    scorecard.record(
        "nap",
        title="A nap",
        points=1200,
        unit="naps",
        faults=0,
        controls="2 of 2",
        seed=1,
        duration_s=1.25,
        command="nap",
        proves="It is slept.",
        limits="Waking up.",
        dreams={"good": 3, "bad": 1},
        folder=tmp_path,
    )
    page = scorecard.page(tmp_path)
    assert "| A nap | 1,200 naps | 0 | 2 of 2 | 1 | 1.2 |" in page
    assert "- dreams: bad 1, good 3\n" in page


def test_a_scorecard_without_its_limits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        scorecard.record("nap", title="A nap", folder=tmp_path)


def test_a_disk_that_fails_while_a_series_is_judged_quarantines_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path / "state")
    node.receive(write_blocks(tmp_path / "series"))
    node.flow.close()
    node.clock.now += 1000
    with monkeypatch.context() as failing:
        failing.setattr(verdict, "gather", _unreadable)
        with pytest.raises(OSError, match="Input/output error"):
            node.flow.close()
    assert node.cases() == []
    node.flow.close()
    assert [case["state"] for case in node.cases()] == ["queued"]
    node.journal.close()


def test_a_series_that_can_never_be_read_is_quarantined_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path / "state")
    node.receive(write_blocks(tmp_path / "series"))
    node.flow.close()
    node.clock.now += 1000
    monkeypatch.setattr(verdict, "gather", _unreadable)
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            node.flow.close()
    node.flow.close()
    assert [case["state"] for case in node.cases()] == ["quarantined"]
    node.journal.close()


def _unreadable(_paths: object) -> None:
    raise OSError(errno.EIO, "Input/output error")
