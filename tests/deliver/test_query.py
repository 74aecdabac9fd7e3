"""Asking an archive what it has (C-FIND), against a stock SCP and Orthanc on loopback."""

from pathlib import Path

import pytest
from fakes import mr_image, save, storage_scp
from peers import Orthanc
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt

from node.deliver.cstore import CStoreDestination
from node.deliver.destination import Parcel
from node.deliver.encoding import read_parcel
from node.errors import ContextsRefused, PeerUnreachable, RequestFailed
from node.scu.association import Peer

FIND = [("1.2.840.10008.5.1.4.1.2.2.1", (ExplicitVRLittleEndian, ImplicitVRLittleEndian))]


def destination(port: int, timeout_s: float = 20) -> CStoreDestination:
    return CStoreDestination(
        Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=timeout_s)
    )


@pytest.fixture
def parcels(tmp_path: Path) -> list[Parcel]:
    return [read_parcel(save(mr_image(number), tmp_path / f"{number}.dcm")) for number in (1, 2)]


def never(_event):
    raise AssertionError("nothing is stored here")


def find_scp(on_find):
    return storage_scp(never, FIND, more_handlers=[(evt.EVT_C_FIND, on_find)])


def found(uid: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.SOPInstanceUID = uid
    return identifier


def test_each_object_is_asked_for_by_its_three_uids_and_by_nothing_else(parcels):
    asked = []

    def on_find(event):
        asked.append({element.keyword: element.value for element in event.identifier})
        if event.identifier.SOPInstanceUID == "1.2.3.2":
            yield 0xFF00, found("1.2.3.2")

    with find_scp(on_find) as port:
        answers = list(destination(port).confirm(parcels))
    assert [(answer.parcel, answer.found) for answer in answers] == [(parcels[0], False), (parcels[1], True)]
    assert asked == [
        {
            "QueryRetrieveLevel": "IMAGE",
            "StudyInstanceUID": "1.2",
            "SeriesInstanceUID": "1.2.3",
            "SOPInstanceUID": f"1.2.3.{number}",
        }
        for number in (1, 2)
    ]


def test_an_archive_that_returns_the_whole_series_has_only_what_it_names(parcels):
    def on_find(event):
        for number in (1, 7, 8):
            yield 0xFF00, found(f"1.2.3.{number}")

    with find_scp(on_find) as port:
        assert [answer.found for answer in destination(port).confirm(parcels)] == [True, False]


def test_a_failure_status_is_no_absence(parcels):
    def on_find(event):
        yield 0xA700, None

    with find_scp(on_find) as port, pytest.raises(RequestFailed, match="ARCHIVE answered a C-FIND with 0xA700"):
        list(destination(port).confirm(parcels))


def test_an_abort_is_no_absence(parcels):
    def on_find(event):
        event.assoc.abort()
        yield 0x0000, None

    with find_scp(on_find) as port, pytest.raises(PeerUnreachable):
        list(destination(port).confirm(parcels))


def test_an_answer_that_does_not_end_is_ended(parcels, monkeypatch):
    monkeypatch.setattr("node.deliver.query._MOST_ANSWERS", 10)

    def on_find(event):
        for _ in range(1000):
            yield 0xFF00, found("1.2.3.7")

    with find_scp(on_find) as port, pytest.raises(RequestFailed, match="does not end its answer"):
        list(destination(port).confirm(parcels))


def test_an_archive_without_query_says_so(parcels):
    with storage_scp(never) as port, pytest.raises(ContextsRefused):
        list(destination(port).confirm(parcels))


@pytest.mark.peer("orthanc")
def test_orthanc_finds_what_it_was_sent_and_nothing_else(orthanc: Orthanc, parcels: list[Parcel]) -> None:
    archive = CStoreDestination(orthanc.peer)
    assert [answer.error for answer in archive.deliver(parcels[:1])] == [None]
    assert [answer.found for answer in archive.confirm(parcels)] == [True, False]
    archive.reach()
