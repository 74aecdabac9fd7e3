"""The arithmetic of the ensemble, as nnU-Net's own tools do it; pure numpy.

Source: nnunetv2 2.8, `ensembling/ensemble.py`: fp32 mean of the members' softmax outputs, then the largest class, ties
to the lowest.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from node.domain.anatomy import StructureKind

Probabilities = NDArray[np.float32]
Classes = NDArray[np.uint8]


def mean_probabilities(members: Sequence[Probabilities]) -> Probabilities:
    """Return the mean of the members' probabilities, each `(classes, slices, rows, columns)` float32."""
    total = members[0].astype(np.float32, copy=True)
    for member in members[1:]:
        total += member
    total /= len(members)
    return total


def most_probable(probabilities: Probabilities) -> Classes:
    """Return the most probable class of each voxel, `(slices, rows, columns)`; ties go to the lowest class."""
    classes: Classes = np.argmax(probabilities, axis=0).astype(np.uint8)
    return classes


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float | None:
    """Return twice the overlap over the sum of two masks of one shape, 0 to 1; None when both are empty (Dice 1945)."""
    total = int(first.sum()) + int(second.sum())
    return 2.0 * int((first & second).sum()) / total if total else None


def agreement(answers: Sequence[Classes], labels: Mapping[int, StructureKind]) -> dict[StructureKind, float | None]:
    """Return for each kind the lowest Dice between any two members' own answers; None where there is no pair."""
    result: dict[StructureKind, float | None] = {}
    for label, kind in labels.items():
        pairs = [
            dice(first == label, second == label)
            for index, first in enumerate(answers)
            for second in answers[index + 1 :]
        ]
        overlaps = [overlap for overlap in pairs if overlap is not None]
        result[kind] = min(overlaps, default=None)
    return result
