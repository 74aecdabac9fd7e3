"""The outline of a body or disc in its mid-sagittal section: endplates, walls and corners, finer than a voxel.

Lines are fitted to many places of the border and the corners are where they cross, so that no single voxel, rounded
corner or osteophyte decides. An endplate is a parabola, because many are hollow: the heights at its ends and in its
middle differ, and the line from its front corner to its back corner is what readers draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from node.domain.geometry import FloatArray
from node.measure.morphometry.edge import LINE, PARABOLA, Edge, across, fitted, flat
from node.measure.morphometry.section import Border, Section

#: Share of an endplate's or a wall's length at either end that is left out of its fit: corners are round or lipped.
_PLATE_MARGIN = 0.1
_WALL_MARGIN = 0.12
#: What is taken of a body whose other end is open, as C2 above its lower endplate: the dens begins beyond.
_OPEN_REACH_MM = 18.0
#: How much of a body's height beside an endplate is its rim.
_RIM = 0.25
_TURNS = 2
_ROUNDS = 3
_BOTH = ("upper", "lower")
_Rims = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outline:
    """Endplates and walls in a structure's own frame, `t` toward its back and `s` toward its lower side, in mm.

    `origin_lps_mm`: where `t` and `s` are 0. `down`, `back`: LPS unit vectors. `upper`, `lower`: `s` of `t`; where
    `open_above` or `open_below` is true, that side was not measured: it runs parallel to the other. `front`,
    `rear`: `t` of `s`: straight lines, so that the corners of a waisted body lie a little inward of its rims.
    """

    origin_lps_mm: FloatArray
    down: FloatArray
    back: FloatArray
    upper: Edge
    lower: Edge
    front: Edge
    rear: Edge
    #: `t` of the foremost and the rearmost place near the upper and near the lower endplate, lips and spurs included.
    rims: _Rims
    open_above: bool = False
    open_below: bool = False

    def corner(self, plate: Edge, wall: Edge) -> FloatArray:
        """Return `(t, s)`, mm, where an endplate and a wall of this outline meet."""
        return across(plate, wall)

    def lps_mm(self, corner: FloatArray) -> FloatArray:
        """Return the LPS position of `(t, s)`, at the structure's lateral middle."""
        return np.asarray(self.origin_lps_mm + corner[0] * self.back + corner[1] * self.down)

    def chord(self, plate: Edge) -> FloatArray:
        """Return the LPS unit vector from an endplate's front corner to its back corner."""
        return self._direction(self.corner(plate, self.rear) - self.corner(plate, self.front))

    def rear_wall(self) -> FloatArray:
        """Return the LPS unit vector down the back wall."""
        return self._direction(np.array([self.rear.slope(0.0), 1.0]))

    def _direction(self, step: FloatArray) -> FloatArray:
        vector = step[0] * self.back + step[1] * self.down
        return np.asarray(vector / np.linalg.norm(vector))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Borders:
    """The four borders in one frame, float (n, 2), and how far they are turned against the section's axes."""

    upper: FloatArray
    lower: FloatArray
    front: FloatArray
    back: FloatArray
    angle: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sides:
    upper: Edge
    lower: Edge
    front: Edge
    rear: Edge

    def corners(self) -> FloatArray:
        """Return `(t, s)`, float (2, 2, 2): upper and lower, then front and rear."""
        plates, walls = (self.upper, self.lower), (self.front, self.rear)
        return np.array([[across(plate, wall) for wall in walls] for plate in plates])


def body_outline(view: Section, *, open_above: bool = False, open_below: bool = False) -> Outline | None:
    """Return the outline of a body or block, None where its border shows no endplates and walls.

    `open_above`: it has no upper endplate here, as C2 with its dens or a body cut by the field of view; then only what
    lies within one depth of its lower endplate counts. `open_below` likewise; not both.
    """
    closed = [name for name, is_open in (("upper", open_above), ("lower", open_below)) if not is_open]
    borders = _levelled(_facing(view, closed), closed, view.pixel_mm)
    if borders is None:
        return None
    front, rear = _middle(borders.front), _middle(borders.back)
    upper, lower = (_central(side, front.c[0], rear.c[0], view.pixel_mm) for side in (borders.upper, borders.lower))
    if upper is None or lower is None:
        return None
    sides: _Sides | None = _Sides(upper=upper, lower=lower, front=front, rear=rear)
    for first in (True, *[False] * (_ROUNDS - 1)):
        if sides is None:
            return None
        sides = _refined(borders, sides, closed, view.pixel_mm, first=first)
    if sides is None:
        return None
    corners = sides.corners()
    band = _RIM * float((corners[1, :, 1] - corners[0, :, 1]).mean())
    rims = (
        _rim(borders, corners[0, :, 1] - band, corners[0, :, 1] + band),
        _rim(borders, corners[1, :, 1] - band, corners[1, :, 1] + band),
    )
    return _outline(view, borders.angle, sides, rims, closed)


