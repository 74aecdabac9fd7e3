"""Files become instances and series, or are refused by name."""

import struct
import tracemalloc
import warnings

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.assemble.elements import read_beginning, read_elements
from node.assemble.functional_groups import group_of_frame
from node.assemble.headers import gather, read_header
from node.assemble.volume import build_volume
from node.domain.series import Frame, SeriesHeader
from node.errors import InputError, InvalidIdentifier, NotDicom

MR = "1.2.840.10008.5.1.4.1.1.4"
UID = "1.2.826.0.1.3680043.8.498.7"


def write_bytes(path, content: bytes):
    path.write_bytes(content)
    return path


def test_a_classic_instance_gives_what_the_rules_look_at(kit, one, tmp_path):
    kit.save(one, tmp_path / "a.dcm")
    instance = read_header(tmp_path / "a.dcm")
    assert instance.header == SeriesHeader(
        modality="MR",
        study_description="HWS nativ",
        series_description="T2 säg",
        protocol_name="t2_tse_sag",
        body_part_examined="CSPINE",
        manufacturer="ACME",
        image_type=("ORIGINAL", "PRIMARY", "M"),
        sop_class_uids=(MR,),
        echo_time_ms=105.5,
        repetition_time_ms=3500.0,
        inversion_time_ms=None,
        echo_train_length=15,
        scan_options=("PFP",),
        scanning_sequence=("SE",),
        sequence_variant=("SK", "SP"),
        sequence_name="*tse2d1_15",
        contrast_agent=False,
        mr_acquisition_type="2D",
        slice_orientation=(-1.0, 0.0, 0.0),
        slices=1,
        rows=40,
        columns=36,
    )
    (frame,) = instance.frames
    assert (frame.sop_class_uid, frame.sop_instance_uid, frame.frame_number) == (MR, f"{UID}.1.1", None)
    assert frame.position_lps_mm == (20.0, -50.5, 61.25)
    assert (frame.row_cosines, frame.column_cosines) == ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0))
    assert frame.pixel_spacing_mm == (0.75, 0.5)
    assert (instance.acquisition_date, instance.acquisition_time) == ("20200102", "101110")
    assert (instance.study_instance_uid, instance.series_instance_uid) == (f"{UID}.9", f"{UID}.1")


def test_an_enhanced_object_gives_its_frames_and_speaks_in_classic_terms(kit, tmp_path):
    kit.save(kit.enhanced(kit.stack().datasets()), tmp_path / "a.dcm")
    instance = read_header(tmp_path / "a.dcm")
    assert [frame.frame_number for frame in instance.frames] == [1, 2, 3, 4, 5, 6, 7]
    assert instance.frames[2].position_lps_mm == (12.0, -50.5, 61.25)
    assert instance.frames[2].pixel_spacing_mm == (0.75, 0.5)
    assert instance.header.slices == 7
    assert instance.header.slice_orientation == (-1.0, 0.0, 0.0)
    assert (instance.header.echo_time_ms, instance.header.repetition_time_ms) == (105.5, 3500.0)
    assert (instance.header.scanning_sequence, instance.header.scan_options) == (("SE",), ("FS",))
    assert instance.header.echo_train_length == 15
    assert (instance.acquisition_date, instance.acquisition_time) == ("20200102", "101110.5")


def test_functional_groups_of_unknown_vr_are_read_as_the_sequences_they_are(kit, tmp_path):
    ds = kit.enhanced(kit.stack().datasets())
    group = Dataset()
    group.PerFrameFunctionalGroupsSequence = ds.PerFrameFunctionalGroupsSequence
    raw = kit.data_set_bytes(group, implicit=True)[8:]
    del ds.PerFrameFunctionalGroupsSequence
    kit.save(ds, tmp_path / "a.dcm")
    before, pixels, after = (tmp_path / "a.dcm").read_bytes().partition(b"\xe0\x7f\x10\0OW")
    unknown = b"\0\x52\x30\x92UN\0\0" + struct.pack("<I", len(raw)) + raw
    write_bytes(tmp_path / "a.dcm", before + unknown + pixels + after)
    assert read_header(tmp_path / "a.dcm").frames[6].position_lps_mm == (-4.0, -50.5, 61.25)


