"""Two answers for one volume, held against each other."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from node.domain.anatomy import StructureKind
from node.domain.overlap import dice

Classes = NDArray[np.uint8]


def differing_ppm(first: Classes, second: Classes) -> float:
    """Return how many voxels per million have another class. Raises ValueError when the shapes differ."""
    if first.shape != second.shape:
        raise ValueError(f"shapes {first.shape} and {second.shape} differ")
    return float(np.count_nonzero(first != second)) / first.size * 1e6


def dice_by_kind(
    first: Classes, second: Classes, labels: Mapping[int, StructureKind]
) -> dict[StructureKind, float | None]:
    """Return the Dice overlap of each label; None where neither answer has it."""
    return {kind: dice(first == label, second == label) for label, kind in labels.items()}