def _rim(borders: _Borders, low: FloatArray, high: FloatArray) -> tuple[float, float]:
    """Return how far front and back border reach, but for a tenth, between two `s` each, of the front and the back."""

    def reach(side: FloatArray, sign: int, column: int) -> float:
        near = side[(side[:, 1] > low[column]) & (side[:, 1] < high[column]), 0]
        return sign * float(np.quantile(sign * (near if len(near) else side[:, 0]), 0.9))

    return reach(borders.front, -1, 0), reach(borders.back, 1, 1)


def _refined(borders: _Borders, sides: _Sides, closed: Sequence[str], pixel_mm: float, *, first: bool) -> _Sides | None:
    """Return the sides, each fitted anew to what lies between its two corners, None where one has too little."""
    if "upper" not in closed:
        sides = replace(sides, upper=_opposite(sides.lower, sides, -_height(borders)))
    if "lower" not in closed:
        sides = replace(sides, lower=_opposite(sides.upper, sides, _height(borders)))
    corners = sides.corners()
    depth = float((corners[:, 1, 0] - corners[:, 0, 0]).mean())
    height = float((corners[1, :, 1] - corners[0, :, 1]).mean())
    if not min(depth, height) > 3 * pixel_mm:
        return None
    share, degree = (0.3, LINE) if first else (0.2, PARABOLA)
    edges = {"upper": sides.upper, "lower": sides.lower}
    fits: dict[str, Edge | None] = dict(edges)
    for row, name in enumerate(("upper", "lower")):
        if name in closed:
            span = corners[row, 0, 0] + _PLATE_MARGIN * depth, corners[row, 1, 0] - _PLATE_MARGIN * depth
            fits[name] = fitted(getattr(borders, name), edges[name], span, share * height, degree, pixel_mm)
    walls = (("front", borders.front, sides.front), ("rear", borders.back, sides.rear))
    for column, (name, border, edge) in enumerate(walls):
        span = corners[0, column, 1] + _WALL_MARGIN * height, corners[1, column, 1] - _WALL_MARGIN * height
        fits[name] = fitted(border[:, ::-1], edge, span, share * depth, LINE, pixel_mm)
    found = {name: fit for name, fit in fits.items() if fit is not None}
    return _Sides(**found) if len(found) == 4 else None


def disc_outline(
    view: Section, front_limits_lps: Sequence[FloatArray] = (), rear_limits_lps: Sequence[FloatArray] = ()
) -> Outline | None:
    """Return the outline of a disc, None where its border shows no two sides.

    The disc ends at its foremost and rearmost points (the median over the sagittal planes of voxels), and, where
    limits are given, such as the rims of its neighbours, at their mean: what bulges beyond does not count.
    """
    borders = _levelled(_facing(view, _BOTH), _BOTH, view.pixel_mm)
    if borders is None:
        return None
    front, rear = _foremost(borders.front, view.front, -1), _foremost(borders.back, view.back, 1)
    if front_limits_lps:
        front = max(front, _mean_t(front_limits_lps, view, borders.angle))
    if rear_limits_lps:
        rear = min(rear, _mean_t(rear_limits_lps, view, borders.angle))
    upper, lower = (_central(side, front, rear, view.pixel_mm) for side in (borders.upper, borders.lower))
    if upper is None or lower is None or rear - front <= 3 * view.pixel_mm:
        return None
    span = front + _PLATE_MARGIN / 2 * (rear - front), rear - _PLATE_MARGIN / 2 * (rear - front)
    for _ in range(_ROUNDS):
        gate = max(2 * view.pixel_mm, 0.6 * (lower.at((front + rear) / 2) - upper.at((front + rear) / 2)))
        upper = fitted(borders.upper, upper, span, gate, PARABOLA, view.pixel_mm)
        lower = fitted(borders.lower, lower, span, gate, PARABOLA, view.pixel_mm)
        if upper is None or lower is None:
            return None
    walls = {"front": flat(front), "rear": flat(rear)}
    ends = front, rear
    return _outline(view, borders.angle, _Sides(upper=upper, lower=lower, **walls), (ends, ends), _BOTH)