def test_nothing_of_the_patient_reaches_the_types_or_the_messages(kit, tmp_path, caplog):
    frames = kit.stack().datasets()
    frames[1].ImagePositionPatient = None
    frames[2].Rows = 0
    folder = kit.write(tmp_path / "in", frames)
    uid = f"{UID}.1.1\0".encode()
    content = (folder / "000.dcm").read_bytes()
    assert uid in content
    write_bytes(folder / "000.dcm", content.replace(uid, b"ZZSECRET".ljust(len(uid))))
    series, unreadable = gather(folder.iterdir())
    assert len(unreadable) == 2
    with pytest.raises(InputError) as refusal:
        build_volume(series[0])
    said = [repr(series), caplog.text, str(refusal.value), *(str(one.error) for one in unreadable)]
    assert not any("ZZSECRET" in text for text in said)


def test_odd_values_read_as_absent_and_warn_of_nothing(kit, one, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one.add_new(0x00180081, "LO", "about 100 ms")
        one.add_new(0x00180080, "LO", "1e999")
        one.add_new(0x00200013, "LO", "no 3")
        one.add_new(0x00080005, "LO", "ISO_IR 999")
        kit.save(one, tmp_path / "a.dcm")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        instance = read_header(tmp_path / "a.dcm")
    assert instance.header.echo_time_ms is None
    assert instance.header.repetition_time_ms is None
    assert instance.frames[0].instance_number is None


@pytest.mark.parametrize(
    ("agent", "given"), [("Gadovist", True), ("", False), ("no", False), ("NONE", False), (None, False)]
)
def test_a_contrast_agent_counts_when_it_is_named(kit, one, tmp_path, agent, given):
    if agent is not None:
        one.ContrastBolusAgent = agent
    kit.save(one, tmp_path / "a.dcm")
    assert read_header(tmp_path / "a.dcm").header.contrast_agent is given


@pytest.mark.parametrize("implicit", [True, False])
def test_a_data_set_without_preamble_is_taken(kit, one, tmp_path, implicit):
    path = write_bytes(tmp_path / "a", kit.data_set_bytes(one, implicit=implicit))
    assert read_header(path).frames[0].rows == 40


def test_an_implicit_data_set_declared_explicit_is_taken(kit, one, tmp_path):
    kit.save(one, tmp_path / "a.dcm", ImplicitVRLittleEndian)
    raw = (tmp_path / "a.dcm").read_bytes()
    lie = raw.replace(b"\x12\x001.2.840.10008.1.2\x00", b"\x14\x001.2.840.10008.1.2.1\x00", 1)
    assert read_header(write_bytes(tmp_path / "b.dcm", lie)).header.modality == "MR"


def test_an_object_without_an_image_is_refused_with_its_sop_class(kit, one, tmp_path):
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(one, keyword)
    one.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    kit.save(one, tmp_path / "a.dcm")
    with pytest.raises(InputError, match=r"SOP Class 1\.2\.840\.10008\.5\.1\.4\.1\.1\.88\.33: .* without an image"):
        read_header(tmp_path / "a.dcm")


def test_a_dicomdir_is_named_as_one(kit, one, tmp_path):
    kit.save(one, tmp_path / "DICOMDIR")
    _, (unreadable,) = gather([tmp_path / "DICOMDIR"])
    assert str(unreadable.error) == "a DICOMDIR lists images and holds none"


@pytest.mark.parametrize("keyword", ["SeriesInstanceUID", "StudyInstanceUID"])
def test_an_instance_without_its_series_or_study_is_refused(kit, one, tmp_path, keyword):
    delattr(one, keyword)
    kit.save(one, tmp_path / "a.dcm")
    with pytest.raises(InvalidIdentifier, match=f"{keyword} is missing"):
        read_header(tmp_path / "a.dcm")


def test_files_are_gathered_by_series_and_none_is_lost(kit, tmp_path):
    kit.write(tmp_path / "a", kit.stack(series=2).datasets())
    kit.write(tmp_path / "b", kit.stack(series=1, count=3).datasets())
    write_bytes(tmp_path / "a" / "notes.txt", b"hello")
    series, unreadable = gather(path for path in tmp_path.rglob("*") if path.is_file())
    assert [(one.series_instance_uid, len(one.frames), one.header.slices) for one in series] == [
        (f"{UID}.1", 3, 3),
        (f"{UID}.2", 7, 7),
    ]
    assert [(one.path.name, one.error.code) for one in unreadable] == [("notes.txt", "not-dicom")]


def test_a_series_does_not_depend_on_file_names_or_order(kit, tmp_path):
    frames = kit.stack().datasets()
    forward = kit.series_in(kit.write(tmp_path / "a", frames))
    backward = kit.series_in(kit.write(tmp_path / "b", frames[::-1]))
    assert forward.header == backward.header
    assert [f.sop_instance_uid for f in forward.frames] == [f.sop_instance_uid for f in backward.frames]
    assert (forward.acquisition_date, forward.acquisition_time) == ("20200102", "101110")
    assert forward.frame_of_reference_uid == f"{UID}.8"


def test_copies_of_an_instance_count_once(kit, tmp_path):
    frames = kit.stack().datasets()
    kit.write(tmp_path / "a", frames)
    for ds in frames:
        ds.file_meta.ImplementationVersionName = "OTHER"
    kit.write(tmp_path / "b", frames)
    series = kit.series_in(tmp_path)
    assert len(series.frames) == 7
    assert build_volume(series).grid.shape == (7, 40, 36)


def test_two_objects_under_one_uid_are_refused_as_a_series(kit, tmp_path):
    frames = kit.stack().datasets()
    kit.write(tmp_path / "a", frames)
    frames[3].PixelData = bytes(len(frames[3].PixelData))
    kit.write(tmp_path / "b", frames)
    with pytest.raises(InvalidIdentifier, match="claim one SOP Instance UID"):
        build_volume(kit.series_in(tmp_path))


def test_a_missing_file_is_the_machine_s_fault_and_not_the_data_s(tmp_path):
    with pytest.raises(FileNotFoundError):
        gather([tmp_path / "absent.dcm"])


def test_header_reading_stays_away_from_the_pixels(kit, tmp_path):
    voxels = np.zeros((1, 2048, 2048), np.uint16)
    kit.save(kit.stack(voxels=voxels).datasets()[0], tmp_path / "a.dcm")
    tracemalloc.start()
    instance = read_header(tmp_path / "a.dcm")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(instance.frames[0], Frame)
    assert peak < 500_000


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize("begins", ["preamble", "meta", "data set"])
def test_a_file_begins_where_its_data_set_does(kit, one, tmp_path, syntax, begins):
    data_set = kit.data_set_bytes(one, implicit=syntax == ImplicitVRLittleEndian)
    kit.save(one, tmp_path / "whole", syntax)
    whole = (tmp_path / "whole").read_bytes()
    content = {"preamble": whole, "meta": whole[132:], "data set": data_set}[begins]
    found, offset = read_beginning(write_bytes(tmp_path / "a.dcm", content))
    assert (found, content[offset:]) == (syntax, data_set)


@pytest.mark.parametrize("content", [b"", b"text", b"\0" * 200])
def test_what_begins_as_nothing_does_is_not_dicom(tmp_path, content):
    with pytest.raises(NotDicom):
        read_beginning(write_bytes(tmp_path / "a.dcm", content))


def test_the_window_of_a_frame_is_its_own_then_the_shared_one_then_that_of_the_object(kit, tmp_path):
    frames = kit.stack().datasets()
    multi_frame = kit.enhanced(frames)
    frames[0].WindowCenter = 10
    own, shared = Dataset(), Dataset()
    own.WindowCenter, shared.WindowCenter = 20, 30
    multi_frame.PerFrameFunctionalGroupsSequence[1].FrameVOILUTSequence = [own]
    multi_frame.SharedFunctionalGroupsSequence[0].FrameVOILUTSequence = [shared]
    found = []
    for name, data_set, number in (("a", frames[0], None), ("b", multi_frame, 2), ("b", multi_frame, 1)):
        kit.save(data_set, tmp_path / name)
        group = group_of_frame(read_elements(tmp_path / name).elements, number, "FrameVOILUTSequence")
        found.append(group.number("WindowCenter"))
    assert found == [10, 20, 30]
