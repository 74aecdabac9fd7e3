"""Where voxels lie, in whatever order their axes are stored: made once for each grid, compared often."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import Grid, closest_axes

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Box:
    """The corners of a grid as seen from the patient's right, front and feet on.

    `shape`: voxels from right to left, front to back, feet to head. `corners`: their centres, 8 x 3, LPS mm.
    """

    shape: tuple[int, int, int]
    corners: FloatArray
    smallest_spacing_mm: float


def box_of(grid: Grid) -> Box:
    """Return the box of a grid: the same for every order and direction of its axes."""
    axes = closest_axes(grid.affine)
    order = [[patient for patient, _ in axes].index(axis) for axis in range(3)]
    shape = tuple(grid.shape[axis] for axis in order)
    corners = np.empty((8, 3))
    for number, far in enumerate(itertools.product((False, True), repeat=3)):
        index = np.zeros(3)
        for axis, at_end in zip(order, far, strict=True):
            index[axis] = grid.shape[axis] - 1 if at_end == bool(axes[axis][1]) else 0
        corners[number] = grid.to_lps_mm(index)
    return Box(
        shape=(shape[0], shape[1], shape[2]),
        corners=corners,
        smallest_spacing_mm=min(grid.spacing_mm),
    )


def fits(one: Box, other: Box) -> bool:
    """Return whether two grids are the same voxels, as `node.domain.geometry.lay_on` means it."""
    if one.shape != other.shape:
        return False
    apart = np.linalg.norm(one.corners - other.corners, axis=1).max()
    return bool(apart <= other.smallest_spacing_mm / 4)
