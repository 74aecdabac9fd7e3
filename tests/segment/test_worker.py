"""A worker behind its socket, with a pool whose engine follows a script; and what a node sees of it."""

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted import PATIENCE_S, Script, scripted, segmenting, volume

from node import __version__
from node.errors import BundleError, EngineDied, EngineTimeout, ImageRefused, NodeAlreadyRunning, SystemFailed
from node.segment.process import door as door_module
from node.segment.process.channel import Channel
from node.segment.process.door import is_ours, knocked, opened
from node.segment.process.messages import Answer, Case, Serving
from node.segment.process.remote import RemoteEngine
from node.verdict import is_shortage

_SCRIPTED_WORKER = Path(__file__).parents[1] / "scripted_worker.py"


class Workers:
    """Worker processes over one script and one socket, one at a time."""

    def __init__(self, folder: Path, script: Script) -> None:
        self.script = script
        self.socket = folder / "worker.sock"
        self.timeout_s = 1800.0
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start a worker, and wait until its networks are in memory."""
        command = [sys.executable, str(_SCRIPTED_WORKER), str(self.script.folder), str(self.socket)]
        self.process = subprocess.Popen([*command, str(self.timeout_s)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Wait for the end of the worker and return its exit code."""
        assert self.process is not None
        self.process.communicate(timeout=PATIENCE_S)
        code, self.process = self.process.returncode, None
        return code


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    with scripted(tmp_path) as script:
        made = Workers(tmp_path, script)
        yield made
        if made.process is not None:
            made.end(signal.SIGKILL)


def engine_of(workers: Workers, **changes: Any) -> RemoteEngine:
    return RemoteEngine(workers.socket, **{"wait_s": PATIENCE_S, "pause_s": 0.02, **changes})


def test_an_answer_of_the_worker_is_that_of_its_pool(workers: Workers) -> None:
    workers.start()
    with engine_of(workers) as engine:
        given = volume(7)
        found = engine.segment(given) if engine.loaded() else None
        assert found is not None
        assert np.array_equal(found.classes, given.voxels % 251)
        assert list(found.opinions) == ["2d", "3d_fullres"]
        assert found.algorithm == engine.algorithm
        assert engine.capacity == 2
    assert workers.end() == 0
    assert not workers.socket.exists()


def test_an_error_of_a_case_crosses_as_its_class_and_the_next_case_is_answered(workers: Workers) -> None:
    workers.script.write(answer={1: "image-refused"})
    workers.start()
    with engine_of(workers) as engine:
        with pytest.raises(ImageRefused, match="as the test asks"):
            engine.loaded().segment(volume(1))
        assert engine.segment(volume(2)).classes[0, 0, 0] == 2


def test_a_case_beyond_its_time_is_ended_by_the_worker_and_the_one_behind_it_is_not(workers: Workers) -> None:
    workers.script.write(answer={1: "gate"})
    workers.timeout_s = 2.0
    workers.start()
    with engine_of(workers) as engine:
        slow = segmenting(engine.loaded(), 1)
        workers.script.wait_for("answer 1")
        waiting = segmenting(engine, 2)
        with pytest.raises(EngineTimeout, match="longer than 2 s"):
            slow.result(PATIENCE_S)
        assert waiting.result(PATIENCE_S).classes[0, 0, 0] == 2


def test_a_killed_worker_costs_the_running_case_an_attempt_and_the_waiting_one_nothing(workers: Workers) -> None:
    workers.script.write(answer={1: "gate"})
    workers.start()
    with engine_of(workers) as engine:
        running = segmenting(engine.loaded(), 1)
        workers.script.wait_for("answer 1")
        waiting = segmenting(engine, 2)
        workers.script.wait_for("prepare 2")
        workers.end(signal.SIGKILL)
        with pytest.raises(EngineDied, match="the worker ended while it held the case"):
            running.result(PATIENCE_S)
        with pytest.raises(OSError, match="no worker holds the networks now") as caught:
            waiting.result(PATIENCE_S)
        assert is_shortage(caught.value)
        workers.start()
        assert engine.loaded().segment(volume(3)).classes[0, 0, 0] == 3


def test_a_worker_that_is_told_to_end_answers_what_it_has_and_takes_no_more(workers: Workers) -> None:
    workers.script.write(answer={1: "gate"})
    workers.start()
    assert workers.process is not None
    with engine_of(workers, wait_s=0.0) as engine:
        until_loaded(engine)
        running = segmenting(engine, 1)
        workers.script.wait_for("answer 1")
        workers.process.send_signal(signal.SIGTERM)
        until_refused(engine)
        assert not running.done()
        workers.script.open_gate(1)
        assert running.result(PATIENCE_S).classes[0, 0, 0] == 1
    assert workers.ended() == 0


def test_a_stopped_worker_is_given_up_when_it_gives_no_sign_of_life(workers: Workers) -> None:
    workers.script.write(answer={1: "gate"})
    workers.start()
    assert workers.process is not None
    with engine_of(workers, silence_s=1.0) as engine:
        running = segmenting(engine.loaded(), 1)
        workers.script.wait_for("answer 1")
        workers.process.send_signal(signal.SIGSTOP)
        with pytest.raises(EngineDied, match="no sign of life for 1 s while it held the case"):
            running.result(PATIENCE_S)


