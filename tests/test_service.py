"""The service's threads over a real listener, with an engine and a destination in memory, from start to SIGTERM."""

import contextlib
import errno
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from oracle import OracleSegmenter, write_blocks
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from structlog.testing import capture_logs
from wired import Shelf, settings

from node import service as service_module
from node.caseflow import Caseflow
from node.domain.findings import Segmentation
from node.domain.geometry import Volume
from node.errors import BundleError, EngineDied
from node.journal.journal import Journal
from node.journal.overview import overview
from node.outbox import Outbox
from node.promises import Promises
from node.receive.listener import Listener
from node.receive.spool import Spool
from node.receive.traffic import Traffic
from node.scu.association import Peer, associate
from node.service import Bell, Bells, Duty, Service
from node.settings import CompletenessSettings, NodeSettings

PATIENCE_S = 60.0


class Engine(OracleSegmenter):
    """An engine for two cases at a time, which wait at its gate while that is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.capacity = 2
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Semaphore(0)
        self.closed = threading.Event()
        self.load: Callable[[], None] = lambda: None

    def loaded(self) -> "Engine":
        self.load()
        return self

    def segment(self, volume: Volume) -> Segmentation:
        self.arrived.release()
        assert self.gate.wait(PATIENCE_S)
        return super().segment(volume)

    def close(self) -> None:
        self.closed.set()


class Wired:
    """A service that runs in this process until `drive` has returned."""

    def __init__(self, state_dir: Path) -> None:
        state_dir.mkdir()
        quick = CompletenessSettings(quiet_s=0.1)
        node = NodeSettings(state_dir=state_dir, port=0)
        all_settings = settings(state_dir, "cervical").model_copy(update={"completeness": quick, "node": node})
        self.engine = Engine()
        self.shelf = Shelf()
        self.journal = Journal(state_dir / "journal.sqlite")
        bells = Bells()
        traffic = Traffic(time.monotonic, on_ended=bells.sender_done.ring)
        flow = Caseflow(all_settings, self.journal, traffic, self.engine.loaded)
        outbox = Outbox(all_settings, self.journal, {"archive": self.shelf})
        self.opened: list[str] = []
        self.service = Service(
            flow=flow,
            listener=Listener(
                all_settings, Spool(state_dir, flow.take), traffic, lambda: None, Promises(all_settings, self.journal)
            ),
            engine=self.engine,
            bells=bells,
            duties=[Duty(name="deliver", step=lambda: outbox.deliver("archive"), bell=bells.results_wait)],
            around=[self._chore()],
        )

    @contextmanager
    def _chore(self) -> Iterator[None]:
        self.opened.append("open")
        yield
        self.opened.append("closed")

    def run(self, drive: Callable[[int], None]) -> None:
        """Serve in this thread; `drive` gets the port in another, and SIGTERM comes when it returns or fails."""
        failures: list[BaseException] = []

        def driving(port: int) -> None:
            try:
                drive(port)
            except BaseException as error:  # noqa: BLE001 - raised again below
                failures.append(error)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        def ready(port: int) -> None:
            threading.Thread(target=driving, args=[port], daemon=True).start()

        self.service.run(ready)
        if failures:
            raise failures[0]

    def states(self) -> list[str]:
        return sorted(case["state"] for case in overview(self.journal.store, latest=100)["latest_cases"])

    def until(self, *states: str) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        poll = threading.Event()
        while self.states() != list(states):
            assert time.monotonic() < deadline_s, self.states()
            poll.wait(0.02)


@pytest.fixture
def wired(tmp_path: Path) -> Iterator[Wired]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    made = Wired(tmp_path / "state")
    yield made
    made.journal.close()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def send(port: int, *series: list[Path]) -> None:
    peer = Peer(host="127.0.0.1", port=port, ae_title="CSPINE", calling_ae_title="TEST", timeout_s=30)
    with associate(peer, [(MRImageStorage, [ExplicitVRLittleEndian])]) as association:
        for files in series:
            for file in files:
                assert association.send_c_store(file).Status == 0x0000


def test_no_step_waits_for_a_poll(wired: Wired, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "_POLL_S", 3600.0)

    def drive(port: int) -> None:
        for name in ("one", "two"):
            send(port, write_blocks(tmp_path / name, name=name))
            wired.until(*["delivered"] * (1 if name == "one" else 2))

    wired.run(drive)
    assert len(wired.shelf.taken) == 4


def test_two_cases_are_in_work_at_a_time_and_both_end_after_sigterm(wired: Wired, tmp_path: Path) -> None:
    wired.engine.gate.clear()

    def drive(port: int) -> None:
        send(port, *(write_blocks(tmp_path / name, name=name) for name in ("one", "two", "three")))
        for _ in range(2):
            assert wired.engine.arrived.acquire(timeout=PATIENCE_S)
        wired.until("queued", "running", "running")
        threading.Timer(0.2, wired.engine.gate.set).start()  # after SIGTERM, most likely; the outcome is the same

    wired.run(drive)
    states = wired.states()
    assert "running" not in states
    assert len([state for state in states if state in {"sending", "delivered"}]) >= 2
    assert wired.engine.closed.is_set()


def test_an_engine_that_cannot_be_loaded_ends_the_service_with_its_error(wired: Wired) -> None:
    def fail() -> None:
        raise BundleError("as the test asks")

    wired.engine.load = fail
    with pytest.raises(BundleError, match="as the test asks"):
        wired.run(lambda _port: wired.service._stop.wait(PATIENCE_S))
    assert wired.engine.closed.is_set()


def test_an_engine_that_is_lost_later_ends_the_service_too(wired: Wired, tmp_path: Path) -> None:
    def fail() -> None:
        raise BundleError("as the test asks")

    def drive(port: int) -> None:
        send(port, write_blocks(tmp_path / "one", name="one"))
        wired.until("delivered")
        wired.engine.load = fail
        wired.service._stop.wait(PATIENCE_S)

    with pytest.raises(BundleError, match="as the test asks"):
        wired.run(drive)


def test_sigterm_does_not_wait_for_an_engine_that_still_loads(wired: Wired) -> None:
    loading = threading.Event()

    def load() -> None:
        loading.set()
        assert wired.engine.closed.wait(PATIENCE_S)
        raise EngineDied("closed")

    wired.engine.load = load
    wired.run(lambda _port: check(loading.wait(PATIENCE_S)))


def test_a_service_whose_duty_hangs_tells_the_watchdog_nothing_more(
    wired: Wired, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(PATIENCE_S)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "60000")
    stuck, going_on = wired.engine.gate, threading.Event()
    stuck.clear()
    monkeypatch.setattr(Caseflow, "longest_work_s", 0.0)

    def drive(port: int) -> None:
        assert manager.recv(100) == b"READY=1"
        assert manager.recv(100) == b"WATCHDOG=1"
        send(port, write_blocks(tmp_path / "one", name="one"))
        assert wired.engine.arrived.acquire(timeout=PATIENCE_S)
        until_silent(manager)
        stuck.set()
        assert manager.recv(100) == b"WATCHDOG=1"
        going_on.set()

    wired.run(drive)
    assert going_on.is_set()
    manager.close()


class Pulling(contextlib.nullcontext[None]):
    """Something around the service to which somebody sends."""

    def __init__(self) -> None:
        super().__init__()
        self.port = 0
        self.could_be_sent_to = False

    def halt(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)):
            self.could_be_sent_to = True


def test_what_is_sent_to_ends_before_the_listener_does(wired: Wired) -> None:
    pulling = Pulling()
    wired.service._around = [pulling]

    def drive(port: int) -> None:
        pulling.port = port

    wired.run(drive)
    assert pulling.could_be_sent_to


def test_a_duty_that_waits_for_somebody_outside_is_told_to_break_off(wired: Wired) -> None:
    waits, halted = threading.Event(), threading.Event()

    def wait() -> None:
        waits.set()
        assert halted.wait(PATIENCE_S)

    wired.service._duties = (*wired.service._duties, Duty(name="tell", step=wait, bell=Bell(), halt=halted.set))
    wired.run(lambda _port: check(waits.wait(PATIENCE_S)))
    assert not [thread for thread in wired.service._threads if thread.is_alive()]


def test_a_duty_that_fails_to_break_off_keeps_no_other_from_it(wired: Wired) -> None:
    waits, halted = threading.Event(), threading.Event()

    def wait() -> None:
        waits.set()
        assert halted.wait(PATIENCE_S)

    def fail() -> None:
        raise TypeError("what a message may quote")

    failing = Duty(name="deliver", step=lambda: None, bell=Bell(), halt=fail)
    halting = Duty(name="tell", step=wait, bell=Bell(), halt=halted.set)
    wired.service._duties = (*wired.service._duties, failing, halting)
    with capture_logs() as logs:
        wired.run(lambda _port: check(waits.wait(PATIENCE_S)))
    (told,) = [line for line in logs if line["event"] == "not broken off"]
    assert (told["duty"], told["text"].split(" at ")[0]) == ("deliver", "TypeError")
    assert not [thread for thread in wired.service._threads if thread.is_alive()]


def test_a_duty_that_cannot_break_off_is_left_behind(wired: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "HALTED_S", 0.1)
    waits, over = threading.Event(), threading.Event()

    def wait() -> None:
        waits.set()
        over.wait(PATIENCE_S)

    duty = Duty(name="tell", step=wait, bell=Bell(), halt=lambda: None)
    wired.service._duties = (*wired.service._duties, duty)
    with capture_logs() as logs:
        wired.run(lambda _port: check(waits.wait(PATIENCE_S)))
    assert [line["thread"] for line in logs if line["event"] == "left behind"] == ["tell"]
    (left,) = [thread for thread in wired.service._threads if thread.is_alive()]
    assert left.daemon
    over.set()
    left.join(PATIENCE_S)


def test_a_worker_that_is_away_ends_neither_the_service_nor_its_end(wired: Wired, tmp_path: Path) -> None:
    asked = threading.Semaphore(0)

    def away() -> None:
        asked.release()
        raise OSError(errno.ENOTCONN, "as the test asks")

    wired.engine.load = away

    def drive(port: int) -> None:
        assert asked.acquire(timeout=PATIENCE_S)
        send(port, write_blocks(tmp_path / "one", name="one"))
        wired.until("queued")

    wired.run(drive)
    assert wired.states() == ["queued"]


def test_a_ring_between_looking_and_waiting_is_not_lost() -> None:
    bell = Bell()
    heard = bell.rings()
    bell.ring()
    bell.wait(heard, PATIENCE_S)
    assert bell.rings() == heard + 1


def test_a_ring_wakes_everyone_who_waits() -> None:
    bell = Bell()
    heard = bell.rings()
    threads = [threading.Thread(target=bell.wait, args=[heard, PATIENCE_S]) for _ in range(3)]
    for thread in threads:
        thread.start()
    bell.ring()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads)


def until_silent(manager: socket.socket) -> None:
    """Hear the watchdog's messages until none has come for ten of its intervals."""
    manager.settimeout(0.6)
    with contextlib.suppress(TimeoutError):
        while True:
            manager.recv(100)
    manager.settimeout(PATIENCE_S)


def check(happened: Any) -> None:
    assert happened
