"""The arithmetic of the ensemble, as nnU-Net's own tools do it; pure numpy.

Source: nnunetv2 2.8, `ensembling/ensemble.py`: fp32 mean of the members' softmax outputs, then the largest class, ties
to the lowest.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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


def in_255ths(probabilities: Probabilities) -> NDArray[np.uint8]:
    """Return probabilities of any shape as uint8, 255 = 1, halves rounded up."""
    return (probabilities * np.float32(255) + np.float32(0.5)).astype(np.uint8)
