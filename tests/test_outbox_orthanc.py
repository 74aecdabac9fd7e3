"""The outbox against Orthanc: sent, asked for, delivered."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from outboxes import Rig, report_scp
from peers import program

from node.deliver.cstore import CStoreDestination
from node.demo.archive import Archive, free_port, running_orthanc

PATIENCE_S = 30


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def archive(tmp_path: Path, port: int) -> Iterator[Archive]:
    orthanc = program("Orthanc")
    assert orthanc is not None
    more = {"DicomModalities": {"node": ["CSPINEDEMO", "127.0.0.1", port]}}
    with running_orthanc(orthanc, tmp_path / "orthanc", more=more) as running:
        yield running


@pytest.mark.peer("orthanc")
def test_what_orthanc_took_is_delivered_when_it_is_found(tmp_path: Path, archive: Archive) -> None:
    destinations = {"archive": CStoreDestination(archive.peer)}
    with closing(Rig(tmp_path, destinations=destinations, confirm="query")) as rig:
        rig.case()
        assert rig.deliver() is None
        assert rig.states() == ["sent", "sent"]
        assert rig.confirm() is None
        assert rig.cases() == ["delivered"]


@pytest.mark.peer("orthanc")
def test_what_orthanc_took_is_delivered_when_it_commits(tmp_path: Path, archive: Archive, port: int) -> None:
    told = threading.Semaphore(0)
    known = []
    destinations = {"archive": CStoreDestination(archive.peer)}
    with closing(Rig(tmp_path, destinations=destinations, confirm="commitment")) as rig:

        def take(report):
            known.append(rig.outbox.told(report))
            told.release()

        with report_scp(port, take):
            rig.case()
            assert rig.deliver() is None
            assert rig.states() == ["sent", "sent"]
            assert rig.confirm() == 600
            assert told.acquire(timeout=PATIENCE_S)
        assert known == [True]
        assert rig.cases() == ["delivered"]
