"""The head end of a column: false discs in C2, bone above it, ends without a partner; and views that cut C2."""

from collections.abc import Callable

import numpy as np
import pytest
from scoring import Score, score
from spine_mistakes import blobs_beside, bone_above_c2, false_disc_in_c2
from spines import LabelledSpine, draw

from node.domain.anatomy import StructureKind
from node.domain.geometry import Grid, turn
from node.measure.components import Column, split
from node.measure.head import settled
from node.measure.levels import name
from node.measure.view import cut_by_view

BODY, DISC = StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC
MEANINGS = {1: BODY, 2: DISC}
COARSE = (3.9, 0.9, 0.9)


def column(spine: LabelledSpine) -> tuple[Column, Grid]:
    classes, grid = turn(spine.classes, spine.grid, "LIP")
    found = split(classes.astype(np.uint8), MEANINGS, grid)
    assert found is not None
    return settled(found, grid), grid


def scored(spine: LabelledSpine) -> Score:
    found, grid = column(spine)
    labels = np.zeros(grid.shape, np.uint16)
    names = {}
    cuts = [cut_by_view(piece, grid) for piece in found.pieces]
    for label, (piece, one) in enumerate(zip(found.pieces, name(found.pieces, cuts), strict=True), start=1):
        labels[tuple(piece.index.T)] = label
        names[label] = one.level.name if one.level else None
    return score(spine, turn(labels, grid, spine.grid.orientation())[0], names)


def wholly_named(spines: list[LabelledSpine]) -> int:
    """Return how many of the spines have every structure named; none may have a wrong name."""
    scores = [scored(spine) for spine in spines]
    assert [one.details for one in scores if one.wrong] == []
    return sum(one.unnamed == 0 for one in scores)


@pytest.mark.parametrize("mistake", [false_disc_in_c2, bone_above_c2, blobs_beside])
def test_a_mistake_of_the_network_shifts_no_name(mistake: Callable[[LabelledSpine, int], LabelledSpine]):
    spines = [draw(seed, plain=True, spacing_mm=COARSE) for seed in range(60, 66)]
    assert wholly_named([mistake(spine, seed) for seed, spine in enumerate(spines)]) >= 5


def test_a_false_disc_where_the_view_cuts_the_dens_shifts_no_name():
    spines = [draw(seed, plain=True, top="dens", spacing_mm=COARSE) for seed in range(60, 66)]
    assert wholly_named([false_disc_in_c2(spine, seed) for seed, spine in enumerate(spines)]) >= 4


def test_a_false_disc_becomes_part_of_c2_with_every_voxel():
    spine = false_disc_in_c2(draw(61, plain=True, spacing_mm=COARSE), 1)
    found, _ = column(spine)
    truth, _ = turn(spine.labels, spine.grid, "LIP")
    first = found.pieces[0]
    assert first.kind is BODY
    assert np.count_nonzero(truth[tuple(first.index.T)] == 1) == np.count_nonzero(truth == 1)


@pytest.mark.parametrize("top", ["below", "body"])
def test_a_disc_is_no_part_of_c2_where_the_view_begins_lower(top: str):
    for seed in range(80, 86):
        assert scored(draw(seed, plain=True, top=top, spacing_mm=COARSE)).wrong == 0


@pytest.mark.parametrize("seed", range(3))
def test_large_blobs_in_face_and_corners_are_no_part_of_the_column(seed: int):
    spine = blobs_beside(draw(seed + 90, plain=True, spacing_mm=COARSE), seed)
    found, _ = column(spine)
    truth, _ = turn(spine.labels, spine.grid, "LIP")
    inside = [np.count_nonzero(truth[tuple(piece.index.T)]) for piece in found.pieces]
    kept = sum(len(piece.index) for piece in found.pieces)
    assert np.count_nonzero(spine.classes) - np.count_nonzero(truth) > 0.03 * kept
    assert kept - sum(inside) < 0.01 * kept


def upright(rows: int) -> Grid:
    """Slices to the left, rows to the feet, columns to the back; 4 x 1 x 1 mm."""
    affine = np.array([[4.0, 0, 0, 0], [0, 0, 1.0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1]])
    return Grid(shape=(7, rows, 40), affine=affine)


def stack(grid: Grid, first_row: int) -> np.ndarray:
    """Return a disc of 5 mm, and five bodies of 13 mm with discs below them, from `first_row` down."""
    classes = np.zeros(grid.shape, np.uint8)
    for row in range(first_row, first_row + 5 * 18, 18):
        classes[1:6, row : row + 5, 12:28] = 2
        classes[1:6, row + 5 : row + 18, 12:28] = 1
    return classes


@pytest.mark.parametrize(("first_row", "kept"), [(30, BODY), (4, DISC)], ids=["well inside", "at the view's edge"])
def test_a_disc_without_bone_above_is_none_unless_the_view_ends_there(first_row: int, kept: StructureKind):
    grid = upright(first_row + 90 + 3)
    found = split(stack(grid, first_row), MEANINGS, grid)
    assert found is not None
    assert found.pieces[0].kind is DISC
    assert settled(found, grid).pieces[0].kind is kept
