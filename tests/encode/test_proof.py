"""The proof that nothing else leaves: writers that go wrong in one thing are caught, each by its own comparison."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import EVERYTHING, KEY, case_of, whole_neck, with_findings
from pydicom.dataset import Dataset

import dicom_sr
from dicom_sr import codes
from node.domain.anatomy import body, disc_below
from node.domain.case import Order, SegmentationForm, Wanted
from node.encode.encoding import Case, encode
from node.errors import EncodingError

Parts = dict[str, Any]
FRACTIONAL = Order(wanted=frozenset({Wanted(segmentation=SegmentationForm.FRACTIONAL)}))
LABELMAP = Order(wanted=frozenset({Wanted(segmentation=SegmentationForm.LABELMAP)}))


@pytest.fixture
def case(plain_source: Any) -> Case:
    return whole_neck(plain_source)


def spoil(monkeypatch: pytest.MonkeyPatch, writer: str, change: Callable[[Parts], Parts]) -> None:
    """Let a writer of the library be given something else than what was asked for."""
    build = getattr(dicom_sr, writer)
    monkeypatch.setattr(dicom_sr, writer, lambda **parts: build(**{**parts, **change(parts)}))


def spoil_result(monkeypatch: pytest.MonkeyPatch, writer: str, change: Callable[[Dataset], None]) -> None:
    """Let a writer of the library return something else than what it was given."""
    build = getattr(dicom_sr, writer)

    def spoilt(**parts: Any) -> Dataset:
        dataset = build(**parts)
        change(dataset)
        return dataset

    monkeypatch.setattr(dicom_sr, writer, spoilt)


def one_voxel_more(parts: Parts) -> Parts:
    labels = parts["labels"].copy()
    labels[4, 0, 0] = 7
    return {"labels": labels}


def one_voxel_of_the_neighbour(parts: Parts) -> Parts:
    labels = parts["labels"].copy()
    labels[tuple(np.argwhere(labels == 3)[0])] = 4
    return {"labels": labels}


def mirrored(parts: Parts) -> Parts:
    return {"labels": np.ascontiguousarray(parts["labels"][:, :, ::-1])}


def one_slice_off(parts: Parts) -> Parts:
    return {"labels": np.roll(parts["labels"], 1, axis=0)}


def two_swapped(parts: Parts) -> Parts:
    """The descriptions of two segments change places; their numbers and voxels stay."""
    first, second, third, *rest = parts["segments"]
    return {
        "segments": (
            dataclasses.replace(third, number=1),
            second,
            dataclasses.replace(first, number=3),
            *rest,
        )
    }


def another_region(parts: Parts) -> Parts:
    first, *rest = parts["segments"]
    return {"segments": (dataclasses.replace(first, anatomic_regions=(codes.VERTEBRAE["C3"],)), *rest)}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (one_voxel_more, "does not hold the labels"),
        (one_voxel_of_the_neighbour, "does not hold the labels"),
        (mirrored, "does not hold the labels"),
        (one_slice_off, "does not hold the labels"),
        (two_swapped, "does not describe the segments"),
        (another_region, "does not describe the segments"),
    ],
)
@pytest.mark.parametrize("order", [Order(), LABELMAP], ids=["binary", "labelmap"])
def test_a_seg_that_differs_never_leaves(
    case: Case, monkeypatch: pytest.MonkeyPatch, change: Callable[[Parts], Parts], what: str, order: Order
) -> None:
    form = next(iter(order.wanted)).segmentation.name
    spoil(monkeypatch, "build_segmentation", lambda parts: change(parts) if parts["form"].name == form else {})
    with pytest.raises(EncodingError, match=what):
        encode(case, KEY, order)


def test_a_seg_with_one_other_probability_never_leaves(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(parts: Parts) -> Parts:
        if parts["fractions"] is None:
            return {}
        fractions = parts["fractions"].copy()
        fractions[tuple(np.argwhere(fractions == 51)[0])] = 52
        return {"fractions": fractions}

    spoil(monkeypatch, "build_segmentation", change)
    with pytest.raises(EncodingError, match="does not hold the probabilities"):
        encode(case, KEY, FRACTIONAL)


def test_a_seg_that_lies_elsewhere_never_leaves(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(dataset: Dataset) -> None:
        position = dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
        moved = [float(value) for value in position.ImagePositionPatient]
        for item in dataset.PerFrameFunctionalGroupsSequence:
            place = item.PlanePositionSequence[0]
            if [float(value) for value in place.ImagePositionPatient] == moved:
                place.ImagePositionPatient = [moved[0] + 0.01, *moved[1:]]

    spoil_result(monkeypatch, "build_segmentation", change)
    with pytest.raises(EncodingError, match="does not lie where its source images lie"):
        encode(case, KEY, Order())


def in_report(change: Callable[[dicom_sr.ReportContent], dicom_sr.ReportContent]) -> Callable[[Parts], Parts]:
    return lambda parts: {"report": change(parts["report"])}


def of_segment(
    number: int, change: Callable[[dicom_sr.MeasuredSegment], dicom_sr.MeasuredSegment]
) -> Callable[[Parts], Parts]:
    def changed(report: dicom_sr.ReportContent) -> dicom_sr.ReportContent:
        segments = list(report.segments)
        segments[number - 1] = change(segments[number - 1])
        return dataclasses.replace(report, segments=tuple(segments))

    return in_report(changed)


def measured(place: int, **changes: Any) -> Callable[[dicom_sr.MeasuredSegment], dicom_sr.MeasuredSegment]:
    def change(group: dicom_sr.MeasuredSegment) -> dicom_sr.MeasuredSegment:
        measurements = list(group.measurements)
        measurements[place] = dataclasses.replace(measurements[place], **changes)
        return dataclasses.replace(group, measurements=tuple(measurements))

    return change


def more_certain(group: dicom_sr.MeasuredSegment) -> dicom_sr.MeasuredSegment:
    level, *others = group.evaluations
    surer = dataclasses.replace(level, value=codes.HIGH_CONFIDENCE)
    assert surer != level
    return dataclasses.replace(group, evaluations=(surer, *others))


def swapped(report: dicom_sr.ReportContent) -> dicom_sr.ReportContent:
    """Two groups exchange what was measured."""
    first, second, third, *rest = report.segments
    return dataclasses.replace(
        report,
        segments=(
            dataclasses.replace(first, measurements=third.measurements),
            second,
            dataclasses.replace(third, measurements=first.measurements),
            *rest,
        ),
    )


SEGMENTS, OTHERS, WHOLE = "measurements of the segments", "measured beside the segments", "verdict and the remarks"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (of_segment(1, measured(0, value=1961.0)), SEGMENTS),
        (of_segment(2, measured(0, unit=codes.MM)), SEGMENTS),
        (of_segment(2, measured(3, value=5.7501)), SEGMENTS),
        (of_segment(2, measured(1, modifiers=())), SEGMENTS),
        (of_segment(2, measured(1, method=codes.ENDPLATE_COBB_METHOD)), SEGMENTS),
        (of_segment(2, measured(5, derivation=codes.MEDIAN)), SEGMENTS),
        (of_segment(2, lambda group: dataclasses.replace(group, measurements=group.measurements[:-1])), SEGMENTS),
        (of_segment(3, more_certain), SEGMENTS),
        (of_segment(3, lambda group: dataclasses.replace(group, evaluations=group.evaluations[:-1])), SEGMENTS),
        (of_segment(3, lambda group: dataclasses.replace(group, finding_sites=())), SEGMENTS),
        (of_segment(4, lambda group: dataclasses.replace(group, finding=codes.INTERVERTEBRAL_DISC)), SEGMENTS),
        (in_report(swapped), SEGMENTS),
        (in_report(lambda report: dataclasses.replace(report, segments=report.segments[:-1])), SEGMENTS),
        (in_report(lambda report: dataclasses.replace(report, groups=report.groups[1:])), OTHERS),
        (in_report(lambda report: dataclasses.replace(report, groups=report.groups[:-1])), OTHERS),
        (in_report(lambda report: dataclasses.replace(report, evaluations=report.evaluations[:1])), WHOLE),
        (in_report(lambda report: dataclasses.replace(report, remarks=report.remarks[1:])), WHOLE),
    ],
)
def test_an_sr_that_differs_never_leaves(
    case: Case, monkeypatch: pytest.MonkeyPatch, change: Callable[[Parts], Parts], what: str
) -> None:
    spoil(monkeypatch, "build_report", change)
    with pytest.raises(EncodingError, match=what):
        encode(case, KEY, Order())


def test_an_sr_about_another_segmentation_never_leaves(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    build = dicom_sr.build_report
    kept: list[Dataset] = []

    def change(parts: Parts) -> Parts:
        kept.append(parts["segmentation"])
        return {"segmentation": kept[0]}

    spoil(monkeypatch, "build_report", change)
    assert build is not dicom_sr.build_report
    with pytest.raises(EncodingError, match=SEGMENTS):
        encode(case, KEY, LABELMAP)


def test_a_key_image_with_one_other_pixel_never_leaves(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(parts: Parts) -> Parts:
        first, *rest = parts["pictures"]
        pixels = first.pixels.copy()
        pixels[3, 5, 1] ^= 1
        return {"pictures": [dataclasses.replace(first, pixels=pixels), *rest]}

    spoil(monkeypatch, "build_key_images", change)
    with pytest.raises(EncodingError, match="does not hold its picture"):
        encode(case, KEY, EVERYTHING)


def test_a_volume_that_is_not_that_of_its_voxels_never_leaves(case: Case) -> None:
    """Findings that contradict themselves are caught too: SEG and SR would each be right and not fit."""
    first, *rest = case.findings.structures
    wrong = dataclasses.replace(first, volume_mm3=first.volume_mm3 + 3.5)
    with pytest.raises(EncodingError, match="are not those of the voxels"):
        encode(with_findings(case, structures=(wrong, *rest)), KEY, Order())


def test_two_structures_of_one_level_never_leave(plain_source: Any) -> None:
    case = case_of(plain_source, [body("C4"), disc_below("C4"), body("C4")])
    with pytest.raises(EncodingError, match="share a tracking_id"):
        encode(case, KEY, Order())
