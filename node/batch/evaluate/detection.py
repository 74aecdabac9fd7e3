"""How many structures are found: components of the prediction matched to those of the reference.

A structure is what hangs together: voxels of a class that share a face, an edge or a corner (26-connected). No size is
too small to count. Fused bodies are one block, as the dataset has them; two bodies that touch are one, too, and then
match neither of two. The node's own way of parting structures (`node.measure`) is not used here: it would judge itself.
Where each value of a label map is one structure (CTSpine1K, SPIDER), the values are the structures.

A structure of the prediction can be matched with one of the reference where the intersection over union is at least
0.5; each is matched once, so that as many as possible are, and among these the overlap is largest (Kuhn-Munkres, as
Metrics Reloaded recommends). Names play no part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

LabelArray = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """Counts of structures: matched, only in the prediction, only in the reference."""

    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def precision(self) -> float:
        """The share of the prediction's structures that are matched; NaN where it has none."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """The share of the reference's structures that are matched; NaN where it has none."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); NaN where neither has a structure."""
        return _share(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)


def pooled(detections: Sequence[Detection]) -> Detection:
    """Return the counts over all cases together: every structure weighs the same, however many a case has."""
    return Detection(
        true_positives=sum(one.true_positives for one in detections),
        false_positives=sum(one.false_positives for one in detections),
        false_negatives=sum(one.false_negatives for one in detections),
    )


def components(mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Return the 26-connected components of a mask, numbered from 1; 0 outside."""
    found = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=26)
    return np.asarray(found, dtype=np.uint32)


def detect(prediction: LabelArray, reference: LabelArray, least_iou: float) -> Detection:
    """Return how many structures match; both arrays hold a number for each structure, 0 outside."""
    mine, theirs, iou = _overlaps(prediction, reference)
    fits = iou >= least_iou
    # a match is worth more than all overlap together, so that their number comes first
    rows, columns = linear_sum_assignment(np.where(fits, min(iou.shape) + iou, 0.0), maximize=True)
    matched = int(np.count_nonzero(fits[rows, columns]))
    return Detection(true_positives=matched, false_positives=mine - matched, false_negatives=theirs - matched)


def _overlaps(prediction: LabelArray, reference: LabelArray) -> tuple[int, int, NDArray[np.float64]]:
    """Return the number of structures of either, and their intersections over union: (prediction, reference)."""
    either = (prediction > 0) | (reference > 0)
    mine_values, mine = np.unique(np.append(prediction[either], 0), return_inverse=True)
    their_values, theirs = np.unique(np.append(reference[either], 0), return_inverse=True)
    shape = len(mine_values), len(their_values)
    pairs = (mine[:-1].astype(np.int64) * shape[1] + theirs[:-1]).ravel()
    shared = np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
    together = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    return shape[0] - 1, shape[1] - 1, shared[1:, 1:] / together[1:, 1:]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
