"""One sagittal plane while it is painted, and the outlines that are painted into it.

Every picture is (rows, columns) float32; distances in mm.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: A picture of one plane or slab stack.
Map = NDArray[np.float32]
#: Any real array, while it is being computed.
Real = NDArray[np.floating[Any]]
Scalar = float | np.floating[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """One sagittal plane while it is painted."""

    picture: Map  #: painted in place
    r: Map  #: distance from the spine's own mid-plane, mm, to the left
    grain: Map  #: fine texture, about -2..2
    streaks: Map  #: coarse texture, about -2..2
    pixel_mm: float

    def paint(self, inside_mm: Real, tone: Real | float) -> None:
        """Blend `tone` in where `inside_mm` (distance inside an outline, mm) is positive."""
        cover = ramp(inside_mm, self.pixel_mm)
        np.add(self.picture, cover * (tone - self.picture), out=self.picture)


def ramp(inside_mm: Real, pixel_mm: float) -> Map:
    """Return how much of a pixel lies inside an outline, 0..1, from the distance inside it."""
    cover: Map = np.clip(inside_mm / np.float32(pixel_mm) + np.float32(0.5), 0.0, 1.0).astype(np.float32, copy=False)
    return cover


def ellipse(across: Real, along: Real, half_across: Real | Scalar, half_along: Real | Scalar) -> Map:
    """Return the approximate distance inside an ellipse, mm."""
    q = np.sqrt((across / half_across) ** 2 + (along / half_along) ** 2)
    return np.asarray((1.0 - q) * np.minimum(half_across, half_along), dtype=np.float32)
