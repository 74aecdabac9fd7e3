"""Recognising C2: the one body with a peg on top, the dens, and the highest of the neck."""

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
#: Less than this is the rim of an endplate, or a crumb.
_NOTHING = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TopShape:
    """The uppermost body in units of a body's height in the same neck: how much of it is wide, narrow, and all.

    `slimness`: how far the narrow part reaches from front to back, and from side to side, against the wide one; the
    larger of the two. A dens is slim either way, an oblique cut through a body only one way.
    """

    wide: float
    narrow: float
    whole: float
    slimness: float


def top_shape(piece: Piece, unit_mm: float) -> TopShape:
    """Return the shape of `piece`; `unit_mm` is the height of the single bodies below it."""
    areas = _cross_sections(piece)
    to_bottom = round((piece.bottom - piece.place[:, 0].min()) / _STEP_MM) + 2
    reach = max(1, round(_BODY_OF_C2 * unit_mm / _STEP_MM))
    rim = round(0.1 * unit_mm / _STEP_MM)
    body_area = float(np.quantile(areas[max(0, to_bottom - reach) : max(1, to_bottom)], 0.8))
    above = areas[: max(0, to_bottom - rim)]
    wide_from = len(above) - _run_from_the_end(above >= _NARROW * body_area)
    narrow = np.count_nonzero(above[:wide_from] > _NOTHING * body_area)
    return TopShape(
        wide=(len(above) - wide_from + rim) * _STEP_MM / unit_mm,
        narrow=narrow * _STEP_MM / unit_mm,
        whole=(piece.bottom - piece.top) / unit_mm,
        slimness=_slimness(piece, piece.bottom - (len(above) - wide_from + rim) * _STEP_MM),
    )


def _slimness(piece: Piece, border_s: float) -> float:
    """Return the spread of what lies above `border_s` over that of what lies below; 1 where nothing lies above."""
    above = piece.place[:, 0] < border_s
    if np.count_nonzero(above) < 2 or above.all():
        return 1.0
    spreads = piece.place[above, 1:].std(axis=0) / np.maximum(piece.place[~above, 1:].std(axis=0), 1e-9)
    return float(spreads.max())


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
