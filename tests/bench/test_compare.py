"""Two answers held against each other."""

import numpy as np
import pytest

from node.bench.compare import dice_by_kind, differing_ppm
from node.domain.anatomy import StructureKind

LABELS = {1: StructureKind.VERTEBRAL_BODY, 2: StructureKind.INTERVERTEBRAL_DISC}


def test_voxels_that_differ_are_counted_per_million() -> None:
    first = np.zeros((2, 10, 10), np.uint8)
    second = first.copy()
    second[0, 0, :3] = 1
    assert differing_ppm(first, first) == 0.0
    assert differing_ppm(first, second) == pytest.approx(15_000.0)


def test_answers_of_two_shapes_are_not_compared() -> None:
    with pytest.raises(ValueError, match="differ"):
        differing_ppm(np.zeros((2, 3, 4), np.uint8), np.zeros((2, 4, 3), np.uint8))


def test_dice_is_given_for_each_label_and_is_none_where_nobody_found_it() -> None:
    first = np.array([[[1, 1, 1, 0]]], np.uint8)
    second = np.array([[[1, 0, 0, 0]]], np.uint8)
    assert dice_by_kind(first, second, LABELS) == {
        StructureKind.VERTEBRAL_BODY: 0.5,
        StructureKind.INTERVERTEBRAL_DISC: None,
    }
