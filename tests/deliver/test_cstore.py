"""Delivery over C-STORE, against a real SCP on loopback."""

import hashlib
import threading
from pathlib import Path

import pytest
from fakes import mr_image, save, storage_scp
from peers import program
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage, RLELossless

from node.deliver.cstore import CStoreDestination
from node.deliver.destination import Parcel
from node.deliver.scu import Peer
from node.demo.archive import running_orthanc
from node.errors import AssociationRefused, ContextsRefused, PeerUnreachable, StoreFailed, StoreRefused

OUT_OF_RESOURCES = 0xA700
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"


def destination(port: int, timeout_s: float = 20) -> CStoreDestination:
    return CStoreDestination(
        Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=timeout_s)
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
        (0xA700, StoreFailed, None),
        (0xC000, StoreFailed, None),
        (0x0110, StoreFailed, None),
        (0x0124, StoreFailed, None),
        (0x0122, StoreRefused, None),
        (0xA900, StoreRefused, None),
        (0xA9FF, StoreRefused, None),
    ],
)
def test_the_status_decides(parcels, status, error, note):
    with storage_scp(lambda event: status) as port:
        (answer,) = destination(port).deliver(parcels[:1])
    assert type(answer.error) is (error or type(None))
    assert answer.note == note
    if error:
        assert str(answer.error) == f"ARCHIVE answered 0x{status:04X}"


def test_one_object_that_fails_does_not_stop_the_others(parcels):
    statuses = iter([0xA700, 0x0122, 0x0000])
    with storage_scp(lambda event: next(statuses), BOTH) as port:
        answers = list(destination(port).deliver(parcels))
    assert [type(answer.error) for answer in answers] == [StoreFailed, StoreRefused, type(None)]


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
        "ARCHIVE does not accept SOP Class 1.2.840.10008.5.1.4.1.1.2 in transfer syntax 1.2.840.10008.1.2.1"
    )


def test_an_encoding_that_the_peer_does_not_accept_is_refused_not_transcoded(parcels):
    contexts = ((MRImageStorage, (ImplicitVRLittleEndian,)), BOTH[1])
    with storage_scp(lambda event: 0x0000, contexts) as port:
        answers = list(destination(port).deliver(parcels))
    assert [type(answer.error) for answer in answers] == [StoreRefused, type(None), StoreRefused]


def test_a_peer_that_accepts_nothing_or_rejects_refuses_the_association(parcels):
    def rejecting(ae):
        ae.require_calling_aet = ["FRIEND"]

    for contexts, configure, error in (
        ((BOTH[1],), lambda ae: None, ContextsRefused),
        (BOTH, rejecting, AssociationRefused),
    ):
        with (
            storage_scp(lambda event: 0x0000, contexts, configure=configure) as port,
            pytest.raises(error),
        ):
            list(destination(port).deliver(parcels[:1]))


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
