"""What goes into a mode of the engine and what comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.segment.ensemble import Classes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Image:
    """An image as the training saw its own: `(slices, rows, columns)` float32 in the bundle's orientation, mm."""

    voxels: NDArray[np.float32]
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """Classes on the image's grid, `(slices, rows, columns)` uint8: the ensemble's, and each member's own.

    `members` is empty where there is one member only. `fallbacks`: what was given up on the way.
    """

    classes: Classes
    members: Sequence[Classes]
    fallbacks: tuple[str, ...] = ()
