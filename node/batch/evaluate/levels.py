"""Structures by their anatomical names, as the node finds and names them in a mask (`node.measure`)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.domain.anatomy import StructureKind
from node.domain.geometry import Grid, turn
from node.measure import levels
from node.measure.components import Column, split
from node.measure.head import settled
from node.measure.view import cut_by_view

#: How a mask lies for `node.measure`: slices to the left, rows to the feet, columns to the back.
_SAGITTAL = "LIP"


def level_dice(
    prediction: NDArray[np.uint8], reference: NDArray[np.uint8], meanings: Mapping[int, StructureKind], grid: Grid
) -> dict[str, float]:
    """Return the volumetric Dice of each named structure: "C5", "C5-C6" (fused bodies), "C5/C6" (a disc).

    `prediction`, `reference`: class values on `grid`, 0 = background. `meanings`: class value -> kind. Both are parted
    into structures and named, each by itself, and structures of the same name are compared. A name that one side alone
    has, as where the names are off by one or a block was parted, has a Dice of 0. A last disc with no bone beyond it
    counts where the reference has it: people may stop at any disc. Structures without a name are left out; where the
    reference has no names there is nothing to compare with, and the result is empty.
    """
    theirs = _named(reference, meanings, grid)
    if not theirs.as_drawn:
        return {}
    mine = _named(prediction, meanings, grid)
    found = {**{name: mine.as_drawn[name] for name in theirs.as_drawn if name in mine.as_drawn}, **mine.settled}
    names = dict.fromkeys((*theirs.as_drawn, *found))
    return {name: _dice(found.get(name), theirs.as_drawn.get(name)) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """Voxels of every named structure as flat indices on the grid turned "LIP", by the name of its level.

    `as_drawn`: as people outline, who may stop at any disc; `settled`: without a last disc that has no bone beyond it.
    """

    as_drawn: Mapping[str, NDArray[np.int64]]
    settled: Mapping[str, NDArray[np.int64]]


def _named(classes: NDArray[np.uint8], meanings: Mapping[int, StructureKind], grid: Grid) -> _Named:
    turned, sagittal = turn(classes, grid, _SAGITTAL)
    column = split(turned.astype(np.uint8, copy=False), meanings, sagittal)
    if column is None:
        return _Named(as_drawn={}, settled={})
    return _Named(
        as_drawn=_levels(settled(column, sagittal, by_people=True), sagittal),
        settled=_levels(settled(column, sagittal), sagittal),
    )


def _levels(column: Column, grid: Grid) -> dict[str, NDArray[np.int64]]:
    names = levels.name(column.pieces, [cut_by_view(piece, grid) for piece in column.pieces])
    return {
        name.level.name: np.ravel_multi_index(tuple(piece.index.T), grid.shape)
        for piece, name in zip(column.pieces, names, strict=True)
        if name.level is not None
    }


def _dice(mine: NDArray[np.int64] | None, theirs: NDArray[np.int64] | None) -> float:
    if mine is None or theirs is None:
        return 0.0
    shared = len(np.intersect1d(mine, theirs, assume_unique=True))
    return 2.0 * shared / (len(mine) + len(theirs))
