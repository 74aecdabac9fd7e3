"""Delivery over C-STORE, against a real SCP on loopback."""

import hashlib
import socket
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import CANARY, mr_image, save, storage_scp
from peers import program
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage, RLELossless
from pynetdicom import evt

from node.deliver.cstore import CStoreDestination
from node.deliver.destination import Parcel
from node.deliver.encoding import read_parcel
from node.demo.archive import running_orthanc
from node.errors import (
    CannotUnderstand,
    DestinationMisconfigured,
    OutOfResources,
    PeerUnreachable,
    StoreFailed,
    StoreRefused,
)
from node.scu.association import Peer

OUT_OF_RESOURCES = 0xA700
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"


def destination(port: int, timeout_s: float = 20, minimum_kb_per_s: float = 64) -> CStoreDestination:
    return CStoreDestination(
        Peer(
            host="127.0.0.1",
            port=port,
            ae_title="ARCHIVE",
            calling_ae_title="CSPINE",
            timeout_s=timeout_s,
            minimum_kb_per_s=minimum_kb_per_s,
        )
    )


@pytest.fixture
def parcels(tmp_path: Path) -> list[Parcel]:
    """Three images, the second a CT."""
    made = []
    for number in (1, 2, 3):
        ds = mr_image(number)
        if number == 2:
            ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
        made.append(
            Parcel(
                path=save(ds, tmp_path / f"{number}.dcm"),
                sop_class_uid=ds.SOPClassUID,
                sop_instance_uid=ds.SOPInstanceUID,
                transfer_syntax_uid=ExplicitVRLittleEndian,
            )
        )
    return made


BOTH = ((MRImageStorage, (ExplicitVRLittleEndian,)), (CTImageStorage, (ExplicitVRLittleEndian,)))


def test_the_data_set_of_the_file_arrives_byte_by_byte_and_in_order_over_one_association(parcels):
    received, associations = [], set()

    def store(event):
        received.append((str(event.request.AffectedSOPInstanceUID), event.request.DataSet.getvalue()))
        associations.add(id(event.assoc))
        return 0x0000

    with storage_scp(store, BOTH) as port:
        answers = list(destination(port).deliver(parcels))
    assert [(answer.parcel, answer.error, answer.note) for answer in answers] == [
        (item, None, None) for item in parcels
    ]
    assert [uid for uid, _ in received] == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
    assert all(item.path.read_bytes().endswith(data) for item, (_, data) in zip(parcels, received, strict=True))
    lengths = {item.path.stat().st_size - len(data) for item, (_, data) in zip(parcels, received, strict=True)}
    assert all(128 + 4 < length < 500 for length in lengths)
    assert len(associations) == 1


def test_a_large_object_arrives_whole(tmp_path):
    ds = mr_image()
    ds.PixelData = bytes(range(256)) * 4096
    path = save(ds, tmp_path / "large.dcm")
    digests = []

    def store(event):
        digests.append(hashlib.sha256(event.request.DataSet.getvalue()[-(1 << 20) :]).hexdigest())
        return 0x0000

    parcel = Parcel(
        path=path, sop_class_uid=MRImageStorage, sop_instance_uid="1.2.3.1", transfer_syntax_uid=ExplicitVRLittleEndian
    )
    with storage_scp(store) as port:
        (answer,) = destination(port).deliver([parcel])
    assert answer.error is None
    assert digests == [hashlib.sha256(bytes(range(256)) * 4096).hexdigest()]


@pytest.mark.parametrize(
    ("status", "error", "note"),
    [
        (0x0000, None, None),
        (0xB000, None, "warning 0xB000"),
        (0xB006, None, "warning 0xB006"),
        (0xB007, None, "warning 0xB007"),
        (0x0001, None, "warning 0x0001"),
        (0x0111, None, "0x0111: the destination had this object already"),
        (0xA700, OutOfResources, None),
        (0xC000, CannotUnderstand, None),
        (0x0110, StoreFailed, None),
        (0x0124, DestinationMisconfigured, None),
        (0x0122, StoreRefused, None),
        (0xA900, StoreRefused, None),
    ],
)
def test_the_status_decides(parcels, status, error, note):
    with storage_scp(lambda event: status) as port:
        (answer,) = destination(port).deliver(parcels[:1])
    assert type(answer.error) is (error or type(None))
    assert answer.note == note
    assert answer.unsure == (status == 0x0111)
    if error:
        assert str(answer.error).startswith(f"ARCHIVE answered 0x{status:04X}: ")


def test_one_object_that_fails_does_not_stop_the_others(parcels):
    statuses = iter([0xA700, 0x0122, 0x0000])
    with storage_scp(lambda event: next(statuses), BOTH) as port:
        answers = list(destination(port).deliver(parcels))
    assert [type(answer.error) for answer in answers] == [OutOfResources, StoreRefused, type(None)]


def test_each_object_is_answered_for_before_the_next_is_sent(parcels):
    stored = []

    def store(event):
        stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    with storage_scp(store, BOTH) as port:
        seen = [(answer.parcel.sop_instance_uid, len(stored)) for answer in destination(port).deliver(parcels)]
    assert seen == [("1.2.3.1", 1), ("1.2.3.2", 2), ("1.2.3.3", 3)]


