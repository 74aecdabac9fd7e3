"""How well a labelling of a drawn spine names its structures."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from spines import BODY, DISC, LabelledSpine, Truth

from node.domain.anatomy import StructureKind

#: What is smaller need not be named, mm3.
LEAST_MM3 = {StructureKind.VERTEBRAL_BODY: 300.0, StructureKind.INTERVERTEBRAL_DISC: 80.0}
_CLASS = {StructureKind.VERTEBRAL_BODY: BODY, StructureKind.INTERVERTEBRAL_DISC: DISC}
_SPLIT_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class Score:
    """Counts: `right`, `unnamed` and `wrong` structures, `split` true ones, `merged` found labels; `details` says."""

    right: int
    unnamed: int
    wrong: int
    split: int
    merged: int
    details: tuple[str, ...]


def score(spine: LabelledSpine, labels: NDArray[np.integer], names: Mapping[int, str | None]) -> Score:
    """Return the score of found `labels` (on the spine's grid, 0 background) that are named `names[label]`.

    A true structure is what the classes still show of it, from 300 mm3 (body) or 80 mm3 (disc) on. It is matched with
    the found label that holds most of it, at least half; it is right when the names agree, unnamed when the found one
    has none (None or absent from `names`). One that no label holds is wrong, unless nothing at all is named. A named
    found label counts as wrong, too, when it lies on no true structure, or mostly on one that is matched with another
    label and has another name. Raises ValueError when the shapes differ.
    """
    if labels.shape != spine.labels.shape:
        raise ValueError(f"labels have shape {labels.shape}, the spine {spine.labels.shape}")
    overlap = _overlap(spine, labels)
    shown = _shown(spine)
    any_name = any(name is not None for name in names.values())
    counts = {"right": 0, "unnamed": 0, "wrong": 0}
    details, matched = [], set()
    for truth in spine.structures:
        whole = shown[truth.label]
        if whole * spine.grid.voxel_volume_mm3 < LEAST_MM3[truth.kind]:
            continue
        best = int(overlap[truth.label, 1:].argmax()) + 1 if overlap.shape[1] > 1 else 0
        found = best > 0 and 2 * overlap[truth.label, best] >= whole
        name = names.get(best) if found else None
        matched |= {best} if found else set()
        verdict = "right" if name == truth.level else "unnamed" if name is None and (found or not any_name) else "wrong"
        counts[verdict] += 1
        if verdict == "wrong":
            details.append(f"{truth.level} is {name or 'unnamed' if found else 'not found'}")
    strays = _strays(spine.structures, overlap, names, matched)
    split, merged = _broken(spine, overlap, shown)
    return Score(
        right=counts["right"],
        unnamed=counts["unnamed"],
        wrong=counts["wrong"] + len(strays),
        split=len(split),
        merged=len(merged),
        details=(*details, *strays, *split, *merged),
    )


def _overlap(spine: LabelledSpine, labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the number of voxels by true label (rows) and found label (columns)."""
    found = int(labels.max()) + 1
    rows = max((truth.label for truth in spine.structures), default=0) + 1
    either = (labels > 0) | (spine.labels > 0)
    pair = spine.labels[either].astype(np.int64) * found + labels[either]
    return np.bincount(pair, minlength=rows * found).reshape(rows, found)


def _shown(spine: LabelledSpine) -> dict[int, int]:
    """Return how many voxels of each true structure still have its class."""
    return {
        truth.label: int(np.count_nonzero(spine.classes[spine.labels == truth.label] == _CLASS[truth.kind]))
        for truth in spine.structures
    }


def _strays(
    structures: tuple[Truth, ...], overlap: NDArray[np.int64], names: Mapping[int, str | None], matched: set[int]
) -> list[str]:
    levels = {truth.label: truth.level for truth in structures}
    found = []
    for label in range(1, overlap.shape[1]):
        name = names.get(label)
        if name is None or label in matched or not overlap[:, label].any():
            continue
        if not overlap[1:, label].any():
            found.append(f"label {label}, named {name}, lies on nothing")
            continue
        under = levels[int(overlap[1:, label].argmax()) + 1]
        if under != name:
            found.append(f"label {label}, named {name}, lies on {under}")
    return found


def _broken(spine: LabelledSpine, overlap: NDArray[np.int64], shown: Mapping[int, int]) -> tuple[list[str], list[str]]:
    """Return the true structures that several labels share, and the labels that hold several true structures."""
    kept = [
        truth for truth in spine.structures if shown[truth.label] * spine.grid.voxel_volume_mm3 >= LEAST_MM3[truth.kind]
    ]
    share = np.array([overlap[truth.label, 1:] / shown[truth.label] for truth in kept])
    if not share.size:
        return [], []
    split = [truth.level for truth, row in zip(kept, share, strict=True) if (row > _SPLIT_SHARE).sum() > 1]
    merged = [
        " with ".join(truth.level for truth, column in zip(kept, part, strict=True) if column > 0.5)
        for part in share.T
        if (part > 0.5).sum() > 1
    ]
    return [f"{level} is split" for level in split], [f"{levels} are merged" for levels in merged]