def _facing(view: Section, closed: Sequence[str]) -> _Borders:
    """Return the borders without what lies farther than the reach from the one endplate that there is."""
    upper, lower = view.upper.points, view.lower.points
    front, back = view.front.points, view.back.points
    if len(closed) == 1 and len(upper):
        # for a body open below, the same upside down
        sign = 1.0 if closed[0] == "lower" else -1.0
        limit = float(np.quantile(sign * (lower if sign > 0 else upper)[:, 1], 0.9)) - _OPEN_REACH_MM
        front, back = (side[sign * side[:, 1] >= limit] for side in (front, back))
        upper, lower = (
            np.stack([side[:, 0], sign * np.maximum(sign * side[:, 1], limit)], axis=1) for side in (upper, lower)
        )
    return _Borders(upper=upper, lower=lower, front=front, back=back, angle=0.0)


def _turned(points: FloatArray, angle: float) -> FloatArray:
    """Return `(t, s)` in a frame whose back is turned downward by `angle`, radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[cosine, -sine], [sine, cosine]]))


def _levelled(raw: _Borders, plates: Sequence[str], pixel_mm: float) -> _Borders | None:
    """Return the borders turned so that the named endplates, on the mean, run straight back."""
    if min(len(raw.upper), len(raw.lower), len(raw.front), len(raw.back)) < 4:
        return None
    turned = raw
    for _ in range(_TURNS):
        front, rear = float(np.median(turned.front[:, 0])), float(np.median(turned.back[:, 0]))
        if rear - front <= 3 * pixel_mm:
            return None
        sides = [_central(getattr(turned, name), front, rear, pixel_mm) for name in plates]
        slopes = [side.slope(0.0) for side in sides if side is not None]
        if len(slopes) < len(plates):
            return None
        angle = turned.angle + float(np.arctan(np.mean(slopes)))
        turned = _Borders(
            upper=_turned(raw.upper, angle),
            lower=_turned(raw.lower, angle),
            front=_turned(raw.front, angle),
            back=_turned(raw.back, angle),
            angle=angle,
        )
    return turned


def _middle(wall: FloatArray) -> Edge:
    return flat(float(np.median(wall[:, 0])))


def _central(side: FloatArray, front: float, rear: float, pixel_mm: float) -> Edge | None:
    """Return the line through the middle three fifths of a side, which no corner touches."""
    span = front + 0.2 * (rear - front), rear - 0.2 * (rear - front)
    within = (side[:, 0] > span[0]) & (side[:, 0] < span[1])
    if not within.any():
        return None
    start = flat(float(np.median(side[within, 1])))
    return fitted(side, start, span, np.inf, LINE, pixel_mm)


def _height(borders: _Borders) -> float:
    """Return how much of a body with an open end can be used: one depth, or what there is, whichever is less."""
    depth = float(np.median(borders.back[:, 0]) - np.median(borders.front[:, 0]))
    return min(depth, 0.9 * float(np.median(borders.lower[:, 1]) - np.median(borders.upper[:, 1])))


def _opposite(plate: Edge, sides: _Sides, away: float) -> Edge:
    """Return the line parallel to an endplate's chord, `away` mm below it."""
    first, last = across(plate, sides.front), across(plate, sides.rear)
    slope = float((last[1] - first[1]) / max(last[0] - first[0], 1e-6))
    return Edge(LINE, (float(first[1] - slope * first[0]) + away, slope, 0.0))


def _foremost(points: FloatArray, border: Border, sign: int) -> float:
    """Return the median over the sagittal planes of the farthest point to the front (-1) or to the back (1)."""
    farthest = [float((sign * points[border.plane == plane, 0]).max()) for plane in np.unique(border.plane)]
    return sign * float(np.median(farthest))


def _mean_t(places_lps: Sequence[FloatArray], view: Section, angle: float) -> float:
    away = np.stack(places_lps) - view.origin_lps_mm
    points = np.stack([away @ view.axes[1], away @ view.axes[0]], axis=1)
    return float(_turned(points, angle)[:, 0].mean())


def _outline(view: Section, angle: float, sides: _Sides, rims: _Rims, closed: Sequence[str]) -> Outline:
    down, back = view.axes[0], view.axes[1]
    cosine, sine = np.cos(angle), np.sin(angle)
    return Outline(
        origin_lps_mm=view.origin_lps_mm,
        down=cosine * down - sine * back,
        back=cosine * back + sine * down,
        upper=sides.upper,
        lower=sides.lower,
        front=sides.front,
        rear=sides.rear,
        rims=rims,
        open_above="upper" not in closed,
        open_below="lower" not in closed,
    )
