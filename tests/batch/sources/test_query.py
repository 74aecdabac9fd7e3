"""Items of a query to an archive: found by C-FIND, fetched by C-GET."""

import pickle
from pathlib import Path

import pytest
from fakes import storage_scp
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage
from pynetdicom import evt

from node.batch.sources.query import items_of_query, peer_named
from node.demo.source import write_series
from node.errors import PeerUnreachable, SettingsError
from node.scu.association import Peer
from node.scu.find import criteria_of
from node.settings.file import parse_settings
from node.train.phantom import generate

ENCODINGS = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
MODELS = [(f"1.2.840.10008.5.1.4.1.2.2.{number}", ENCODINGS) for number in (1, 3)]


class Archive:
    """An archive of one series."""

    def __init__(self, folder: Path) -> None:
        phantom = generate(1, shape=(12, 64, 64))
        self.files = write_series(phantom.image, phantom.grid, folder, name="neck")
        self.first = dcmread(self.files[0])
        self.fetched: list[str] = []

    def on_find(self, event):
        answer = Dataset()
        answer.StudyInstanceUID = self.first.StudyInstanceUID
        if event.identifier.QueryRetrieveLevel == "SERIES":
            answer.SeriesInstanceUID = self.first.SeriesInstanceUID
        yield 0xFF00, answer

    def on_get(self, event):
        self.fetched.append(event.identifier.SeriesInstanceUID)
        yield len(self.files)
        for file in self.files:
            yield 0xFF00, dcmread(file)


def test_a_series_is_found_and_fetched_by_the_worker_that_loads_it(tmp_path):
    archive = Archive(tmp_path / "archive")
    handlers = [(evt.EVT_C_FIND, archive.on_find), (evt.EVT_C_GET, archive.on_get)]

    def configure(ae):
        ae.add_supported_context(MRImageStorage, list(ENCODINGS), scu_role=True, scp_role=True)

    with storage_scp(lambda event: 0, MODELS, configure=configure, more_handlers=handlers) as port:
        peer = Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=20)
        (item,) = items_of_query(peer, criteria_of(series_description="*T2*"))
        assert archive.fetched == []
        pickled = pickle.dumps(item)
        assert len(pickled) < 1000
        loaded = pickle.loads(pickled).source.load(tmp_path / "scratch")
    assert item.key == loaded.series_instance_uid == archive.first.SeriesInstanceUID
    assert len(loaded.frames) == 12
    assert {frame.path.parent for frame in loaded.frames} == {tmp_path / "scratch" / "fetched"}
    with pytest.raises(PeerUnreachable) as caught:
        item.source.load(tmp_path / "later")
    assert caught.value.retryable


SETTINGS = {
    "node": {"ae_title": "CSPINE", "state_dir": "state"},
    "destination": [
        {"name": "pacs", "host": "pacs.example", "port": 104, "ae_title": "PACS"},
        {"name": "results", "kind": "folder", "path": "results"},
    ],
    "peer": [{"ae_title": "MODALITY", "host": "scanner.example", "port": 11112}, {"ae_title": "QUIET"}],
}


def test_an_archive_is_a_destination_by_name_or_a_peer_by_ae_title():
    settings = parse_settings(SETTINGS, name="test")
    assert peer_named(settings, "pacs") == Peer(
        host="pacs.example", port=104, ae_title="PACS", calling_ae_title="CSPINE", timeout_s=30.0
    )
    assert peer_named(settings, "MODALITY").host == "scanner.example"


def test_a_name_of_two_archives_is_none():
    modality = {"name": "MODALITY", "host": "pacs.example", "port": 104, "ae_title": "MODALITY"}
    settings = parse_settings({**SETTINGS, "destination": [modality]}, name="test")
    with pytest.raises(SettingsError, match=r"'MODALITY' is a \[\[destination\]\], and a \[\[peer\]\]"):
        peer_named(settings, "MODALITY")


@pytest.mark.parametrize("name", ["results", "QUIET", "nobody"])
def test_what_cannot_be_asked_is_named(name):
    with pytest.raises(SettingsError, match=name):
        peer_named(parse_settings(SETTINGS, name="test"), name)
