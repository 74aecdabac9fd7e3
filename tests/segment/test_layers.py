"""Volumes kept as the box that is not empty."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from node.domain.geometry import Grid, turn
from node.segment.layers import Layers, packed

VOLUMES = arrays(np.uint8, (3, 4, 5, 6), elements=st.sampled_from([0, 0, 0, 0, 0, 0, 0, 9]))
ORIENTATIONS = ["".join(pick) for order in permutations(["RL", "AP", "IS"]) for pick in product(*order)]


@given(VOLUMES)
def test_what_is_packed_comes_out_as_it_was(volumes):
    assert np.array_equal(packed(list(volumes)).unpacked(), volumes)


def test_the_box_is_the_smallest_around_what_is_not_zero_in_any_volume():
    volumes = np.zeros((2, 4, 5, 6), np.uint8)
    volumes[0, 1, 2, 3] = 7
    volumes[1, 2, 2, 5] = 8
    layers = packed(list(volumes))
    assert (layers.corner, layers.voxels.shape, layers.whole) == ((1, 2, 3), (2, 2, 1, 3), (4, 5, 6))


def test_volumes_of_nothing_have_an_empty_box():
    layers = packed([np.zeros((4, 5, 6), np.uint8)] * 3)
    assert layers.voxels.shape == (3, 0, 0, 0)
    assert not layers.unpacked().any()
    assert layers.turned("RSP", "AIL").unpacked().shape == (3, 6, 5, 4)


@pytest.mark.parametrize("wanted", ORIENTATIONS)
def test_layers_turn_as_a_volume_does(wanted):
    whole = np.zeros((2, 4, 5, 6), np.uint8)
    whole[:, 1:3, 2:5, 1:4] = np.arange(2 * 2 * 3 * 3).reshape(2, 2, 3, 3)
    grid = Grid(shape=(4, 5, 6), affine=np.array([[0, 0, 2.0, 1], [3.0, 0, 0, 2], [0, -1.0, 0, 3], [0, 0, 0, 1]]))
    layers = Layers(voxels=whole[:, 1:3, 2:5, 1:4], corner=(1, 2, 1), whole=(4, 5, 6))
    for volume, turned in zip(whole, layers.turned(grid.orientation(), wanted).unpacked(), strict=True):
        assert np.array_equal(turned, turn(volume, grid, wanted)[0])
