"""What IHE AI Results (AIR) asks of an Evidence Creator, line by line; `docs/conformance.md` names these tests."""

import dataclasses
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pydicom
import pytest
from cases import EVERYTHING, KEY, whole_neck
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage, SecondaryCaptureImageStorage, SegmentationStorage

from node.domain.case import EncodedObject, Order, Wanted
from node.encode.encoding import Case, encode


@pytest.fixture(scope="module")
def case(plain_source: Any) -> Case:
    return whole_neck(plain_source)


@pytest.fixture(scope="module")
def made(case: Case) -> dict[str, Dataset]:
    """Every form, by file name."""
    return {one.name: read(one) for one in encode(case, KEY, EVERYTHING)}


def read(one: EncodedObject) -> Dataset:
    return pydicom.dcmread(BytesIO(one.content))


def source_of(case: Case) -> Dataset:
    return pydicom.dcmread(case.series.frames[0].path, stop_before_pixels=True)


def items(tree: Dataset, name: str) -> Iterator[Dataset]:
    """Yield every content item below `tree` whose concept has this meaning."""
    for item in tree.get("ContentSequence", ()):
        if item.get("ConceptNameCodeSequence") and item.ConceptNameCodeSequence[0].CodeMeaning == name:
            yield item
        yield from items(item, name)


def templates(tree: Dataset) -> Iterator[str]:
    yield from (str(item.TemplateIdentifier) for item in tree.get("ContentTemplateSequence", ()))
    for item in tree.get("ContentSequence", ()):
        yield from templates(item)


def test_measurements_are_a_comprehensive_3d_sr_of_tid_1500(made: dict[str, Dataset]) -> None:
    report = made["sr.dcm"]
    assert (report.SOPClassUID, report.ContentTemplateSequence[0].TemplateIdentifier) == (
        Comprehensive3DSRStorage,
        "1500",
    )


def test_regions_are_a_segmentation(made: dict[str, Dataset]) -> None:
    assert (made["seg.dcm"].SOPClassUID, made["seg.dcm"].SegmentationType) == (SegmentationStorage, "BINARY")


def test_pictures_are_secondary_captures_and_never_alone(case: Case) -> None:
    wanted = Wanted(key_images=True)
    made = encode(case, KEY, Order(wanted=frozenset({wanted})))
    for_it = [one.sop_class_uid for one in made if wanted in one.wanted]
    assert for_it == [SegmentationStorage, Comprehensive3DSRStorage, *[SecondaryCaptureImageStorage] * 2]


def test_each_algorithm_is_contributing_equipment(case: Case, made: dict[str, Dataset]) -> None:
    algorithm = case.findings.algorithm
    for one in made.values():
        processing = [
            item
            for item in one.ContributingEquipmentSequence
            if item.PurposeOfReferenceCodeSequence[0].CodeMeaning == "Processing Equipment"
        ]
        [named] = [item for item in processing if algorithm.bundle_name in str(item.get("ContributionDescription"))]
        assert (named.Manufacturer, named.ManufacturerModelName) == ("cspine-node project", "cspine-node")
        assert list(named.SoftwareVersions) == [algorithm.version, algorithm.bundle_version]
        assert str(named.DeviceUID if isinstance(named.DeviceUID, str) else named.DeviceUID[0]).startswith("2.25.")


def test_the_device_uid_changes_with_the_model_and_not_with_the_patient(case: Case) -> None:
    def device(**changes: str) -> str:
        report = [read(one) for one in encode(case, dataclasses.replace(KEY, **changes), Order())][1]
        return str(next(items(report, "Device Observer UID")).UID)

    assert device() == device(content_digest="d" * 64) != device(bundle_digest="d" * 64)


def test_results_are_complete_and_unverified(made: dict[str, Dataset]) -> None:
    reports = [one for name, one in made.items() if name.startswith("sr")]
    assert {(one.CompletionFlag, one.VerificationFlag) for one in reports} == {("COMPLETE", "UNVERIFIED")}
    assert not any("VerifyingObserverSequence" in one for one in reports)


def test_content_carries_the_time_of_the_source(case: Case, made: dict[str, Dataset]) -> None:
    """Not the start of the analysis, which AIR asks for: see ADR 1."""
    source = source_of(case)
    for one in made.values():
        assert (one.ContentDate, one.ContentTime) == (source.AcquisitionDate, source.AcquisitionTime)


