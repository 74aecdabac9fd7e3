"""How many vertebrae a body is: one, or a block of several that are fused."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from node.measure.components import Piece
from node.measure.view import Cut

#: Height of a cervical or upper thoracic body over its depth: 0.7 to 0.95 (Gilad and Nissan 1986; Panjabi 1991).
_HEIGHT_OVER_DEPTH = 0.82

#: Less than this height, in units of a single body's, by its neighbours or by its depth, is a single body; blocks have
#: eight tenths of the summed height of their vertebrae or more.
_SINGLE = 1.28
#: The same where the slices leave only a side of a body in view, where lips of 4 to 5 mm (uncinate processes) stand.
_SINGLE_BESIDE = 1.55
#: From here it is a block for sure; what lies between may be either.
_BLOCK = 1.6
#: From here a block is of three vertebrae (2.7 to 3.7; of two: 1.7 to 2.4), and from here of more than can be told.
_THREE, _MORE = 2.58, 3.75
#: Nearer to a border than this part of it, the count is a guess.
_GUESS = 0.055

#: How many bodies, from the uppermost but one, a single vertebra's height is taken from.
_UNIT_OF = 4

#: Neighbours whose height counts, on each side.
_NEIGHBOURS = 2

#: How much higher a body is than the two above it, at the lower end of the neck (Panjabi 1991: C7 to T2).
_GROWTH = 1.08

#: From so many bodies on, a neck's own height over depth is taken: some are slim.
_OWN_RATIO_FROM = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many vertebrae a body is, and whether that could as well be another number."""

    vertebrae: int
    guess: bool


def count_vertebrae(bodies: Sequence[Piece], cuts: Sequence[Cut]) -> list[Count]:
    """Return a count for each body below the uppermost, which is judged by its dens; that gets 1.

    `cuts`: where the field of view cuts each; what is cut is no measure for others.
    """
    heights = [piece.height_mm() for piece in bodies]
    counts = [Count(vertebrae=1, guess=False)]
    height_over_depth = _height_over_depth(bodies, cuts)
    for number in range(1, len(bodies)):
        by_neighbours = _ratio(heights[number], _expected(number, heights, cuts))
        depth_mm = None if cuts[number].front_or_back else height_over_depth * _depth(bodies[number])
        by_depth = _ratio(heights[number], depth_mm)
        counts.append(_count(by_neighbours, by_depth, _SINGLE_BESIDE if cuts[number].sides else _SINGLE))
    return counts[: len(bodies)]


def _height_over_depth(bodies: Sequence[Piece], cuts: Sequence[Cut]) -> float:
    """Return the height over the depth of single bodies in this neck; the usual one where few are whole."""
    own = [
        piece.height_mm() / _depth(piece)
        for piece, cut in zip(bodies[1:], cuts[1:], strict=True)
        if not (cut.along or cut.front_or_back)
    ]
    return float(np.median(own)) if len(own) >= _OWN_RATIO_FROM else _HEIGHT_OVER_DEPTH


def unit_height(bodies: Sequence[Piece], cuts: Sequence[Cut], counts: Sequence[Count]) -> float:
    """Return the height in mm of a single vertebra just below the uppermost body; 0 where none is to be seen."""
    heights = [
        piece.height_mm() / count.vertebrae
        for piece, cut, count in zip(bodies[1:], cuts[1:], counts[1:], strict=True)
        if not (cut.along or count.guess)
    ][:_UNIT_OF]
    depths = [
        _HEIGHT_OVER_DEPTH * _depth(piece)
        for piece, cut in zip(bodies[1:], cuts[1:], strict=True)
        if not cut.front_or_back
    ]
    if depths:
        # A collapsed body or a lone one is no measure by itself.
        heights.append(float(np.median(depths)))
    return float(np.median(heights)) if heights else 0.0


def _expected(number: int, heights: Sequence[float], cuts: Sequence[Cut]) -> float | None:
    """Return the height of the neighbours of a body: the mean of those above and those below."""
    sides = (range(max(1, number - _NEIGHBOURS), number), range(number + 1, number + 1 + _NEIGHBOURS))
    medians = []
    for side in sides:
        whole = [heights[other] for other in side if other < len(heights) and not cuts[other].along]
        if whole:
            medians.append(float(np.median(whole)))
    if not medians:
        return None
    # Down from C6 each body is higher than the last.
    return float(np.mean(medians)) * (_GROWTH if not any(not cut.along for cut in cuts[number + 1 :]) else 1.0)


def _ratio(height_mm: float, expected_mm: float | None) -> float | None:
    return None if expected_mm is None else height_mm / expected_mm


def _count(by_neighbours: float | None, by_depth: float | None, single: float) -> Count:
    """Return the count that both the neighbours and the own depth speak for; one where only one of two does.

    Below `single` a height is that of one.
    """
    ratios = [ratio for ratio in (by_neighbours, by_depth) if ratio is not None]
    if not ratios:
        return Count(vertebrae=1, guess=True)
    if min(ratios) < single:
        return Count(vertebrae=1, guess=False)
    height = float(np.prod(ratios) ** (1 / len(ratios)))
    unclear = height < _BLOCK or height > _MORE or abs(height - _THREE) < _GUESS * _THREE
    return Count(vertebrae=3 if height > _THREE else 2, guess=unclear or len(ratios) == 1)


def _depth(piece: Piece) -> float:
    """Return the depth front to back of the middle of a body, mm."""
    middle = np.abs(piece.place[:, 2] - np.median(piece.place[:, 2])) <= 6.0
    low, high = np.percentile(piece.place[middle, 1], (3.0, 97.0))
    return max(float(high - low) / 0.94, 1.0)
