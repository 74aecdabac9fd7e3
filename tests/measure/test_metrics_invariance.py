"""What must not change a measure: where the array lies, how it is turned, and what is broken in it."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure.shapes import BODY, DISC, Rounded, alone, box, measured, part, raster, sagittal, upright, volume

from node.domain.findings import Quantity
from node.domain.geometry import Grid, turn
from node.measure.metrics import measures

ORIENTATIONS = [
    "".join(letters) for axes in permutations([("R", "L"), ("A", "P"), ("I", "S")]) for letters in product(*axes)
]
HEIGHTS = (Quantity.HEIGHT_ANTERIOR, Quantity.HEIGHT_MIDDLE, Quantity.HEIGHT_POSTERIOR)
LEVELS = ("C3", "C4", "C5")


def neck(scale=1.0, spacing=(3.3, 0.6, 0.7), degrees=0.0, lean=0.0):
    """Three bodies and the two discs between them, on their grid, with a signal."""
    shapes = []
    for number, tilt in enumerate((9.0, 2.0, -6.0)):
        shapes.append(box(16 * scale, 13 * scale, wedge=3, half_width=9 * scale).moved(s=(number - 1) * 18.5 * scale))
        shapes[-1] = shapes[-1].moved(degrees=tilt / 3)
        if number < 2:
            at = (number - 0.5) * 18.5 * scale
            shapes.append(box(16.5 * scale, 4.2 * scale, wedge=2, half_width=9 * scale).moved(s=at))
    shapes = [shape.moved(degrees=degrees) for shape in shapes]
    size = np.array((24.0, 70.0, 44.0)) * scale
    grid = sagittal(size, np.array(spacing) * scale, lean=lean, roll=3.0, shift=(0.3, -0.2, 0.4))
    labels = raster(shapes, grid)
    voxels = np.where(labels % 2 == 0, 120, 80).astype(np.int16) + (np.indices(grid.shape)[1] // 4).astype(np.int16)
    kinds = [(BODY, "C3"), (DISC, "C3"), (BODY, "C4"), (DISC, "C4"), (BODY, "C5")]
    parts = [part(label, kind, level) for label, (kind, level) in enumerate(kinds, start=1)]
    return labels, parts, grid, voxels


def numbers(found, signal=True):
    out = {(label, q): value for label, own in found.by_label.items() for q, value in own.items()}
    out |= {(pair.upper, q): value for pair in found.pairs for q, value in pair.measures.items()}
    return {key: value for key, value in out.items() if signal or "t2" not in key[1].key}


def test_a_neck_has_every_measure_of_its_kinds():
    found = numbers(measured(*neck()))
    body = {*HEIGHTS, Quantity.DEPTH, Quantity.WEDGE_ANGLE}
    disc = {*HEIGHTS, Quantity.DEPTH, Quantity.DISC_HEIGHT_INDEX, Quantity.T2_RATIO_MEAN, Quantity.T2_RATIO_MEDIAN}
    wanted = {(label, quantity) for label in (1, 3, 5) for quantity in body}
    wanted |= {(label, quantity) for label in (2, 4) for quantity in disc} | {(1, Quantity.SLIP), (3, Quantity.SLIP)}
    assert set(found) == wanted


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_orientation_of_the_array_changes_nothing(orientation):
    labels, parts, grid, voxels = neck()
    turned, other = turn(labels, grid, orientation)
    found = measured(turned.astype(np.uint16), parts, other, turn(voxels, grid, orientation)[0])
    assert numbers(found) == pytest.approx(numbers(measured(labels, parts, grid, voxels)), abs=1e-6)


def test_the_order_of_the_slices_changes_nothing():
    labels, parts, grid, voxels = neck()
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (grid.shape[0] - 1)
    affine[:3, 0] *= -1
    found = measured(labels[::-1].copy(), parts, Grid(shape=grid.shape, affine=affine), voxels[::-1].copy())
    assert numbers(found) == pytest.approx(numbers(measured(labels, parts, grid, voxels)), abs=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.tuples(*[st.floats(-300, 300, allow_subnormal=False)] * 3), st.floats(-30, 30))
def test_the_place_of_the_patient_and_the_lean_of_the_grid_change_nothing(shift, degrees):
    labels, parts, grid, voxels = neck()
    angle = np.radians(degrees)
    motion = np.eye(4)
    motion[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    motion[:3, 3] = shift
    moved = Grid(shape=grid.shape, affine=motion @ grid.affine)
    found = numbers(measured(labels, parts, moved, voxels))
    assert found == pytest.approx(numbers(measured(labels, parts, grid, voxels)), abs=1e-4)


@pytest.mark.parametrize("degrees", [-30.0, -13.0, 8.0, 21.0])
def test_a_neck_that_leans_in_its_grid_keeps_its_measures(degrees):
    straight = numbers(measured(*neck()), signal=False)
    leaning = numbers(measured(*neck(degrees=degrees)), signal=False)
    for key, value in straight.items():
        abs_tolerance = {"deg": 2.0, "mm": 0.6, "1": 0.03}[key[1].unit]
        assert leaning[key] == pytest.approx(value, abs=abs_tolerance), key


def test_a_neck_twice_as_large_has_lengths_twice_as_large():
    small, large = numbers(measured(*neck(spacing=(1.0, 0.25, 0.25)))), numbers(measured(*neck(2.0, (1.0, 0.25, 0.25))))
    for (label, quantity), value in small.items():
        factor = 2.0 if quantity.unit == "mm" else 1.0
        assert large[label, quantity] == pytest.approx(
            factor * value, abs={"deg": 1.0, "mm": 0.6, "1": 0.03}[quantity.unit]
        )


def test_what_the_dens_adds_is_no_height():
    grid = sagittal((20, 50, 40), (3.3, 0.6, 0.6), roll=3)
    labels = raster([box(15, 30)], grid)
    for item in (part(1, level="C2"), part(1, level="C2", last="C3"), part(1, level=None)):
        found = measured(labels, [item], grid).by_label[1]
        assert set(found) == {Quantity.DEPTH}
        assert found[Quantity.DEPTH] == pytest.approx(15.0, abs=0.3)


def test_a_block_has_the_heights_of_the_whole():
    grid = sagittal((20, 50, 40), (3.3, 0.6, 0.6), roll=3)
    found = measured(raster([box(15, 28)], grid), [part(1, level="C5", last="C6")], grid).by_label[1]
    assert [found[quantity] for quantity in HEIGHTS] == pytest.approx([28.0] * 3, abs=0.3)


def test_nothing_is_measured_of_what_the_field_of_view_cuts():
    labels, parts, grid, voxels = neck()
    cut = [part(item.label, item.kind, item.level.first, truncated=item.label > 3) for item in parts]
    found = measured(labels, cut, grid, voxels)
    assert found.by_label[4] == found.by_label[5] == {}
    assert set(found.by_label[1]) == {*HEIGHTS, Quantity.DEPTH, Quantity.WEDGE_ANGLE}
    # nothing of the last body lies at the border of the array: where it is cut nobody knows
    assert [(pair.upper, pair.lower) for pair in found.pairs] == [(1, 3)]


def test_the_slip_on_a_body_cut_below_is_still_measured():
    labels, parts, grid, _ = neck()
    lowest = int(np.argwhere(labels == 5)[:, 1].min()) + 12
    shorter = labels[:, :lowest].copy()
    cut = [part(item.label, item.kind, item.level.first, truncated=item.label == 5) for item in parts]
    small = Grid(shape=shorter.shape, affine=grid.affine)
    whole = {pair.lower: pair.measures[Quantity.SLIP] for pair in measured(labels, parts, grid).pairs}
    found = measured(shorter, cut, small)
    assert {pair.lower: pair.measures[Quantity.SLIP] for pair in found.pairs} == pytest.approx(whole, abs=0.4)
    assert found.by_label[5] == {}


BROKEN = {
    "nothing": np.zeros((7, 60, 50), bool),
    "one voxel": np.pad(np.ones((1, 1, 1), bool), ((3, 3), (30, 29), (25, 24))),
    "one line": np.pad(np.ones((1, 1, 30), bool), ((3, 3), (30, 29), (10, 10))),
    "one column": np.pad(np.ones((1, 30, 1), bool), ((3, 3), (15, 15), (25, 24))),
    "one slice": np.pad(np.ones((1, 20, 24), bool), ((3, 3), (20, 20), (13, 13))),
    "two far pieces": np.pad(np.ones((1, 4, 4), bool), ((3, 3), (0, 56), (0, 46)))
    | np.pad(np.ones((1, 4, 4), bool), ((3, 3), (56, 0), (46, 0))),
    "a triangle": np.broadcast_to(np.arange(60)[:, np.newaxis] < np.arange(50), (7, 60, 50)),
    "everything": np.ones((7, 60, 50), bool),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("kind", [BODY, DISC])
@pytest.mark.parametrize("level", ["C2", "C5", None])
@pytest.mark.parametrize("truncated", [False, True])
def test_a_broken_structure_is_left_out_and_harms_nothing(name, kind, level, truncated):
    grid = sagittal((28, 36, 30), (4.0, 0.6, 0.6))
    labels = BROKEN[name].astype(np.uint16) * 2
    parts = [part(1), part(2, kind, level, truncated=truncated), part(3, DISC)]
    found = measures(labels, parts, volume(grid), upright(grid))
    assert set(found.by_label) == {1, 2, 3}
    assert found.by_label[1] == found.by_label[3] == {}
    assert all(np.isfinite(value) for value in numbers(found).values())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.9))
def test_noise_gives_finite_numbers_or_none(seed, share):
    rng = np.random.default_rng(seed)
    grid = sagittal((20, 24, 24), (4.0, 0.8, 0.8))
    labels = rng.integers(1, 4, grid.shape).astype(np.uint16) * (rng.random(grid.shape) < share)
    parts = [part(1, level="C2"), part(2, DISC, "C2"), part(3, level=None)]
    assert all(np.isfinite(value) for value in numbers(measured(labels, parts, grid)).values())


@pytest.mark.parametrize("spacing", [(3.3, 0.43, 0.43), (5.3, 0.86, 0.86), (1.0, 1.0, 1.0), (4.0, 0.9, 0.45)])
def test_every_usual_spacing_serves(spacing):
    found = alone(Rounded(16, 13, 1.5, 8), spacing, roll=3)
    assert [found[quantity] for quantity in HEIGHTS] == pytest.approx([13.0] * 3, abs=0.5)
    assert found[Quantity.DEPTH] == pytest.approx(16.0, abs=0.5)