def test_a_class_that_the_peer_does_not_accept_is_refused_and_the_others_are_sent(parcels):
    with storage_scp(lambda event: 0x0000) as port:
        answers = list(destination(port).deliver(parcels))
    assert [type(answer.error) for answer in answers] == [type(None), StoreRefused, type(None)]
    assert str(answers[1].error) == (
        "ARCHIVE does not accept SOP Class 1.2.840.10008.5.1.4.1.1.2 (CT Image Storage), "
        "neither as Explicit VR Little Endian nor uncompressed"
    )


def test_a_peer_that_takes_implicit_vr_only_gets_the_same_values_so(parcels):
    received = []

    def store(event):
        received.append((event.context.transfer_syntax, event.dataset.PatientName, event.dataset.SOPInstanceUID))
        return 0x0000

    contexts = ((MRImageStorage, (ImplicitVRLittleEndian,)), BOTH[1])
    with storage_scp(store, contexts) as port:
        answers = list(destination(port).deliver(parcels))
    assert [answer.error for answer in answers] == [None, None, None]
    implicit = "sent as Implicit VR Little Endian"
    assert [answer.note for answer in answers] == [implicit, None, implicit]
    assert received == [
        (ImplicitVRLittleEndian, CANARY, "1.2.3.1"),
        (ExplicitVRLittleEndian, CANARY, "1.2.3.2"),
        (ImplicitVRLittleEndian, CANARY, "1.2.3.3"),
    ]


