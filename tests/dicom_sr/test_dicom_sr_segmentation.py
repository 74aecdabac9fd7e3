from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom.dataset import Dataset
from result_cases import Case, altered, in_order, make_case, result_instance, segment_specs, source_affine

from dicom_sr import (
    AlgorithmType,
    EmptySegmentation,
    InvalidResult,
    SegmentationForm,
    SourceSeries,
    build_segmentation,
    read_segmentation,
    to_bytes,
)


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


def test_a_fused_block_lies_in_two_regions(cervical: Case) -> None:
    regions = cervical.segmentation().SegmentSequence[1].AnatomicRegionSequence
    assert [region.CodeMeaning for region in regions] == ["C3 vertebra", "C4 vertebra"]


def test_a_segment_outlined_by_hand_names_no_algorithm(single: Case) -> None:
    by_hand = replace(single.segments[0], algorithm=None, algorithm_type=AlgorithmType.MANUAL)
    segmentation = replace(single, segments=(by_hand,)).segmentation()
    (segment,) = segmentation.SegmentSequence
    assert segment.SegmentAlgorithmType == "MANUAL"
    assert "SegmentAlgorithmName" not in segment
    assert "SegmentationAlgorithmIdentificationSequence" not in segment
    assert len(segmentation.ContributingEquipmentSequence) == 2


def test_a_label_map_has_all_slices_and_describes_its_background_last(case: Case) -> None:
    segmentation = case.segmentation(SegmentationForm.LABELMAP)
    assert segmentation.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7"
    assert segmentation.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.5"
    assert (segmentation.SegmentationType, segmentation.BitsAllocated) == ("LABELMAP", 8)
    assert segmentation.NumberOfFrames == len(case.source.slices)
    numbers = [item.SegmentNumber for item in segmentation.SegmentSequence]
    assert numbers == [*range(1, len(case.segments) + 1), 0]
    assert segmentation.SegmentSequence[-1].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Background"
    assert segmentation.PixelPaddingValue == 0
    positions = [
        float(item.PlanePositionSequence[0].ImagePositionPatient[0])
        for item in segmentation.PerFrameFunctionalGroupsSequence
    ]
    assert positions == sorted(positions)
    assert segmentation.DimensionOrganizationType == "3D"


def test_a_label_map_of_more_than_255_segments_has_16_bits(single: Case) -> None:
    labels = np.zeros(single.labels.shape, dtype=np.uint16)
    labels[5, 20, 10:310] = np.arange(1, 301)
    many = replace(single, labels=labels, segments=segment_specs(300))
    segmentation = many.segmentation(SegmentationForm.LABELMAP)
    assert (segmentation.BitsAllocated, segmentation.HighBit) == (16, 15)
    assert np.array_equal(read_segmentation(segmentation, single.source.slices).labels, labels)


def test_fractions_are_probabilities_of_255(case: Case) -> None:
    segmentation = case.segmentation(SegmentationForm.FRACTIONAL)
    assert segmentation.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4"
    assert (segmentation.SegmentationType, segmentation.SegmentationFractionalType) == ("FRACTIONAL", "PROBABILITY")
    assert segmentation.MaximumFractionalValue == 255
    assert np.unique(segmentation.pixel_array).tolist() == [0, 50, 200]


def test_an_independent_reader_takes_every_form(case: Case, tmp_path: Path) -> None:
    for form in SegmentationForm:
        (tmp_path / form.value).write_bytes(to_bytes(case.segmentation(form)))
        read = hd.seg.segread(tmp_path / form.value)
        assert read.segmentation_type.value == form.value
        assert list(read.segment_numbers) == [segment.number for segment in case.segments]
        fractional = form is SegmentationForm.FRACTIONAL
        volume = read.get_volume(combine_segments=not fractional, rescale_fractional=False)
        placed = volume.match_geometry(_geometry(case.source)).array
        expected = np.moveaxis(case.fractions(), 0, -1) if fractional else case.labels
        assert np.array_equal(placed, expected)


def _geometry(source: SourceSeries) -> hd.VolumeGeometry:
    return hd.VolumeGeometry(
        affine=source_affine(source),
        spatial_shape=source.shape,
        coordinate_system="PATIENT",
        frame_of_reference_uid=source.headers[0].FrameOfReferenceUID,
    )


@pytest.mark.parametrize(
    ("form", "alter", "message"),
    [
        (SegmentationForm.BINARY, lambda good: good, "belong to a FRACTIONAL"),
        (SegmentationForm.LABELMAP, lambda good: good, "belong to a FRACTIONAL"),
        (SegmentationForm.FRACTIONAL, lambda good: None, "belong to a FRACTIONAL"),
        (SegmentationForm.FRACTIONAL, lambda good: good.astype(np.float32), "fractions are uint8"),
        (SegmentationForm.FRACTIONAL, lambda good: good[:, 1:], "fractions are uint8"),
        (SegmentationForm.FRACTIONAL, lambda good: good * 0, "no voxel with a fraction"),
    ],
)
def test_fractions_that_do_not_fit_are_refused(
    single: Case, form: SegmentationForm, alter: Callable[[object], object], message: str
) -> None:
    with pytest.raises(InvalidResult, match=message):
        build_segmentation(
            source=single.source,
            labels=single.labels,
            segments=single.segments,
            instance=result_instance("seg"),
            form=form,
            fractions=alter(single.fractions()),
        )


def test_a_uint8_label_map_gives_the_same_bytes_as_a_uint16_one(epi: Case) -> None:
    assert to_bytes(epi.segmentation()) == to_bytes(replace(epi, labels=epi.labels.astype(np.uint8)).segmentation())


def test_building_does_not_change_the_source_or_the_labels(enhanced: Case) -> None:
    before = (enhanced.source.headers[0].to_json(), enhanced.labels.copy())
    for form in SegmentationForm:
        enhanced.sr(enhanced.segmentation(form))
    enhanced.key_images()
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
