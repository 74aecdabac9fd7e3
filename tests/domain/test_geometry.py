"""Grids: spacing, letters, and turning without moving a voxel in the patient."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from node.domain.geometry import Grid, closest_axes, turn

ORIENTATIONS = [
    "".join(letters) for axes in permutations([("R", "L"), ("A", "P"), ("I", "S")]) for letters in product(*axes)
]
SHAPES = st.tuples(*[st.integers(1, 5)] * 3)
SPACINGS = st.tuples(*[st.floats(0.2, 8)] * 3)
OFFSETS = st.tuples(*[st.floats(-300, 300)] * 3)
ANGLES = st.tuples(*[st.floats(-np.pi, np.pi)] * 3)

#: Sagittal as scanners give it: slices to the left, rows to the feet, columns to the back.
SAGITTAL = np.array([[4.0, 0, 0, -20], [0, 0, 0.5, -50], [0, -0.75, 0, 60], [0, 0, 0, 1]])


def rotation(angles: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = [(1, 2), (0, 2), (0, 1)][axis]
        about = np.eye(3)
        about[[first, second], [first, second]] = np.cos(angle)
        about[first, second], about[second, first] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ about
    return matrix


@st.composite
def axis_aligned(draw):
    columns = np.eye(3)[:, draw(st.permutations(range(3)))] * draw(st.tuples(*[st.sampled_from((-1, 1))] * 3))
    affine = np.eye(4)
    affine[:3, :3] = columns * draw(SPACINGS)
    affine[:3, 3] = draw(OFFSETS)
    return Grid(shape=draw(SHAPES), affine=affine)


@st.composite
def oblique(draw):
    """A grid at any angle, but not so near to 45 degrees that rounding picks its letters."""
    cosines = rotation(draw(ANGLES))
    free = np.sort(np.abs(cosines).ravel())
    assume(np.diff(free).min() > 1e-6)
    affine = np.eye(4)
    affine[:3, :3] = cosines * draw(SPACINGS)
    affine[:3, 3] = draw(OFFSETS)
    return Grid(shape=draw(SHAPES), affine=affine)


GRIDS = st.one_of(axis_aligned(), oblique())


def numbered(grid: Grid) -> np.ndarray:
    """Return voxels that all have different values, in index order."""
    return np.arange(np.prod(grid.shape), dtype=np.int32).reshape(grid.shape)


def places(voxels: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the LPS position of every value, by value."""
    return grid.to_lps_mm(np.argwhere(voxels >= 0))[np.argsort(voxels.ravel())]


def test_spacing_volume_positions_and_letters_of_a_sagittal_grid():
    grid = Grid(shape=(2, 3, 4), affine=SAGITTAL)
    assert grid.spacing_mm == (4.0, 0.75, 0.5)
    assert grid.voxel_volume_mm3 == pytest.approx(1.5)
    assert grid.orientation() == "LIP"
    assert grid.to_lps_mm(np.array([1, 2, 3])).tolist() == [-16, -48.5, 58.5]
    assert grid.to_lps_mm(np.array([[0, 0, 0], [1, 0, 0]])).tolist() == [[-20, -50, 60], [-16, -50, 60]]


@pytest.mark.parametrize(
    ("degrees", "letters"),
    [(0, "LIP"), (44, "LIP"), (46, "PIR"), (90, "PIR"), (-44, "LIP"), (-46, "AIL"), (180, "RIA")],
)
def test_an_oblique_grid_takes_the_letters_it_lies_closest_to(degrees, letters):
    angle = np.radians(degrees)
    about_z = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = SAGITTAL.copy()
    affine[:3, :3] = about_z @ SAGITTAL[:3, :3]
    assert Grid(shape=(2, 3, 4), affine=affine).orientation() == letters


@given(GRIDS)
def test_no_patient_axis_is_named_twice(grid):
    assert sorted(axis for axis, _ in closest_axes(grid.affine)) == [0, 1, 2]


@given(grid=GRIDS, orientation=st.sampled_from(ORIENTATIONS))
def test_turned_voxels_keep_their_place_in_the_patient(grid, orientation):
    voxels = numbered(grid)
    turned, new = turn(voxels, grid, orientation)
    assert new.orientation() == orientation
    assert turned.shape == new.shape
    assert np.allclose(places(turned, new), places(voxels, grid), atol=1e-9)
    assert new.voxel_volume_mm3 == pytest.approx(grid.voxel_volume_mm3)


@given(grid=GRIDS, orientation=st.sampled_from(ORIENTATIONS))
def test_turning_there_and_back_changes_nothing(grid, orientation):
    voxels = numbered(grid)
    back, grid_back = turn(*turn(voxels, grid, orientation), grid.orientation())
    assert np.array_equal(back, voxels)
    assert grid_back.shape == grid.shape
    assert np.allclose(grid_back.affine, grid.affine, atol=1e-9)


@settings(max_examples=20)
@given(grid=GRIDS)
def test_turning_to_the_present_orientation_changes_nothing(grid):
    voxels, same = turn(numbered(grid), grid, grid.orientation())
    assert np.array_equal(voxels, numbered(grid))
    assert np.array_equal(same.affine, grid.affine)


def test_turning_leaves_its_input_alone_and_gives_contiguous_voxels():
    voxels, affine = np.arange(24, dtype=np.uint8).reshape(2, 3, 4), SAGITTAL.copy()
    turned, _ = turn(voxels, Grid(shape=(2, 3, 4), affine=affine), "RSA")
    assert turned.flags.c_contiguous
    assert turned.dtype == np.uint8
    assert turned[0, 0, 0] == 23
    assert voxels[0, 0, 0] == 0
    assert affine.tolist() == SAGITTAL.tolist()


@pytest.mark.parametrize("orientation", ["RAR", "RL", "", "RASL", "XYZ", "ras", "RAX", "R"])
def test_an_orientation_that_does_not_name_each_axis_once_is_a_mistake(orientation):
    with pytest.raises(ValueError, match="does not name each patient axis once"):
        turn(np.zeros((2, 3, 4)), Grid(shape=(2, 3, 4), affine=SAGITTAL), orientation)
