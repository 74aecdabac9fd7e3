"""Anatomical names for the structures of a column, from C2 downward, each with how sure it is.

Names are counted from the top: C2 has the dens. Going down, each body must follow on a disc and each disc on a body; a
high body is counted as the vertebrae that have fused in it. Whatever does not fit costs confidence, for all that lies
below it; where too little is left, a structure stays without a name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from node.domain.anatomy import (
    REPORTED_BODIES,
    REPORTED_DISCS,
    VERTEBRAE,
    Level,
    StructureKind,
    body,
    disc_below,
    lower_neighbour,
)
from node.domain.findings import Missing, Presence
from node.measure.blocks import Count, count_vertebrae, unit_height
from node.measure.components import Piece
from node.measure.dens import TopShape, top_shape
from node.measure.view import Cut

BODY, DISC = StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC

#: Below this a name is not given.
NAMED = 0.8

#: A whole C2, with its dens.
_C2 = 0.99
#: One whose dens the field of view cuts, but not off.
_C2_CUT = 0.95
#: A block of C2 and C3.
_C2_C3 = 0.92
#: One without a dens, cut off or lost: too high for any other single body, but a block may be as high.
_C2_CUT_OFF = 0.86
#: Anything else at the top: one cannot know what lies above it.
_NO_C2 = 0.2

#: What is seen of C2, in units of a body's height (13 mm): below the dens it has 20 mm, in a block with C3 17 mm more.
#: With the dens C2 is 35 to 42 mm high (Doherty and Heggeness 1995).
_C2_WIDE, _C2_C3_WIDE = (0.6, 2.05), (2.15, 3.5)
#: The least height with the dens cut, the least with all of it, and the most.
_C2_WHOLE, _C2_C3_WHOLE = (1.65, 1.8, 3.9), (2.6, 3.2, 4.8)
#: What is seen of C2 where the view cuts off its dens: single bodies have 1.1 at most, however cut; blocks, which are
#: rare there, as much. Its upper part, on the way to the dens, is slimmer than the lower to the side; where little is
#: seen, from front to back as well.
_C2_CUT_OFF_WHOLE, _C2_CUT_OFF_LOW = (1.4, 2.05), 1.2
_C2_CUT_OFF_SLIM_SIDE, _C2_CUT_OFF_SLIM_BACK = 0.9, 0.8
#: The same where the networks lost the dens: nothing cuts it, and so much of it is narrow.
_C2_LOST_WHOLE, _C2_LOST_NARROW = (1.4, 2.05), 0.5

#: How much of a dens is narrow, and how slim that is against the body below.
_LEAST_DENS, _LONGEST_DENS, _SLIM = 0.5, 2.5, 0.95
#: No tilt leaves so much that is narrow.
_SURELY_DENS = 1.2
#: The stump of a dens that the view cuts, and how slim it is: a body cut obliquely is less so.
_LEAST_STUMP, _STUMP, _HIGH_STUMP = 0.3, 0.84, 0.9
#: The same where it is as slim to the side as only a dens is.
_SLIM_SIDE = 0.6
#: Where the view ends in front or behind, a tilt leaves a narrow top on any body: a dens is longer. Where still more
#: is narrow, a part of the body is as well, and its height cannot be told.
_LEAST_BESIDE, _LONGEST_BESIDE = 0.8, 2.1

#: What one step down leaves of the confidence: to a disc or body as expected; over a disc that is absent; into or over
#: a block; over a block that may have another count; over a place where a body must be missing.
_AS_EXPECTED, _NO_DISC, _BLOCK, _GUESSED, _GAP = 0.999, 0.98, 0.97, 0.7, 0.5

#: More than this between two bodies without a disc, in units of a body's height, is a place where a body should be:
#: that and its two discs would need nearly two.
_BODY_GAP = 1.25
#: More than this of two pieces beside each other is no spine: something is in two parts, or two are in one.
_OVERLAP = 0.35
#: A body lower than this, not cut by the view, is a part of one: collapsed bodies keep half of their height.
_LOW = 0.42
#: More than this between a body and the disc beside it is no gap that a partial volume leaves.
_DISC_GAP = 0.6

#: A disc at the end of the view with less than this share of the others' volume, and so far from the body above it or
#: from the middle of the column, in mm, may be a bar along a wall.
_SLIVER, _SLIVER_GAP_MM, _SLIVER_OFF_MM = 0.33, 2.0, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """The level of a piece, None where it is too uncertain, and the confidence."""

    level: Level | None
    confidence: float


def name(pieces: Sequence[Piece], cuts: Sequence[Cut]) -> list[Name]:
    """Return a name for each piece of a column, head to feet; `cuts`: where the field of view cuts each."""
    bodies = [piece for piece in pieces if piece.kind is BODY]
    cut_bodies = [cut for piece, cut in zip(pieces, cuts, strict=True) if piece.kind is BODY]
    if not bodies:
        return [Name(level=None, confidence=0.0) for _ in pieces]
    counts = count_vertebrae(bodies, cut_bodies)
    unit_mm = unit_height(bodies, cut_bodies, counts)
    first, confidence = _uppermost(bodies, unit_mm, cut_bodies[0])
    counts[0] = first
    return _counted_down(pieces, cuts, counts, confidence, unit_mm)


def missing(levels: Sequence[Level | None]) -> tuple[Missing, ...]:
    """Return what of C2 to T1 is not among `levels`. Where one has no name, nothing can be said to be missing."""
    named = [level for level in levels if level is not None]
    if not named or len(named) < len(levels):
        return ()
    vertebrae = {vertebra for level in named if level.kind is BODY for vertebra in level.vertebrae}
    inside = {disc_below(upper) for level in named if level.kind is BODY for upper in level.vertebrae[:-1]}
    found = []
    for level in sorted((*REPORTED_BODIES, *REPORTED_DISCS), key=lambda level: VERTEBRAE.index(level.first)):
        if level.kind is BODY and level.first not in vertebrae:
            found.append(Missing(level=level, presence=Presence.NOT_IN_VIEW))
        if level.kind is DISC and level not in named and level not in inside:
            between = {level.first, level.last} <= vertebrae
            found.append(Missing(level=level, presence=Presence.ABSENT if between else Presence.NOT_IN_VIEW))
    return tuple(found)


def _uppermost(bodies: Sequence[Piece], unit_mm: float, cut: Cut) -> tuple[Count, float]:
    """Return how many vertebrae the uppermost body is if it begins with C2, and how sure it is that it does."""
    vertebrae = _count_from_c2(top_shape(bodies[0], unit_mm), cut) if unit_mm > 0 else None
    if unit_mm > 0 and vertebrae is None and not (cut.front_or_back or cut.sides):
        # Holes in its body make a dens look wide. A block is too high for that second look.
        shape = top_shape(bodies[0], unit_mm, bodies[1:])
        vertebrae = _count_from_c2(shape, cut) if shape.whole <= _C2_C3_WHOLE[1] else None
    if vertebrae is None:
        is_cut_off = unit_mm > 0 and _is_cut_off_c2(top_shape(bodies[0], unit_mm), cut)
        return Count(vertebrae=1, guess=False), _C2_CUT_OFF if is_cut_off else _NO_C2
    is_cut = cut.along or cut.front_or_back
    sure = _C2_C3 if vertebrae == 2 else _C2_CUT if is_cut else _C2
    return Count(vertebrae=vertebrae, guess=False), sure


def _count_from_c2(shape: TopShape, cut: Cut) -> int | None:
    """Return whether a body is C2 (1) or a block of C2 and C3 (2); None where it is neither for sure."""
    if not _has_dens(shape, cut):
        return None
    for vertebrae, wide, whole in ((1, _C2_WIDE, _C2_WHOLE), (2, _C2_C3_WIDE, _C2_C3_WHOLE)):
        least = whole[0] if cut.along else whole[1]
        if wide[0] <= shape.wide <= wide[1] and least <= shape.whole <= whole[2]:
            return vertebrae
    return None


def _is_cut_off_c2(shape: TopShape, cut: Cut) -> bool:
    """Return whether a body without a whole dens can only be C2, by its height and by how it narrows, or a block."""
    if cut.front_or_back:
        return False
    if not cut.along:
        low, high = _C2_LOST_WHOLE
        return not cut.sides and low <= shape.whole <= high and shape.narrow >= _C2_LOST_NARROW
    low, high = _C2_CUT_OFF_WHOLE
    if shape.slim_back <= _C2_CUT_OFF_SLIM_BACK:
        low = _C2_CUT_OFF_LOW
    return low <= shape.whole <= high and shape.slim_side <= _C2_CUT_OFF_SLIM_SIDE


def _has_dens(shape: TopShape, cut: Cut) -> bool:
    """Return whether the narrow part on top is a dens, and not what an oblique cut, or a tilt, leaves of a body."""
    if cut.front_or_back:
        return not cut.along and _LEAST_BESIDE <= shape.narrow <= _LONGEST_BESIDE and shape.slim_side <= _SLIM
    if cut.along:
        slim = _SLIM if shape.slim_side <= _SLIM_SIDE else _HIGH_STUMP if shape.narrow >= _LEAST_BESIDE else _STUMP
        return shape.narrow >= _LEAST_STUMP and shape.slimness <= slim
    return _LEAST_DENS <= shape.narrow <= _LONGEST_DENS and (shape.slimness <= _SLIM or shape.narrow >= _SURELY_DENS)


def _counted_down(
    pieces: Sequence[Piece], cuts: Sequence[Cut], counts: Sequence[Count], confidence: float, unit_mm: float
) -> list[Name]:
    """Name piece after piece, from `confidence` downward; `counts` are those of the bodies."""
    names: list[Name] = []
    remaining = list(counts)
    next_vertebra, before = "C2", None
    for number, (piece, cut) in enumerate(zip(pieces, cuts, strict=True)):
        confidence *= _step(before, piece, unit_mm, cut)
        is_last = number == len(pieces) - 1
        if piece.kind is DISC:
            confidence *= _GUESSED if is_last and cut.along and _is_doubtful_sliver(piece, pieces) else 1.0
            level = disc_below(VERTEBRAE[VERTEBRAE.index(next_vertebra) - 1])
        else:
            count = remaining.pop(0)
            confidence *= 1.0 if count.vertebrae == 1 else _BLOCK
            low = piece.height_mm() < _LOW * unit_mm and not (cut.along or _is_between_discs(pieces, number))
            # A block that the view cuts off may be of more vertebrae than are seen.
            goes_on = is_last and cut.along and count.vertebrae > 1
            confidence *= _GUESSED if count.guess or low or goes_on else 1.0
            index = VERTEBRAE.index(next_vertebra)
            level = body(next_vertebra, VERTEBRAE[min(index + count.vertebrae, len(VERTEBRAE)) - 1])
            if level.last == VERTEBRAE[-1]:
                confidence = 0.0
            else:
                next_vertebra = lower_neighbour(level.last)
        names.append(Name(level=level if confidence >= NAMED else None, confidence=confidence))
        before = piece
    return names


def _is_between_discs(pieces: Sequence[Piece], number: int) -> bool:
    """Return whether a disc lies above and below a piece: what lies there is a body, however low."""
    return 0 < number < len(pieces) - 1 and pieces[number - 1].kind is pieces[number + 1].kind is DISC


def _is_doubtful_sliver(piece: Piece, pieces: Sequence[Piece]) -> bool:
    """Return whether the last disc is so small, and so far off, that it may be none."""
    usual = float(np.median([len(other.index) for other in pieces if other.kind is DISC]))
    gap = piece.top - pieces[-2].bottom if len(pieces) > 1 else 0.0
    off = abs(float(piece.place[:, 1].mean()))
    return len(piece.index) < _SLIVER * usual and (gap > _SLIVER_GAP_MM or off > _SLIVER_OFF_MM)


def _step(before: Piece | None, piece: Piece, unit_mm: float, cut: Cut) -> float:
    """Return what is left of the confidence after the step from one piece to the next."""
    if before is None:
        return 1.0 if piece.kind is BODY else _GAP
    gap = piece.top - before.bottom
    # What the view leaves of a tilted body or disc lies beside the one above.
    leans = cut.along and piece.kind is not before.kind
    if -gap > _OVERLAP * unit_mm and not leans:
        return _GAP
    if piece.kind is not before.kind:
        return _AS_EXPECTED if gap < _DISC_GAP * unit_mm else _GAP
    if piece.kind is DISC:
        return _GAP
    return _NO_DISC if gap < _BODY_GAP * unit_mm else _GAP
