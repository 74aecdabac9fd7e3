"""Published masks as DICOM: MANUAL or AUTOMATIC, named as what they are, voxel for voxel, also for other software."""

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from cases import EVERYTHING, series_of
from published import RELEASE, segmenter_of, spine_series
from pydicom.dataset import Dataset
from test_encoded_for_others import complaints, run

import dicom_sr
from node.batch.masks.segmenter import MEANINGS
from node.batch.midrc.exam import Annotation
from node.domain.anatomy import StructureKind
from node.domain.case import EncodedObject
from node.domain.identifiers import Digest
from node.pipeline import CaseResult, run_case

CONTENT = Digest("c" * 64)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Annotation, CaseResult]:
    """A spine's mask in every form, once by an expert and once by networks; a speck and a stray piece are in it."""
    spine, paths = spine_series(tmp_path_factory.mktemp("spine"))
    series, _ = series_of(paths)
    classes = spine.classes.copy()
    classes[0, :3, :3] = 2
    return {
        annotation: run_case(series, CONTENT, segmenter_of(classes, spine.grid, annotation), EVERYTHING)
        for annotation in Annotation
    }


@pytest.fixture(scope="module")
def manual(results: Mapping[Annotation, CaseResult]) -> dict[str, EncodedObject]:
    return {one.name: one for one in results[Annotation.EXPERT].objects}


@pytest.fixture(scope="module")
def automatic(results: Mapping[Annotation, CaseResult]) -> dict[str, EncodedObject]:
    return {one.name: one for one in results[Annotation.WEAK].objects}


def read(one: EncodedObject) -> Dataset:
    return pydicom.dcmread(BytesIO(one.content))


def texts(tree: Dataset, name: str) -> Iterator[str]:
    """Yield the text of every content item whose concept has this meaning."""
    for item in tree.get("ContentSequence", ()):
        if item.get("ConceptNameCodeSequence") and item.ConceptNameCodeSequence[0].CodeMeaning == name:
            yield str(item.TextValue)
        yield from texts(item, name)


def classes_in(dataset: Dataset, result: CaseResult) -> np.ndarray:
    """Return the classes that the segments of a SEG are of, `(slices, rows, columns)`."""
    slices = [
        dicom_sr.FrameReference(sop_instance_uid=source.sop_instance_uid, frame_number=source.frame_number)
        for source in result.volume.sources
    ]
    found = dicom_sr.read_segmentation(dataset, slices)
    bodies = dicom_sr.codes.VERTEBRAL_BODY
    classes = np.zeros(found.labels.shape, np.uint8)
    for segment in found.segments:
        classes[found.labels == segment.number] = 1 if segment.property_type == bodies else 2
    return classes


@pytest.mark.parametrize("annotation", Annotation)
@pytest.mark.parametrize("name", ["seg.dcm", "seg-labelmap.dcm", "seg-fractional.dcm"])
def test_the_segments_of_each_class_are_the_mask(
    results: Mapping[Annotation, CaseResult], annotation: Annotation, name: str
) -> None:
    result = results[annotation]
    made = {one.name: one for one in result.objects}
    assert MEANINGS == {1: StructureKind.VERTEBRAL_BODY, 2: StructureKind.INTERVERTEBRAL_DISC}
    assert np.array_equal(classes_in(read(made[name]), result), result.segmentation.classes)


@pytest.mark.parametrize("name", ["seg.dcm", "seg-labelmap.dcm", "seg-fractional.dcm"])
def test_an_expert_s_mask_is_manual_and_names_no_algorithm(manual: dict[str, EncodedObject], name: str) -> None:
    for segment in read(manual[name]).SegmentSequence:
        assert segment.SegmentAlgorithmType == "MANUAL"
        assert "SegmentAlgorithmName" not in segment
        assert "SegmentationAlgorithmIdentificationSequence" not in segment


def test_a_weak_mask_is_automatic_and_names_the_dataset_s_labels(automatic: dict[str, EncodedObject]) -> None:
    for segment in read(automatic["seg.dcm"]).SegmentSequence:
        [algorithm] = segment.SegmentationAlgorithmIdentificationSequence
        assert (segment.SegmentAlgorithmType, segment.SegmentAlgorithmName) == (
            "AUTOMATIC",
            "Duke CSpineSeg weak labels",
        )
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion, algorithm.AlgorithmSource) == (
            "Duke CSpineSeg weak labels",
            RELEASE,
            "Duke CSpineSeg",
        )


def test_the_report_names_an_algorithm_for_networks_alone(
    manual: dict[str, EncodedObject], automatic: dict[str, EncodedObject]
) -> None:
    assert set(texts(read(manual["sr.dcm"]), "Algorithm Name")) == set()
    assert set(texts(read(automatic["sr.dcm"]), "Algorithm Name")) == {"Duke CSpineSeg weak labels"}
    assert set(texts(read(automatic["sr.dcm"]), "Algorithm Version")) == {RELEASE}


def test_the_remarks_say_what_the_mask_is(
    manual: dict[str, EncodedObject], automatic: dict[str, EncodedObject]
) -> None:
    assert list(texts(read(manual["sr.dcm"]), "Comment"))[-1] == (
        "Duke CSpineSeg expert mask, release 20250321, kept voxel for voxel. Outlined or corrected by people; levels "
        "and measurements by cspine-node. For research, not for diagnosis."
    )
    assert "not corrected by people" in list(texts(read(automatic["sr.dcm"]), "Comment"))[-1]


