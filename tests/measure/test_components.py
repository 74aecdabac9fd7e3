"""Splitting classes into structures: what belongs together, what does not, and what is dropped."""

import numpy as np
import pytest
from spine_damage import damage
from spines import LabelledSpine, draw

from node.domain.anatomy import StructureKind
from node.domain.geometry import Grid, turn
from node.measure.components import split
from node.measure.cores import SPECK_MM3
from node.measure.spine import fit_curve

BODY, DISC = StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC
MEANINGS = {1: BODY, 2: DISC}


def upright(shape: tuple[int, int, int], spacing=(1.0, 1.0, 1.0)) -> Grid:
    """Slices to the left, rows to the feet, columns to the back."""
    affine = np.array([[spacing[0], 0, 0, 0], [0, 0, spacing[2], 0], [0, -spacing[1], 0, 0], [0, 0, 0, 1]], float)
    return Grid(shape=shape, affine=affine)


def stack() -> np.ndarray:
    """Return four bodies and three discs between them, head first, (18, 90, 30) voxels of 1 mm3."""
    classes = np.zeros((18, 90, 30), np.uint8)
    for top in (4, 25, 46, 67):
        classes[2:16, top : top + 15, 6:24] = 1
    for top in (19, 40, 61):
        classes[2:16, top : top + 6, 6:24] = 2
    return classes


def pieces(classes: np.ndarray):
    found = split(classes, MEANINGS, upright(classes.shape))
    assert found is not None
    return found.pieces


def spans(classes: np.ndarray) -> list[tuple[str, int]]:
    """Return the kind and the number of voxels of each piece, head to feet."""
    return [("body" if piece.kind is BODY else "disc", len(piece.index)) for piece in pieces(classes)]


WHOLE = [("body", 3780), ("disc", 1512)] * 3 + [("body", 3780)]


def test_bodies_and_discs_come_from_head_to_feet():
    assert spans(stack()) == WHOLE


def test_nothing_gives_nothing():
    assert split(np.zeros((4, 9, 9), np.uint8), MEANINGS, upright((4, 9, 9))) is None


@pytest.mark.parametrize("column", [6, 21], ids=["front", "back"])
def test_a_bridge_between_bodies_is_shared_out(column):
    classes = stack()
    classes[8:10, 19:25, column : column + 3] = 1
    found = spans(classes)
    assert [kind for kind, _ in found] == [kind for kind, _ in WHOLE]
    assert sum(size for _, size in found) == np.count_nonzero(classes)
    assert found[0][1] + found[2][1] == 2 * 3780 + 36


def test_a_bridge_between_discs_is_shared_out():
    classes = stack()
    classes[7:11, 25:40, 5:7] = 2
    found = spans(classes)
    assert [kind for kind, _ in found] == [kind for kind, _ in WHOLE]


def test_bodies_that_have_grown_together_at_the_side_are_two():
    classes = stack()
    classes[14:16, 19:25, 6:24] = 1
    assert [kind for kind, _ in spans(classes)] == [kind for kind, _ in WHOLE]


def test_bodies_that_touch_without_a_disc_are_two():
    classes = stack()
    classes[:, 40:46, :] = 0
    classes[2:16, 40:43, 6:24] = 1
    classes[2:16, 43:46, 6:24] = 1
    classes[2:16, 42:44, 8:24] = 0  # a seam with bone left in front
    assert [kind for kind, _ in spans(classes)] == ["body", "disc", "body", "body", "disc", "body"]


def test_a_block_is_one():
    classes = stack()
    classes[2:16, 40:46, 6:24] = 1
    assert spans(classes) == [*WHOLE[:2], ("body", 2 * 3780 + 1512), *WHOLE[5:]]


def test_a_body_torn_apart_is_one():
    classes = stack()
    classes[9, 25:40, :] = 0
    found = spans(classes)
    assert [kind for kind, _ in found] == [kind for kind, _ in WHOLE]
    assert found[2] == ("body", 3780 - 270)


