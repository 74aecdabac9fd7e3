"""Structures by their anatomical names, as the node finds and names them in a mask (`node.measure`)."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from node.domain.anatomy import StructureKind
from node.domain.geometry import Grid, turn
from node.measure import levels
from node.measure.components import split
from node.measure.head import settled
from node.measure.view import cut_by_view

#: How a mask lies for `node.measure`: slices to the left, rows to the feet, columns to the back.
_SAGITTAL = "LIP"


def level_dice(
    prediction: NDArray[np.uint8], reference: NDArray[np.uint8], meanings: Mapping[int, StructureKind], grid: Grid
) -> dict[str, float]:
    """Return the volumetric Dice of each named structure: "C5", "C5-C6" (fused bodies), "C5/C6" (a disc).

    `prediction`, `reference`: class values on `grid`, 0 = background. `meanings`: class value -> kind. Both are parted
    into structures and named in the same way, each by itself, and structures of the same name are compared. A name that
    one side alone has, as where the names are off by one or a block was parted, has a Dice of 0. Structures without a
    name are left out; where the reference has no names there is nothing to compare with, and the result is empty.
    """
    theirs = _named(reference, meanings, grid)
    if not theirs:
        return {}
    mine = _named(prediction, meanings, grid)
    return {name: _dice(mine.get(name), theirs.get(name)) for name in dict.fromkeys((*theirs, *mine))}


def _named(
    classes: NDArray[np.uint8], meanings: Mapping[int, StructureKind], grid: Grid
) -> dict[str, NDArray[np.int64]]:
    """Return the voxels of every named structure as flat indices on the grid turned "LIP", by the name of its level."""
    turned, sagittal = turn(classes, grid, _SAGITTAL)
    column = split(turned.astype(np.uint8, copy=False), meanings, sagittal)
    if column is None:
        return {}
    column = settled(column, sagittal)
    names = levels.name(column.pieces, [cut_by_view(piece, sagittal) for piece in column.pieces])
    return {
        name.level.name: np.ravel_multi_index(tuple(piece.index.T), sagittal.shape)
        for piece, name in zip(column.pieces, names, strict=True)
        if name.level is not None
    }


def _dice(mine: NDArray[np.int64] | None, theirs: NDArray[np.int64] | None) -> float:
    if mine is None or theirs is None:
        return 0.0
    shared = len(np.intersect1d(mine, theirs, assume_unique=True))
    return 2.0 * shared / (len(mine) + len(theirs))
