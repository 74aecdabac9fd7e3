"""The examiner's spines: sizes as asked, names counted from C2, features when asked, damage that keeps the truth."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from scoring import Score, score
from spine_anatomy import LEVELS
from spine_damage import damage
from spine_solids import Body, Sampler
from spines import BODY, DISC, LabelledSpine, draw

from node.domain.anatomy import StructureKind
from node.domain.geometry import turn

SPACING_MM = (3.5, 0.8, 0.8)


@cache
def plain(seed: int = 1, **asked: Any) -> LabelledSpine:
    return draw(seed, plain=True, **{"spacing_mm": SPACING_MM} | asked)


def names(spine: LabelledSpine, kind: StructureKind | None = None) -> list[str]:
    return [truth.level for truth in spine.structures if kind in {None, truth.kind}]


def mask(spine: LabelledSpine, level: str) -> np.ndarray:
    (label,) = (truth.label for truth in spine.structures if truth.level == level)
    return spine.labels == label


def volume_mm3(spine: LabelledSpine, level: str) -> float:
    return float(mask(spine, level).sum() * spine.grid.voxel_volume_mm3)


def right_names(spine: LabelledSpine) -> dict[int, str | None]:
    return {truth.label: truth.level for truth in spine.structures}


def pieces(found: np.ndarray) -> int:
    return int(ndimage.label(found, np.ones((3, 3, 3)))[1])


def scored(spine: LabelledSpine, labels: np.ndarray, called: dict[int, str | None]) -> tuple[int, int, int, int, int]:
    result: Score = score(spine, labels, called)
    return result.right, result.unnamed, result.wrong, result.split, result.merged


# the solids


def test_a_plain_block_has_the_volume_of_its_outline() -> None:
    """Of a box of 20 x 16 x 10 mm, an outline of |u|^3 + |v|^3 = 1 fills 88 %, and the hollow back takes 2 % more."""
    block = Body(
        level="C5",
        height_mm=10.0,
        depth_mm=(16.0, 16.0),
        width_mm=(20.0, 20.0),
        waist=0.0,
        shear=0.0,
        cup_mm=(0.0, 0.0),
        uncus_mm=0.0,
        spur_mm=0.0,
        centre_mm=np.array([1.1, 2.13, 3.17]),
        turn=np.eye(3),
    )
    sampled = Sampler(affine=np.diag([1.5, 0.5, 0.5, 1.0]), thick=1.0).body(block)
    assert sampled.cover.sum() / 3 * 1.5 * 0.5 * 0.5 == pytest.approx(0.866 * 20 * 16 * 10, rel=0.03)


# the generator


def test_the_same_seed_gives_the_same_spine() -> None:
    one, two = draw(5), draw(5)
    assert np.array_equal(one.labels, two.labels)
    assert np.array_equal(one.classes, two.classes)
    assert np.array_equal(one.grid.affine, two.grid.affine)
    assert one.structures == two.structures


def test_another_seed_gives_another_spine() -> None:
    assert not np.array_equal(plain(1).grid.affine, plain(2).grid.affine)
    assert volume_mm3(plain(1), "C5") != volume_mm3(plain(2), "C5")


@pytest.mark.parametrize("seed", range(40, 52))
def test_classes_labels_and_structures_tell_the_same(seed: int) -> None:
    spine = draw(seed)
    assert spine.classes.shape == spine.labels.shape == spine.grid.shape
    assert spine.classes.dtype == np.uint8
    assert spine.labels.dtype == np.uint16
    assert [truth.label for truth in spine.structures] == list(range(1, len(spine.structures) + 1))
    of_label = np.array([0] + [BODY if t.kind is StructureKind.VERTEBRAL_BODY else DISC for t in spine.structures])
    assert np.array_equal(of_label[spine.labels], spine.classes)
    assert set(np.unique(spine.labels)) == {0, *(truth.label for truth in spine.structures)}


@pytest.mark.parametrize("seed", range(40, 52))
def test_structures_follow_each_other_to_the_feet(seed: int) -> None:
    """Centres are taken in LPS: each body lies below the one before it, by less than 60 mm."""
    spine = draw(seed)
    heights = []
    for truth in spine.structures:
        if truth.kind is StructureKind.VERTEBRAL_BODY and not truth.truncated:
            index = np.argwhere(spine.labels == truth.label)
            heights.append(spine.grid.to_lps_mm(index).mean(axis=0)[2])
    steps = -np.diff(heights)
    assert (steps > 4.0).all()
    assert (steps < 60.0).all()


def test_names_count_from_c2_with_a_disc_below_each_body() -> None:
    assert names(plain())[:14] == [
        *("C2", "C2/C3", "C3", "C3/C4", "C4", "C4/C5", "C5", "C5/C6", "C6", "C6/C7", "C7", "C7/T1", "T1", "T1/T2")
    ]
    assert plain().unseen == plain().absent == ()
    assert plain().c2_evident


@pytest.mark.parametrize("level", ["C3", "C4", "C5", "C6", "C7", "T1"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_body_is_as_tall_in_voxels_as_it_is_told(seed: int, level: str) -> None:
    """Measured along its own axis within 3 mm of it, in voxels of 0.8 mm."""
    spine = plain(seed)
    points = spine.grid.to_lps_mm(np.argwhere(mask(spine, level)))
    size, points = spine.sizes[level], points - points.mean(axis=0)
    along = points @ np.array(size.up)
    beside = np.linalg.norm(points - along[:, None] * np.array(size.up), axis=1)
    assert np.ptp(along[beside < 3.0]) + 0.4 == pytest.approx(size.height_mm, abs=1.6)
    assert 10.5 <= size.front_mm <= 17.5


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_volumes_in_voxels_are_those_of_the_solids(seed: int) -> None:
    spine = plain(seed)
    for truth in spine.structures:
        if not truth.truncated:
            assert volume_mm3(spine, truth.level) == pytest.approx(spine.sizes[truth.level].volume_mm3, rel=0.2)


def test_sizes_are_those_of_an_adult_neck() -> None:
    for seed in range(1, 6):
        sizes = plain(seed).sizes
        assert 33.0 <= sizes["C2"].height_mm <= 43.0
        assert 14.0 <= sizes["C5"].depth_mm <= 20.0
        assert 16.0 <= sizes["C5"].width_mm <= 24.0
        assert 2000.0 <= sizes["C5"].volume_mm3 <= 5000.0
        assert 2.0 <= sizes["C4/C5"].height_mm <= 8.5
        assert sizes["T2"].depth_mm > sizes["C4"].depth_mm


def test_a_spine_asked_to_be_larger_is_larger_by_that_much() -> None:
    large, small = plain(1, size=1.2).sizes["C5"], plain(1, size=0.9).sizes["C5"]
    assert large.depth_mm / small.depth_mm == pytest.approx(1.2 / 0.9)
    assert large.volume_mm3 / small.volume_mm3 == pytest.approx((1.2 / 0.9) ** 3, rel=0.1)


def test_the_dens_is_narrow_above_a_broad_body() -> None:
    """Voxels of C2 by height: near its top less than half of the section that it has near its foot."""
    spine = plain(2)
    points = spine.grid.to_lps_mm(np.argwhere(mask(spine, "C2")))
    along = points @ np.array(spine.sizes["C2"].up)
    share = (along - along.min()) / np.ptp(along)
    dens = np.count_nonzero((share > 0.7) & (share < 0.9))
    foot = np.count_nonzero((share > 0.1) & (share < 0.3))
    assert 0.15 < dens / foot < 0.6


@pytest.mark.parametrize("asked_deg", [30.0, 0.0, -50.0])
def test_lordosis_between_c2_and_c7_is_as_asked(asked_deg: float) -> None:
    sizes = plain(3, lordosis_deg=asked_deg).sizes
    c2, c7 = np.array(sizes["C2"].up), np.array(sizes["C7"].up)
    between = np.rad2deg(np.arccos(np.clip(c2 @ c7, -1.0, 1.0)))
    assert between == pytest.approx(abs(asked_deg), abs=10.0)
    assert ("kyphosis" in plain(3, lordosis_deg=asked_deg).features) is (asked_deg < 0)


# the features


def test_a_block_is_one_body_without_a_disc() -> None:
    spine, parts = plain(2, fused=("C5-C6",)), plain(2)
    bodies = names(spine, StructureKind.VERTEBRAL_BODY)
    assert bodies[:6] == ["C2", "C3", "C4", "C5-C6", "C7", "T1"]
    assert "C5/C6" not in {*names(spine), *spine.absent, *spine.unseen}
    assert spine.unseen == ()
    assert pieces(mask(spine, "C5-C6")) == 1
    summed = sum(parts.sizes[level].height_mm for level in ("C5", "C6"))
    assert 0.8 * summed < spine.sizes["C5-C6"].height_mm < 1.25 * summed


def test_a_block_may_hold_three_bodies_or_c2() -> None:
    assert names(plain(2, fused=("C4-C6",)), StructureKind.VERTEBRAL_BODY)[2:4] == ["C4-C6", "C7"]
    with_c2 = plain(3, fused=("C2-C3",))
    assert names(with_c2)[:3] == ["C2-C3", "C3/C4", "C4"]
    assert with_c2.sizes["C2-C3"].height_mm > 44.0
    assert with_c2.c2_evident


def test_a_missing_disc_leaves_two_bodies_apart() -> None:
    spine = plain(4, absent=("C4/C5",))
    assert spine.absent == ("C4/C5",)
    assert {"C4", "C5"} <= set(names(spine))
    assert "absent" in spine.features
    assert "C4/C5" not in names(spine)


def test_a_disc_worn_away_leaves_two_bodies_touching() -> None:
    spine = plain(4, touching=("C4/C5",))
    assert spine.absent == ("C4/C5",)
    assert pieces(mask(spine, "C4") | mask(spine, "C5")) == 1
    assert pieces(mask(plain(4), "C4") | mask(plain(4), "C5")) == 2


@pytest.mark.parametrize(
    ("top", "evident", "first"), [("whole", True, "C2"), ("dens", True, "C2"), ("body", False, "C2")]
)
def test_a_cut_through_c2_leaves_it_evident_while_most_of_it_is_seen(top: str, evident: bool, first: str) -> None:
    for seed in range(1, 4):
        spine = plain(seed, top=top)
        assert spine.c2_evident is evident
        assert names(spine)[0] == first
        assert spine.structures[0].truncated is (top != "whole")


def test_a_picture_that_begins_below_c2_does_not_show_it() -> None:
    spine = plain(6, top="below")
    assert not spine.c2_evident
    assert "C2" in spine.unseen
    assert "C2" not in names(spine)


def test_a_picture_ends_in_the_level_asked_for() -> None:
    """Discs lie oblique, so that the next body's front or back may just reach in."""
    spine = plain(2, bottom="C6")
    assert "C6" in names(spine)
    assert "T1" in spine.unseen
    assert "T1" not in names(spine)
    assert spine.structures[-1].truncated


