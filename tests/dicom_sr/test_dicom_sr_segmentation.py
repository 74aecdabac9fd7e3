from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from result_cases import Case, altered, in_order, make_case, result_instance, segment_specs

from dicom_sr import EmptySegmentation, InvalidResult, SourceSeries, build_segmentation, to_bytes


def test_every_frame_has_voxels_and_refers_to_the_slice_it_lies_on(case: Case, segmentation: Dataset) -> None:
    positions = {
        reference: position.tolist()
        for reference, position in zip(case.source.slices, case.source.image_positions, strict=True)
    }
    by_uid = {(reference.sop_instance_uid, reference.frame_number): place for reference, place in positions.items()}
    seen = 0
    for item in segmentation.PerFrameFunctionalGroupsSequence:
        (derivation,) = item.DerivationImageSequence
        (source,) = derivation.SourceImageSequence
        assert source.SpatialLocationsPreserved == "YES"
        expected = by_uid[source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber")]
        assert [float(value) for value in item.PlanePositionSequence[0].ImagePositionPatient] == expected
        seen += 1
    occupied = sum(len(np.unique(plane[plane > 0])) for plane in case.labels)
    assert seen == segmentation.NumberOfFrames == occupied


def test_orientation_and_spacing_are_those_of_the_source(case: Case, segmentation: Dataset) -> None:
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    orientation = [float(value) for value in shared.PlaneOrientationSequence[0].ImageOrientationPatient]
    assert orientation == case.source.image_orientation.tolist()
    measures = shared.PixelMeasuresSequence[0]
    assert tuple(float(value) for value in measures.PixelSpacing) == case.source.pixel_spacing_mm
    assert segmentation.FrameOfReferenceUID == case.source.headers[0].FrameOfReferenceUID


def test_the_study_is_that_of_the_source_and_the_series_our_own(case: Case, segmentation: Dataset) -> None:
    header = case.source.headers[0]
    assert segmentation.StudyInstanceUID == header.StudyInstanceUID
    for element in case.source.set_aside:
        assert segmentation[element.tag].value == element.value
    instance = result_instance("seg")
    assert segmentation.SeriesInstanceUID == instance.series_instance_uid
    assert (segmentation.Modality, segmentation.SeriesNumber) == ("SEG", 901)
    assert segmentation.SeriesDescription == "Cervical spine segmentation"
    assert (segmentation.Manufacturer, segmentation.ManufacturerModelName) == ("cspine-node project", "cspine-node")
    assert (segmentation.SoftwareVersions, segmentation.DeviceSerialNumber) == ("1.2.3", "1")
    assert segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID == header.SeriesInstanceUID
    referenced = segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {item.ReferencedSOPInstanceUID for item in referenced} == {
        reference.sop_instance_uid for reference in case.source.slices
    }


def test_a_segment_says_what_it_is_how_it_was_made_and_how_it_is_shown(case: Case, segmentation: Dataset) -> None:
    assert segmentation.SegmentationType == "BINARY"
    assert segmentation.file_meta.TransferSyntaxUID.name == "Explicit VR Little Endian"
    assert [item.SegmentNumber for item in segmentation.SegmentSequence] == list(range(1, len(case.segments) + 1))
    first = segmentation.SegmentSequence[0]
    assert (first.SegmentLabel, first.SegmentAlgorithmType) == ("Disc 1", "AUTOMATIC")
    assert first.SegmentAlgorithmName == "cspine-ensemble"
    assert first.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == "2026.1"
    assert first.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "91723000"
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeValue == "10446"
    assert first.AnatomicRegionSequence[0].CodeValue == "122494005"
    assert first.RecommendedDisplayCIELabValue == [39321, 40606, 22873]
    assert (first.TrackingID, first.TrackingUID) == ("Disc 1", case.segments[0].tracking_uid)


def test_the_contributing_equipment_is_the_scanner_our_device_and_its_algorithm(segmentation: Dataset) -> None:
    items = segmentation.ContributingEquipmentSequence
    assert [item.PurposeOfReferenceCodeSequence[0].CodeValue for item in items] == ["109101", "109102", "109102"]
    assert items[1].ManufacturerModelName == items[2].ManufacturerModelName == "cspine-node"
    assert items[2].SoftwareVersions == ["1.2.3", "2026.1"]
    assert items[2].ContributionDescription == "Algorithm cspine-ensemble"
    assert "ContributionDateTime" not in items[1]


def test_a_uint8_label_map_gives_the_same_bytes_as_a_uint16_one(epi: Case) -> None:
    assert to_bytes(epi.segmentation()) == to_bytes(replace(epi, labels=epi.labels.astype(np.uint8)).segmentation())


def test_building_does_not_change_the_source_or_the_labels(enhanced: Case) -> None:
    before = (enhanced.source.headers[0].to_json(), enhanced.labels.copy())
    enhanced.segmentation()
    assert enhanced.source.headers[0].to_json() == before[0]
    assert np.array_equal(enhanced.labels, before[1])


def test_an_empty_label_map_has_an_error_of_its_own(cervical: Case) -> None:
    with pytest.raises(EmptySegmentation, match="no voxel is labelled"):
        build_segmentation(
            source=cervical.source,
            labels=np.zeros_like(cervical.labels),
            segments=(),
            instance=result_instance("seg"),
        )


@pytest.mark.parametrize(
    ("labels", "count", "message"),
    [
        (lambda good: good[1:], 20, "shape"),
        (lambda good: good.astype(np.int32), 20, "uint8 or uint16"),
        (lambda good: good, 19, "the segments are"),
        (lambda good: np.where(good == 7, 0, good), 20, "the segments are"),
    ],
)
def test_labels_and_segments_that_do_not_fit_are_refused(
    cervical: Case, labels: object, count: int, message: str
) -> None:
    assert callable(labels)
    with pytest.raises(InvalidResult, match=message):
        build_segmentation(
            source=cervical.source,
            labels=labels(cervical.labels),
            segments=segment_specs(count),
            instance=result_instance("seg"),
        )


def test_segments_with_a_gap_in_their_numbers_are_refused(cervical: Case) -> None:
    with pytest.raises(InvalidResult, match="without gaps"):
        build_segmentation(
            source=cervical.source,
            labels=cervical.labels,
            segments=segment_specs(20)[1:],
            instance=result_instance("seg"),
        )


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 192", "Žižka^Jan=柳^光"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ],
)
def test_a_name_beyond_ascii_survives_byte_for_byte(
    cervical_files: list[Path], tmp_path: Path, character_set: str | list[str], name: str
) -> None:
    def rename(_place: int, header: Dataset) -> None:
        header.SpecificCharacterSet = character_set
        header.PatientName = name

    files = altered(cervical_files, tmp_path, rename)
    case = make_case(SourceSeries.from_files(files, in_order(files)), count=1)
    segmentation = case.segmentation()
    start = files[0].read_bytes().index(b"\x10\x00\x10\x00PN")
    length = int.from_bytes(files[0].read_bytes()[start + 6 : start + 8], "little")
    element = files[0].read_bytes()[start : start + 8 + length]
    assert element in to_bytes(segmentation)
    assert element in to_bytes(case.sr(segmentation))


