"""The pool, with a child process of the real kind whose engine follows a script."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scripted import PATIENCE_S, Script, scripted, segmenting, volume

from node.domain.anatomy import StructureKind
from node.errors import (
    BundleError,
    EngineDied,
    EngineError,
    EngineTimeout,
    ImageRefused,
    NodeError,
    SelfTestFailed,
    SettingsError,
    Unexpected,
)


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    with scripted(tmp_path) as made:
        yield made


def test_an_answer_crosses_with_everything_that_is_said_of_it(script: Script) -> None:
    with script.pool() as pool:
        given = volume(7)
        found = pool.segment(given)
        assert np.array_equal(found.classes, given.voxels % 251)
        assert (found.classes.dtype, found.classes.flags.writeable) == (np.uint8, True)
        assert found.meanings == {1: StructureKind.VERTEBRAL_BODY, 2: StructureKind.INTERVERTEBRAL_DISC}
        classes = (given.voxels % 251).astype(np.uint8)
        expected = {StructureKind.VERTEBRAL_BODY: 255 - classes, StructureKind.INTERVERTEBRAL_DISC: classes // 2}
        for kind, volume_of_kind in expected.items():
            assert np.array_equal(found.probabilities[kind], volume_of_kind)
        assert list(found.opinions) == ["2d", "3d_fullres"]
        assert np.array_equal(found.opinions["2d"], classes % 3)
        assert np.array_equal(found.opinions["3d_fullres"], classes % 2)
        assert found.algorithm == pool.algorithm
        assert (found.run.device, found.run.stages_s, found.run.members) == ("cpu", {"network": 0.25}, ("oracle",))


def test_an_engine_that_answers_on_another_grid_is_ended_before_the_answer_is_unpacked(script: Script) -> None:
    script.write(answer={1: "cut"})
    with script.pool() as pool:
        before = pool.loaded().pids
        with pytest.raises(EngineDied, match="another grid"):
            pool.segment(volume(1))
        assert pool.segment(volume(2)).classes[0, 0, 0] == 2
        assert pool.pids != before


@pytest.mark.parametrize("dtype", ["int16", "uint16", "float32", ">i2"])
def test_voxels_and_affine_reach_the_engine_to_the_last_bit(script: Script, dtype: str) -> None:
    with script.pool() as pool:
        given = volume(5, dtype=dtype)
        found = pool.segment(given)
    native = np.dtype(dtype).newbyteorder("=").str
    assert found.run.fallbacks == (native, *(repr(value) for value in given.grid.affine.ravel().tolist()))
    assert np.array_equal(found.classes, given.voxels % 251)


@pytest.mark.parametrize(
    ("word", "error", "text"),
    [
        ("engine-error", EngineError, "as the test asks"),
        ("image-refused", ImageRefused, "as the test asks"),
        ("foreign", Unexpected, "ZeroDivisionError at scripted.py"),
    ],
)
@pytest.mark.parametrize("stage", ["prepare", "answer"])
def test_an_error_crosses_as_its_class_and_the_engine_goes_on(
    script: Script, stage: str, word: str, error: type[NodeError], text: str
) -> None:
    script.write(**{stage: {1: word}})
    with script.pool() as pool:
        with pytest.raises(error, match=text) as caught:
            pool.segment(volume(1))
        assert type(caught.value) is error
        assert "ZZSECRET" not in str(caught.value)
        before = pool.pids
        assert pool.segment(volume(2)).classes[0, 0, 0] == 2
        assert pool.pids == before


@pytest.mark.parametrize(
    ("word", "error"),
    [("bundle-error", BundleError), ("settings-error", SettingsError), ("self-test-failed", SelfTestFailed)],
)
def test_what_keeps_the_engine_from_loading_is_raised_then_and_ever_after(
    script: Script, word: str, error: type[NodeError]
) -> None:
    script.write(load=[word])
    with script.pool() as pool:
        for _ in range(2):
            with pytest.raises(error, match="as the test asks"):
                pool.loaded()
        with pytest.raises(error):
            pool.segment(volume(1))
        assert pool.pids == ()


def test_an_engine_that_dies_at_loading_is_tried_three_times(script: Script) -> None:
    script.write(load=["kill", "exit 3"])
    with script.pool() as pool:
        assert pool.loaded().segment(volume(1)).classes[0, 0, 0] == 1
    assert len(list(script.folder.glob("load *"))) == 3


def test_an_engine_that_dies_at_every_loading_is_given_up(script: Script) -> None:
    script.write(load=["kill"] * 3)
    with script.pool() as pool, pytest.raises(EngineDied, match="ended by SIGKILL while it loaded"):
        pool.loaded()


def test_the_next_case_is_prepared_while_one_runs_and_answers_keep_their_order(script: Script) -> None:
    script.write(answer={1: "gate"})
    with script.pool() as pool:
        first = segmenting(pool.loaded(), 1)
        script.wait_for("answer 1")
        second = segmenting(pool, 2)
        script.wait_for("prepare 2")
        assert not first.done()
        assert not second.done()
        script.open_gate(1)
        assert first.result(PATIENCE_S).classes[0, 0, 0] == 1
        assert second.result(PATIENCE_S).classes[0, 0, 0] == 2


@pytest.mark.parametrize(
    ("word", "text"),
    [("kill", "ended by SIGKILL while it held the case"), ("exit 3", "ended with exit code 3 while it held the case")],
)
def test_a_death_costs_the_running_case_one_attempt_and_the_waiting_one_nothing(
    script: Script, word: str, text: str
) -> None:
    script.write(answer={1: "gate", 2: word})
    with script.pool() as pool:
        first = segmenting(pool.loaded(), 1)
        script.wait_for("answer 1")
        dying = segmenting(pool, 2)
        script.wait_for("prepare 2")
        waiting = segmenting(pool, 3)
        script.open_gate(1)
        assert first.result(PATIENCE_S).classes[0, 0, 0] == 1
        with pytest.raises(EngineDied, match=text):
            dying.result(PATIENCE_S)
        assert waiting.result(PATIENCE_S).classes[0, 0, 0] == 3


def test_a_case_that_kills_while_it_is_prepared_takes_one_other_with_it_at_most(script: Script) -> None:
    script.write(answer={1: "gate"}, prepare={2: "kill"})
    with script.pool() as pool:
        innocent = segmenting(pool.loaded(), 1)
        script.wait_for("answer 1")
        poison = segmenting(pool, 2)
        with pytest.raises(EngineDied):
            innocent.result(PATIENCE_S)
        with pytest.raises(EngineDied):
            poison.result(PATIENCE_S)
        assert pool.segment(volume(3)).classes[0, 0, 0] == 3


def test_a_case_beyond_its_time_is_ended_and_the_one_behind_it_is_not(script: Script) -> None:
    script.write(answer={1: "gate"})
    with script.pool(timeout_s=2.0) as pool:
        slow = segmenting(pool.loaded(), 1)
        script.wait_for("answer 1")
        waiting = segmenting(pool, 2)
        with pytest.raises(EngineTimeout, match="longer than 2 s"):
            slow.result(PATIENCE_S)
        assert waiting.result(PATIENCE_S).classes[0, 0, 0] == 2


def test_a_process_that_does_not_even_read_is_ended_at_the_time_limit(script: Script) -> None:
    script.write(answer={1: "stop"})
    with script.pool(timeout_s=2.0) as pool:
        stopped = segmenting(pool.loaded(), 1)
        with pytest.raises(EngineTimeout):
            stopped.result(PATIENCE_S)
        assert pool.segment(volume(2)).classes[0, 0, 0] == 2


def test_an_idle_engine_that_is_killed_costs_no_case_anything(script: Script) -> None:
    with script.pool() as pool:
        for number in (1, 2, 3):
            assert pool.segment(volume(number)).classes[0, 0, 0] == number
            os.kill(pool.pids[0], signal.SIGKILL)
            pool.segment(volume(10 + number))


def test_two_devices_run_two_cases_at_a_time_and_a_third_goes_to_the_free_one(script: Script) -> None:
    script.write(answer={1: "gate", 2: "gate", 3: "gate"}, devices=2)
    with script.pool() as pool:
        assert pool.capacity == 4
        assert len(pool.pids) == 2
        first, second = segmenting(pool, 1), segmenting(pool, 2)
        script.wait_for("answer 1")
        script.wait_for("answer 2")
        script.open_gate(2)
        freed = second.result(PATIENCE_S).run.device
        third = segmenting(pool, 3)
        script.wait_for("answer 3")
        script.open_gate(3)
        assert third.result(PATIENCE_S).run.device == freed
        script.open_gate(1)
        assert {first.result(PATIENCE_S).run.device, freed} == {"cuda:0", "cuda:1"}


def test_one_named_device_is_one_process(script: Script) -> None:
    script.write(devices=4)
    with script.pool(device="cuda:2") as pool:
        assert pool.capacity == 2
        assert pool.segment(volume(1)).run.device == "cuda:2"


def test_a_failure_on_a_gpu_ends_the_process_after_its_answer_but_not_a_refusal(script: Script) -> None:
    script.write(answer={1: "image-refused", 2: "gate", 3: "engine-error"})
    with script.pool(device="cuda:0") as pool:
        [before] = pool.loaded().pids
        with pytest.raises(ImageRefused):
            pool.segment(volume(1))
        assert pool.pids == (before,)
        opening = segmenting(pool, 2)
        script.wait_for("answer 2")
        failing = segmenting(pool, 3)
        script.wait_for("prepare 3")
        waiting = segmenting(pool, 4)
        script.open_gate(2)
        opening.result(PATIENCE_S)
        with pytest.raises(EngineError, match="as the test asks"):
            failing.result(PATIENCE_S)
        assert waiting.result(PATIENCE_S).classes[0, 0, 0] == 4
        assert pool.pids != (before,)


def test_a_device_of_two_that_is_lost_leaves_the_other_to_go_on(script: Script) -> None:
    script.write(devices=2, load=["", "", "settings-error"])
    with script.pool() as pool:
        pool.loaded()
        os.kill(pool.pids[0], signal.SIGKILL)
        for number in range(1, 5):
            assert pool.segment(volume(number)).classes[0, 0, 0] == number


def test_an_engine_that_cannot_be_loaded_again_ends_the_pool(script: Script) -> None:
    script.write(load=["", "bundle-error"], answer={1: "kill"})
    with script.pool() as pool:
        with pytest.raises(EngineDied):
            pool.segment(volume(1))
        with pytest.raises(BundleError):
            pool.segment(volume(2))
        with pytest.raises(BundleError):
            pool.loaded()


def test_closing_ends_the_process_and_whatever_it_runs(script: Script) -> None:
    script.write(answer={1: "gate"})
    pool = script.pool()
    running = segmenting(pool.loaded(), 1)
    script.wait_for("answer 1")
    [pid] = pool.pids
    pool.close()
    with pytest.raises(EngineDied, match="closed"):
        running.result(PATIENCE_S)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(EngineDied, match="closed"):
        pool.segment(volume(2))
    pool.close()


def test_closing_does_not_wait_for_an_engine_that_still_loads(script: Script) -> None:
    script.write(load=["stop"])
    pool = script.pool()
    waiting = segmenting(pool, 1)
    script.wait_for("load 0")
    pool.close()
    with pytest.raises(EngineDied, match="closed"):
        waiting.result(PATIENCE_S)


def test_two_hundred_cases_leave_neither_memory_nor_descriptors_nor_threads_behind(script: Script) -> None:
    with script.pool() as pool:

        def some(count: int) -> None:
            for _ in range(count):
                pool.segment(volume(3, shape=(8, 128, 128)))

        some(50)
        [child] = pool.pids
        before = [(resident_bytes(pid), descriptors(pid)) for pid in (os.getpid(), child)]
        threads = threading.active_count()
        some(200)
        after = [(resident_bytes(pid), descriptors(pid)) for pid in (os.getpid(), child)]
        assert pool.pids == (child,)
    for (memory_before, files_before), (memory_after, files_after) in zip(before, after, strict=True):
        assert memory_after - memory_before < 8 << 20  # 200 volumes are 52 MB
        assert files_after <= files_before
    assert threading.active_count() <= threads


def test_restarts_leave_neither_descriptors_nor_threads_behind(script: Script) -> None:
    script.write(answer={1: "kill"})
    with script.pool() as pool:
        counts = []
        for _ in range(6):
            with pytest.raises(EngineDied):
                pool.segment(volume(1))
            pool.segment(volume(2))
            counts.append((descriptors(os.getpid()), threading.active_count()))
    assert counts[-1] == counts[1]


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
