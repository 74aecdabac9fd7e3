"""Voxel grids in the patient's space.

Every array of voxels is `(slices, rows, columns)`. Every position is LPS in mm, as DICOM has it (PS3.3 C.7.6.2.1.1):
x grows to the patient's left, y to the back, z to the head.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_AXIS_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """A regular grid: shape `(slices, rows, columns)` and a 4 x 4 affine from that index to LPS mm (voxel centres)."""

    shape: tuple[int, int, int]
    affine: FloatArray

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbours along slices, rows and columns, in mm."""
        spacing = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(spacing[0]), float(spacing[1]), float(spacing[2])

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in mm3: the absolute determinant of the affine."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def to_lps_mm(self, index: NDArray[np.floating[Any]] | NDArray[np.integer[Any]]) -> FloatArray:
        """Return LPS positions in mm, shape (..., 3), of `(slice, row, column)` indices, shape (..., 3)."""
        return np.asarray(index, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def orientation(self) -> str:
        """Return, for slices, rows and columns, the patient direction in which the index grows, such as "RIP".

        Each axis takes the letter of the patient axis it lies closest to, no patient axis twice.
        """
        return "".join(_AXIS_LETTERS[axis][positive] for axis, positive in closest_axes(self.affine))


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSource:
    """Where one slice came from: an instance, and the frame within it (1-based) when it is multi-frame."""

    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Volume:
    """Voxels on a grid, with the source of each slice.

    `voxels`: `(slices, rows, columns)`, after the modality's rescale; an integer type where the rescale keeps
    integers, else float32. `sources[i]` is the frame that slice `i` was read from. `acquired_in_3d` is true for
    MRAcquisitionType 3D. `lowest_is_white` is about pictures alone: the lowest value is meant to be shown white.
    """

    grid: Grid
    voxels: NDArray[np.generic]
    sources: tuple[FrameSource, ...]
    acquired_in_3d: bool
    lowest_is_white: bool = False


def closest_axes(affine: FloatArray) -> tuple[tuple[int, int], ...]:
    """Return for each array axis `(patient axis 0..2, 1 if the index grows toward L, P or S else 0)`.

    Axes are matched greedily by the largest direction cosine, so that an oblique grid up to 45 degrees gets the
    letters a radiologist would give it.
    """
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    free = np.abs(cosines)
    chosen: dict[int, tuple[int, int]] = {}
    for _ in range(3):
        patient, array = np.unravel_index(int(np.argmax(free)), free.shape)
        chosen[int(array)] = (int(patient), int(cosines[patient, array] > 0))
        free[patient, :] = -1.0
        free[:, array] = -1.0
    return tuple(chosen[axis] for axis in range(3))


def turn(voxels: NDArray[np.generic], grid: Grid, orientation: str) -> tuple[NDArray[np.generic], Grid]:
    """Return `voxels` and `grid` with axes permuted and flipped so that `grid.orientation()` is `orientation`.

    Nothing is resampled: every voxel keeps its value and its place in the patient. Raises ValueError when
    `orientation` does not name each of the three patient axes once.

    >>> grid = Grid(shape=(2, 3, 4), affine=np.eye(4))
    >>> turn(np.zeros((2, 3, 4)), grid, "SPL")[1].shape
    (4, 3, 2)
    """
    wanted = [
        (axis, pair.index(letter))
        for letter in orientation
        for axis, pair in enumerate(_AXIS_LETTERS)
        if letter in pair
    ]
    if len(orientation) != 3 or sorted(axis for axis, _ in wanted) != [0, 1, 2]:
        raise ValueError(f"{orientation!r} does not name each patient axis once")
    present = closest_axes(grid.affine)
    order = [next(array for array, (axis, _) in enumerate(present) if axis == want) for want, _ in wanted]
    affine = grid.affine.copy()
    affine[:3, :3] = grid.affine[:3, order]
    voxels = voxels.transpose(order)
    shape = tuple(grid.shape[axis] for axis in order)
    for axis, (_, positive) in enumerate(wanted):
        if present[order[axis]][1] != positive:
            affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
            affine[:3, axis] *= -1
            voxels = np.flip(voxels, axis)
    return np.ascontiguousarray(voxels), Grid(shape=(shape[0], shape[1], shape[2]), affine=affine)


def lay_on(voxels: NDArray[np.generic], grid: Grid, onto: Grid) -> NDArray[np.generic] | None:
    """Return `voxels` in the index order of `onto`, or None where the two grids are not the same voxels.

    Axes are permuted and flipped, nothing is resampled. The grids are the same where every corner of one lies within a
    quarter of the smallest spacing of the corner of the other that it becomes.

    >>> turned, grid = turn(np.arange(24).reshape(2, 3, 4), Grid(shape=(2, 3, 4), affine=np.eye(4)), "SAR")
    >>> lay_on(turned, grid, Grid(shape=(2, 3, 4), affine=np.eye(4)))[1, 0, 2]
    np.int64(14)
    """
    turned, found = turn(voxels, grid, onto.orientation())
    if found.shape != onto.shape:
        return None
    corners = np.array(list(itertools.product(*((0, size - 1) for size in onto.shape))))
    apart = np.linalg.norm(found.to_lps_mm(corners) - onto.to_lps_mm(corners), axis=1).max()
    return turned if apart <= min(onto.spacing_mm) / 4 else None
