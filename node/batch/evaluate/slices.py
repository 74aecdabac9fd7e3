"""The figures of the CSpineSeg paper (Zhou et al., Scientific Data 12:1695, 2025), as its notebooks compute them.

They are kept apart under names of their own, because they say something else than their usual names do. A mean over
slices counts a slice in which neither mask has anything as 1, so that it lies above the volumetric Dice. Both are
defined on the array as it is stored: dcm2niix leaves a 2D sagittal acquisition "PSR", its slices on axis 2, and turns
one acquired in 3D to "RAS", whose axis 2 runs from foot to head. The notebook then averages over axial sections; so
does `slice_mean_dice`. `sagittal_slice_mean_dice` takes the axis across the patient instead: on "PSR" it is the same.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass, label

from node.domain.geometry import Grid, closest_axes

Mask = NDArray[np.bool_]

#: What the notebook calls the first six discs from the head.
PAPER_DISCS = ("C2/C3", "C3/C4", "C4/C5", "C5/C6", "C6/C7", "C7/T1")

_STORED_AXIS = 2
_EIGHT_CONNECTED = np.ones((3, 3), dtype=np.int64)


def slice_mean_dice(prediction: Mask, reference: Mask, axis: int = _STORED_AXIS) -> float:
    """Return the mean over the slices along `axis` of their 2D Dice; where both are empty a slice counts 1.

    Source: `calculate_nifti_all_labels_dice_score` in `DSC_analysis.ipynb` of JikaiZ/CSpineSeg. The published macro
    average is the mean of the two classes.
    """
    across = tuple(other for other in range(3) if other != axis)
    total = np.count_nonzero(prediction, axis=across) + np.count_nonzero(reference, axis=across)
    overlap = np.count_nonzero(prediction & reference, axis=across)
    return float(np.where(total > 0, 2.0 * overlap / np.maximum(total, 1), 1.0).mean())


def sagittal_slice_mean_dice(prediction: Mask, reference: Mask, grid: Grid) -> float:
    """Return the same mean over the sagittal slices: along the axis of the array closest to right and left."""
    across = [patient for patient, _ in closest_axes(grid.affine)].index(0)
    return slice_mean_dice(prediction, reference, axis=across)


def paper_disc_dice(prediction: Mask, reference: Mask, grid: Grid) -> dict[str, float]:
    """Return the 2D Dice of each of `PAPER_DISCS`, for the masks of all discs as they are stored.

    In the middle slice, index size // 2 of axis 2, the 8-connected components of either mask are sorted from head to
    feet by their centroid along axis 1: from its last index as in the notebook ("PSR"), from its first where that is
    the head's end. The first six of either mask are compared in pairs, by rank and not by place. All six are NaN where
    either mask has fewer than six: the notebook leaves such a case out. It leaves 13 of 100 out by number as well,
    picked by eye for fusion and oblique slices; no rule tells which, so here they stay in.

    Source: `connected_component.ipynb` of JikaiZ/CSpineSeg.
    """
    middle = reference.shape[_STORED_AXIS] // 2
    patient, positive = closest_axes(grid.affine)[1]
    head_first = patient == 2 and not positive
    found = [_from_the_head(mask[:, :, middle], head_first) for mask in (prediction, reference)]
    if min(len(parts) for parts in found) < len(PAPER_DISCS):
        return dict.fromkeys(PAPER_DISCS, float("nan"))
    return {
        name: 2.0 * int(np.count_nonzero(mine & theirs)) / int(np.count_nonzero(mine) + np.count_nonzero(theirs))
        for name, mine, theirs in zip(PAPER_DISCS, *found, strict=False)
    }


def _from_the_head(mask: NDArray[np.bool_], head_first: bool) -> list[NDArray[np.bool_]]:
    """Return the components of a slice from head to feet; axis 1 grows to the feet where `head_first`."""
    components, count = label(mask, structure=_EIGHT_CONNECTED)
    centres: list[tuple[Any, ...]] = center_of_mass(mask, components, range(1, count + 1))
    order = sorted(range(count), key=lambda number: centres[number][1], reverse=not head_first)
    return [components == number + 1 for number in order]