DESCRIPTIONS = {
    "seg.dcm": "RESEARCH USE Duke CSpineSeg expert mask",
    "sr.dcm": "RESEARCH USE Duke CSpineSeg expert mask, report",
    "key-1.dcm": "RESEARCH USE Duke CSpineSeg expert mask, key images",
    "seg-labelmap.dcm": "RESEARCH USE Duke CSpineSeg expert mask (labelmap)",
    "sr-comprehensive.dcm": "RESEARCH USE Duke CSpineSeg expert mask, report (comprehensive)",
    "sr-enhanced-fractional.dcm": "RESEARCH USE Duke CSpineSeg expert mask, report",
}


@pytest.mark.parametrize(("name", "description"), DESCRIPTIONS.items())
def test_a_series_is_described_as_the_mask_that_it_is(
    manual: dict[str, EncodedObject], name: str, description: str
) -> None:
    assert read(manual[name]).SeriesDescription == description
    assert len(description) <= 64


def test_key_images_say_how_the_outlines_came_about(
    manual: dict[str, EncodedObject], automatic: dict[str, EncodedObject]
) -> None:
    told = [read(made["key-1.dcm"]).DerivationDescription for made in (manual, automatic)]
    assert told == [
        "Outlines and measurements of a manual segmentation drawn over the source image",
        "Outlines and measurements of an automatic segmentation drawn over the source image",
    ]


def test_the_node_is_the_device_and_networks_that_ran_elsewhere_are_not_its(
    manual: dict[str, EncodedObject], automatic: dict[str, EncodedObject]
) -> None:
    for made, sources in ((manual, []), (automatic, ["Duke CSpineSeg"])):
        dataset = read(made["seg.dcm"])
        assert (dataset.Manufacturer, dataset.ManufacturerModelName) == ("cspine-node project", "cspine-node")
        makers = [item.Manufacturer for item in dataset.ContributingEquipmentSequence]
        assert makers == ["cspine-node project", *sources]
    theirs = read(automatic["seg.dcm"]).ContributingEquipmentSequence[-1]
    assert "DeviceUID" not in theirs
    assert theirs.SoftwareVersions == RELEASE


def test_the_device_is_one_for_all_masks_of_a_release_and_the_uids_follow_the_voxels(tmp_path: Path) -> None:
    spine, paths = spine_series(tmp_path)
    series, _ = series_of(paths)
    other = spine.classes.copy()
    other[tuple(np.argwhere(other == 1)[0])] = 0
    first, again, changed = (
        read(run_case(series, CONTENT, segmenter_of(classes, spine.grid)).objects[0])
        for classes in (spine.classes, spine.classes, other)
    )
    assert first.DeviceSerialNumber == changed.DeviceSerialNumber
    assert first.ContributingEquipmentSequence[0].DeviceUID == changed.ContributingEquipmentSequence[0].DeviceUID
    assert first.SOPInstanceUID == again.SOPInstanceUID != changed.SOPInstanceUID
    assert first.SeriesInstanceUID != changed.SeriesInstanceUID


def test_the_same_voxels_called_an_expert_s_are_another_object(
    manual: dict[str, EncodedObject], automatic: dict[str, EncodedObject]
) -> None:
    uids = [{one.sop_instance_uid for one in made.values()} for made in (manual, automatic)]
    assert not uids[0] & uids[1]


def test_an_empty_mask_has_a_report_that_says_so_and_no_seg(tmp_path: Path) -> None:
    spine, paths = spine_series(tmp_path)
    series, _ = series_of(paths)
    [report] = run_case(series, CONTENT, segmenter_of(np.zeros_like(spine.classes), spine.grid)).objects
    assert report.name == "sr.dcm"
    told = list(texts(read(report), "Comment"))
    assert told[:2] == [
        "No vertebral body and no intervertebral disc was found.",
        "no vertebral body and no disc was found",
    ]


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("annotation", Annotation)
def test_dciodvfy_finds_no_fault(
    results: Mapping[Annotation, CaseResult], annotation: Annotation, tmp_path: Path
) -> None:
    made = {one.name: complaints(one, tmp_path) for one in results[annotation].objects}
    assert made == {name: [] for name in made}


@pytest.mark.peer("dcmqi")
@pytest.mark.parametrize("annotation", Annotation)
def test_dcmqi_reads_segmentation_and_report(
    results: Mapping[Annotation, CaseResult], annotation: Annotation, tmp_path: Path
) -> None:
    made = {one.name: one for one in results[annotation].objects}
    (tmp_path / "seg.dcm").write_bytes(made["seg.dcm"].content)
    (tmp_path / "sr.dcm").write_bytes(made["sr.dcm"].content)
    run("segimage2itkimage", "--inputDICOM", tmp_path / "seg.dcm", "--outputDirectory", tmp_path)
    written = (tmp_path / "meta.json").read_text()
    expected = {"EXPERT": "MANUAL", "WEAK": "AUTOMATIC"}[annotation.name]
    assert f'"SegmentAlgorithmType" : "{expected}"' in written
    run("tid1500reader", "--inputDICOM", tmp_path / "sr.dcm", "--outputMetadata", tmp_path / "sr.json")
    assert (tmp_path / "sr.json").is_file()
