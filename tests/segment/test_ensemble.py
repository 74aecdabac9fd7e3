"""The arithmetic of the ensemble, against plain numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from node.segment.ensemble import in_255ths, mean_probabilities, most_probable

PROBABILITIES = arrays(np.float32, (3, 2, 2, 3), elements=st.floats(0, 1, width=32))


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
    ("probability", "stored"),
    [(0.0, 0), (1.0, 255), (0.5, 128), (0.25, 64), (1 / 255, 1), (0.0019, 0), (0.00197, 1), (1.0000001, 255)],
)
def test_a_probability_is_stored_in_255ths_to_the_nearest(probability, stored):
    found = in_255ths(np.array([probability], np.float32))
    assert (found.dtype, found.tolist()) == (np.uint8, [stored])
