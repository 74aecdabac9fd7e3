"""Distances of surfaces against values worked out by hand, a brute-force computation, and what must not change them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist

from node.batch.evaluate.surfaces import bounding_box, surface_distances
from node.domain.geometry import Grid, turn

SPACING = (4.0, 0.5, 0.5)
SHAPE = (12, 40, 40)
EXACT = pytest.approx


def grid_of(shape, spacing=SPACING, offset=(0, 0, 0)):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = offset
    return Grid(shape=shape, affine=affine)


def box(low, high, shape=SHAPE):
    mask = np.zeros(shape, dtype=np.bool_)
    mask[tuple(slice(first, last) for first, last in zip(low, high, strict=True))] = True
    return mask


def measured(prediction, reference, tolerance=1.0, spacing=SPACING):
    distances = surface_distances(prediction, reference, grid_of(prediction.shape, spacing))
    return distances.hd95_mm(), distances.assd_mm(), distances.nsd(tolerance)


BLOCK = box((3, 10, 10), (9, 20, 20))  # 6 x 10 x 10 voxels, 600 - 4 x 8 x 8 = 344 of them at the border

BY_HAND = {
    "the same box": (BLOCK, BLOCK, 0.0, 0.0, 1.0),
    # outside: 60 at 1.5, 28 at 1.0, 28 at 0.5 mm; inside the far face, 4 slices of 0.5 1 1.5 1.5 1.5 1.5 1 0.5: 168 mm
    "3 rows further": (BLOCK, box((3, 13, 10), (9, 23, 20)), 1.5, 168 / 344, 268 / 344),
    # outside: 100 at 4 mm; inside the far slice rings of 28, 20, 12, 4 at 0.5, 1, 1.5, 2 mm: 460 mm
    "a slice further": (BLOCK, box((4, 10, 10), (10, 20, 20)), 4.0, 460 / 344, 228 / 344),
    "two voxels 6 columns apart": (box((3, 10, 10), (4, 11, 11)), box((3, 10, 16), (4, 11, 17)), 3.0, 3.0, 0.0),
    # 26 voxels around one: 4 at 0.5, 4 at sqrt 0.5, 2 at 4, 8 at sqrt 16.25, 8 at sqrt 16.5 mm; back 0.5
    "a voxel within 3 x 3 x 3": (
        box((3, 10, 10), (4, 11, 11)),
        box((2, 9, 9), (5, 12, 12)),
        16.5**0.5,
        (2 + 4 * 0.5**0.5 + 8 + 8 * 16.25**0.5 + 8 * 16.5**0.5 + 0.5) / 27,
        9 / 27,
    ),
    # at the edge of the array: 272 and 320 border voxels; 40 at 1.0 and 24 at 0.5 one way, 2 x 7 mm the other
    "in the corner of the array": (box((0, 0, 0), (4, 10, 10)), box((0, 0, 0), (4, 10, 12)), 1.0, 66 / 592, 1.0),
}


@pytest.mark.parametrize(("prediction", "reference", "hd95", "assd", "nsd"), BY_HAND.values(), ids=BY_HAND.keys())
def test_boxes_have_the_distances_worked_out_by_hand(prediction, reference, hd95, assd, nsd):
    assert measured(prediction, reference) == EXACT((hd95, assd, nsd), abs=1e-9)
    assert measured(reference, prediction) == EXACT((hd95, assd, nsd), abs=1e-9)


def test_hd95_is_the_larger_of_two_percentiles_and_not_that_of_both_together():
    # 0 to 20 mm one way: the 95th percentile is 19; the 0 of the other way would pull it down to 18.95
    line, end = box((0, 0, 0), (1, 1, 21), (1, 1, 21)), box((0, 0, 0), (1, 1, 1), (1, 1, 21))

    assert measured(line, end, spacing=(1, 1, 1))[0] == EXACT(19.0, abs=1e-9)


def test_percentiles_between_two_distances_are_interpolated():
    # 0 to 10 mm: the 95th percentile lies at place 9.5 of 10
    line, end = box((0, 0, 0), (1, 1, 11), (1, 1, 11)), box((0, 0, 0), (1, 1, 1), (1, 1, 11))

    assert measured(line, end, spacing=(1, 1, 1))[0] == EXACT(9.5, abs=1e-9)


def test_a_distance_equal_to_the_tolerance_is_within_it():
    first, second = box((0, 0, 0), (1, 1, 1), (1, 1, 9)), box((0, 0, 2), (1, 1, 3), (1, 1, 9))

    assert measured(first, second, 1.4, (1, 1, 0.7))[2] == 1.0
    assert measured(first, second, 1.39, (1, 1, 0.7))[2] == 0.0


def test_two_empty_masks_have_no_figures():
    empty = np.zeros((3, 4, 5), dtype=np.bool_)

    assert np.isnan(measured(empty, empty)).all()


def test_one_empty_mask_has_the_worst_figures():
    empty, one = np.zeros((3, 4, 5), dtype=np.bool_), box((1, 1, 1), (2, 2, 2), (3, 4, 5))
    diagonal = 70.25**0.5  # 2 x 4, 3 x 0.5 and 4 x 0.5 mm

    assert measured(empty, one) == EXACT((diagonal, diagonal, 0.0), abs=1e-9)
    assert measured(one, empty) == EXACT((diagonal, diagonal, 0.0), abs=1e-9)


def test_masks_of_another_shape_than_the_grid_are_refused():
    with pytest.raises(ValueError, match="do not lie on the grid"):
        surface_distances(BLOCK[:-1], BLOCK, grid_of(SHAPE))


def test_the_bounding_box_is_the_smallest():
    assert bounding_box(BLOCK) == (slice(3, 9), slice(10, 20), slice(10, 20))


MASKS = hnp.arrays(np.bool_, (3, 5, 6), elements=st.booleans(), fill=st.just(False))
SPACINGS = st.tuples(*[st.floats(0.3, 6)] * 3)


def brute_force(prediction, reference, tolerance, spacing):
    """Every border voxel against every other, without a tree and without scipy.ndimage."""

    def border(mask):
        padded = np.pad(mask, 1)
        inside = np.ones_like(mask)
        for axis in range(3):
            for step in (-1, 1):
                inside &= np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1]
        return np.argwhere(mask & ~inside) * np.array(spacing)

    apart = cdist(border(prediction), border(reference))
    there, back = np.sort(apart.min(axis=1)), np.sort(apart.min(axis=0))
    both = np.concatenate([there, back])
    hd95 = max(np.quantile(there, 0.95), np.quantile(back, 0.95))
    return hd95, both.mean(), (both <= tolerance).mean()


@settings(max_examples=60, deadline=None)
@given(MASKS, MASKS, SPACINGS, st.floats(0.1, 8))
def test_the_figures_are_those_of_a_brute_force_computation(prediction, reference, spacing, tolerance):
    if prediction.any() and reference.any():
        expected = brute_force(prediction, reference, tolerance * (1 + 1e-9), spacing)

        assert measured(prediction, reference, tolerance, spacing) == EXACT(expected, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(MASKS, MASKS, SPACINGS, st.sampled_from(["SPL", "LIP", "RAS", "PSR", "ALI"]))
def test_the_order_and_direction_of_the_axes_do_not_matter(prediction, reference, spacing, orientation):
    grid = grid_of(prediction.shape, spacing, (-40, 17, 3))
    (turned, onto), (other, _) = turn(prediction, grid, orientation), turn(reference, grid, orientation)
    here, there = surface_distances(prediction, reference, grid), surface_distances(turned, other, onto)

    assert there.hd95_mm() == EXACT(here.hd95_mm(), abs=1e-9, nan_ok=True)
    assert there.assd_mm() == EXACT(here.assd_mm(), abs=1e-9, nan_ok=True)
    assert there.nsd(1.0) == EXACT(here.nsd(1.0), abs=1e-9, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(MASKS, MASKS, SPACINGS, st.floats(0.5, 3))
def test_distances_grow_with_the_spacing_and_the_share_within_a_grown_tolerance_stays(first, second, spacing, factor):
    here = measured(first, second, 1.0, spacing)
    there = measured(first, second, factor, tuple(factor * step for step in spacing))

    assert there == EXACT((factor * here[0], factor * here[1], here[2]), rel=1e-9, nan_ok=True)
