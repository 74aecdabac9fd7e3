"""From findings to objects: what is made, for whom, and what it is called."""

import dataclasses
from io import BytesIO
from typing import Any

import pydicom
import pytest
from cases import BODY, DISC, EVERYTHING, KEY, case_of, doubtful_neck, judged, whole_neck, with_findings
from pydicom.dataset import Dataset

import dicom_sr
from dicom_sr import codes
from node.domain.anatomy import body, disc_below
from node.domain.case import (
    EncodedObject,
    ObjectKind,
    OnReject,
    Order,
    ReportForm,
    SegmentationForm,
    SegmentsOf,
    Wanted,
)
from node.domain.findings import Doubt, Missing, Presence, Verdict
from node.encode.encoding import Case, encode
from node.errors import EncodingError


def made(case: Case, order: Order | None = None) -> dict[str, EncodedObject]:
    return {one.name: one for one in encode(case, KEY, order or Order())}


def data_set(one: EncodedObject) -> Dataset:
    return pydicom.dcmread(BytesIO(one.content))


def report(one: EncodedObject) -> dicom_sr.ReadReport:
    return dicom_sr.read_report(data_set(one))


def groups(one: EncodedObject) -> dict[str, dicom_sr.ReadGroup]:
    return {group.tracking_id: group for group in report(one).groups}


def answers(evaluations: tuple[dicom_sr.Evaluation, ...]) -> list[str]:
    return [f"{one.concept.meaning}: {one.value.meaning}" for one in evaluations]


@pytest.fixture(scope="module")
def neck(plain_source: Any) -> dict[str, EncodedObject]:
    return made(whole_neck(plain_source))


def test_a_seg_and_an_sr_are_made_for_the_default(neck: dict[str, EncodedObject]) -> None:
    assert [(one.name, one.kind, one.wanted) for one in neck.values()] == [
        ("seg.dcm", ObjectKind.SEGMENTATION, {Wanted()}),
        ("sr.dcm", ObjectKind.REPORT, {Wanted()}),
    ]
    for one in neck.values():
        read = data_set(one)
        assert (one.sop_class_uid, one.sop_instance_uid) == (read.SOPClassUID, read.SOPInstanceUID)


def test_the_same_case_gives_the_same_bytes(plain_source: Any) -> None:
    first, second = (made(whole_neck(plain_source), EVERYTHING) for _ in range(2))
    assert {name: one.digest for name, one in first.items()} == {name: one.digest for name, one in second.items()}


def test_every_object_and_every_series_has_its_own_uid(plain_source: Any) -> None:
    objects = made(whole_neck(plain_source), EVERYTHING)
    assert len({one.sop_instance_uid for one in objects.values()}) == len(objects) == 14
    series = {data_set(one).SeriesInstanceUID for one in objects.values()}
    assert len(series) == 13  # both key images share one
    numbers = {data_set(one).SeriesInstanceUID: data_set(one).SeriesNumber for one in objects.values()}
    assert sorted(numbers.values()) == list(range(9001, 9014))


@pytest.mark.parametrize("part", ["content_digest", "bundle_digest", "settings_digest", "software_version"])
def test_whatever_the_result_follows_from_changes_all_its_uids(plain_source: Any, part: str) -> None:
    case = whole_neck(plain_source)
    old = encode(case, KEY, EVERYTHING)
    new = encode(case, dataclasses.replace(KEY, **{part: "d" * 64}), EVERYTHING)
    assert {one.sop_instance_uid for one in old}.isdisjoint(one.sop_instance_uid for one in new)


def test_segments_of_structures_and_of_classes_are_different_objects(plain_source: Any) -> None:
    case = whole_neck(plain_source)
    objects = [made(case, Order(segments=segments_of)) for segments_of in SegmentsOf]
    assert objects[0]["seg.dcm"].sop_instance_uid != objects[1]["seg.dcm"].sop_instance_uid
    assert objects[0]["sr.dcm"].sop_instance_uid != objects[1]["sr.dcm"].sop_instance_uid


def test_each_report_refers_to_the_seg_of_its_form_and_tracking_is_the_same_in_all(plain_source: Any) -> None:
    objects = made(whole_neck(plain_source), EVERYTHING)
    tracking = []
    for form in ("", "-labelmap", "-fractional"):
        segmentation = objects[f"seg{form}.dcm"]
        described = [item for item in data_set(segmentation).SegmentSequence if item.SegmentNumber != 0]
        tracking.append([(int(item.SegmentNumber), item.TrackingID, item.TrackingUID) for item in described])
        for storage in ("", "-comprehensive", "-enhanced"):
            told = [group for group in report(objects[f"sr{storage}{form}.dcm"]).groups if group.segment_number]
            assert {group.segmentation_uid for group in told} == {segmentation.sop_instance_uid}
            assert [(group.segment_number, group.tracking_id, group.tracking_uid) for group in told] == tracking[-1]
    assert tracking[0] == tracking[1] == tracking[2]


