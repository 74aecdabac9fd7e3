"""What a service tells systemd over a datagram socket, with steps that hang and steps that do not."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from manager import PATIENCE_S, Manager

import node.systemd
from node.systemd import Progress, interval_s, keep_alive, notify, watchdog_s


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    yield made
    made.close()


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class OneLook(threading.Event):
    """Is set as soon as somebody waits for it, so that there is one look."""

    def wait(self, timeout: float | None = None) -> bool:
        self.waited_s = timeout
        self.set()
        return True


def test_what_is_said_reaches_the_socket_of_the_environment_alone(manager: Manager) -> None:
    notify("STATUS=elsewhere", {})
    notify("READY=1")
    assert manager.hear() == "READY=1"


@pytest.mark.parametrize("address", ["missing", "vsock:2:1234", "x" * 200])
def test_a_manager_who_is_not_there_ends_no_service(tmp_path: Path, address: str) -> None:
    notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / address)})


def test_a_manager_who_does_not_read_holds_nothing_up(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.systemd, "_PATIENCE_S", 0.001)
    with structlog.testing.capture_logs() as said:
        while not said:  # until what nobody reads fills the socket
            notify("WATCHDOG=1")
    assert said[0]["event"] == "systemd not told"
    assert manager.hear() == "WATCHDOG=1"


def test_an_address_in_the_abstract_namespace_is_spoken_to() -> None:
    name = f"cspine-node-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        notify("READY=1", {"NOTIFY_SOCKET": f"@{name}"})
        listener.settimeout(PATIENCE_S)
        assert listener.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_a_watchdog_is_minded_where_it_asks_this_process(environment: dict[str, str], interval_s: float | None) -> None:
    assert watchdog_s(environment) == interval_s


@pytest.mark.parametrize(("asked_us", "every_s"), [("", 10.0), ("60000000", 10.0), ("6000000", 2.0)])
def test_a_watchdog_is_told_three_times_within_its_interval_at_least(asked_us: str, every_s: float) -> None:
    assert interval_s({"WATCHDOG_USEC": asked_us}) == every_s


def test_a_step_is_stuck_from_its_longest_time_on_until_it_ends() -> None:
    clock = Clock()
    progress = Progress(clock)
    with progress.step("close", 10), progress.step("deliver archive", 60):
        clock.now_s += 10
        assert progress.stuck() == frozenset()
        clock.now_s += 1
        assert progress.stuck() == {"close"}
        clock.now_s += 50
        assert progress.stuck() == {"close", "deliver archive"}
    assert progress.stuck() == frozenset()


def test_two_steps_of_one_name_are_two() -> None:
    clock = Clock()
    progress = Progress(clock)
    with progress.step("segment", 10):
        with progress.step("segment", 100):
            clock.now_s += 20
        assert progress.stuck() == {"segment"}


def test_the_watchdog_is_told_three_times_within_its_interval_while_all_goes_on(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "6000000")
    stop, progress = OneLook(), Progress()
    with progress.step("close", 600):
        keep_alive(progress, stop)
    assert manager.hear() == "WATCHDOG=1"
    assert stop.waited_s == 2.0


def test_the_watchdog_is_told_nothing_while_a_step_is_stuck_and_again_when_it_has_ended(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "6000000")
    clock = Clock()
    progress = Progress(clock)
    with progress.step("close", 10):
        clock.now_s += 11
        keep_alive(progress, OneLook())
        assert manager.has_heard_all()
    keep_alive(progress, OneLook())
    assert manager.hear() == "WATCHDOG=1"


def test_without_a_watchdog_steps_are_looked_at_and_nobody_is_told(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    clock = Clock()
    progress = Progress(clock)
    with progress.step("close", 10):
        clock.now_s += 11
        keep_alive(progress, OneLook())
    said = capsys.readouterr()
    assert "step is stuck" in said.out + said.err
    assert manager.has_heard_all()
