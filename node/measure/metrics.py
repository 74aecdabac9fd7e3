"""Measuring structures."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from node.domain.anatomy import StructureKind
from node.domain.findings import Findings, Quality, Segmentation, Structure
from node.domain.geometry import Grid
from node.measure.components import split


def measure(segmentation: Segmentation, grid: Grid) -> Findings:
    """Return the structures of a segmentation on `grid`, head to feet.

    Volume is the number of voxels times the volume of one, in mm3 (DCM 126030, Sum of segmented voxel volumes); a
    total per class is the sum over its structures. The centroid is the mean of the voxel centres, LPS in mm.
    """
    labels, kinds = split(segmentation, grid)
    structures = tuple(
        _measure_one(np.argwhere(labels[box] == number) + [side.start for side in box], number, kinds, grid)
        for number, box in enumerate(find_objects(labels), start=1)
    )
    kept = int(np.count_nonzero(labels))
    return Findings(
        labels=labels,
        structures=structures,
        class_volume_mm3={
            kind: sum(found.volume_mm3 for found in structures if found.kind is kind)
            for kind in segmentation.meanings.values()
        },
        quality=Quality(
            member_agreement=segmentation.member_agreement,
            specks_mm3=(int(np.count_nonzero(segmentation.classes)) - kept) * grid.voxel_volume_mm3,
        ),
        algorithm=segmentation.algorithm,
        run=segmentation.run,
    )


def _measure_one(voxels: NDArray[np.int64], label: int, kinds: Sequence[StructureKind], grid: Grid) -> Structure:
    """Measure one structure from its voxel indices, shape (n, 3); `kinds` are those of the labels from 1."""
    kind = kinds[label - 1]
    x, y, z = grid.to_lps_mm(voxels.mean(axis=0))
    return Structure(
        label=label,
        kind=kind,
        ordinal=kinds[:label].count(kind),
        level=None,
        volume_mm3=len(voxels) * grid.voxel_volume_mm3,
        centroid_lps_mm=(float(x), float(y), float(z)),
    )
