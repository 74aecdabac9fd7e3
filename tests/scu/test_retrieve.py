"""Fetching a series from an archive (C-GET), against stock SCPs and Orthanc on loopback."""

import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes import CANARY, mr_image, save, storage_scp
from peers import program
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage
from pynetdicom import evt

from node.assemble.elements import ENCAPSULATED, NATIVE
from node.deliver.cstore import CStoreDestination
from node.deliver.encoding import read_parcel
from node.demo.archive import running_orthanc
from node.errors import ContextsRefused, PeerUnreachable, RequestFailed, SystemFailed
from node.scu import get
from node.scu.association import Peer
from node.scu.find import Criteria, find_series
from node.scu.get import TRANSFER_SYNTAXES
from node.scu.retrieve import fetch_series
from node.scu.source import SeriesOfStudy

GET, MOVE = "1.2.840.10008.5.1.4.1.2.2.3", "1.2.840.10008.5.1.4.1.2.2.2"
ENCODINGS = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
RLE = "1.2.840.10008.1.2.5"
SERIES = SeriesOfStudy("1.2", "1.2.3")


def never(_event):
    raise AssertionError("nothing is stored here")


@contextmanager
def archive(on_get, *, contexts=((GET, ENCODINGS),), images=(ExplicitVRLittleEndian, RLE), roles=True, timeout_s=20.0):
    """Run a C-GET SCP, and yield it as a peer."""

    def configure(ae):
        turned = {"scu_role": True, "scp_role": True} if roles else {}
        ae.add_supported_context(MRImageStorage, list(images), **turned)

    with storage_scp(never, contexts, configure=configure, more_handlers=[(evt.EVT_C_GET, on_get)]) as port:
        yield Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=timeout_s)


def sends(*images):
    def on_get(event):
        yield len(images)
        for image in images:
            yield 0xFF00, image

    return on_get