def test_key_images_are_made_where_they_are_wanted_and_name_what_they_show(plain_source: Any) -> None:
    case = whole_neck(plain_source)
    wanted = Wanted(key_images=True)
    objects = made(case, Order(wanted=frozenset({wanted, Wanted()})))
    assert [name for name in objects if name.startswith("key")] == ["key-1.dcm", "key-2.dcm"]
    for picture, name in zip(case.pictures, ("key-1.dcm", "key-2.dcm"), strict=True):
        assert objects[name].wanted == {wanted}
        shown = [item.ReferencedSOPInstanceUID for item in data_set(objects[name]).SourceImageSequence]
        assert shown == [case.volume.sources[index].sop_instance_uid for index in picture.slices]


def test_totals_slips_and_lordosis_have_groups_of_their_own(neck: dict[str, EncodedObject]) -> None:
    told = groups(neck["sr.dcm"])
    beside = {name: group for name, group in told.items() if group.segment_number is None}
    assert list(beside)[:2] == ["Vertebral bodies, total", "Intervertebral discs, total"]
    total = beside["Vertebral bodies, total"]
    volumes = [
        group.measurements[0].value
        for group in told.values()
        if group.segment_number and group.finding == codes.VERTEBRAL_BODY
    ]
    assert total.measurements[0].value == pytest.approx(sum(volumes))
    assert total.measurements[0].derivation == codes.TOTAL
    slip = beside["C5/C6 slip"]
    assert slip.finding_sites == (codes.VERTEBRAE["C5"], codes.VERTEBRAE["C6"])
    assert (slip.method, slip.measurements[0].concept, slip.measurements[0].value, slip.measurements[0].unit) == (
        codes.POSTERIOR_WALL_OFFSET_METHOD,
        codes.VERTEBRAL_SLIP,
        -3.5,
        codes.MM,
    )
    assert [name for name in beside if name.endswith("slip")] == [
        *("C2/C3 slip", "C3/C4 slip", "C4/C5 slip", "C5/C6 slip", "C6/C7 slip", "C7/T1 slip", "T1/T2 slip")
    ]
    cobb, tangent = beside["Cervical lordosis C2-C7, Cobb"], beside["Cervical lordosis C2-C7, posterior tangent"]
    assert (cobb.method, cobb.measurements[0].value) == (codes.ENDPLATE_COBB_METHOD, 21.5)
    assert (tangent.method, tangent.measurements[0].value) == (codes.POSTERIOR_TANGENT_METHOD, 24.25)


def test_the_verdict_each_doubt_and_the_texts_stand_beside_the_groups(neck: dict[str, EncodedObject]) -> None:
    read = report(neck["sr.dcm"])
    assert answers(read.evaluations) == [
        "Result quality verdict: Review",
        "Result quality reason: Motion",
        "Result quality reason: Truncated field of view",
    ]
    assert read.remarks == (
        "What speaks against it: motion.",
        "What speaks against it: truncated-field-of-view.",
        "For tests.",
    )


def test_missing_levels_say_why(plain_source: Any) -> None:
    case = with_findings(
        case_of(plain_source, [body("C4"), body("C5")]),
        missing=(
            Missing(level=disc_below("C4"), presence=Presence.ABSENT),
            Missing(level=body("T1"), presence=Presence.NOT_IN_VIEW),
        ),
    )
    told = groups(made(case)["sr.dcm"])
    disc, vertebra = told["C4/C5 intervertebral disc"], told["T1 vertebral body"]
    assert (disc.finding, disc.finding_sites) == (codes.DISCS["C4/C5"], (codes.DISC_LEVELS["C4/C5"],))
    assert answers(disc.evaluations) == ["Presence in image: Absent"]
    assert answers(vertebra.evaluations) == ["Presence in image: Not in field of view"]
    assert disc.measurements == vertebra.measurements == ()
    assert disc.segment_number is vertebra.segment_number is None


def test_a_block_lies_at_each_of_its_vertebrae_and_slips_are_named_by_its_ends(plain_source: Any) -> None:
    told = groups(made(doubtful_neck(plain_source))["sr.dcm"])
    block = told["C5-C6 vertebral bodies (fused)"]
    assert block.finding_sites == (codes.VERTEBRAE["C5"], codes.VERTEBRAE["C6"])
    assert told["C4/C5 slip"].finding_sites == (codes.VERTEBRAE["C4"], codes.VERTEBRAE["C5"])
    assert told["C6/C7 slip"].finding_sites == (codes.VERTEBRAE["C6"], codes.VERTEBRAE["C7"])


