"""The paper's figures against the notebook's arithmetic, written down a second time and slowly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import label, regionprops

from node.batch.evaluate.slices import PAPER_DISCS, paper_disc_dice, sagittal_slice_mean_dice, slice_mean_dice
from node.domain.geometry import Grid, turn

#: Axes as dcm2niix leaves a 2D sagittal acquisition: to the back, to the head, to the right.
PSR = np.array([[0, 0, -4.0, 30], [0.5, 0, 0, -40], [0, 0.5, 0, -50], [0, 0, 0, 1]], dtype=np.float64)
RAS = np.array([[-4.0, 0, 0, 30], [0, -0.5, 0, -40], [0, 0, 0.5, -50], [0, 0, 0, 1]], dtype=np.float64)


def grid_of(shape, affine=PSR):
    return Grid(shape=shape, affine=affine)


def slowly(prediction, reference):
    """The mean over axis 2, voxel by voxel."""
    total = 0.0
    for k in range(reference.shape[2]):
        both = area = 0
        for i in range(reference.shape[0]):
            for j in range(reference.shape[1]):
                mine, theirs = bool(prediction[i, j, k]), bool(reference[i, j, k])
                both += mine and theirs
                area += mine + theirs
        total += 2.0 * both / area if area else 1.0
    return total / reference.shape[2]


def test_empty_slices_count_one():
    # slices: 2 x 1 / (2 + 1), one mask alone 0, both empty 1, both empty 1
    prediction, reference = np.zeros((2, 2, 4), np.bool_), np.zeros((2, 2, 4), np.bool_)
    prediction[0, :, 0] = reference[0, 0, 0] = reference[1, 1, 1] = True

    assert slice_mean_dice(prediction, reference) == pytest.approx((2 / 3 + 0 + 1 + 1) / 4, abs=1e-12)


def test_it_lies_above_the_volumetric_dice_where_slices_are_empty():
    prediction, reference = np.zeros((1, 4, 10), np.bool_), np.zeros((1, 4, 10), np.bool_)
    prediction[0, :2, 0] = reference[0, 1:3, 0] = True  # the volumetric Dice is 2 x 1 / 4

    assert slice_mean_dice(prediction, reference) == pytest.approx(0.95, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(*[hnp.arrays(np.bool_, (3, 4, 5), elements=st.booleans(), fill=st.just(False))] * 2)
def test_the_slice_mean_is_that_of_a_slow_independent_computation(prediction, reference):
    assert slice_mean_dice(prediction, reference) == pytest.approx(slowly(prediction, reference), abs=1e-12)


def test_the_published_axis_is_that_of_the_stored_array_and_the_sagittal_one_that_of_the_patient():
    rng = np.random.default_rng(1)
    prediction, reference = rng.random((6, 5, 4)) < 0.2, rng.random((6, 5, 4)) < 0.2
    stored = grid_of((6, 5, 4))
    (turned, ras), (other, _) = turn(prediction, stored, "RAS"), turn(reference, stored, "RAS")

    assert sagittal_slice_mean_dice(prediction, reference, stored) == slice_mean_dice(prediction, reference)
    assert sagittal_slice_mean_dice(turned, other, ras) == pytest.approx(slice_mean_dice(prediction, reference))
    assert slice_mean_dice(turned, other) == pytest.approx(slowly(turned, other))
    assert slice_mean_dice(turned, other) != pytest.approx(slice_mean_dice(prediction, reference))


def column(heights, shape=(20, 80, 5), slices=(2,), width=6):
    """Discs of 3 rows from `heights` on, in some of the slices."""
    mask = np.zeros(shape, dtype=np.bool_)
    for number in slices:
        for height in heights:
            mask[8 : 8 + width, height : height + 3, number] = True
    return mask


HEIGHTS = (70, 60, 50, 40, 30, 20, 10)


def test_discs_are_named_from_the_head_and_compared_by_rank():
    reference = column(HEIGHTS)
    prediction = reference.copy()
    prediction[8:14, 60, 2] = False  # of C3/C4 12 of 18 voxels are left: 2 x 12 / 30
    prediction[8, 20:23, 2] = False  # of C7/T1 15 of 18: 2 x 15 / 33

    assert paper_disc_dice(prediction, reference, grid_of(reference.shape)) == pytest.approx(
        {"C2/C3": 1.0, "C3/C4": 0.8, "C4/C5": 1.0, "C5/C6": 1.0, "C6/C7": 1.0, "C7/T1": 30 / 33}
    )


def test_a_disc_that_one_mask_lacks_shifts_the_ranks_below_it_as_in_the_notebook():
    reference, prediction = column(HEIGHTS), column((70, 50, 40, 30, 20, 10))

    assert paper_disc_dice(prediction, reference, grid_of(reference.shape)) == dict(
        zip(PAPER_DISCS, (1.0, 0, 0, 0, 0, 0), strict=True)
    )


def test_fewer_than_six_discs_in_either_mask_leave_the_case_out():
    five = column(HEIGHTS[:5])

    assert all(np.isnan(list(paper_disc_dice(five, column(HEIGHTS), grid_of(five.shape)).values())))
    assert all(np.isnan(list(paper_disc_dice(column(HEIGHTS), five, grid_of(five.shape)).values())))


def test_the_middle_slice_is_the_one_after_the_middle_of_an_even_number():
    reference = column(HEIGHTS, shape=(20, 80, 4), slices=(2,))

    assert paper_disc_dice(reference, reference, grid_of(reference.shape))["C2/C3"] == 1.0
    assert np.isnan(paper_disc_dice(np.roll(reference, 1, 2), reference, grid_of(reference.shape))["C2/C3"])


def test_pixels_that_share_a_corner_are_one_disc():
    reference = column(HEIGHTS[:6])
    reference[14:16, 73:75, 2] = True  # at the corner of the uppermost disc: with 4-connection it would be a seventh

    assert paper_disc_dice(column(HEIGHTS[:6]), reference, grid_of(reference.shape))["C2/C3"] == pytest.approx(36 / 40)


def test_the_head_is_where_the_affine_says_it_is():
    reference = column(HEIGHTS)
    prediction = reference.copy()
    prediction[8:14, 70, 2] = False
    stored = grid_of(reference.shape)
    (turned, pir), (other, _) = turn(prediction, stored, "PIR"), turn(reference, stored, "PIR")

    assert paper_disc_dice(turned, other, pir) == paper_disc_dice(prediction, reference, stored)


def test_a_mask_whose_axis_2_runs_up_is_cut_across_as_in_the_notebook():
    reference, prediction = column(HEIGHTS), column(HEIGHTS, width=5)
    ras = Grid(shape=reference.shape, affine=RAS)

    assert paper_disc_dice(prediction, reference, ras)["C2/C3"] == pytest.approx(30 / 33)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_discs_are_those_of_an_independent_computation(seed):
    rng = np.random.default_rng(seed)
    prediction, reference = rng.random((12, 40, 3)) < 0.06, rng.random((12, 40, 3)) < 0.06
    found = []
    for mask in (prediction, reference):
        parts = regionprops(label(mask[:, :, 1], connectivity=2))
        found.append(sorted(parts, key=lambda part: -part.centroid[1]))
    ranks = [[part.centroid[1] for part in parts] for parts in found]
    if any(len(set(rank)) < len(rank) for rank in ranks) or min(map(len, found)) < 6:
        return
    expected = []
    for mine, theirs in zip(*found, strict=False):
        first, second = ({tuple(place) for place in part.coords} for part in (mine, theirs))
        expected.append(2 * len(first & second) / (len(first) + len(second)))

    answer = paper_disc_dice(prediction, reference, grid_of(reference.shape))

    assert list(answer.values()) == pytest.approx(expected[:6])
