from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map, get_sop_class_iod_map
from pydicom import dcmread
from pydicom.dataset import Dataset
from result_cases import Case, altered, in_order, shared_files

from dicom_sr import FrameReference, InvalidSource, SourceSeries, derive_uid
from dicom_sr.modules import PATIENT_AND_STUDY


def test_a_classic_series_is_read_in_the_order_of_the_slices(cervical: Case) -> None:
    assert cervical.source.shape == (13, 185, 384)
    assert not cervical.source.multi_frame
    assert np.all(np.diff(cervical.source.image_positions[:, 0]) < 0)
    assert cervical.source.acquired_at == datetime(2020, 1, 2, 10, 11, 12)  # noqa: DTZ001


def test_frames_of_an_enhanced_instance_are_read_in_the_order_of_the_slices(enhanced: Case) -> None:
    assert enhanced.source.shape == (40, 86, 86)
    assert enhanced.source.multi_frame
    assert len(enhanced.source.headers) == 1
    assert enhanced.source.image_positions[0].tolist() == [39.6, -96.0, 96.0]
    assert enhanced.source.pixel_spacing_mm == (2.23256, 2.23256)
    assert enhanced.source.acquired_at == datetime(2024, 10, 15, 7, 58, 13, 910000)  # noqa: DTZ001


def test_an_oblique_series_keeps_every_digit_of_its_positions() -> None:
    files = shared_files("dicom", "siemens_sagittal_t1_head")
    source = SourceSeries.from_files(files, in_order(files))
    assert source.shape == (192, 256, 256)
    assert [75.979459635874, -112.18618854192, 96.385929433343] in source.image_positions.tolist()


def test_the_order_of_the_files_does_not_matter(cervical_files: list[Path]) -> None:
    slices = in_order(cervical_files)
    forward = SourceSeries.from_files(cervical_files, slices)
    backward = SourceSeries.from_files(cervical_files[::-1], slices)
    assert forward.image_positions.tolist() == backward.image_positions.tolist()


def test_the_files_are_not_modified(cervical_files: list[Path], cervical: Case) -> None:
    before = [path.read_bytes() for path in cervical_files]
    case = SourceSeries.from_files(cervical_files, in_order(cervical_files))
    assert case.headers[0].PatientName == ""
    assert [path.read_bytes() for path in cervical_files] == before


def test_an_absent_frame_of_reference_is_derived_from_the_series(cervical_files: list[Path], tmp_path: Path) -> None:
    def remove(_place: int, header: Dataset) -> None:
        del header.FrameOfReferenceUID

    files = altered(cervical_files, tmp_path, remove)
    source = SourceSeries.from_files(files, in_order(files))
    expected = derive_uid("frame of reference", source.headers[0].SeriesInstanceUID)
    assert {header.FrameOfReferenceUID for header in source.headers} == {expected}


def test_spacing_comes_from_the_positions_and_not_from_a_vendor_s_gap(
    cervical_files: list[Path], tmp_path: Path
) -> None:
    def write_gap(_place: int, header: Dataset) -> None:
        header.SpacingBetweenSlices = 0.4

    files = altered(cervical_files, tmp_path, write_gap)
    source = SourceSeries.from_files(files, in_order(files))
    assert {plane.spacing_between_slices for plane in source.planes} == {"4.0"}


def test_a_slice_that_is_not_in_the_files_is_refused(cervical_files: list[Path]) -> None:
    with pytest.raises(InvalidSource, match="1 of 13 instances are not in the files"):
        SourceSeries.from_files(cervical_files[1:], in_order(cervical_files))


def test_no_slices_at_all_are_refused(cervical_files: list[Path]) -> None:
    with pytest.raises(InvalidSource):
        SourceSeries.from_files(cervical_files, [])


def test_a_slice_named_twice_is_refused(cervical_files: list[Path]) -> None:
    slices = in_order(cervical_files)
    with pytest.raises(InvalidSource, match="named twice"):
        SourceSeries.from_files(cervical_files, [*slices, slices[0]])


def test_a_frame_that_does_not_exist_is_refused(enhanced: Case) -> None:
    files = shared_files("dicom", "siemens_sagittal_epi", "enhanced")[:1]
    uid = enhanced.source.slices[0].sop_instance_uid
    for number in (0, 64, None):
        with pytest.raises(InvalidSource, match=f"no frame {number}"):
            SourceSeries.from_files(files, [FrameReference(sop_instance_uid=uid, frame_number=number)])


def test_slices_of_several_multi_frame_instances_are_refused() -> None:
    files = shared_files("dicom", "siemens_sagittal_epi", "enhanced")[:2]
    uids = [str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in files]
    slices = [FrameReference(sop_instance_uid=uid, frame_number=1) for uid in uids]
    with pytest.raises(InvalidSource, match="several multi-frame"):
        SourceSeries.from_files(files, slices)


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [
        ("SeriesInstanceUID", "1.2.3", "differ in SeriesInstanceUID"),
        ("FrameOfReferenceUID", "1.2.3", "differ in FrameOfReferenceUID"),
        ("Rows", 10, "differ in Rows"),
        ("ImageOrientationPatient", [1, 0, 0, 0, 1, 0], "differ in orientation"),
        ("PixelSpacing", [1, 2], "differ in pixel spacing"),
        ("PixelSpacing", None, "lacks PixelSpacing"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2", "not an MR image"),
    ],
)
def test_slices_that_contradict_each_other_are_refused(
    cervical_files: list[Path], tmp_path: Path, keyword: str, value: object, message: str
) -> None:
    def alter(place: int, header: Dataset) -> None:
        if place == 3:
            setattr(header, keyword, value)

    slices = in_order(cervical_files)
    files = altered(cervical_files, tmp_path, alter)
    with pytest.raises(InvalidSource, match=message):
        SourceSeries.from_files(files, slices)


def test_a_file_that_is_not_dicom_is_refused(cervical_files: list[Path], tmp_path: Path) -> None:
    stray = tmp_path / "notes.txt"
    stray.write_text("not DICOM" * 100)
    with pytest.raises(InvalidSource, match="not DICOM"):
        SourceSeries.from_files([*cervical_files, stray], in_order(cervical_files))


def test_other_instances_beside_the_slices_are_ignored(cervical_files: list[Path]) -> None:
    other = shared_files("dicom", "siemens_sagittal_epi", "enhanced")[:1]
    assert SourceSeries.from_files([*other, *cervical_files], in_order(cervical_files)[2:5]).shape == (3, 185, 384)


def test_files_without_preamble_are_read_as_files_with_one(cervical_files: list[Path], tmp_path: Path) -> None:
    bare = []
    for file in cervical_files[:3]:
        content = file.read_bytes()
        start = 132 + 12 + int.from_bytes(content[140:144], "little")
        bare.append(tmp_path / file.name)
        bare[-1].write_bytes(content[start:])
    with_preamble = SourceSeries.from_files(cervical_files[:3], in_order(cervical_files[:3]))
    without = SourceSeries.from_files(bare, in_order(cervical_files[:3]))
    assert np.array_equal(without.image_positions, with_preamble.image_positions)


def test_the_attributes_of_patient_and_study_are_those_of_an_independent_table() -> None:
    iod = get_sop_class_iod_map()["1.2.840.10008.5.1.4.1.1.4"]
    modules = [module["key"] for module in get_iod_module_map()[iod] if module["ie"] in ("Patient", "Study")]
    listed = [entry for module in modules for entry in get_module_attribute_map()[module] if not entry["path"]]
    assert {str(entry["keyword"]) for entry in listed} == set(PATIENT_AND_STUDY)