def test_a_disc_with_a_hole_is_one():
    classes = stack()
    classes[2:16, 40:46, 14:16] = 0
    assert [kind for kind, _ in spans(classes)] == [kind for kind, _ in WHOLE]


def test_a_fragment_beside_its_body_joins_it():
    classes = stack()
    classes[5:8, 30:34, 25:28] = 1  # one voxel of air lies between
    assert spans(classes)[2] == ("body", 3780 + 36)


def test_specks_go_and_are_no_structure():
    classes = stack()
    classes[5:8, 30:34, 27:30] = 1
    classes[5:8, 86:89, 0:3] = 1
    classes[0, 0, 0] = 2
    assert spans(classes) == WHOLE


def test_the_largest_piece_of_a_kind_stays_however_small_it_is():
    classes = np.zeros((4, 20, 20), np.uint8)
    classes[0, 0, 0:3] = 1
    classes[2, 10, 10] = 1
    classes[3, 15, 0:2] = 2
    assert sorted(spans(classes)) == [("body", 3), ("disc", 2)]


def test_a_small_body_far_above_the_others_is_none():
    classes = np.concatenate([np.zeros((18, 60, 30), np.uint8), stack()], axis=1)
    classes[5:12, 5:12, 11:19] = 1
    assert spans(classes) == WHOLE


@pytest.mark.parametrize("seed", range(4))
def test_every_voxel_is_in_one_structure_at_most_and_of_its_own_kind(seed):
    spine = damage(draw(seed), seed)
    classes, grid = turn(spine.classes, spine.grid, "LIP")
    found = split(classes.astype(np.uint8), MEANINGS, grid)
    assert found is not None
    seen = np.zeros(classes.shape, int)
    for piece in found.pieces:
        seen[tuple(piece.index.T)] += 1
        assert (classes[tuple(piece.index.T)] == (1 if piece.kind is BODY else 2)).all()
    assert seen.max() == 1


def overlaps(spine: LabelledSpine) -> list[float]:
    """Return for each true structure, slivers aside, which share of it lies in the piece that holds most of it."""
    classes, grid = turn(spine.classes, spine.grid, "LIP")
    truth, _ = turn(spine.labels, spine.grid, "LIP")
    found = split(classes.astype(np.uint8), MEANINGS, grid)
    assert found is not None
    labels = np.zeros(classes.shape, int)
    for number, piece in enumerate(found.pieces, start=1):
        labels[tuple(piece.index.T)] = number
    shares = []
    for structure in spine.structures:
        inside = labels[truth == structure.label]
        if inside.size * grid.voxel_volume_mm3 < SPECK_MM3[structure.kind]:
            continue  # a sliver at the edge of the view
        shares.append(np.bincount(inside).max() / inside.size if np.bincount(inside).argmax() else 0.0)
    return shares


@pytest.mark.parametrize("seed", range(0, 12, 2))
def test_true_structures_are_found_whole(seed):
    spine = draw(seed, plain=True, lordosis_deg=5.0 * seed - 20, cobb_deg=2.0 * seed)
    assert min(overlaps(spine)) > 0.9


@pytest.mark.parametrize(("lean", "sense"), [(0, 1), (25, 1), (-25, -1)])
def test_the_curve_runs_along_a_leaning_spine(lean, sense):
    s = np.linspace(0, 100, 400)
    angle = np.deg2rad(lean)
    line = np.stack([np.zeros(400), s * np.sin(angle), -s * np.cos(angle)], axis=1)
    points = (line[:, None, :] + np.random.default_rng(1).normal(0, 4, (400, 30, 3))).reshape(-1, 3)
    curve = fit_curve(points, upright((10, 10, 10)))
    place = curve.coordinates(line[[80, 320]])
    assert place[1, 0] - place[0, 0] == pytest.approx(60.15, abs=0.6)
    assert np.abs(place[:, 1:]).max() < 0.6
    behind = curve.coordinates(line[[200]] + [0, 5 * np.cos(angle), 5 * np.sin(angle)])
    assert behind[0, 1] == pytest.approx(5, abs=0.6)
    assert np.sign(curve.axes_at(100)[0, 1]) == sense or lean == 0
