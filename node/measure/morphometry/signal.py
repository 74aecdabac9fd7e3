"""The T2 signal of a disc against that of the bodies beside it."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from node.domain.findings import Measures, Quantity
from node.domain.geometry import FloatArray, Volume
from node.measure.morphometry.section import Section

#: Width of the rim left out, in the sagittal plane: voxels there are part something else, and a body's is cortex.
_RIM_MM = 0.8
#: How far from the disc's middle marrow counts: all of a body, but not the dens nor the far end of a block.
_REACH_MM = 20.0
#: Fewer voxels than this say little.
_FEWEST = 8


def t2_ratios(disc: Section, above: Section | None, below: Section | None, volume: Volume) -> Measures:
    """Return T2_RATIO_MEAN and T2_RATIO_MEDIAN of a disc: its signal over the marrow's of its two neighbours, 1.

    Mean (median) of the disc's voxels, over the mean of the two means (medians) of its neighbours' voxels within 20 mm
    of the disc's middle: the upper and the lower body weigh alike, so that a coil's fall-off, which is nearly a
    straight line over a segment, cancels. All in the mid-sagittal region (`section`) and without a rim of
    0.8 mm, one voxel at least; a disc so thin that nothing is left keeps all but its outermost voxels, and without
    those has no ratio. Nor has a disc that lacks a neighbour: one neighbour alone would be nearer to or farther from
    the coil.
    """
    if above is None or below is None:
        return {}
    own = _core(disc, volume)
    beside = [_core(body, volume, within_mm_of=disc.origin_lps_mm) for body in (above, below)]
    if any(len(values) < _FEWEST for values in (own, *beside)):
        return {}
    found = {}
    for quantity, summary in ((Quantity.T2_RATIO_MEAN, np.mean), (Quantity.T2_RATIO_MEDIAN, np.median)):
        marrow = float(np.mean([summary(values) for values in beside]))
        if marrow > 0:
            found[quantity] = float(summary(own)) / marrow
    return found


def _core(view: Section, volume: Volume, within_mm_of: FloatArray | None = None) -> FloatArray:
    """Return the finite values of the section's voxels without its rim, float (n,)."""
    where = np.argwhere(_eroded(view)) + view.corner
    if within_mm_of is not None:
        away = np.linalg.norm(volume.grid.to_lps_mm(where.astype(np.float64)) - within_mm_of, axis=1)
        where = where[away <= _REACH_MM]
    values = volume.voxels[tuple(where.T)].astype(np.float64)
    return np.asarray(values[np.isfinite(values)])


def _eroded(view: Section) -> NDArray[np.bool_]:
    cross = np.zeros((3, 3, 3), bool)
    for axis in range(3):
        if axis != view.sideways:
            cross[tuple(slice(None) if other == axis else 1 for other in range(3))] = True
    steps = max(1, round(_RIM_MM / view.pixel_mm))
    core: NDArray[np.bool_] = binary_erosion(view.mask, cross, iterations=steps)
    if steps > 1 and np.count_nonzero(core) < _FEWEST:
        core = binary_erosion(view.mask, cross)
    return core
