from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from result_cases import Case

from dicom_sr import InvalidObject, is_own_result, read_report, read_segmentation, to_bytes


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
        assert (group.finding, group.finding_site) == (measured.finding, measured.finding_site)
        assert (group.method, group.measurements) == (measured.method, measured.measurements)
    assert len(groups) == len(case.segments) + 1
    (totals,) = case.report.totals
    assert (groups[-1].segment_number, groups[-1].measurements) == (None, totals.measurements)
    assert read_report(sr).remarks == ("For research use only.",)


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
    with pytest.raises(InvalidObject, match="BINARY"):
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
