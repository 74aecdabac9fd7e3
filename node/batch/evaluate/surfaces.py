"""How far the surfaces of two masks lie apart, in mm.

The surface of a mask is its border: voxels with a neighbour across a face that is outside the mask, or at the edge of
the array. The distance of a border voxel is that of its centre to the nearest centre of the other border. This is the
definition of Metrics Reloaded (Maier-Hein et al., Nature Methods 21:195, 2024), MONAI and medpy, in float64. Every
border voxel counts once: on thick slices the flat ends of a structure weigh more than their area.

    HD95    the larger of two 95th percentiles, one for each direction (Metrics Reloaded; Huttenlocher 1993 has the
            maximum). medpy pools both directions into one percentile, which hides what only one mask has.
            Percentiles are interpolated (numpy, "linear").
    ASSD    the mean over both borders together: (sum a + sum b) / (number a + number b) (Heimann 2009)
    NSD     the share of both borders that lies within a tolerance of the other, at most as far (Nikolov et al.,
            JMIR 23:e26151, 2021, who weigh by area; here by voxels as in Metrics Reloaded)

Two empty masks have no figures: NaN, and they enter no mean. One empty mask is the worst: NSD 0, and as a distance the
diagonal of the image from centre to centre of its outermost voxels (Metrics Reloaded: what is missing gets the worst
value); NaN would hide a structure that was missed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

from node.domain.geometry import FloatArray, Grid

Mask = NDArray[np.bool_]

_PERCENTILE = 95.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SurfaceDistances:
    """`prediction`: of each border voxel of the prediction to the reference's border, mm; `reference`: the other way.

    Both are empty where a mask is. `worst_mm`: the diagonal of the image; None where both masks are empty.
    """

    prediction: FloatArray
    reference: FloatArray
    worst_mm: float | None

    def hd95_mm(self) -> float:
        """Return the 95th percentile Hausdorff distance in mm."""
        if not len(self.prediction):
            return self._one_empty(self.worst_mm)
        return float(max(np.percentile(self.prediction, _PERCENTILE), np.percentile(self.reference, _PERCENTILE)))

    def assd_mm(self) -> float:
        """Return the average symmetric surface distance in mm."""
        if not len(self.prediction):
            return self._one_empty(self.worst_mm)
        count = len(self.prediction) + len(self.reference)
        return float((self.prediction.sum() + self.reference.sum()) / count)

    def nsd(self, tolerance_mm: float) -> float:
        """Return the normalised surface Dice, 0 to 1. A distance equal to the tolerance is within it."""
        if not len(self.prediction):
            return self._one_empty(0.0)
        within = tolerance_mm * (1 + 1e-9)  # 2 x 0.7 mm is 1.4 mm, also in floating point
        close = int(np.count_nonzero(self.prediction <= within) + np.count_nonzero(self.reference <= within))
        return close / (len(self.prediction) + len(self.reference))

    def _one_empty(self, worst: float | None) -> float:
        return float("nan") if self.worst_mm is None or worst is None else worst


def surface_distances(prediction: Mask, reference: Mask, grid: Grid) -> SurfaceDistances:
    """Return the distances between the borders of two masks on `grid`.

    Raises ValueError where a mask has another shape than the grid.
    """
    if prediction.shape != grid.shape or reference.shape != grid.shape:
        raise ValueError(f"masks {prediction.shape} and {reference.shape} do not lie on the grid {grid.shape}")
    nothing = np.empty(0)
    if not (prediction.any() and reference.any()):
        neither = not (prediction.any() or reference.any())
        diagonal = float(np.linalg.norm((np.array(grid.shape) - 1) * grid.spacing_mm))
        return SurfaceDistances(prediction=nothing, reference=nothing, worst_mm=None if neither else diagonal)
    mine, theirs = _border_mm(prediction, grid), _border_mm(reference, grid)
    return SurfaceDistances(
        prediction=np.asarray(cKDTree(theirs).query(mine)[0], dtype=np.float64),
        reference=np.asarray(cKDTree(mine).query(theirs)[0], dtype=np.float64),
        worst_mm=0.0,
    )


def _border_mm(mask: Mask, grid: Grid) -> FloatArray:
    """Return the centres of the border voxels, (n, 3), LPS in mm but for a shift that all masks on the grid share."""
    box = bounding_box(mask)
    inside = mask[box]
    index = np.argwhere(inside & ~binary_erosion(inside)) + [side.start for side in box]
    return np.asarray(index @ grid.affine[:3, :3].T, dtype=np.float64)


def bounding_box(mask: Mask) -> tuple[slice, ...]:
    """Return the smallest box that holds all of a mask that is not empty.

    >>> bounding_box(np.array([[False, False], [False, True]]))
    (slice(1, 2, None), slice(1, 2, None))
    """
    box = []
    for axis in range(mask.ndim):
        seen = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        box.append(slice(int(seen[0]), int(seen[-1]) + 1))
    return tuple(box)
