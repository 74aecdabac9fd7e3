from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian
from result_cases import Case, result_instance, segment_specs

from dicom_sr import (
    AlgorithmType,
    InvalidObject,
    ReportForm,
    SegmentationForm,
    build_segmentation,
    is_own_result,
    read_report,
    read_segmentation,
    to_bytes,
)
from dicom_sr.readback.elements import sequence


def test_a_segmentation_reads_back_as_the_label_map_it_was_built_from(case: Case, segmentation: Dataset) -> None:
    read = read_segmentation(segmentation, case.source.slices)
    assert np.array_equal(read.labels, case.labels)
    assert read.pixel_spacing_mm == case.source.pixel_spacing_mm
    assert np.array_equal(read.image_orientation, case.source.image_orientation)
    occupied = case.labels.any(axis=(1, 2))
    assert np.array_equal(read.image_positions[occupied], case.source.image_positions[occupied])
    assert np.isnan(read.image_positions[~occupied]).all()
    assert [(segment.number, segment.tracking_uid) for segment in read.segments] == [
        (segment.number, segment.tracking_uid) for segment in case.segments
    ]
    assert [segment.property_type for segment in read.segments] == [segment.property_type for segment in case.segments]


def test_a_report_reads_back_as_what_was_reported(case: Case, segmentation: Dataset, sr: Dataset) -> None:
    groups = read_report(sr).groups
    for group, measured in zip(groups, case.report.segments, strict=False):
        assert (group.tracking_id, group.tracking_uid) == (measured.segment.tracking_id, measured.segment.tracking_uid)
        assert (group.segment_number, group.segmentation_uid) == (
            measured.segment.number,
            segmentation.SOPInstanceUID,
        )
        assert (group.finding, group.finding_sites) == (measured.finding, measured.finding_sites)
        assert (group.method, group.measurements) == (measured.method, measured.measurements)
        assert group.evaluations == measured.evaluations
    assert len(groups) == len(case.segments) + 3
    for group, reported in zip(groups[-3:], case.report.groups, strict=True):
        assert (group.segment_number, group.segmentation_uid) == (None, None)
        assert (group.tracking_id, group.tracking_uid) == (reported.tracking_id, reported.tracking_uid)
        assert (group.finding, group.finding_sites) == (reported.finding, reported.finding_sites)
        assert (group.method, group.measurements) == (reported.method, reported.measurements)
        assert group.evaluations == reported.evaluations
    assert read_report(sr).remarks == ("For research use only.",)
    assert read_report(sr).evaluations == case.report.evaluations


@pytest.mark.parametrize("form", ReportForm)
def test_a_report_of_every_class_says_the_same(single: Case, form: ReportForm) -> None:
    segmentation = single.segmentation()
    read = read_report(dcmread(BytesIO(to_bytes(single.sr(segmentation, form)))))
    assert read.form is form
    assert replace(read, form=ReportForm.COMPREHENSIVE_3D) == read_report(single.sr(segmentation))


@pytest.mark.parametrize("form", SegmentationForm)
def test_a_segmentation_of_every_form_reads_back_from_its_bytes(case: Case, form: SegmentationForm) -> None:
    read = read_segmentation(dcmread(BytesIO(to_bytes(case.segmentation(form)))), case.source.slices)
    assert read.form is form
    assert np.array_equal(read.labels, case.labels)
    assert not np.array_equal(read.labels, case.labels[:, ::-1])
    assert [segment.anatomic_regions for segment in read.segments] == [
        segment.anatomic_regions for segment in case.segments
    ]
    assert {segment.algorithm_type for segment in read.segments} == {AlgorithmType.AUTOMATIC}


def test_fractions_read_back_exactly_and_a_wrong_one_is_noticed(case: Case) -> None:
    read = read_segmentation(case.segmentation(SegmentationForm.FRACTIONAL), case.source.slices)
    fractions = case.fractions()
    assert np.array_equal(read.fractions, fractions)
    place = tuple(np.argwhere(fractions == 200)[0])
    fractions[place] = 199
    assert not np.array_equal(read.fractions, fractions)