def test_a_series_is_fetched_whole_and_its_files_are_numbers(tmp_path: Path):
    asked = []

    def on_get(event):
        asked.append({element.keyword: element.value for element in event.identifier})
        yield from sends(mr_image(1), mr_image(2), mr_image(3))(event)

    with archive(on_get) as peer:
        files = fetch_series(peer, SERIES, tmp_path / "in")
    assert [path.relative_to(tmp_path).as_posix() for path in files] == ["in/000000", "in/000001", "in/000002"]
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["000000", "000001", "000002"]
    assert [dcmread(path).SOPInstanceUID for path in files] == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
    assert asked == [{"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}]


def test_a_compressed_image_comes_as_it_is_kept(tmp_path: Path):
    image = mr_image(1, syntax=RLE)
    image.PixelData = encapsulate([b"\x02\0\0\0" + bytes(60)])
    image["PixelData"].VR, image["PixelData"].is_undefined_length = "OB", True
    with archive(sends(image)) as peer:
        (path,) = fetch_series(peer, SERIES, tmp_path)
    fetched = dcmread(path)
    assert fetched.file_meta.TransferSyntaxUID == RLE
    assert fetched.PixelData == image.PixelData


def test_every_encoding_that_the_node_reads_is_offered():
    assert sorted(TRANSFER_SYNTAXES) == sorted(NATIVE | ENCAPSULATED)


def test_a_sub_operation_that_failed_fails_the_series_and_leaves_nothing(tmp_path: Path):
    unsendable = mr_image(2, syntax=ImplicitVRLittleEndian)
    unsendable.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"  # CT: no context
    with (
        archive(sends(mr_image(1), unsendable, mr_image(3))) as peer,
        pytest.raises(RequestFailed, match=r"did not send all of a series: .* 1 failed and 0 with a warning") as caught,
    ):
        fetch_series(peer, SERIES, tmp_path)
    assert caught.value.retryable
    assert list(tmp_path.iterdir()) == []


def test_instances_of_another_series_are_refused(tmp_path: Path):
    with (
        archive(sends(mr_image(1), mr_image(1, series="1.2.4"))) as peer,
        pytest.raises(RequestFailed, match="another series") as caught,
    ):
        fetch_series(peer, SERIES, tmp_path)
    assert CANARY not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_series_that_the_peer_does_not_have_is_named(tmp_path: Path):
    with archive(sends()) as peer, pytest.raises(RequestFailed, match="ARCHIVE sent no instance of a series"):
        fetch_series(peer, SERIES, tmp_path)


def test_a_failure_status_is_named(tmp_path: Path):
    def on_get(event):
        yield 1
        yield 0xA702, None

    with archive(on_get) as peer, pytest.raises(RequestFailed):
        fetch_series(peer, SERIES, tmp_path)


def test_a_count_that_does_not_agree_with_what_came_fails():
    with pytest.raises(RequestFailed, match="says that it sent 3 instances, and 2 came"):
        get._check(
            Peer(host="h", port=1, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=1),
            0x0000,
            get._Counts(completed=3, failed=0, warning=0),
            2,
        )


def test_an_abort_in_the_middle_leaves_nothing(tmp_path: Path):
    def on_get(event):
        yield 2
        yield 0xFF00, mr_image(1)
        event.assoc.abort()
        yield 0xFF00, mr_image(2)

    with archive(on_get) as peer, pytest.raises(PeerUnreachable):
        fetch_series(peer, SERIES, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_peer_that_falls_silent_is_given_up(tmp_path: Path):
    done = threading.Event()

    def on_get(event):
        yield 2
        yield 0xFF00, mr_image(1)
        done.wait(20)
        yield 0xFF00, mr_image(2)

    with archive(on_get, timeout_s=0.5) as peer:
        with pytest.raises(PeerUnreachable, match="did not finish a C-GET"):
            fetch_series(peer, SERIES, tmp_path)
        done.set()
    assert list(tmp_path.iterdir()) == []


def test_an_instance_may_take_the_time_that_its_bytes_need():
    """A message is waited for anew while its bytes keep coming, and no longer than the slowest line may take."""
    peer = Peer(host="h", port=1, ae_title="A", calling_ae_title="C", timeout_s=1.0, minimum_kb_per_s=1.0)
    inbox = get.Inbox(peer, SERIES, lambda event: 0)
    looks = []

    class Dimse:
        def get_msg(self, block=False):
            looks.append(block)
            inbox._bytes += 10_000_000
            return (None, None) if len(looks) < 4 else (1, "message")

    class Association:
        dimse = Dimse()

        acse = SimpleNamespace(is_aborted=lambda: False)

    inbox.wait_while_bytes_come(Association)
    assert Association.dimse.get_msg(block=False) == (None, None)
    assert Association.dimse.get_msg(block=True) == (1, "message")
    assert looks == [False, True, True, True]


def test_a_series_that_does_not_end_is_ended(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(get, "_MOST_BYTES", 100_000)
    image = mr_image(1)
    image.PixelData = bytes(400_000)
    with archive(sends(image)) as peer, pytest.raises(RequestFailed, match="too long"):
        fetch_series(peer, SERIES, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_the_machine_s_fault(tmp_path: Path, monkeypatch):
    def full(_self, _content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with archive(sends(mr_image(1))) as peer, pytest.raises(SystemFailed, match="cannot be written: OSError"):
        fetch_series(peer, SERIES, tmp_path)


def test_a_peer_that_knows_c_move_only_says_so(tmp_path: Path):
    with (
        archive(sends(), contexts=((MOVE, ENCODINGS),)) as peer,
        pytest.raises(ContextsRefused, match="knows no C-GET; it knows C-MOVE") as caught,
    ):
        fetch_series(peer, SERIES, tmp_path)
    assert not caught.value.retryable


def test_a_peer_that_knows_nothing_of_it_says_so(tmp_path: Path):
    with (
        storage_scp(never, [("1.2.840.10008.1.1", ENCODINGS)]) as port,
        pytest.raises(ContextsRefused, match="knows no C-GET"),
    ):
        peer = Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=20)
        fetch_series(peer, SERIES, tmp_path)


def test_a_peer_that_does_not_turn_the_roles_around_is_refused(tmp_path: Path):
    with archive(sends(mr_image(1)), roles=False) as peer, pytest.raises(ContextsRefused, match="sends no images"):
        fetch_series(peer, SERIES, tmp_path)


@pytest.mark.peer("orthanc")
def test_orthanc_finds_and_sends_a_series_as_it_was_stored(tmp_path: Path) -> None:
    parcels = [read_parcel(save(mr_image(number), tmp_path / f"{number}.dcm")) for number in (1, 2, 3)]
    parcels += [read_parcel(save(mr_image(1, series="1.2.4"), tmp_path / "other.dcm"))]
    found = program("Orthanc")
    assert found is not None
    with running_orthanc(found, tmp_path / "orthanc", more={"DicomAlwaysAllowGet": True}) as orthanc:
        sent = CStoreDestination(orthanc.peer).deliver(parcels)
        assert [answer.error for answer in sent] == [None] * 4
        series = list(find_series(orthanc.peer, Criteria()))
        fetched = fetch_series(orthanc.peer, series[0], tmp_path / "in")
        nothing = pytest.raises(RequestFailed)
        with nothing:
            fetch_series(orthanc.peer, SeriesOfStudy("1.2", "1.2.9"), tmp_path / "none")
    assert series == [SERIES, SeriesOfStudy("1.2", "1.2.4")]
    assert sorted(dcmread(path).SOPInstanceUID for path in fetched) == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
    read: Dataset = dcmread(fetched[0])
    assert read.PixelData == bytes(32)
