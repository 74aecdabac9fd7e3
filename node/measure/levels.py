"""Anatomical names for the structures of a column, from C2 downward, each with how sure it is.

Names are counted from the top: C2 has the dens. Going down, each body must follow on a disc and each disc on a body; a
high body is counted as the vertebrae that have fused in it. Whatever does not fit costs confidence, for all that lies
below it; where too little is left, a structure stays without a name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
#: Anything else at the top: one cannot know what lies above it.
_NO_C2 = 0.2

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
    first, confidence = _uppermost(bodies[0], unit_mm, cut_bodies[0])
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


def _uppermost(piece: Piece, unit_mm: float, cut: Cut) -> tuple[Count, float]:
    """Return how many vertebrae the uppermost body is if it begins with C2, and how sure it is that it does."""
    vertebrae, sure = 1, _NO_C2
    if unit_mm > 0:
        shape = top_shape(piece, unit_mm)
        block = _is_block_of_c2_and_c3(shape) and not (cut.sides or cut.front_or_back)
        if cut.front_or_back:
            sure = _C2_CUT if _is_c2_cut_in_front_or_behind(shape) and not cut.along else _NO_C2
        elif cut.along:
            sure = _C2_CUT if _is_c2_with_a_cut_dens(shape) else _NO_C2
        elif _is_c2(shape):
            sure = _C2
        if block and sure == _NO_C2 and (not cut.along or _has_slim_top(shape)):
            vertebrae, sure = 2, _C2_C3
    return Count(vertebrae=vertebrae, guess=False), sure


def _is_c2(shape: TopShape) -> bool:
    """Return whether a body is C2 with its dens; a block is a body's height higher, or its dens would be short."""
    longest_body = 2.2 if shape.whole > 2.9 else 2.5
    return 0.6 <= shape.wide <= longest_body and 0.5 <= shape.narrow <= 2.4 and 1.9 <= shape.whole <= 3.9


def _is_c2_with_a_cut_dens(shape: TopShape) -> bool:
    return 0.6 <= shape.wide <= 2.0 and shape.whole >= 1.65 and _has_slim_top(shape)


def _has_slim_top(shape: TopShape) -> bool:
    """Return whether what the view leaves of a top is a dens, and not the oblique cut through a body."""
    return (shape.narrow >= 0.45 and shape.slimness <= 0.88) or (shape.narrow >= 0.3 and shape.slimness <= 0.84)


def _is_c2_cut_in_front_or_behind(shape: TopShape) -> bool:
    """Return whether enough of C2 is in view: a block of which the dens is out of view is as high as C2 alone."""
    return _is_c2(shape) and shape.whole >= 2.35 and shape.narrow <= 1.9 and shape.slimness <= 0.9


def _is_block_of_c2_and_c3(shape: TopShape) -> bool:
    return 2.4 <= shape.wide <= 3.4 and shape.narrow >= 0.55 and shape.whole >= 2.9


def _counted_down(
    pieces: Sequence[Piece], cuts: Sequence[Cut], counts: Sequence[Count], confidence: float, unit_mm: float
) -> list[Name]:
    """Name piece after piece, from `confidence` downward; `counts` are those of the bodies."""
    names: list[Name] = []
    remaining = list(counts)
    next_vertebra, before = "C2", None
    for piece, cut in zip(pieces, cuts, strict=True):
        confidence *= _step(before, piece, unit_mm)
        if piece.kind is DISC:
            level = disc_below(VERTEBRAE[VERTEBRAE.index(next_vertebra) - 1])
        else:
            count = remaining.pop(0)
            confidence *= 1.0 if count.vertebrae == 1 else _BLOCK
            low = piece.height_mm() < _LOW * unit_mm and not cut.along
            confidence *= _GUESSED if count.guess or low else 1.0
            index = VERTEBRAE.index(next_vertebra)
            level = body(next_vertebra, VERTEBRAE[min(index + count.vertebrae, len(VERTEBRAE)) - 1])
            if level.last == VERTEBRAE[-1]:
                confidence = 0.0
            else:
                next_vertebra = lower_neighbour(level.last)
        names.append(Name(level=level if confidence >= NAMED else None, confidence=confidence))
        before = piece
    return names


def _step(before: Piece | None, piece: Piece, unit_mm: float) -> float:
    """Return what is left of the confidence after the step from one piece to the next."""
    if before is None:
        return 1.0 if piece.kind is BODY else _GAP
    gap = piece.top - before.bottom
    if -gap > _OVERLAP * unit_mm:
        return _GAP
    if piece.kind is not before.kind:
        return _AS_EXPECTED if gap < _DISC_GAP * unit_mm else _GAP
    if piece.kind is DISC:
        return _GAP
    return _NO_DISC if gap < _BODY_GAP * unit_mm else _GAP
