"""The node as `serve` wires it, with all that can be configured but without an engine: its start and its end."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import mr_image
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from silent import Silence, dicom_archive

from node.bootstrap.live import build_service
from node.control import ask
from node.journal.overview import overview
from node.journal.store import Store
from node.scu.association import Peer, associate
from node.settings import Settings, parse_settings

PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Signals as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def everything(folder: Path, archive_port: int) -> Settings:
    """Return settings in which each kind of duty occurs; the worker is away, and the archive never answers."""
    archive = {"host": "127.0.0.1", "port": archive_port, "ae_title": "ARCHIVE"}
    nobody = "http://127.0.0.1:1"
    return parse_settings(
        {
            "node": {"state_dir": str(folder / "state"), "port": 0},
            "receive": {"minimum_free_mb": 0},
            "model": {"worker": str(folder / "worker.sock")},
            "route": [{"name": "neck", "destinations": ["archive", "web", "disk"]}],
            "destination": [
                {"name": "archive", "confirm": "commitment", **archive},
                {"name": "web", "kind": "stow", "url": nobody},
                {"name": "disk", "kind": "folder", "path": str(folder / "out")},
            ],
            "peer": [{"ae_title": "PACS", "host": "127.0.0.1", "port": 1, "ask_count": True, "ask_missing": True}],
            "notify": [
                {"name": "desk", "url": nobody},
                {
                    "name": "mail",
                    "kind": "mail",
                    "host": "127.0.0.1",
                    "port": 1,
                    "security": "none",
                    "sender": "cspine@hospital.example",
                    "to": ["pacs@hospital.example"],
                },
            ],
            "pull": [
                {"name": "often", "archive": "archive", "every_min": 60, "timeout_s": 600},
                {"name": "nightly", "archive": "web", "cron": "30 1 * * *"},
                {"name": "asked", "archive": "PACS", "retrieve": "get"},
            ],
        },
        name="test",
    )


def served(settings: Settings, drive: Callable[[int], None]) -> None:
    """Serve in this thread; `drive` gets the port in another, and SIGTERM comes when it returns or fails."""
    failures: list[BaseException] = []

    def driving(port: int) -> None:
        try:
            drive(port)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    service, journal = build_service(settings)
    with contextlib.closing(journal):
        service.run(lambda port: threading.Thread(target=driving, args=[port], daemon=True).start())
    if failures:
        raise failures[0]


def command(settings: Settings, **request: Any) -> Any:
    return ask(settings.node.state_dir, request, patience_s=PATIENCE_S)


def test_sigterm_ends_all_that_is_configured_while_an_archive_is_silent(tmp_path: Path) -> None:
    silence = Silence()
    with dicom_archive(silence) as archive_port:
        settings = everything(tmp_path, archive_port)

        def drive(port: int) -> None:
            peer = Peer(host="127.0.0.1", port=port, ae_title="CSPINE", calling_ae_title="PACS", timeout_s=30)
            with associate(peer, [(MRImageStorage, [ExplicitVRLittleEndian])]) as association:
                assert association.send_c_store(mr_image(1)).Status == 0x0000
            assert command(settings, do="figures")["figures"]["intake"]["instances"]["stored"] == 1
            assert command(settings, do="pull", pull="often", step="start")["state"] == "running"
            assert silence.heard.wait(PATIENCE_S)

        threads = threading.active_count()
        served(settings, drive)
        assert not silence.ends.is_set()
        assert threading.active_count() <= threads + 2  # of the archive, which still holds its silence
    assert ask(settings.node.state_dir, {"do": "figures"}, patience_s=1) is None
    store = Store(settings.node.state_dir / "journal.sqlite", read_only=True)
    with contextlib.closing(store):
        assert overview(store, latest=1)["receiving"] == 1
        with store.reading() as connection:
            [stopped] = connection.exec_driver_sql("select detail from event where what = 'pull ended'").scalars()
    assert '"stopped": "stopped"' in stopped


def test_what_is_wired_a_second_time_goes_on_with_the_same_state(tmp_path: Path) -> None:
    settings = everything(tmp_path, 1)
    told: list[Any] = []
    for _ in range(2):
        served(settings, lambda _port: told.append(command(settings, do="pull", pull="asked", step="look")))
    assert [item["state"] for item in told] == ["never", "never"]
