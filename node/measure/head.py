"""The head end of a column: what a network finds there that is no vertebra and no disc.

Names are counted from C2, so that one false disc above it shifts all of them. The line between the body of C2 and its
dens, where two bones grew together, looks like a disc; the arch of C1 and the skull base above the dens look like
bodies. What tells them apart is size: the dens is half as wide as a body and two thirds as deep.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from node.domain.geometry import Grid
from node.measure.blocks import count_vertebrae, unit_height
from node.measure.components import Column, Piece
from node.measure.cores import BODY, DISC
from node.measure.dens import TopShape, top_shape
from node.measure.view import cut_by_view

#: C2 is looked for among so many pieces: a stub of dens, arch or skull base, a disc, and once more.
_FIRST = 6

#: A disc with no bone beyond it this far from the edge of the view, in mm, is none: a sliver of a body may be missing.
_NEAR_EDGE_MM = 8.0

#: A disc of less cross-section than this share of that of the next discs is none: of C2/C3 it is nine tenths, of the
#: line between the dens (11 x 11 mm: Xu 1995) and its body (16 x 18 mm) less than a half.
_FALSE_DISC = 0.65
#: Bone above it of more cross-section than this share of that below is no dens.
_STUB = 0.7
#: So many discs tell what is usual: farther down they grow.
_NEXT_DISCS = 2
#: Parts of one C2 lie no farther apart, mm.
_PARTS_GAP_MM = 4.0
#: How high C2 is with what is found in and above it, in units of a body's height (13 mm): with its dens 35 to 42 mm
#: (Doherty and Heggeness 1995); the least is what reaches from C2/C3 to the line. Less is wide than of two bodies.
_C2_HIGH, _C2_WIDE = (1.3, 3.9), (0.6, 2.05)
#: So much of it is narrow, or less that is so slim to the side: what the view leaves of the body above a disc is not.
_C2_NARROW, _C2_SHORT, _C2_SLIM = 0.35, 0.2, 0.65

#: So narrow, so slim and so high is no body but a C2 with a whole dens: what lies above it is no part of a spine.
_DENS_NARROW, _DENS_WHOLE = (0.7, 2.5), (2.1, 3.6)
_DENS_SLIM_BACK, _DENS_SLIM_SIDE = 0.92, 0.75


def settled(column: Column, grid: Grid, *, by_people: bool = False) -> Column:
    """Return the column without what lies above C2, and with false discs in C2 made part of it.

    `grid`: of the volume, which lies "LIP": slices to the left, rows down, columns to the back. A disc at either end of
    the column, well inside the view and with no bone beyond it, goes as well; at the lower end not where the classes
    are `by_people`, who may stop at any disc.
    """
    pieces = _with_partners(column.pieces, grid, (0,) if by_people else (0, -1))
    pieces = _without_skull(pieces, grid)
    return replace(column, pieces=tuple(_whole_c2(pieces, grid)))


def _with_partners(pieces: Sequence[Piece], grid: Grid, ends: Sequence[int]) -> list[Piece]:
    """Return the pieces without discs at `ends` that have a body on one side only, unless the view may end it."""
    kept = list(pieces)
    if any(piece.kind is BODY for piece in kept):
        for end in ends:
            while kept[end].kind is DISC and not _near_edge(kept[end], grid):
                kept.pop(end)
    return kept


def _near_edge(piece: Piece, grid: Grid) -> bool:
    """Return whether the bone beyond a piece may lie out of view: beyond the rows, or beside the slices."""
    rows = piece.index[:, 1]
    away = min(int(rows.min()), grid.shape[1] - 1 - int(rows.max())) * grid.spacing_mm[1]
    slices = piece.index[:, 0]
    return away <= _NEAR_EDGE_MM or bool(slices.min() == 0 or slices.max() == grid.shape[0] - 1)


def _without_skull(pieces: Sequence[Piece], grid: Grid) -> list[Piece]:
    """Return the pieces from that with a whole dens on."""
    for number in range(1, min(_FIRST, len(pieces))):
        if pieces[number].kind is BODY and not cut_by_view(pieces[number], grid).along:
            shape = _shape(pieces[number], pieces[number + 1 :], grid)
            if shape is not None and _is_whole_c2(shape):
                return list(pieces[number:])
    return list(pieces)


def _is_whole_c2(shape: TopShape) -> bool:
    return (
        _DENS_NARROW[0] <= shape.narrow <= _DENS_NARROW[1]
        and shape.slim_back <= _DENS_SLIM_BACK
        and shape.slim_side <= _DENS_SLIM_SIDE
        and _DENS_WHOLE[0] <= shape.whole <= _DENS_WHOLE[1]
        and _C2_WIDE[0] <= shape.wide <= _C2_WIDE[1]
    )


def _whole_c2(pieces: Sequence[Piece], grid: Grid) -> list[Piece]:
    """Return the pieces with those made one that are a C2 in which there are false discs."""
    for number in range(min(_FIRST, len(pieces)) - 1, 0, -1):
        parts, below = pieces[: number + 1], pieces[number + 1 :]
        discs = [piece for piece in pieces[: number + 2] if piece.kind is DISC]
        inside = not any(cut_by_view(disc, grid).sides for disc in discs)
        if inside and parts[-1].kind is BODY and _are_parts_of_c2(parts, below):
            whole = _made_one(parts)
            shape = _shape(whole, below, grid)
            if shape is not None and _is_c2_of_parts(shape):
                return [whole, *below]
    return list(pieces)


def _is_c2_of_parts(shape: TopShape) -> bool:
    return (
        _C2_HIGH[0] <= shape.whole <= _C2_HIGH[1]
        and _C2_WIDE[0] <= shape.wide <= _C2_WIDE[1]
        and shape.narrow >= (_C2_SHORT if shape.slim_side <= _C2_SLIM else _C2_NARROW)
    )


def _are_parts_of_c2(parts: Sequence[Piece], below: Sequence[Piece]) -> bool:
    """Return whether the discs among `parts` are false, above the last of them, which is a body."""
    usual = [_section(piece) for piece in below if piece.kind is DISC][:_NEXT_DISCS]
    discs = [piece for piece in parts if piece.kind is DISC]
    if not discs or len(usual) < _NEXT_DISCS:
        return False
    return (
        all(_section(disc) < _FALSE_DISC * float(np.median(usual)) for disc in discs)
        and all(_section(part) < _STUB * _section(parts[-1]) for part in parts[:-1] if part.kind is BODY)
        and all(lower.top - upper.bottom < _PARTS_GAP_MM for upper, lower in pairwise(parts))
    )


def _section(piece: Piece) -> float:
    """Return the mean cross-section of a piece, in voxels a mm."""
    return len(piece.index) / max(piece.height_mm(), 1.0)


def _made_one(parts: Sequence[Piece]) -> Piece:
    return Piece(
        kind=BODY,
        index=np.concatenate([part.index for part in parts]),
        place=np.concatenate([part.place for part in parts]),
        top=min(part.top for part in parts),
        bottom=parts[-1].bottom,
    )


def _shape(first: Piece, below: Sequence[Piece], grid: Grid) -> TopShape | None:
    """Return the shape of a body in units of those below it; None where there is none below."""
    bodies = [first, *(piece for piece in below if piece.kind is BODY)]
    cuts = [cut_by_view(body, grid) for body in bodies]
    unit_mm = unit_height(bodies, cuts, count_vertebrae(bodies, cuts))
    return top_shape(first, unit_mm) if unit_mm > 0 else None
