"""The border of one structure near its lateral middle: what a reader sees in the mid-sagittal slices."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import FloatArray, Grid, closest_axes
from node.measure.spine import SpineCurve

#: Half the width of the mid-sagittal region: two or three slices of 3.3 to 5 mm, inside of the uncinate processes. An
#: odd number, so that no slice of a usual spacing lies exactly on the limit.
HALF_WIDTH_MM = 4.63


@dataclass(frozen=True, slots=True, eq=False)
class Border:
    """Places where lines of voxels enter or leave a structure, half-way between the two voxel centres.

    `points`: float `(n, 2)`, mm from the section's origin: `t` toward the back, `s` toward the feet. `plane`: int
    `(n,)`, the sagittal plane of voxels that each lies in.
    """

    points: FloatArray
    plane: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Section:
    """A structure within `HALF_WIDTH_MM` of its centroid, to the left and to the right; at least one sagittal plane.

    `origin_lps_mm` is the mean of its voxels there; `axes` are rows down, back and left, LPS unit vectors, those of
    the spine's curve at the structure. `mask`: bool, the voxels, cropped; `corner`: the array index of `mask[0, 0, 0]`.
    `pixel_mm`: the larger of the two spacings in the sagittal plane. `sideways`: the array axis across that plane.
    """

    origin_lps_mm: FloatArray
    axes: FloatArray
    mask: NDArray[np.bool_]
    corner: NDArray[np.int64]
    pixel_mm: float
    sideways: int
    #: From lines of voxels that run head to feet.
    upper: Border
    lower: Border
    #: From lines of voxels that run front to back.
    front: Border
    back: Border

    def cut(self, grid: Grid) -> tuple[bool, bool]:
        """Return whether the field of view ends in this section above, below; both alike where it ends elsewhere."""
        where = (np.argwhere(self.mask) + self.corner).astype(np.float64)
        limits = [axis for axis in range(3) if axis != self.sideways]
        at_end = np.zeros(len(where), bool)
        for axis in limits:
            at_end |= (where[:, axis] == 0) | (where[:, axis] == grid.shape[axis] - 1)
        if not at_end.any():
            return False, False
        away = grid.to_lps_mm(where[at_end]) - self.origin_lps_mm
        down, back = away @ self.axes[0], away @ self.axes[1]
        if abs(float(back.mean())) > abs(float(down.mean())) or (down.min() < 0 < down.max()):
            return True, True
        return bool(down.mean() < 0), bool(down.mean() > 0)


def section(mask: NDArray[np.bool_], corner: NDArray[np.int64], grid: Grid, curve: SpineCurve) -> Section | None:
    """Return the mid-sagittal section of a structure, None where it has no voxel there.

    `mask`: bool `(slices, rows, columns)`, a part of the array that begins at index `corner` and holds all of it.
    Holes do not matter: of each line of voxels only the first and the last that belong to the structure count.
    """
    indices = np.argwhere(mask)
    if len(indices) == 0:
        return None
    places = grid.to_lps_mm((indices + corner).astype(np.float64))
    centroid = places.mean(axis=0)
    axes = curve.axes_at(float(curve.coordinates(centroid[np.newaxis])[0, 0]))
    sideways = next(array for array, (patient, _) in enumerate(closest_axes(grid.affine)) if patient == 0)
    half = max(HALF_WIDTH_MM, 0.51 * grid.spacing_mm[sideways])
    near = np.abs((places - centroid) @ axes[2]) <= half
    if not near.any():
        return None
    middle = np.zeros_like(mask)
    middle[tuple(indices[near].T)] = True
    in_plane = [axis for axis in range(3) if axis != sideways]
    steps = grid.affine[:3, in_plane] / np.linalg.norm(grid.affine[:3, in_plane], axis=0)
    # of the two array axes in the plane, one runs down and the other back, whichever way the patient is turned
    down_first = abs(axes[0] @ steps[:, 0]) + abs(axes[1] @ steps[:, 1]) >= (
        abs(axes[0] @ steps[:, 1]) + abs(axes[1] @ steps[:, 0])
    )
    vertical, horizontal = in_plane if down_first else in_plane[::-1]
    origin = places[near].mean(axis=0)

    def borders(axis: int, toward: FloatArray) -> tuple[Border, Border]:
        ends = [_border(end + corner, grid, (origin, centroid, axes), (sideways, half)) for end in _ends(mask, axis)]
        forward = float(grid.affine[:3, axis] @ toward) > 0
        return (ends[0], ends[1]) if forward else (ends[1], ends[0])

    upper, lower = borders(vertical, axes[0])
    front, back = borders(horizontal, axes[1])
    return Section(
        origin_lps_mm=origin,
        axes=axes,
        mask=middle,
        corner=corner,
        pixel_mm=max(grid.spacing_mm[axis] for axis in in_plane),
        sideways=sideways,
        upper=upper,
        lower=lower,
        front=front,
        back=back,
    )


def _ends(mask: NDArray[np.bool_], axis: int) -> tuple[FloatArray, FloatArray]:
    """Return the indices, shape (n, 3), half a voxel before the first and after the last voxel of each line."""
    lines = np.moveaxis(mask, axis, -1)
    hit = lines.any(axis=-1)
    which = np.argwhere(hit).astype(np.float64)
    first = lines.argmax(axis=-1)[hit]
    last = lines.shape[-1] - 1 - lines[..., ::-1].argmax(axis=-1)[hit]
    return np.insert(which, axis, first - 0.5, axis=1), np.insert(which, axis, last + 0.5, axis=1)


def _border(
    indices: FloatArray, grid: Grid, frame: tuple[FloatArray, FloatArray, FloatArray], limit: tuple[int, float]
) -> Border:
    """Return those of the places that lie in the mid-sagittal region; `limit`: the array axis across it, half width."""
    origin, centroid, axes = frame
    sideways, half = limit
    places = grid.to_lps_mm(indices)
    near = np.abs((places - centroid) @ axes[2]) <= half
    away = places[near] - origin
    return Border(np.stack([away @ axes[1], away @ axes[0]], axis=1), indices[near, sideways].astype(np.int64))
