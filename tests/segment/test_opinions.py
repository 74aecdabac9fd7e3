"""What single members answered, on the way from the network's grid to the image's."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from node.segment.nnunet.opinions import carried, running_maximum
from node.segment.nnunet.resampling import interpolate, line

HEADS = 3
SHAPES = st.tuples(*[st.integers(1, 9)] * 3)


@pytest.mark.parametrize(
    ("shares", "winner"),
    [
        ((0.2, 0.5, 0.3), 1),
        ((0.4, 0.4, 0.2), 0),
        ((0.2, 0.4, 0.4), 1),
        ((1 / 3, 1 / 3, 1 / 3), 0),
        ((0.1, 0.0, 0.9), 2),
    ],
)
def test_the_running_maximum_gives_ties_to_the_lowest_class(shares: tuple[float, ...], winner: int) -> None:
    assert running_maximum(torch.tensor(shares).reshape(HEADS, 1)).tolist() == [winner]


@given(SHAPES, SHAPES, st.integers(0, 2**32 - 1))
def test_nearest_neighbour_and_linear_interpolation_part_only_where_neighbours_on_the_networks_grid_differ(
    small: tuple[int, int, int], large: tuple[int, int, int], seed: int
) -> None:
    """Where all grid points that a voxel is interpolated from answer alike, so does their mean, and so the nearest.

    Logits are whole numbers here, so that no rounding to float16 makes a tie where there was none.
    """
    ranks = np.random.default_rng(seed).permuted(np.ones(small)[None] * np.array([[[[0]]], [[[8]]], [[[16]]]]), axis=0)
    logits = torch.from_numpy(ranks).half()
    lines = [line(size_in, size_out, order) for size_in, size_out, order in zip(small, large, (0, 1, 1), strict=True)]
    classes = running_maximum(logits)
    nearest = carried(classes, large, [slice(None)] * 3).numpy()
    linear = running_maximum(interpolate(logits, lines).float()).numpy()
    lowest = highest = classes.numpy()
    for axis, along in enumerate(lines):
        ends = along.low, np.where(along.weight > 0, along.high, along.low)
        lowest = np.minimum(*(np.take(lowest, end, axis) for end in ends))
        highest = np.maximum(*(np.take(highest, end, axis) for end in ends))
    assert np.array_equal(nearest[lowest == highest], linear[lowest == highest])


@pytest.mark.parametrize("part", [slice(0, 4), slice(1, 3), slice(2, 2)])
def test_a_part_is_carried_as_it_is_in_the_whole(part: slice) -> None:
    classes = torch.from_numpy(np.random.default_rng(3).integers(0, HEADS, (3, 5, 7), dtype=np.uint8))
    whole = carried(classes, (4, 4, 9), [slice(None)] * 3)
    assert torch.equal(carried(classes, (4, 4, 9), [part, slice(None), part]), whole[part][:, :, part])