def test_results_are_in_the_study_of_the_source(case: Case, made: dict[str, Dataset]) -> None:
    source = source_of(case)
    for one in made.values():
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber", "StudyID"):
            assert one[keyword].value == source[keyword].value


def test_each_kind_has_a_series_of_its_own_with_a_clear_description(case: Case, made: dict[str, Dataset]) -> None:
    described = {one.SeriesInstanceUID: str(one.SeriesDescription) for one in made.values()}
    assert source_of(case).SeriesInstanceUID not in described
    assert len(described) == len(set(described.values())) == 13
    assert all(text.startswith("RESEARCH USE Cervical spine") and len(text) <= 64 for text in described.values())


def test_tracking_identifiers_are_the_same_in_seg_and_sr(made: dict[str, Dataset]) -> None:
    segments = {str(item.TrackingUID): str(item.TrackingID) for item in made["seg.dcm"].SegmentSequence}
    groups = [group for group in items(made["sr.dcm"], "Measurement Group") if any(items(group, "Referenced Segment"))]
    tracked = {
        str(next(items(group, "Tracking Unique Identifier")).UID): str(
            next(items(group, "Tracking Identifier")).TextValue
        )
        for group in groups
    }
    assert tracked == segments
    assert len(segments) == len(set(segments.values())) == 15


def test_the_evidence_lists_the_source_images_and_the_segmentation(case: Case, made: dict[str, Dataset]) -> None:
    [study] = made["sr.dcm"].CurrentRequestedProcedureEvidenceSequence
    listed = {
        str(item.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    images = {source.sop_instance_uid for source in case.volume.sources}
    assert listed == images | {str(made["seg.dcm"].SOPInstanceUID)}


def test_each_segment_group_refers_to_its_segment_and_to_the_source_series(
    case: Case, made: dict[str, Dataset]
) -> None:
    groups = list(items(made["sr.dcm"], "Measurement Group"))
    about = [(next(items(group, "Referenced Segment"), None), group) for group in groups]
    referring = [(segment, group) for segment, group in about if segment is not None]
    assert [segment.ReferencedSOPSequence[0].ReferencedSegmentNumber for segment, _ in referring] == list(range(1, 16))
    assert {str(next(items(group, "Source series for segmentation")).UID) for _, group in referring} == {
        case.series.series_instance_uid
    }


def test_the_templates_are_those_that_air_names(made: dict[str, Dataset]) -> None:
    assert set(templates(made["sr.dcm"])) == {"1500", "1600", "1411", "1501"}


def test_observer_and_algorithm_are_named(case: Case, made: dict[str, Dataset]) -> None:
    """TID 1002, 1004 and 4019, which are included and so stand without an identifier of their own."""
    report = made["sr.dcm"]
    assert next(items(report, "Observer Type")).ConceptCodeSequence[0].CodeMeaning == "Device"
    assert next(items(report, "Device Observer Name")).TextValue == "cspine-node"
    measured = [
        group
        for group in items(report, "Measurement Group")
        if any(item.ValueType == "NUM" for item in group.ContentSequence)
    ]
    assert {next(items(group, "Algorithm Name")).TextValue for group in measured} == {
        case.findings.algorithm.bundle_name
    }


def test_the_image_library_describes_the_source_images(case: Case, made: dict[str, Dataset]) -> None:
    [library] = items(made["sr.dcm"], "Image Library")
    assert next(items(library, "Modality")).ConceptCodeSequence[0].CodeValue == "MR"
    assert {item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in items(library, "Source")} == {
        source.sop_instance_uid for source in case.volume.sources
    }


def test_every_object_says_which_images_it_was_derived_from(case: Case, made: dict[str, Dataset]) -> None:
    images = {source.sop_instance_uid for source in case.volume.sources}
    for name, one in made.items():
        if name.startswith("sr"):
            continue
        assert {item.ReferencedSOPInstanceUID for item in one.SourceImageSequence} <= images
    assert made["seg.dcm"].ReferencedSeriesSequence[0].SeriesInstanceUID == case.series.series_instance_uid