def test_structures_below_a_named_part_are_not_guessed(plain_source: Any) -> None:
    case = doubtful_neck(plain_source)
    told = groups(made(case)["sr.dcm"])
    assert [name for name, group in told.items() if group.segment_number] == [
        "C4 vertebral body",
        "C4/C5 intervertebral disc",
        "C5-C6 vertebral bodies (fused)",
        "C6/C7 intervertebral disc",
        "C7 vertebral body",
        "Vertebral bodies, level uncertain",
        "Intervertebral discs, level uncertain",
    ]
    bodies = told["Vertebral bodies, level uncertain"]
    assert answers(bodies.evaluations)[0] == "Vertebral level confidence: Uncertain"
    assert (bodies.finding, bodies.finding_sites) == (codes.VERTEBRAL_BODY, (codes.CERVICAL_SPINE,))
    [volume] = bodies.measurements
    unnamed = [one.volume_mm3 for one in case.findings.structures if one.kind is BODY and one.level is None]
    assert (len(unnamed), volume.value) == (2, sum(unnamed))
    assert told["Vertebral bodies 3 and 4 slip, level uncertain"].finding_sites == (codes.CERVICAL_SPINE,)


def test_without_any_name_there_is_one_segment_a_class(plain_source: Any) -> None:
    objects = made(case_of(plain_source, [BODY, DISC, BODY]))
    labels = [str(item.SegmentLabel) for item in data_set(objects["seg.dcm"]).SegmentSequence]
    assert labels == ["Vertebral bodies, level uncertain", "Intervertebral discs, level uncertain"]


@pytest.mark.parametrize(
    ("certainty", "answer"), [(0.95, "High confidence"), (0.949, "Moderate confidence"), (0.0, "Moderate confidence")]
)
def test_a_name_is_called_certain_from_95_percent_on(plain_source: Any, certainty: float, answer: str) -> None:
    case = case_of(plain_source, [body("C5")])
    [structure] = case.findings.structures
    case = with_findings(case, structures=(dataclasses.replace(structure, level_confidence=certainty),))
    [group, *_] = report(made(case)["sr.dcm"]).groups
    assert answers(group.evaluations)[0] == f"Vertebral level confidence: {answer}"


ALL = frozenset({Wanted(segmentation=SegmentationForm.LABELMAP, key_images=True), Wanted(report=ReportForm.ENHANCED)})


@pytest.mark.parametrize("on_reject", OnReject)
def test_a_rejected_result_is_told_without_measurements_or_not_at_all(plain_source: Any, on_reject: OnReject) -> None:
    case = judged(whole_neck(plain_source), Verdict.REJECT, Doubt.IMPLAUSIBLE_ORDER, Doubt.LOW_SIGNAL)
    objects = made(case, Order(on_reject=on_reject, wanted=ALL))
    told = on_reject is OnReject.REPORT
    labelmap, enhanced = sorted(ALL, key=lambda wanted: wanted.report is ReportForm.ENHANCED)
    assert {name: one.wanted for name, one in objects.items()} == {
        "seg.dcm": frozenset(),
        "sr.dcm": {labelmap} if told else frozenset(),
        **({"sr-enhanced.dcm": {enhanced}} if told else {}),
    }
    read = report(objects["sr.dcm"])
    assert read.groups == ()
    assert objects["seg.dcm"].sop_instance_uid not in read.evidence
    assert answers(read.evaluations) == [
        "Result quality verdict: Reject",
        "Result quality reason: Implausible order",
        "Result quality reason: Low signal",
    ]
    assert read.remarks == (
        "The automatic result was rejected. It holds no measurements and is not to be used.",
        "What speaks against it: implausible-order.",
        "What speaks against it: low-signal.",
        "For tests.",
    )


def test_nothing_found_is_said_in_a_report_without_a_seg(plain_source: Any) -> None:
    case = judged(case_of(plain_source, []), Verdict.REVIEW, Doubt.NOTHING_FOUND)
    objects = made(case, Order(wanted=ALL))
    assert list(objects) == ["sr.dcm", "sr-enhanced.dcm"]
    read = report(objects["sr.dcm"])
    assert read.groups == ()
    assert read.remarks[0] == "No vertebral body and no intervertebral disc was found."
    assert answers(read.evaluations) == ["Result quality verdict: Review", "Result quality reason: Nothing found"]


def test_a_remark_in_any_language_is_written_in_ascii(plain_source: Any) -> None:
    case = case_of(plain_source, [body("C5")])
    algorithm = dataclasses.replace(case.findings.algorithm, intended_use="Für Tests \u2013 nur hier")
    read = report(made(with_findings(case, algorithm=algorithm))["sr.dcm"])
    assert read.remarks == ("Fur Tests ? nur hier",)


def test_a_source_that_is_gone_is_an_encoding_error_without_its_values(plain_source: Any) -> None:
    case = case_of(plain_source, [body("C5")])
    sources = tuple(dataclasses.replace(one, sop_instance_uid="1.2.3") for one in case.volume.sources)
    volume = dataclasses.replace(case.volume, sources=sources)
    with pytest.raises(EncodingError, match="InvalidSource"):
        encode(dataclasses.replace(case, volume=volume), KEY, Order())
