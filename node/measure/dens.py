"""Recognising C2: the one body with a peg on top, the dens, and the highest of the neck."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from node.domain.geometry import FloatArray
from node.measure.components import Piece

_STEP_MM = 0.5
#: A dip in the cross-section no longer than this, in steps, is a hole that the network left.
_HOLE = 7
_SMOOTHING_MM = 1.0

#: A cross-section below this share of the body's own is the dens: that of C2 is 10 to 12 mm deep and wide, its body
#: 14 to 18 mm deep and about 20 mm wide (Tominaga 1996; Xu 1995), so that it has a third to a half of the area.
_NARROW = 0.7
#: How high the body of C2 is, in units of the bodies below: where its own cross-section is looked for.
_BODY_OF_C2 = 1.5
#: The body of C2 has at least this share of the cross-section of the bodies next below: less is due to holes.
_LEAST_OF_NEXT = 0.8
_NEXT = 3
#: Less than this is the rim of an endplate, or a crumb.
_NOTHING = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TopShape:
    """The uppermost body in units of a body's height in the same neck: how much of it is wide, narrow, and all.

    `slim_back`, `slim_side`: how far the narrow part reaches from front to back, and from side to side, against the
    wide one. A dens is slim either way, an oblique cut through a body only one way.
    """

    wide: float
    narrow: float
    whole: float
    slim_back: float
    slim_side: float

    @property
    def slimness(self) -> float:
        """The larger of both."""
        return max(self.slim_back, self.slim_side)


def top_shape(piece: Piece, unit_mm: float, below: Sequence[Piece] = ()) -> TopShape:
    """Return the shape of `piece`; `unit_mm` is the height of the single bodies below it.

    With bodies `below` (head to feet), what is narrow is told by their cross-section where holes take away of its own.
    """
    areas = _cross_sections(piece)
    to_bottom = round((piece.bottom - piece.place[:, 0].min()) / _STEP_MM) + 2
    reach = max(1, round(_BODY_OF_C2 * unit_mm / _STEP_MM))
    rim = round(0.1 * unit_mm / _STEP_MM)
    own_area = float(np.quantile(areas[max(0, to_bottom - reach) : max(1, to_bottom)], 0.8))
    body_area = max(own_area, _LEAST_OF_NEXT * _area(below[:_NEXT]))
    above = areas[: max(0, to_bottom - rim)]
    wide_from = len(above) - _run_from_the_end(above >= _NARROW * body_area)
    narrow = np.count_nonzero(above[:wide_from] > _NOTHING * body_area)
    slim_back, slim_side = _slimness(piece, piece.bottom - (len(above) - wide_from + rim) * _STEP_MM)
    return TopShape(
        wide=(len(above) - wide_from + rim) * _STEP_MM / unit_mm,
        narrow=narrow * _STEP_MM / unit_mm,
        whole=(piece.bottom - piece.top) / unit_mm,
        slim_back=slim_back,
        slim_side=slim_side,
    )


def _area(bodies: Sequence[Piece]) -> float:
    """Return the median cross-section of bodies, in voxels a step; 0 without any."""
    areas = [len(body.index) * _STEP_MM / max(body.height_mm(), _STEP_MM) for body in bodies]
    return float(np.median(areas)) if areas else 0.0


def _slimness(piece: Piece, border_s: float) -> tuple[float, float]:
    """Return the spread, to the back and to the side, of what lies above `border_s` over that of what lies below.

    That is 1 where nothing lies above.
    """
    above = piece.place[:, 0] < border_s
    if np.count_nonzero(above) < 2 or above.all():
        return 1.0, 1.0
    back, side = piece.place[above, 1:].std(axis=0) / np.maximum(piece.place[~above, 1:].std(axis=0), 1e-9)
    return float(back), float(side)


def _cross_sections(piece: Piece) -> FloatArray:
    """Return the voxels in each step along the curve from the piece's upper end, smoothed over a row of voxels."""
    s = piece.place[:, 0]
    edges = np.arange(s.min() - 2 * _STEP_MM, s.max() + 2 * _STEP_MM, _STEP_MM)
    counts = np.histogram(s, edges)[0].astype(np.float64)
    return np.asarray(gaussian_filter1d(counts, _SMOOTHING_MM / _STEP_MM))


def _run_from_the_end(flags: NDArray[np.bool_]) -> int:
    """Return how far from the end the flags are set, holes passed over."""
    length = 0
    for position in np.flatnonzero(flags[::-1]).tolist():
        if position - length > _HOLE:
            break
        length = position + 1
    return length
