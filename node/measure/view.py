"""What the field of view cuts off."""

from dataclasses import dataclass

import numpy as np

from node.domain.geometry import Grid
from node.measure.components import Piece

#: Networks stop short of the first and the last row: what ends so near to it, in mm, goes on beyond it.
_NEAR_EDGE_MM = 2.0

#: A body whose outermost slice has more than this share of its largest cross-section goes on beyond it; less is where
#: it ends.
_GOES_ON = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where the field of view cuts a structure: at the head or the feet, in front or behind, at the sides."""

    along: bool
    front_or_back: bool
    sides: bool

    @property
    def anywhere(self) -> bool:
        """Whether it is cut at all."""
        return self.along or self.front_or_back or self.sides


def cut_by_view(piece: Piece, grid: Grid) -> Cut:
    """Return where `piece` is cut on `grid`, which lies "LIP": slices to the left, rows down, columns to the back."""
    low, high = piece.index.min(axis=0), piece.index.max(axis=0)
    away = np.minimum(low, np.array(grid.shape) - 1 - high)
    areas = np.bincount(piece.index[:, 0], minlength=grid.shape[0])
    return Cut(
        along=bool(away[1] * grid.spacing_mm[1] < _NEAR_EDGE_MM),
        front_or_back=bool(away[2] == 0),
        sides=bool(max(areas[0], areas[-1]) > _GOES_ON * areas.max()),
    )