def test_a_lateral_picture_shows_about_half_of_the_bodies() -> None:
    spine = plain(5, lateral=True)
    share = [volume_mm3(spine, level) / spine.sizes[level].volume_mm3 for level in names(spine) if level in LEVELS]
    assert 0.15 < np.median(share) < 0.85
    assert any(truth.truncated for truth in spine.structures)


@pytest.mark.parametrize("edge", ["front", "back"])
def test_a_picture_may_end_within_the_bodies(edge: str) -> None:
    spine = plain(5, edge=edge)
    column = 0 if edge == "front" else -1
    assert spine.labels[:, :, column].any()
    assert f"edge:{edge}" in spine.features


def test_a_collapsed_body_and_a_worn_disc_are_lower_than_their_neighbours() -> None:
    sizes = plain(7, collapsed=("C5", "C6/C7")).sizes
    assert sizes["C5"].height_mm < 0.85 * sizes["C4"].height_mm
    assert sizes["C6/C7"].height_mm < 0.75 * sizes["C4/C5"].height_mm


def test_turning_the_array_changes_neither_place_nor_name() -> None:
    usual, other = plain(1), plain(1, orientation="PSR")
    assert other.grid.orientation() == "PSR"
    assert usual.structures == other.structures
    assert np.array_equal(turn(other.labels, other.grid, "LIP")[0], usual.labels)


