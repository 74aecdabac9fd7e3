"""How probable each voxel of a segment is, for a FRACTIONAL SEG (PS3.3 C.8.20.2.3.1: PROBABILITY).

A voxel of a segment has the ensemble's softmax of the segment's class. Around it lies a halo: voxels within 3 mm that
the class is not ruled out for and that belong to no segment of the class; each counts to the nearest one. So a reader
sees how sharp a border is, and segments of one class never overlap. A disc's halo may reach into a body.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, find_objects

from node.domain.findings import Segmentation
from node.domain.geometry import Grid
from node.encode.segments import LabelMap, Part

HALO_MM = 3.0

Box = tuple[slice, slice, slice]


def fractions(labels: LabelMap, parts: Sequence[Part], segmentation: Segmentation, grid: Grid) -> NDArray[np.uint8]:
    """Return the probability of each segment: uint8 `(segments, slices, rows, columns)`, 255 = 1.

    `labels`: segment numbers, `(slices, rows, columns)` on `grid`. A voxel of a segment never has less than 1/255, so
    that a segment holds all its voxels. Work is done in the box about each class, at some 20 bytes a voxel of it, and
    only the boxes are written: what lies beyond them stays memory that was promised and never taken.
    """
    found = np.zeros((len(parts), *labels.shape), dtype=np.uint8)
    for kind in dict.fromkeys(part.kind for part in parts):
        numbers = [part.number for part in parts if part.kind is kind]
        own = _of_class(labels, numbers)
        around = _box(own, grid)
        own, values = own[around], segmentation.probabilities[kind][around]
        spread = _with_halo(own, values, grid)
        values = np.where(own > 0, np.maximum(values, 1), values)
        boxes = find_objects(spread)
        for number in numbers:
            inside = boxes[number - 1]
            found[number - 1][around][inside] = np.where(spread[inside] == number, values[inside], 0)
    return found


def _of_class(labels: LabelMap, numbers: Sequence[int]) -> LabelMap:
    """Return the labels of the segments of one class, 0 elsewhere."""
    lookup = np.zeros(int(labels.max(initial=0)) + 1, dtype=labels.dtype)
    lookup[numbers] = numbers
    return np.asarray(lookup[labels])


def _box(own: LabelMap, grid: Grid) -> Box:
    """Return the box about all labelled voxels with room for the halo."""
    sides = []
    for axis, spacing_mm in enumerate(grid.spacing_mm):
        places = np.flatnonzero(own.any(axis=tuple(other for other in range(3) if other != axis)))
        room = int(np.ceil(HALO_MM / spacing_mm))
        sides.append(slice(max(0, int(places[0]) - room), int(places[-1]) + 1 + room))
    return sides[0], sides[1], sides[2]


def _with_halo(own: LabelMap, values: NDArray[np.uint8], grid: Grid) -> LabelMap:
    """Return for each voxel the segment that it belongs to or whose halo it lies in, else 0."""
    distance_mm, nearest = distance_transform_edt(own == 0, sampling=grid.spacing_mm, return_indices=True)
    spread = np.asarray(own[tuple(nearest)])
    spread[(own == 0) & ((distance_mm > HALO_MM) | (values == 0))] = 0
    return spread
