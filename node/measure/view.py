"""What the field of view cuts off."""

from dataclasses import dataclass

import numpy as np

from node.measure.components import Piece

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


def cut_by_view(piece: Piece, shape: tuple[int, int, int]) -> Cut:
    """Return where `piece` is cut in a volume `(slices, rows, columns)` that lies "LIP": to the left, down, back."""
    low, high = piece.index.min(axis=0), piece.index.max(axis=0)
    at_edge = (low == 0) | (high == np.array(shape) - 1)
    areas = np.bincount(piece.index[:, 0], minlength=shape[0])
    return Cut(
        along=bool(at_edge[1]),
        front_or_back=bool(at_edge[2]),
        sides=bool(max(areas[0], areas[-1]) > _GOES_ON * areas.max()),
    )
