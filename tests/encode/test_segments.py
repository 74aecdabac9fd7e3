"""What each segment stands for."""

from collections.abc import Sequence

import numpy as np
import pytest
from cases import BODY, DISC, NECK, Source, case_of, synthetic, with_findings

from dicom_sr import Code, ResultIdentity, codes
from node.domain.anatomy import Level, StructureKind, body, colour, disc_below
from node.domain.case import SegmentsOf
from node.encode.segments import divide, label_map, segment_numbers, spec
from node.errors import EncodingError

IDENTITY = ResultIdentity(series_digest="s", bundle_digest="b", settings_digest="t", software_version="1")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return synthetic(tmp_path_factory.mktemp("source"))


def names(
    source: Source, levels: Sequence[Level | StructureKind], segments_of: SegmentsOf = SegmentsOf.STRUCTURES
) -> list[str]:
    return [part.name for part in divide(case_of(source, levels).findings, segments_of)]


def test_named_structures_have_a_segment_each_from_the_head(source: Source) -> None:
    assert names(source, [body("C4"), disc_below("C4"), body("C5", "C6")]) == [
        "C4 vertebral body",
        "C4/C5 intervertebral disc",
        "C5-C6 vertebral bodies (fused)",
    ]


def test_structures_without_a_level_share_a_segment_a_class_behind_the_named(source: Source) -> None:
    levels = [DISC, body("C3"), disc_below("C3"), BODY, DISC, BODY]
    assert names(source, levels) == [
        "C3 vertebral body",
        "C3/C4 intervertebral disc",
        "Vertebral bodies, level uncertain",
        "Intervertebral discs, level uncertain",
    ]


def test_classes_have_one_segment_each_whatever_the_levels(source: Source) -> None:
    levels = [body("C3"), disc_below("C3"), BODY]
    assert names(source, levels, SegmentsOf.CLASSES) == ["Vertebral bodies", "Intervertebral discs"]
    assert names(source, [DISC], SegmentsOf.CLASSES) == ["Intervertebral discs"]


def test_the_label_map_holds_the_numbers_of_the_segments(source: Source) -> None:
    findings = case_of(source, [BODY, disc_below("C4"), BODY, body("C6")]).findings
    labels = label_map(findings, divide(findings, SegmentsOf.STRUCTURES))
    expected = np.array([0, 3, 1, 3, 2])[findings.labels]
    assert np.array_equal(labels, expected)


@pytest.mark.parametrize(
    ("segments_of", "numbers"),
    [(SegmentsOf.STRUCTURES, {1: 3, 2: 1, 3: 3, 4: 2}), (SegmentsOf.CLASSES, {1: 1, 2: 2, 3: 1, 4: 1})],
)
def test_each_structure_is_in_one_segment(source: Source, segments_of: SegmentsOf, numbers: dict[int, int]) -> None:
    findings = case_of(source, [BODY, disc_below("C4"), BODY, body("C6")]).findings
    assert segment_numbers(findings, segments_of) == numbers


def test_a_voxel_of_no_structure_is_refused(source: Source) -> None:
    case = case_of(source, [body("C4"), disc_below("C4")])
    labels = case.findings.labels.copy()
    labels[0, 0, 0] = 3
    findings = with_findings(case, labels=labels).findings
    with pytest.raises(EncodingError, match="holds a structure that the findings do not"):
        label_map(findings, divide(findings, SegmentsOf.STRUCTURES))


@pytest.mark.parametrize(
    ("level", "property_type", "regions"),
    [
        (body("C5"), codes.VERTEBRAL_BODY, (codes.VERTEBRAE["C5"],)),
        (body("C5", "C7"), codes.VERTEBRAL_BODY, tuple(codes.VERTEBRAE[name] for name in ("C5", "C6", "C7"))),
        (disc_below("C7"), codes.DISCS["C7/T1"], (codes.DISC_LEVELS["C7/T1"],)),
        (disc_below("C1"), codes.INTERVERTEBRAL_DISC, (codes.CERVICAL_SPINE,)),
        (body("S1"), codes.VERTEBRAL_BODY, ()),
        (BODY, codes.VERTEBRAL_BODY, (codes.CERVICAL_SPINE,)),
        (DISC, codes.INTERVERTEBRAL_DISC, (codes.CERVICAL_SPINE,)),
    ],
    ids=str,
)
def test_what_a_segment_is_and_where_it_lies_is_coded(
    source: Source, level: Level | StructureKind, property_type: Code, regions: tuple[Code, ...]
) -> None:
    findings = case_of(source, [level]).findings
    [part] = divide(findings, SegmentsOf.STRUCTURES)
    described = spec(part, findings, IDENTITY)
    assert (described.property_type, described.anatomic_regions) == (property_type, regions)


def test_a_level_has_the_same_colour_in_every_study(source: Source) -> None:
    for levels in ([body("C5")], NECK):
        findings = case_of(source, levels).findings
        colours = {part.level: spec(part, findings, IDENTITY).color for part in divide(findings, SegmentsOf.STRUCTURES)}
        assert colours[body("C5")] == type(colours[body("C5")]).from_srgb(*colour(BODY, body("C5")))


def test_every_segment_has_a_tracking_uid_of_its_own_and_a_level_always_the_same(source: Source) -> None:
    uids = []
    for levels in (NECK, [*NECK[2:6], BODY, DISC]):
        findings = case_of(source, levels).findings
        specs = [spec(part, findings, IDENTITY) for part in divide(findings, SegmentsOf.STRUCTURES)]
        uids.append({described.tracking_id: described.tracking_uid for described in specs})
    whole, fewer = uids
    assert len(set(whole.values())) == 15
    shared = whole.keys() & fewer.keys()
    assert len(shared) == 4
    assert all(whole[name] == fewer[name] for name in shared)
    assert set(fewer.values()) - set(whole.values()) == {
        fewer["Vertebral bodies, level uncertain"],
        fewer["Intervertebral discs, level uncertain"],
    }