def test_without_a_worker_nobody_may_claim_a_case_and_closing_does_not_wait_for_one(tmp_path: Path) -> None:
    engine = RemoteEngine(tmp_path / "worker.sock", wait_s=0.0)
    with pytest.raises(OSError, match="no worker holds the networks now") as caught:
        engine.loaded()
    assert caught.value.errno == errno.ENOTCONN
    with pytest.raises(OSError, match="no worker"):
        engine.segment(volume(1))
    engine.close()
    engine.close()
    with pytest.raises(EngineDied, match="closed"):
        engine.loaded()


def test_closing_the_engine_ends_who_waits_for_an_answer_and_not_the_worker(workers: Workers) -> None:
    workers.script.write(answer={1: "gate"})
    workers.start()
    engine = engine_of(workers)
    running = segmenting(engine.loaded(), 1)
    workers.script.wait_for("answer 1")
    engine.close()
    with pytest.raises(EngineDied, match="closed"):
        running.result(PATIENCE_S)
    workers.script.open_gate(1)
    with engine_of(workers) as next_engine:
        assert next_engine.loaded().segment(volume(2)).classes[0, 0, 0] == 2
    assert workers.end() == 0


def test_a_worker_ends_with_the_error_of_a_pool_that_cannot_go_on(workers: Workers) -> None:
    workers.script.write(load=["", "bundle-error"], answer={1: "kill"})
    workers.start()
    with engine_of(workers) as engine:
        with pytest.raises(EngineDied):
            engine.loaded().segment(volume(1))
        assert workers.ended() == BundleError.exit_code


def test_a_worker_of_another_version_or_bundle_is_not_asked(tmp_path: Path) -> None:
    with scripted(tmp_path) as script, script.pool() as pool:
        algorithm = pool.algorithm
    told = threading.Event()
    for version, digest in (("0.0.9", ""), (__version__, "cd" * 32)):
        door = opened(tmp_path / "worker.sock")
        told.clear()
        host = threading.Thread(
            target=serve_once, args=(door, Serving(version=version, algorithm=algorithm, devices=1), told)
        )
        host.start()
        engine = RemoteEngine(tmp_path / "worker.sock", digest=digest, wait_s=0.0, pause_s=PATIENCE_S)
        with pytest.raises(OSError, match="no worker"):
            engine.loaded()
        assert told.wait(PATIENCE_S)
        with pytest.raises(OSError, match="no worker"):
            engine.loaded()
        host.join()
        engine.close()
        door.close()


def test_an_answer_on_another_grid_ends_the_line_and_costs_the_case_an_attempt(tmp_path: Path) -> None:
    with scripted(tmp_path) as script, script.pool() as pool:
        found = pool.segment(volume(1, shape=(3, 3, 4)))
    door = opened(tmp_path / "worker.sock")

    def lie() -> None:
        connection, _ = door.accept()
        channel = Channel(connection)
        channel.send(Serving(version=__version__, algorithm=found.algorithm, devices=1))
        case, _ = channel.receive()
        assert isinstance(case, Case)
        channel.send(*Answer.of(case.number, found))
        with pytest.raises(EOFError):
            channel.receive()
        channel.close()

    liar = threading.Thread(target=lie)
    liar.start()
    engine = RemoteEngine(tmp_path / "worker.sock", wait_s=PATIENCE_S)
    with pytest.raises(EngineDied, match="answered on another grid"):
        engine.loaded().segment(volume(1))
    liar.join(PATIENCE_S)
    engine.close()
    door.close()


def test_who_is_of_another_user_is_neither_asked_nor_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path / "worker.sock") as door, knocked(tmp_path / "worker.sock", PATIENCE_S):
        connection, _ = door.accept()
        with connection:
            assert is_ours(connection)
            monkeypatch.setattr(door_module.os, "geteuid", lambda: os.getuid() + 1)
            monkeypatch.setattr(door_module, "_ROOT", os.getuid() + 2)
            assert not is_ours(connection)
            with pytest.raises(PermissionError, match="another user listens there"):
                knocked(tmp_path / "worker.sock", PATIENCE_S)


def test_the_socket_is_its_owners_alone_and_one_that_was_left_there_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "worker.sock"
    opened(path).close()
    with opened(path):
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(NodeAlreadyRunning, match="another worker listens"):
            opened(path)
    with pytest.raises(SystemFailed, match="No such file"):
        opened(tmp_path / "nowhere" / "worker.sock")
    with pytest.raises(SystemFailed, match="too long"):
        opened(tmp_path / ("x" * 120))


def serve_once(door: socket.socket, serving: Serving, told: threading.Event) -> None:
    """Be a worker for one node, until it hangs up."""
    connection, _ = door.accept()
    channel = Channel(connection)
    channel.send(serving)
    with contextlib.suppress(EOFError):
        channel.receive()
    channel.close()
    told.set()


def until_loaded(engine: RemoteEngine) -> None:
    pause = threading.Event()
    while True:
        try:
            engine.loaded()
        except OSError:
            pause.wait(0.02)
        else:
            return


def until_refused(engine: RemoteEngine) -> None:
    """Send cases until the worker takes none; those that it took before wait with the first."""
    pause = threading.Event()
    while True:
        sent = segmenting(engine, 2)
        pause.wait(0.05)
        if sent.done() and isinstance(sent.exception(), OSError):
            return