def test_features_come_by_chance_at_sensible_rates() -> None:
    seen = [draw(seed, spacing_mm=(5.0, 1.6, 1.6)).features for seed in range(100)]
    rate = {name: sum(name in features for features in seen) / len(seen) for name in set().union(*seen)}
    assert 0.05 < rate["fused"] < 0.25
    assert 0.03 < rate["absent"] < 0.3
    assert 0.6 < rate["top:whole"] < 0.9
    assert 0.05 < rate["scoliosis"] < 0.3
    assert 0.1 < rate["kyphosis"] < 0.45


# the damage


@pytest.mark.parametrize("kind", ["holes", "bridges", "specks"])
def test_damage_changes_the_classes_and_keeps_the_truth(kind: str) -> None:
    spine = plain(1)
    hurt = damage(spine, 3, (kind,))
    assert not np.array_equal(hurt.classes, spine.classes)
    assert hurt.labels is spine.labels
    assert hurt.structures == spine.structures
    assert kind in hurt.features
    assert np.array_equal(hurt.classes, damage(spine, 3, (kind,)).classes)


def test_damage_lies_in_the_same_place_however_the_array_is_turned() -> None:
    usual, other = plain(1), plain(1, orientation="ASR")
    turned, _ = turn(damage(other, 3).classes, other.grid, "LIP")
    assert np.array_equal(turned, damage(usual, 3).classes)


def test_holes_only_take_away_and_leave_most_of_each_structure() -> None:
    for seed in range(6):
        spine = plain(1)
        hurt = damage(spine, seed, ("holes",))
        changed = hurt.classes != spine.classes
        assert (hurt.classes[changed] == 0).all()
        kept = np.bincount(spine.labels[~changed])[1:] / np.bincount(spine.labels.ravel())[1:]
        assert kept.min() >= 0.54


