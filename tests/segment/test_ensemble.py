"""The arithmetic of the ensemble, against plain numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from node.domain.anatomy import StructureKind
from node.segment.ensemble import agreement, dice, mean_probabilities, most_probable

BODY, DISC = StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC
MEANINGS = {1: BODY, 2: DISC}
PROBABILITIES = arrays(np.float32, (3, 2, 2, 3), elements=st.floats(0, 1, width=32))


def classes(values: object) -> np.ndarray:
    return np.asarray(values, dtype=np.uint8)


@given(st.lists(PROBABILITIES, min_size=1, max_size=5))
def test_the_mean_is_that_of_numpy_in_float32(members):
    mean = mean_probabilities(members)
    assert mean.dtype == np.float32
    assert np.allclose(mean, np.mean(np.stack(members).astype(np.float64), axis=0), atol=1e-6)


def test_the_mean_of_one_member_is_that_member_and_no_input_changes():
    first, second = np.full((3, 1, 1, 1), 0.25, np.float32), np.full((3, 1, 1, 1), 0.75, np.float32)
    assert mean_probabilities([first]).ravel().tolist() == [0.25, 0.25, 0.25]
    assert mean_probabilities([first, second]).ravel().tolist() == [0.5, 0.5, 0.5]
    assert (first.max(), second.min()) == (0.25, 0.75)


@given(PROBABILITIES)
def test_the_most_probable_class_is_that_of_numpy(probabilities):
    found = most_probable(probabilities)
    assert found.dtype == np.uint8
    assert np.array_equal(found, probabilities.argmax(axis=0))


@pytest.mark.parametrize(
    ("voxel", "winner"),
    [
        ((0.2, 0.5, 0.3), 1),
        ((0.4, 0.4, 0.2), 0),
        ((0.2, 0.4, 0.4), 1),
        ((1 / 3, 1 / 3, 1 / 3), 0),
        ((0.1, 0.0, 0.9), 2),
    ],
)
def test_ties_go_to_the_lowest_class(voxel, winner):
    assert most_probable(np.array(voxel, np.float32).reshape(3, 1, 1, 1)).tolist() == [[[winner]]]


def test_the_mean_decides_not_the_majority():
    members = [np.array(values, np.float32).reshape(3, 1, 1, 1) for values in ((0.4, 0.6, 0), (0.4, 0.6, 0), (1, 0, 0))]
    assert most_probable(mean_probabilities(members)).tolist() == [[[0]]]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [([1, 1, 0, 0], [1, 1, 0, 0], 1.0), ([1, 1, 0, 0], [0, 0, 1, 1], 0.0), ([1, 1, 1, 0], [1, 0, 0, 0], 0.5),
     ([0, 0, 0, 0], [0, 0, 0, 0], None), ([0, 0, 0, 0], [1, 0, 0, 0], 0.0)],
)  # fmt: skip
def test_dice_is_twice_the_overlap_over_the_sum(first, second, expected):
    assert dice(np.array(first, bool), np.array(second, bool)) == expected


def test_agreement_is_the_lowest_dice_between_two_members_for_each_kind():
    members = [classes([[[1, 1, 2, 0]]]), classes([[[1, 1, 2, 2]]]), classes([[[1, 0, 2, 2]]])]
    assert agreement(members, MEANINGS) == {BODY: pytest.approx(2 / 3), DISC: pytest.approx(2 / 3)}


def test_one_member_agrees_with_nobody():
    assert agreement([classes([[[1, 2]]])], MEANINGS) == {BODY: None, DISC: None}


def test_a_kind_that_nobody_found_has_no_agreement_and_one_that_one_found_has_none_left():
    members = [classes([[[1, 0]]]), classes([[[0, 0]]])]
    assert agreement(members, MEANINGS) == {BODY: 0.0, DISC: None}
