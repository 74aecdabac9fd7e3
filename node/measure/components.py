"""Splitting the classes of the network into structures: one vertebral body or one disc each."""

from collections.abc import Mapping

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from node.domain.anatomy import StructureKind
from node.domain.findings import Segmentation
from node.domain.geometry import Grid

#: Smaller pieces are specks, in mm3: about a tenth of the smallest body or disc that the network is asked for. A
#: cervical body holds some 2,500 to 4,500 mm3, a cervical disc 600 to 1,500 mm3.
SPECK_MM3: Mapping[StructureKind, float] = {
    StructureKind.VERTEBRAL_BODY: 300.0,
    StructureKind.INTERVERTEBRAL_DISC: 80.0,
}


def split(segmentation: Segmentation, grid: Grid) -> tuple[NDArray[np.uint16], tuple[StructureKind, ...]]:
    """Return a label map `(slices, rows, columns)` with one label a structure, and the kind of each.

    Label `n` has the kind at index `n - 1`; labels count from the head to the feet by the centroid. Specks are
    dropped, but never the largest piece of a kind. Voxels belong together when they share a face: neighbouring levels
    often touch at corners.
    """
    pieces: list[tuple[float, StructureKind, NDArray[np.int64]]] = []
    for label, kind in sorted(segmentation.meanings.items()):
        found = cc3d.connected_components(np.asarray(segmentation.classes == label), connectivity=6)
        sizes = np.bincount(found.ravel())[1:] * grid.voxel_volume_mm3
        for index, (size, box) in enumerate(zip(sizes, find_objects(found), strict=True)):
            if size >= SPECK_MM3[kind] or index == np.argmax(sizes):
                voxels = np.argwhere(found[box] == index + 1) + [side.start for side in box]
                pieces.append((_height_mm(voxels, grid), kind, voxels))
    pieces.sort(key=lambda piece: -piece[0])
    labels = np.zeros(grid.shape, dtype=np.uint16)
    for number, (_, _, voxels) in enumerate(pieces, start=1):
        labels[tuple(voxels.T)] = number
    return labels, tuple(kind for _, kind, _ in pieces)


def _height_mm(voxels: NDArray[np.int64], grid: Grid) -> float:
    """Return how far the centroid of voxel indices, shape (n, 3), lies toward the head, in mm."""
    return float(grid.to_lps_mm(voxels.mean(axis=0))[2])
