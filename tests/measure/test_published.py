"""Published masks are measured as they are: no voxel is dropped, added or moved to another class."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import neck_blocks
from published import classes_of, measured, segmenter_of, volume_of
from spine_damage import damage
from spine_mistakes import blobs_beside, bone_above_c2, false_disc_in_c2
from spines import draw

from node.batch.midrc.exam import Annotation
from node.domain.anatomy import StructureKind, body, disc_below
from node.domain.findings import Doubt, Origin, Verdict
from node.domain.geometry import Grid, turn
from node.measure.measure import measure

BODY, DISC = StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC


def neck() -> tuple[np.ndarray, Grid]:
    """Return C2 to T1 as blocks: uint8 (9, 190, 80) of 3.5 x 1 x 1 mm, slices to the left, rows down."""
    voxels, grid = neck_blocks()
    classes = np.zeros(voxels.shape, np.uint8)
    classes[voxels >= 1000] = 1
    classes[voxels >= 2000] = 2
    return classes, grid


def assert_kept(classes: np.ndarray, grid: Grid, annotation: Annotation = Annotation.EXPERT):
    found = measured(classes, grid, annotation)
    assert np.array_equal(classes_of(found), classes)
    assert [structure.label for structure in found.structures] == list(range(1, len(found.structures) + 1))
    assert set(np.unique(found.labels)) - {0} == {structure.label for structure in found.structures}
    assert found.quality.verdict is not Verdict.REJECT
    assert found.quality.specks_mm3 == 0
    assert set(found.quality.evidence) == {structure.label for structure in found.structures}
    return found


@pytest.mark.parametrize("seed", range(4))
def test_every_voxel_of_a_damaged_spine_stays_in_its_class(seed):
    spine = damage(draw(seed), seed)
    assert_kept(spine.classes, spine.grid)


@pytest.mark.parametrize("mistake", [false_disc_in_c2, bone_above_c2, blobs_beside])
def test_every_voxel_of_what_the_node_would_mend_stays_in_its_class(mistake):
    spine = mistake(draw(11), 11)
    assert_kept(spine.classes, spine.grid, Annotation.WEAK)


def test_every_voxel_of_a_mask_strewn_with_crumbs_stays_in_its_class():
    classes, grid = neck()
    chance = np.random.default_rng(8)
    classes[chance.random(classes.shape) < 0.01] = 1
    classes[chance.random(classes.shape) < 0.01] = 2
    found = assert_kept(classes, grid)
    assert len(found.structures) < 60


@given(
    boxes=st.lists(
        st.tuples(*(st.tuples(st.integers(0, 15), st.integers(1, 9)) for _ in range(3)), st.integers(0, 2)), max_size=7
    ),
    shape=st.tuples(st.integers(2, 9), st.integers(2, 24), st.integers(2, 24)),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_voxel_of_any_boxes_at_all_stays_in_its_class(boxes, shape):
    classes = np.zeros(shape, np.uint8)
    for *sides, value in boxes:
        classes[tuple(slice(start, start + size) for start, size in sides)] = value
    _, grid = neck()
    assert_kept(classes, Grid(shape=shape, affine=grid.affine))


def test_a_spine_that_runs_from_side_to_side_is_kept():
    classes = np.zeros((5, 30, 20), np.uint8)
    classes[:, 15, 10] = 1
    _, grid = neck()
    assert_kept(classes, Grid(shape=classes.shape, affine=grid.affine))


def test_a_whole_neck_is_named_as_a_network_s_answer_is():
    found = assert_kept(*neck())
    names = [structure.level.name for structure in found.structures]
    assert names == ["C2", "C2/C3", "C3", "C3/C4", "C4", "C4/C5", "C5", "C5/C6", "C6", "C6/C7", "C7", "C7/T1", "T1"]
    assert found.origin is Origin.MANUAL_MASK
    assert found.pairs


def test_a_speck_is_kept_without_a_level_and_speaks_against_nothing():
    classes, grid = neck()
    classes[4, 100, 5:8] = 1
    found = assert_kept(classes, grid)
    [speck] = [structure for structure in found.structures if structure.level is None]
    assert (speck.kind, speck.volume_mm3, speck.level_confidence, dict(speck.measures)) == (BODY, 10.5, 0.0, {})
    assert not any(speck.label in objection.labels for objection in found.quality.objections)
    plain = measured(*neck())
    assert [one.measures for one in found.structures if one.level] == [one.measures for one in plain.structures]
    assert found.missing == plain.missing


def test_a_large_piece_beside_the_column_is_kept_without_a_level_and_is_for_review():
    classes, grid = neck()
    classes[1:8, 100:114, 66:78] = 1
    found = assert_kept(classes, grid)
    [piece] = [structure for structure in found.structures if structure.level is None]
    [told] = [one for one in found.quality.objections if piece.label in one.labels]
    assert (told.doubt, told.verdict) == (Doubt.LEVEL_UNCERTAIN, Verdict.REVIEW)
    assert told.text == "4,116 mm3 of the mask seem to be no part of the column, and are kept without a level"


def test_a_disc_in_c2_stays_a_disc_without_a_level_and_c2_keeps_its_name():
    spine = false_disc_in_c2(draw(0), 0)
    first, second, third = assert_kept(spine.classes, spine.grid).structures[:3]
    assert (first.level, first.kind) == (body("C2"), BODY)
    assert (second.level, second.kind) == (None, DISC)
    assert third.level == disc_below("C2")


def test_people_may_stop_at_a_disc_and_it_gets_its_name():
    classes, grid = neck()
    rows = np.flatnonzero((classes == 1).any(axis=(0, 2)))
    classes[:, rows.max() - 15 : rows.max() + 1] = 0  # T1
    by_people = assert_kept(classes, grid, Annotation.EXPERT)
    assert by_people.structures[-1].level == disc_below("C7")
    by_networks = assert_kept(classes, grid, Annotation.WEAK)
    assert by_networks.structures[-1].level is None


def test_fused_vertebrae_are_one_structure_with_both_names():
    classes, grid = neck()
    upper = np.flatnonzero((classes == 2).any(axis=(0, 2)))
    classes[:, upper[10] : upper[14] + 1][classes[:, upper[10] : upper[14] + 1] == 2] = 1
    found = assert_kept(classes, grid)
    assert body("C4", "C5") in [structure.level for structure in found.structures]


def test_a_wide_field_of_28_bodies_is_kept_whole():
    classes = np.zeros((7, 560, 60), np.uint8)
    for number in range(28):
        top = 6 + 19 * number
        classes[1:6, top : top + 14, 20:40] = 1
        classes[1:6, top + 14 : top + 19, 20:40] = 2
    _, grid = neck()
    found = assert_kept(classes, Grid(shape=classes.shape, affine=grid.affine))
    assert Counter(structure.kind for structure in found.structures) == {BODY: 28, DISC: 28}


def test_an_empty_mask_has_no_structures_and_is_for_review():
    classes, grid = neck()
    found = assert_kept(np.zeros_like(classes), grid)
    assert found.structures == ()
    assert [(one.doubt, one.verdict) for one in found.quality.objections] == [(Doubt.NOTHING_FOUND, Verdict.REVIEW)]


def test_a_mask_without_discs_is_for_review_where_a_network_s_answer_is_rejected():
    classes, grid = neck()
    classes[classes == 2] = 0
    assert_kept(classes, grid)
    volume = volume_of(classes, grid)
    mask = segmenter_of(classes, grid).segment(volume)
    assert measure(replace(mask, origin=Origin.NETWORKS), volume).quality.verdict is Verdict.REJECT


@pytest.mark.parametrize("orientation", ["PSR", "RAS", "LIP", "SAL"])
def test_the_order_of_the_axes_changes_nothing(orientation):
    classes, grid = neck()
    classes[4, 100, 5:8] = 1
    turned, its_grid = turn(classes, grid, orientation)
    found, plain = measured(turned, its_grid), measured(classes, grid)
    assert np.array_equal(classes_of(found), turned)
    assert [one.level for one in found.structures] == [one.level for one in plain.structures]