def test_the_label_of_a_voxel_is_the_largest_fraction_from_one_half_on(single: Case) -> None:
    labels = np.zeros(single.labels.shape, dtype=np.uint8)
    labels[3, 10, 10:14] = (1, 1, 2, 2)
    fractions = np.zeros((2, *labels.shape), dtype=np.uint8)
    fractions[:, 3, 10, 10:14] = [[128, 127, 130, 255], [127, 127, 131, 255]]
    segmentation = build_segmentation(
        source=single.source,
        labels=labels,
        segments=segment_specs(2),
        instance=result_instance("seg"),
        form=SegmentationForm.FRACTIONAL,
        fractions=fractions,
    )
    read = read_segmentation(segmentation, single.source.slices)
    assert read.labels[3, 10, 9:15].tolist() == [0, 1, 0, 2, 1, 0]
    assert segmentation.SegmentsOverlap == "YES"


def test_a_segmentation_in_another_transfer_syntax_reads_the_same(single: Case) -> None:
    implicit, buffer = single.segmentation(), BytesIO()
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    implicit.save_as(buffer, implicit_vr=True, enforce_file_format=True)
    buffer.seek(0)
    read = read_segmentation(dcmread(buffer), single.source.slices)
    assert np.array_equal(read.labels, single.labels)


@pytest.mark.parametrize("form", SegmentationForm)
def test_pixels_that_are_not_all_there_are_refused(single: Case, form: SegmentationForm) -> None:
    segmentation = dcmread(BytesIO(to_bytes(single.segmentation(form))))
    segmentation.PixelData = segmentation.PixelData[:60]
    with pytest.raises(InvalidObject, match=r"too short|cannot be decoded"):
        read_segmentation(segmentation, single.source.slices)


def test_a_label_map_with_a_number_that_names_no_segment_is_refused(epi: Case) -> None:
    segmentation = epi.segmentation(SegmentationForm.LABELMAP)
    del segmentation.SegmentSequence[4]
    with pytest.raises(InvalidObject, match="not described"):
        read_segmentation(segmentation, epi.source.slices)


def test_two_frames_that_show_the_same_are_refused(single: Case) -> None:
    segmentation = dcmread(BytesIO(to_bytes(single.segmentation())))
    frames = segmentation.PerFrameFunctionalGroupsSequence
    frames[1] = frames[0]
    with pytest.raises(InvalidObject, match="show the same"):
        read_segmentation(segmentation, single.source.slices)


@pytest.mark.parametrize(
    ("keyword", "value"), [("MaximumFractionalValue", 100), ("SegmentationType", "PROBABILITY"), ("BitsAllocated", 16)]
)
def test_fractions_of_another_kind_are_refused(single: Case, keyword: str, value: object) -> None:
    segmentation = single.segmentation(SegmentationForm.FRACTIONAL)
    setattr(segmentation, keyword, value)
    with pytest.raises(InvalidObject):
        read_segmentation(segmentation, single.source.slices)


@pytest.mark.parametrize("keyword", ["PerFrameFunctionalGroupsSequence", "SegmentSequence"])
@pytest.mark.parametrize("cut", [1, 2, 7, 8, 9, 20, 55])
def test_a_sequence_that_ends_too_early_is_an_invalid_object(epi: Case, keyword: str, cut: int) -> None:
    segmentation = dcmread(BytesIO(to_bytes(epi.segmentation(SegmentationForm.LABELMAP))))
    element = segmentation.get_item(keyword)
    segmentation[element.tag] = element._replace(value=element.value[:-cut])
    with pytest.raises(InvalidObject):
        read_segmentation(segmentation, epi.source.slices)


