"""The engine's process by itself: how it ends, what it loads, what it refuses, and what is no message."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from oracle import ALGORITHM, RUN
from scripted import PATIENCE_S, Script, scripted, segmenting, volume

from node.domain.anatomy import StructureKind
from node.domain.findings import Segmentation
from node.domain.geometry import Volume
from node.errors import BundleError, BundleTampered, EngineDied, EngineError, NodeError
from node.segment.bundle import STARTER, load_bundle
from node.segment.process.channel import Channel
from node.segment.process.messages import Answer, Case, Failure, Start, parse
from node.segment.process.pool import EnginePool
from node.settings import ModelSettings

BODY = StructureKind.VERTEBRAL_BODY

_SEGMENTATION = Segmentation(
    classes=np.zeros((1, 1, 1), np.uint8),
    meanings={1: BODY},
    probabilities={},
    opinions={},
    algorithm=ALGORITHM,
    run=RUN,
)


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    with scripted(tmp_path) as made:
        yield made


def wait_for_end(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended, _, _ = select.select([descriptor], [], [], PATIENCE_S)
    os.close(descriptor)
    assert ended, f"{pid} is still there"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_its_group_does_not_end_a_child_that_computes(script: Script, number: int) -> None:
    script.write(answer={1: "gate"})
    with script.pool() as pool:
        running = segmenting(pool.loaded(), 1)
        script.wait_for("answer 1")
        [pid] = pool.pids
        os.killpg(pid, number)
        script.open_gate(1)
        assert running.result(PATIENCE_S).classes[0, 0, 0] == 1
        assert pool.pids == (pid,)
    wait_for_end(pid)


_PARENT = """
import sys
from pathlib import Path
from oracle import ALGORITHM, RUN
from scripted import Script, segmenting
from node import log
log.configure(level="warning", key=None)  # standard output holds the child's number
script = Script.__new__(Script)
script.folder = Path(sys.argv[1])
pool = script.pool().loaded()
print(*pool.pids, flush=True)
segmenting(pool, 1).result()
"""


@pytest.mark.parametrize("word", ["gate", "spin"])
def test_the_death_of_the_node_ends_a_child_in_the_middle_of_a_case(script: Script, word: str) -> None:
    script.write(answer={1: word})
    node = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(script.folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert node.stdout is not None
    try:
        child = int(node.stdout.readline())
        script.wait_for("answer 1")
    finally:
        node.kill()
        node.communicate()
    wait_for_end(child)


def test_a_child_whose_line_is_closed_while_it_loads_ends(script: Script) -> None:
    script.write(load=["spin"])
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            child = subprocess.Popen([*script.command, str(theirs.fileno())], pass_fds=[theirs.fileno()])
        bundle = load_bundle(STARTER)
        Channel(ours).send(Start(bundle=STARTER, digest=bundle.digest, settings=ModelSettings(), device="cpu"))
        script.wait_for("load 0")
    assert child.wait(PATIENCE_S) == 0


def test_a_bundle_that_changed_after_the_node_verified_it_is_not_loaded() -> None:
    other = replace(load_bundle(STARTER), digest="00" * 32)
    with EnginePool(other, ModelSettings()) as pool, pytest.raises(BundleTampered, match="another bundle"):
        pool.loaded()


def test_a_bundle_that_is_gone_is_a_bundle_error(tmp_path: Path) -> None:
    gone = replace(load_bundle(STARTER), folder=tmp_path)
    with EnginePool(gone, ModelSettings()) as pool, pytest.raises(BundleError, match=r"no readable bundle\.json"):
        pool.loaded()


def test_the_node_itself_never_imports_torch() -> None:
    check = "import sys, node.bootstrap.live; sys.exit('torch' in sys.modules or 'nnunetv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\x80\x04no JSON",
        b'{"what": "shell", "run": "rm"}',
        b'{"what": "begun", "number": 1, "more": 2}',
        b'{"what": "case", "number": 1, "dtype": "object", "shape": [1, 1, 1], "affine": []}',
        b'{"what": "answer", "number": 1, "shape": [1, 1, 99999999]}',
        b'{"what": "answer", "number": 1, "shape": [1, 1, 1], "corner": [0, 0, -1], "size": [1, 1, 1]}',
    ],
)
def test_what_is_no_message_is_refused(header: bytes) -> None:
    with pytest.raises(EngineError, match="do not understand each other"):
        parse(header)


@pytest.mark.parametrize("length", [1 << 21, 0xFFFFFFFF])
def test_a_header_beyond_all_measure_is_not_even_read(length: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(length.to_bytes(4, "big"))
        with pytest.raises(EngineError):
            Channel(theirs).receive()


def test_an_array_beyond_all_measure_is_refused_before_memory_is_taken_for_it() -> None:
    ours, theirs = socket.socketpair()
    row = (0.0, 0.0, 0.0, 0.0)
    with ours, theirs:
        Channel(ours).send(Case(number=1, dtype="float64", shape=(65536, 65536, 65536), affine=(row, row, row, row)))
        with pytest.raises(EngineError):
            Channel(theirs).receive()


def answered(voxels: np.ndarray, **changes: object) -> Answer:
    """Return what is said of a segmentation whose every volume is `voxels`."""
    said, _ = Answer.of(
        1, replace(_SEGMENTATION, classes=voxels, probabilities={BODY: voxels}, opinions={"2d": voxels})
    )
    return said.model_copy(update=changes)


def test_an_answer_is_refused_before_memory_is_taken_for_it_though_little_of_it_is_sent() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Channel(ours).send(answered(np.zeros((2, 3, 4), np.uint8), shape=(65536, 65536, 65536)))
        with pytest.raises(EngineError):
            Channel(theirs).receive()


def test_only_the_box_that_is_not_empty_crosses() -> None:
    ours, theirs = socket.socketpair()
    voxels = np.zeros((20, 300, 300), np.uint8)
    voxels[3:5, 100:120, 50:90] = np.random.default_rng(3).integers(1, 255, (2, 20, 40))
    found = replace(_SEGMENTATION, classes=voxels, probabilities={BODY: voxels // 2}, opinions={"2d": voxels % 3})
    with ours, theirs:
        Channel(ours).send(*Answer.of(1, found))
        message, array = Channel(theirs).receive()
    assert isinstance(message, Answer)
    assert array is not None
    assert array.shape == (3, 2, 20, 40)
    came = message.segmentation(array)
    assert np.array_equal(came.classes, voxels)
    assert np.array_equal(came.probabilities[BODY], voxels // 2)
    assert np.array_equal(came.opinions["2d"], voxels % 3)


def test_an_answer_in_which_nothing_was_found_crosses() -> None:
    ours, theirs = socket.socketpair()
    empty = np.zeros((2, 3, 4), np.uint8)
    found = replace(_SEGMENTATION, classes=empty, probabilities={BODY: empty}, opinions={})
    with ours, theirs:
        Channel(ours).send(*Answer.of(1, found))
        message, array = Channel(theirs).receive()
    assert isinstance(message, Answer)
    assert array is not None
    came = message.segmentation(array)
    assert (came.classes.shape, came.classes.any(), came.opinions) == ((2, 3, 4), False, {})


def test_a_box_that_reaches_beyond_its_volume_is_no_message() -> None:
    said = answered(np.ones((2, 3, 4), np.uint8), corner=(0, 1, 0))
    with pytest.raises(EngineError, match="do not understand each other"):
        parse(said.model_dump_json().encode())


@pytest.mark.parametrize("changes", [{"kinds": (BODY, BODY)}, {"opinions": ("2d", "2d")}])
def test_two_layers_of_one_name_are_no_message(changes: dict[str, object]) -> None:
    said = answered(np.ones((2, 3, 4), np.uint8), **changes)
    with pytest.raises(EngineError, match="do not understand each other"):
        parse(said.model_dump_json().encode())


def test_a_line_that_is_closed_in_the_middle_of_an_array_has_ended() -> None:
    ours, theirs = socket.socketpair()
    row = (0.0, 0.0, 0.0, 0.0)
    with theirs:
        with ours:
            case = Case(number=1, dtype="int16", shape=(2, 2, 2), affine=(row, row, row, row))
            Channel(ours).send(case, np.zeros(3, np.int16))
        with pytest.raises(EOFError):
            Channel(theirs).receive()


def test_an_array_far_larger_than_the_buffer_of_a_socket_crosses_whole() -> None:
    ours, theirs = socket.socketpair()
    row = (0.0, 0.0, 0.0, 0.0)
    sent = np.random.default_rng(7).integers(-1000, 1000, (40, 256, 256), dtype=np.int16)
    case = Case(number=1, dtype="int16", shape=sent.shape, affine=(row, row, row, row))
    with ours, theirs:
        sender = threading.Thread(target=lambda: Channel(ours).send(case, sent[::-1]))
        sender.start()
        message, array = Channel(theirs).receive()
        sender.join()
    assert message == case
    assert array is not None
    assert np.array_equal(array, sent[::-1])


def test_every_error_of_the_tree_crosses_as_itself() -> None:
    def below(kind: type[NodeError]) -> set[type[NodeError]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    for kind in below(NodeError) - {NodeError}:
        came = Failure.of(kind("as it was"), number=1, ends=False).error()
        assert (type(came), str(came)) == (kind, "as it was")


def test_an_unknown_error_is_an_engine_error() -> None:
    assert type(Failure(number=1, code="from-the-future", text="?", ends=False).error()) is EngineError


@pytest.mark.slow
def test_the_real_engine_answers_in_its_process_as_it_does_in_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from bundles import shorten_self_test  # noqa: PLC0415 - torch, for this test alone

    from node.segment.nnunet.engine import NnunetEngine  # noqa: PLC0415
    from node.train.phantom import generate  # noqa: PLC0415

    phantom = generate(11, shape=(9, 160, 160), spacing_mm=(4.0, 1.0, 1.0))
    given = Volume(grid=phantom.grid, voxels=phantom.image, sources=(), acquired_in_3d=False)
    bundle = load_bundle(STARTER)
    shorten_self_test(monkeypatch)
    settings = ModelSettings.model_validate({"device": "cpu", "cpu": {"backend": "torch"}})
    here = NnunetEngine(bundle, settings, "cpu")
    with EnginePool(bundle, settings) as pool:
        there = pool.segment(given)
        with pytest.raises(EngineError, match="no signal"):
            pool.segment(replace(volume(1), voxels=np.zeros((2, 3, 4), np.int16)))
        again = pool.segment(given)
    expected = here.segment(given)
    assert np.array_equal(there.classes, expected.classes)
    assert np.array_equal(again.classes, expected.classes)
    assert (there.algorithm, there.meanings) == (expected.algorithm, expected.meanings)
    for kind, probability in expected.probabilities.items():
        assert np.array_equal(there.probabilities[kind], probability)
    assert list(there.opinions) == list(expected.opinions) == ["2d", "3d_fullres"]
    for name, opinion in expected.opinions.items():
        assert np.array_equal(there.opinions[name], opinion)
    assert (there.run.device, there.run.members) == (expected.run.device, expected.run.members)
    assert set(there.run.stages_s) == set(expected.run.stages_s)
    assert there.run.peak_host_bytes > 1 << 20


def test_a_child_that_cannot_be_started_is_said_to_be_so(tmp_path: Path) -> None:
    nothing = (str(tmp_path / "no such program"),)
    with (
        EnginePool(load_bundle(STARTER), ModelSettings(), command=nothing, pauses_s=(0.0, 0.0)) as pool,
        pytest.raises(EngineDied, match="cannot be started: No such file"),
    ):
        pool.loaded()
