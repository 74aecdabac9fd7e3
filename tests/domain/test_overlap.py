"""Dice, against counting by hand."""

import numpy as np
import pytest

from node.domain.overlap import dice


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [([1, 1, 0, 0], [1, 1, 0, 0], 1.0), ([1, 1, 0, 0], [0, 0, 1, 1], 0.0), ([1, 1, 1, 0], [1, 0, 0, 0], 0.5),
     ([0, 0, 0, 0], [0, 0, 0, 0], None), ([0, 0, 0, 0], [1, 0, 0, 0], 0.0)],
)  # fmt: skip
def test_dice_is_twice_the_overlap_over_the_sum(first, second, expected):
    assert dice(np.array(first, bool), np.array(second, bool)) == expected