def test_absent_and_odd_patient_attributes_are_written_as_they_are(cervical_files: list[Path], tmp_path: Path) -> None:
    def strip(_place: int, header: Dataset) -> None:
        for keyword in ("AccessionNumber", "PatientID", "PatientBirthDate", "StudyDate", "StudyTime", "StudyID"):
            del header[keyword]
        del header.SliceThickness
        header.PatientName, header.PatientSex = "anonymous", "U"

    files = altered(cervical_files, tmp_path, strip)
    case = make_case(SourceSeries.from_files(files, in_order(files)), count=1)
    segmentation = case.segmentation()
    for result in (segmentation, case.sr(segmentation)):
        assert (result.PatientName, result.PatientSex) == ("anonymous", "U")
        assert [result[keyword].value or "" for keyword in ("AccessionNumber", "PatientID", "StudyDate")] == [""] * 3
    measures = segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (measures.SliceThickness, measures.SpacingBetweenSlices) == (4.0, 4.0)


def test_a_single_slice_without_thickness_gives_a_segmentation(cervical_files: list[Path], tmp_path: Path) -> None:
    def strip(_place: int, header: Dataset) -> None:
        del header.SliceThickness
        del header.SpacingBetweenSlices

    files = altered(cervical_files[:1], tmp_path, strip)
    source = SourceSeries.from_files(files, in_order(files))
    labels = np.zeros(source.shape, dtype=np.uint8)
    labels[0, 10:20, 10:20] = 1
    segmentation = build_segmentation(
        source=source, labels=labels, segments=segment_specs(1), instance=result_instance("seg")
    )
    assert segmentation.NumberOfFrames == 1
    assert "SliceThickness" not in segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
