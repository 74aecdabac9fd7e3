"""One sagittal plane while it is painted, and the outlines that are painted into it.

Pictures are (rows, columns) float32, or (pixels,) where a `Patch` has packed them; distances in mm.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

#: A picture of one plane or slab stack.
Map = NDArray[np.float32]
#: Any real array, while it is being computed.
Real = NDArray[np.floating[Any]]
Scalar = float | np.floating[Any]
_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """One sagittal plane while it is painted."""

    picture: Map  #: painted in place
    r: Map  #: distance from the spine's own mid-plane, mm, to the left
    grain: Map  #: fine texture, about -2..2
    streaks: Map  #: coarse texture, about -2..2
    pixel_mm: float

    def paint(self, inside_mm: Real, tone: Real | Scalar) -> None:
        """Blend `tone` in where `inside_mm` (distance inside an outline, mm) is positive."""
        cover = ramp(inside_mm, self.pixel_mm)
        np.add(self.picture, cover * (tone - self.picture), out=self.picture)

    def paint_bone(self, inside_mm: Real, cortex: Scalar, marrow: Real | Scalar, shell_mm: Scalar) -> None:
        """Paint a bone: its cortex, `shell_mm` thick, around marrow."""
        self.paint(inside_mm, cortex)
        self.paint(inside_mm - shell_mm, marrow)


class Patch:
    """Chosen pixels of a plane, packed in one dimension: an organ is computed only where it can be.

    `chosen` is (rows, columns); packed arrays are (pixels,) in the picture's order.
    """

    def __init__(self, chosen: NDArray[np.bool_]) -> None:
        self._index, self._where, self._shape = np.flatnonzero(chosen), np.nonzero(chosen), chosen.shape

    def take(self, picture: NDArray[_T]) -> NDArray[_T]:
        """Return the chosen pixels of `picture` (rows, columns) as (pixels,)."""
        return picture.ravel()[self._index]

    def pack(self, plane: Plane) -> Plane:
        """Return the chosen pixels of `plane`: a copy, whose picture `unpack` brings back."""
        return Plane(
            picture=self.take(plane.picture),
            r=self.take(plane.r),
            grain=self.take(plane.grain),
            streaks=self.take(plane.streaks),
            pixel_mm=plane.pixel_mm,
        )

    def unpack(self, packed: Plane, plane: Plane) -> None:
        """Write the packed picture into `plane`."""
        plane.picture[self._where] = packed.picture

    def spread(self, packed: Map) -> Map:
        """Return `packed` (pixels,) as (rows, columns), 0 elsewhere."""
        picture = np.zeros(self._shape, dtype=np.float32)
        picture.reshape(-1)[self._index] = packed
        return picture


def ramp(inside_mm: Real, pixel_mm: float) -> Map:
    """Return how much of a pixel lies inside an outline, 0..1, from the distance inside it."""
    cover: Map = np.clip(inside_mm / np.float32(pixel_mm) + np.float32(0.5), 0.0, 1.0).astype(np.float32, copy=False)
    return cover


def ellipse(across: Real, along: Real, half_across: Real | Scalar, half_along: Real | Scalar) -> Map:
    """Return the approximate distance inside an ellipse, mm."""
    q = np.sqrt((across / half_across) ** 2 + (along / half_along) ** 2)
    return np.asarray((1.0 - q) * np.minimum(half_across, half_along), dtype=np.float32)


def rounded(one: Real, other: Real, radius_mm: float) -> Map:
    """Return the distance inside both outlines, their corners rounded with `radius_mm`; no more than the radius."""
    radius = np.float32(radius_mm)
    return np.asarray(radius - np.hypot(np.maximum(radius - one, 0), np.maximum(radius - other, 0)), dtype=np.float32)


def bump(distance_mm: Real, reach_mm: Real | Scalar) -> Map:
    """Return a bell of height 1 that falls to 0.37 at `reach_mm`."""
    return np.asarray(np.exp(-((distance_mm / reach_mm) ** 2)), dtype=np.float32)
