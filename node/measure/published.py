"""A published mask is kept as it is: what measuring would drop or move comes back, as structures without a level.

Networks make specks, and take the line in C2 for a disc; `components` and `head` mend that. What people outlined, or
somebody published, is not the node's to mend: the structures of each kind hold every voxel of its class and no other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from node.domain.anatomy import StructureKind
from node.domain.geometry import Grid
from node.measure.components import Column, Piece, connected
from node.measure.cores import SPECK_MM3
from node.measure.parts import Part
from node.measure.spine import SpineCurve
from node.measure.view import cut_by_view

#: So many of the largest pieces of a kind are a structure each, where they are no specks; the rest are one together.
_MOST_ALONE = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kept:
    """Pieces with their parts, head to feet; `loose`: labels of those that were no part of the column."""

    pieces: tuple[Piece, ...]
    parts: tuple[Part, ...]
    loose: frozenset[int] = frozenset()


def keep_all(
    column: Column,
    parts: Sequence[Part],
    classes: NDArray[np.uint8],
    meanings: Mapping[int, StructureKind],
    grid: Grid,
) -> Kept:
    """Return the pieces of a column, `parts` their names, with all that `classes` has besides.

    `classes`: `(slices, rows, columns)` on `grid`, which lies "LIP". A piece keeps what is of its own kind; voxels that
    are in none then become pieces of their own, without a level.
    """
    own = [_of_own_kind(piece, classes, meanings) for piece in column.pieces]
    free = classes.copy()
    for piece in own:
        free[tuple(piece.index.T)] = 0
    loose = [piece for value, kind in meanings.items() for piece in _loose(free == value, kind, column.curve, grid)]
    found = [(piece, part, False) for piece, part in zip(own, parts, strict=True)]
    found += [(piece, _nameless(piece, grid), True) for piece in loose]
    found.sort(key=lambda entry: entry[0].top + entry[0].bottom)
    return Kept(
        pieces=tuple(piece for piece, _, _ in found),
        parts=tuple(replace(part, label=label) for label, (_, part, _) in enumerate(found, start=1)),
        loose=frozenset(label for label, (_, _, is_loose) in enumerate(found, start=1) if is_loose),
    )


def _of_own_kind(piece: Piece, classes: NDArray[np.uint8], meanings: Mapping[int, StructureKind]) -> Piece:
    """Return the piece without voxels of another class: a C2 without the disc that was made part of it."""
    values = [value for value, kind in meanings.items() if kind is piece.kind]
    own = np.isin(classes[tuple(piece.index.T)], values)
    return piece if own.all() else replace(piece, index=piece.index[own], place=piece.place[own])


def _loose(mask: NDArray[np.bool_], kind: StructureKind, curve: SpineCurve, grid: Grid) -> Iterator[Piece]:
    """Yield the connected pieces of `mask` that are no specks, and then all others as one."""
    if not mask.any():
        return
    pieces = connected(mask)
    least = SPECK_MM3[kind] / grid.voxel_volume_mm3
    count = min(_MOST_ALONE, sum(len(piece) >= least for piece in pieces))
    together = [np.concatenate(pieces[count:])] if pieces[count:] else []
    for index in (*pieces[:count], *together):
        place = curve.coordinates(grid.to_lps_mm(index))
        yield Piece(kind=kind, index=index, place=place, top=float(place[:, 0].min()), bottom=float(place[:, 0].max()))


def _nameless(piece: Piece, grid: Grid) -> Part:
    return Part(label=0, kind=piece.kind, level=None, confidence=0.0, truncated=cut_by_view(piece, grid).anywhere)