@given(value=st.binary(max_size=80))
def test_bytes_that_are_no_sequence_are_an_invalid_object(value: bytes) -> None:
    dataset = Dataset()
    dataset[0x0040A730] = RawDataElement(Tag(0x0040A730), "SQ", len(value), value, 0, False, True)
    try:
        items = sequence(dataset, "ContentSequence")
    except InvalidObject:
        return
    assert all(item.items("ContentSequence") == [] for item in items)


def test_a_sequence_of_undefined_length_reads_like_one_of_defined_length() -> None:
    code = b"\x08\x00\x00\x01SH\x02\x00ab"
    undefined = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + code + b"\xfe\xff\x0d\xe0" + b"\0" * 4
    ended = undefined + b"\xfe\xff\xdd\xe0" + b"\0" * 4
    below = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff" + ended
    value = b"\xfe\xff\x00\xe0" + len(below).to_bytes(4, "little") + below
    dataset = Dataset()
    dataset[0x0040A730] = RawDataElement(Tag(0x0040A730), "SQ", len(value), value, 0, False, True)
    (item,) = sequence(dataset, "ContentSequence")
    assert item.first("ReferencedSeriesSequence").text("CodeValue") == "ab"


def test_a_report_whose_measurement_was_altered_is_not_the_same(single: Case) -> None:
    sr = dcmread(BytesIO(to_bytes(single.sr(single.segmentation()))))
    before = read_report(sr)
    measured = sr.ContentSequence[-2].ContentSequence[0].ContentSequence[-4].MeasuredValueSequence[0]
    assert measured.NumericValue == 11.25
    measured.NumericValue = "11.5"
    assert read_report(sr).groups[0].measurements != before.groups[0].measurements


def test_a_frame_that_refers_to_another_series_is_refused(cervical: Case, single: Case, epi: Case) -> None:
    with pytest.raises(InvalidObject, match="refers to no slice"):
        read_segmentation(single.segmentation(), epi.source.slices)


def test_frames_that_overlap_or_moved_are_refused(cervical: Case) -> None:
    overlapping = cervical.segmentation()
    overlapping.PixelData = bytes([0xFF]) * len(overlapping.PixelData)
    with pytest.raises(InvalidObject, match="overlap"):
        read_segmentation(overlapping, cervical.source.slices)
    moved = dcmread(BytesIO(to_bytes(cervical.segmentation())))
    moved.PerFrameFunctionalGroupsSequence[-1].PlanePositionSequence[0].ImagePositionPatient = [1, 2, 3]
    with pytest.raises(InvalidObject, match="differ in position"):
        read_segmentation(moved, cervical.source.slices)
    short = cervical.segmentation()
    short.PixelData = short.PixelData[:100]
    with pytest.raises(InvalidObject, match="too short"):
        read_segmentation(short, cervical.source.slices)


def test_objects_of_another_kind_are_refused(single: Case) -> None:
    header = single.source.headers[0]
    with pytest.raises(InvalidObject, match="not a BINARY"):
        read_segmentation(header, single.source.slices)
    with pytest.raises(InvalidObject, match="TID 1500"):
        read_report(header)


def test_our_results_are_known_again_and_source_images_are_not(case: Case, segmentation: Dataset, sr: Dataset) -> None:
    assert is_own_result(segmentation, "cspine-node")
    assert is_own_result(sr, "cspine-node")
    assert not is_own_result(segmentation, "another node")
    assert not is_own_result(case.source.headers[0], "cspine-node")


def test_a_result_that_another_device_converted_is_still_known_by_its_contributing_equipment(single: Case) -> None:
    segmentation = single.segmentation()
    segmentation.ManufacturerModelName = "converter"
    assert is_own_result(segmentation, "cspine-node")
    for item in segmentation.ContributingEquipmentSequence:
        item.PurposeOfReferenceCodeSequence[0].CodeValue = "109101"
    assert not is_own_result(segmentation, "cspine-node")