def test_bridges_join_what_was_apart() -> None:
    spine = plain(1)
    before = [pieces(spine.classes == value) for value in (BODY, DISC)]
    for seed in range(4):
        hurt = damage(spine, seed, ("bridges",))
        after = [pieces(hurt.classes == value) for value in (BODY, DISC)]
        assert sum(after) < sum(before)


def test_specks_lie_apart_and_are_small() -> None:
    spine = plain(1)
    for seed in range(4):
        hurt = damage(spine, seed, ("specks",))
        added = hurt.classes != spine.classes
        assert added.any()
        assert not (ndimage.binary_dilation(added, np.ones((3, 3, 3))) & (spine.labels > 0)).any()
        parts, count = ndimage.label(added, np.ones((3, 3, 3)))
        assert 1 <= count <= 12
        assert np.bincount(parts.ravel())[1:].max() * spine.grid.voxel_volume_mm3 <= 510.0


def test_an_unknown_kind_of_damage_is_refused() -> None:
    with pytest.raises(ValueError, match="flood"):
        damage(plain(1), 1, ("flood",))


# the score


def test_the_truth_itself_scores_all_right() -> None:
    spine = plain(1)
    right, unnamed, wrong, split, merged = scored(spine, spine.labels, right_names(spine))
    assert right >= 15
    assert (unnamed, wrong, split, merged) == (0, 0, 0, 0)


def test_the_truth_scores_all_right_on_a_damaged_picture() -> None:
    hurt = damage(plain(1), 4, ("holes",))
    found = np.where(hurt.classes > 0, hurt.labels, 0)
    assert scored(hurt, found, right_names(hurt))[1:] == (0, 0, 0, 0)


def test_a_shift_by_one_level_is_all_wrong() -> None:
    spine = plain(1)
    levels = [*names(spine)[2:], "T9", "T9/T10"]
    shifted = dict(zip(right_names(spine), levels, strict=True))
    right, unnamed, wrong, _, _ = scored(spine, spine.labels, shifted)
    assert (right, unnamed) == (0, 0)
    assert wrong >= 15


def test_no_name_is_neither_right_nor_wrong() -> None:
    spine = plain(1)
    right, unnamed, wrong, _, _ = scored(spine, spine.labels, dict.fromkeys(right_names(spine)))
    assert (right, wrong) == (0, 0)
    assert unnamed >= 15


def test_what_is_not_found_is_wrong_unless_nothing_is_named() -> None:
    spine = plain(1)
    without = np.where(mask(spine, "C5"), 0, spine.labels)
    result = score(spine, without, right_names(spine))
    assert result.wrong == 1
    assert result.details == ("C5 is not found",)
    assert score(spine, without, {}).wrong == 0


def test_two_structures_under_one_label_are_merged() -> None:
    spine = plain(1)
    (c5,) = (truth.label for truth in spine.structures if truth.level == "C5")
    together = np.where(mask(spine, "C6"), c5, spine.labels)
    result = score(spine, together, right_names(spine))
    assert (result.merged, result.split, result.wrong) == (1, 0, 1)


def test_one_structure_under_two_labels_is_split() -> None:
    spine = plain(1)
    halves = spine.labels.copy()
    where = np.argwhere(mask(spine, "C5"))
    lower = where[where[:, 1] > np.quantile(where[:, 1], 0.6)]
    halves[tuple(lower.T)] = 500
    result = score(spine, halves, {**right_names(spine), 500: None})
    assert (result.split, result.merged, result.wrong) == (1, 0, 0)
    assert score(spine, halves, {**right_names(spine), 500: "C6"}).wrong == 1


def test_a_named_speck_is_wrong_and_an_unnamed_one_is_not() -> None:
    spine = plain(1)
    with_speck = spine.labels.copy()
    with_speck[0, 0, :4] = 600
    assert score(spine, with_speck, {**right_names(spine), 600: "C3"}).wrong == 1
    assert score(spine, with_speck, {**right_names(spine), 600: None}).wrong == 0


def test_small_rests_at_the_edge_need_no_name() -> None:
    """Bodies below 300 mm3 and discs below 80 mm3 are not counted, whatever they are called."""
    spine = plain(2, bottom="C6")
    small = [
        truth
        for truth in spine.structures
        if volume_mm3(spine, truth.level) < (300.0 if truth.kind is StructureKind.VERTEBRAL_BODY else 80.0)
    ]
    counted = sum(scored(spine, spine.labels, right_names(spine))[:3])
    assert counted == len(spine.structures) - len(small)


def test_labels_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        score(plain(1), np.zeros((2, 2, 2), dtype=np.uint16), {})