@pytest.mark.parametrize("uncompressed", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_peer_that_takes_no_compressed_object_gets_it_decompressed_with_its_uid(tmp_path, uncompressed):
    ds = mr_image()
    ds.PixelData = bytes(range(32))
    ds.compress(RLELossless, generate_instance_uid=False)
    path = save(ds, tmp_path / "compressed.dcm")
    before, received = path.read_bytes(), []

    def store(event):
        received.append((event.dataset.SOPInstanceUID, event.dataset.PixelData, event.request.DataSet.getvalue()))
        return 0x0000

    for _ in range(2):
        with storage_scp(store, ((MRImageStorage, (uncompressed,)),)) as port:
            (answer,) = destination(port).deliver([read_parcel(path)])
        assert (answer.error, answer.note) == (None, f"sent as {uncompressed.name}")
    assert received[0][:2] == ("1.2.3.1", bytes(range(32)))
    assert received[0] == received[1]
    assert path.read_bytes() == before


def test_a_compressed_object_that_cannot_be_decoded_is_refused(label_map):
    contexts = ((LABEL_MAP_STORAGE, (ExplicitVRLittleEndian,)),)
    with storage_scp(lambda event: 0x0000, contexts) as port:
        (answer,) = destination(port).deliver([label_map])
    assert type(answer.error) is StoreRefused
    assert str(answer.error).startswith("this object cannot be decompressed: ")


@pytest.mark.parametrize(
    ("sop_class", "hint"),
    [
        (LABEL_MAP_STORAGE, '; segmentation = "binary" would fit'),
        ("1.2.840.10008.5.1.4.1.1.88.34", '; report = "comprehensive" would fit'),
        ("1.2.840.10008.5.1.4.1.1.88.33", '; report = "enhanced" would fit'),
        ("1.2.840.10008.5.1.4.1.1.7", "; key_images = false would fit"),
        (MRImageStorage, ""),
    ],
)
def test_a_peer_that_accepts_nothing_refuses_the_class_and_the_error_names_the_setting(parcels, sop_class, hint):
    parcel = replace(parcels[0], sop_class_uid=sop_class)
    with storage_scp(lambda event: 0x0000, (BOTH[1],)) as port:
        (answer,) = destination(port).deliver([parcel])
    assert type(answer.error) is StoreRefused
    assert str(answer.error).endswith(f"nor uncompressed{hint}")


def test_a_peer_that_does_not_know_us_is_misconfigured(parcels):
    def rejecting(ae):
        ae.require_calling_aet = ["FRIEND"]

    with (
        storage_scp(lambda event: 0x0000, BOTH, configure=rejecting) as port,
        pytest.raises(DestinationMisconfigured, match="rejected the association for good: calling AE title not"),
    ):
        list(destination(port).deliver(parcels[:1]))


def test_whoever_stops_asking_stops_the_delivery_and_the_association_is_released(parcels):
    stored, released = [], threading.Event()

    def store(event):
        stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0xA700

    handlers = [(evt.EVT_RELEASED, lambda event: released.set())]
    with storage_scp(store, BOTH, more_handlers=handlers) as port:
        with closing(destination(port).deliver(parcels)) as answers:
            next(answers)
        assert released.wait(20)
    assert stored == ["1.2.3.1"]


def test_a_slow_line_has_the_time_that_its_bytes_take():
    peer = Peer(host="h", port=104, ae_title="A", calling_ae_title="C", timeout_s=30, minimum_kb_per_s=64)
    assert [peer.patience_s(size) for size in (0, 64_000, 64_000_000)] == [30, 31, 1030]


def test_a_peer_that_stops_reading_is_unreachable(tmp_path):
    """The socket is full and nobody reads: neither the send nor the abort may wait for ever."""
    ds = mr_image()
    ds.PixelData = bytes(32 << 20)
    path, over = save(ds, tmp_path / "large.dcm"), threading.Event()

    def accepted(event):
        event.assoc.dul.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        event.assoc.dul._read_pdu_data = lambda: over.wait(30)

    with storage_scp(lambda event: 0x0000, more_handlers=[(evt.EVT_ESTABLISHED, accepted)]) as port:
        with pytest.raises(PeerUnreachable):
            list(destination(port, timeout_s=0.5, minimum_kb_per_s=1e6).deliver([read_parcel(path)]))
        over.set()


def test_nobody_listening_is_unreachable(parcels):
    with storage_scp(lambda event: 0x0000) as port:
        pass
    with pytest.raises(PeerUnreachable):
        list(destination(port).deliver(parcels))


def test_a_peer_that_aborts_in_the_middle_is_unreachable_after_what_it_took_was_told(parcels):
    count = iter(range(3))

    def store(event):
        if next(count) == 1:
            event.assoc.abort()
        return 0x0000

    taken = []
    with storage_scp(store, BOTH) as port, pytest.raises(PeerUnreachable):
        taken.extend(answer.parcel.sop_instance_uid for answer in destination(port).deliver(parcels))
    assert taken == ["1.2.3.1"]


def test_a_peer_that_does_not_answer_in_time_is_unreachable(parcels):
    over = threading.Event()

    def store(event):
        over.wait(20)
        return 0x0000

    with storage_scp(store) as port:
        with pytest.raises(PeerUnreachable, match="did not answer a C-STORE"):
            list(destination(port, timeout_s=0.3).deliver(parcels[:1]))
        over.set()


@pytest.mark.parametrize("fault", ["missing", "no DICOM", "another class"])
def test_a_file_that_cannot_be_sent_is_refused_and_the_others_are_sent(parcels, fault):
    if fault == "missing":
        parcels[0].path.unlink()
    elif fault == "no DICOM":
        parcels[0].path.write_bytes(b"x" * 300)
    else:
        ds = mr_image(1)
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        save(ds, parcels[0].path)
    with storage_scp(lambda event: 0x0000, BOTH) as port:
        answers = list(destination(port).deliver(parcels))
    assert [type(answer.error) for answer in answers] == [StoreRefused, type(None), type(None)]
    assert str(answers[0].error).startswith("the file of this object is gone or damaged: ")


@pytest.fixture
def label_map(tmp_path: Path) -> Parcel:
    """An object of Label Map Segmentation Storage, compressed."""
    ds = mr_image(syntax=RLELossless)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = LABEL_MAP_STORAGE
    ds.PixelData = encapsulate([b"one frame, as far as anybody looks"])
    ds["PixelData"].is_undefined_length = True
    return Parcel(
        path=save(ds, tmp_path / "labelmap.dcm"),
        sop_class_uid=LABEL_MAP_STORAGE,
        sop_instance_uid=ds.SOPInstanceUID,
        transfer_syntax_uid=RLELossless,
    )


def test_a_compressed_label_map_is_offered_as_it_is_beside_what_is_not_compressed(parcels, label_map):
    received = []

    def store(event):
        received.append((event.context.abstract_syntax, event.context.transfer_syntax))
        return 0x0000

    with storage_scp(store, (*BOTH, (LABEL_MAP_STORAGE, (RLELossless,)))) as port:
        answers = list(destination(port).deliver([parcels[0], label_map]))
    assert [answer.error for answer in answers] == [None, None]
    assert received == [(MRImageStorage, ExplicitVRLittleEndian), (LABEL_MAP_STORAGE, RLELossless)]


@pytest.mark.peer("orthanc")
@pytest.mark.parametrize(("accept_unknown", "error"), [(True, type(None)), (False, StoreRefused)])
def test_an_orthanc_that_does_not_know_label_maps_takes_them_when_told_to(
    parcels, label_map, tmp_path, accept_unknown, error
):
    orthanc = program("Orthanc")
    assert orthanc is not None
    with running_orthanc(orthanc, tmp_path / "orthanc", accept_unknown=accept_unknown) as archive:
        answers = list(CStoreDestination(archive.peer).deliver([parcels[0], label_map]))
    assert [type(answer.error) for answer in answers] == [type(None), error]


def test_what_the_peer_comments_is_quoted_nowhere(parcels, capsys):
    def store(event):
        status = Dataset()
        status.Status, status.ErrorComment = 0xC000, CANARY
        return status

    with storage_scp(store, BOTH) as port:
        errors = [str(answer.error) for answer in destination(port).deliver(parcels)]
    output = capsys.readouterr()
    assert errors == ["ARCHIVE answered 0xC000: cannot understand"] * 3
    assert "ZZSECRET" not in output.out + output.err
