"""Heights, depths, angles and signal of bodies and discs, as `node.domain.findings.Quantity` names them.

All is read in the mid-sagittal section of each structure, within 4.63 mm of its centroid to the left and to the right
(`morphometry.section`), from its outline (`morphometry.outline`): two endplates, front and back wall, and the four
corners where they meet. The frame is the structure's own; the midplane runs from the middle between its two front
corners to the middle between its two back corners, as in W. Frobin et al., Clin Biomech 17:423, 2002 (cervical spine).
What cannot be measured is left out. Of a structure that the field of view cuts nothing is measured.

Bodies, and blocks of fused bodies as a whole (Genant's six points; H. K. Genant et al., J Bone Miner Res 8:1137, 1993):

- HEIGHT_ANTERIOR, HEIGHT_POSTERIOR, mm: between the two front corners, the two back corners, square to the midplane.
- HEIGHT_MIDDLE, mm: between the endplates half-way between front and back wall, square to the midplane.
- DEPTH, mm: from front wall to back wall along the midplane: at the waist, as in the ratio of H. Pavlov et al.
  (Radiology 164:771, 1987), not at the wider endplates.
- WEDGE_ANGLE, degrees: between the endplates, each from its front to its back corner; positive: higher in front.

C2: the dens is no part of its height, and no border with the body shows on T2, so that C2 has no heights and no wedge
angle; its depth lies at half a depth above its lower endplate. The same holds for a block that begins with C2, and for
an uppermost body without a name, which may be C2.

Discs:

- DEPTH, mm: from its foremost to its rearmost place, as far as the line through its neighbours' rims (osteophytes
  included): what bulges or herniates beyond does not count. Where no neighbour has rims, all of the disc counts.
- HEIGHT_ANTERIOR, HEIGHT_MIDDLE, HEIGHT_POSTERIOR, mm: its thickness, square to its midplane, at 10 %, 50 % and 90 % of
  its depth; a tenth from the ends because a disc is round there.
- DISC_HEIGHT_INDEX, 1: mean of HEIGHT_ANTERIOR and HEIGHT_POSTERIOR over DEPTH, the ratio of H. F. Farfan (Mechanical
  Disorders of the Low Back, 1973).
- T2_RATIO_MEAN, T2_RATIO_MEDIAN, 1: `morphometry.signal`.

Pairs have SLIP, the neck LORDOSIS_COBB and LORDOSIS_POSTERIOR_TANGENT: `morphometry.alignment`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from node.domain.anatomy import StructureKind
from node.domain.findings import Measures, Pair, Quantity
from node.domain.geometry import FloatArray, Grid, Volume
from node.measure.morphometry.alignment import lordosis, neighbours, slip_mm
from node.measure.morphometry.outline import Outline, body_outline, disc_outline
from node.measure.morphometry.section import Section, section
from node.measure.morphometry.signal import t2_ratios
from node.measure.parts import Part
from node.measure.spine import SpineCurve

#: Where a disc's anterior and posterior heights are taken, as a share of its depth from either end.
_INSET = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All measures of a volume: by label without VOLUME, of neighbouring bodies or blocks, of the neck.

    Every part has an entry in `by_label`, which may be empty. A pair of which nothing could be measured is left out.
    """

    by_label: Mapping[int, Measures]
    pairs: tuple[Pair, ...]
    curvature: Measures


def measures(labels: NDArray[np.uint16], parts: Sequence[Part], volume: Volume, curve: SpineCurve) -> Measured:
    """Return the measures of `parts`, which go from head to feet; `labels`: `(slices, rows, columns)` on the volume."""
    boxes = find_objects(labels)
    views: dict[int, Section] = {}
    for part in parts:
        box = boxes[part.label - 1] if part.label <= len(boxes) else None
        if box is not None:
            corner = np.array([side.start for side in box], dtype=np.int64)
            view = section(labels[box] == part.label, corner, volume.grid, curve)
            if view is not None:
                views[part.label] = view
    bodies = {part.label: found for part in parts if (found := _body_of(part, parts, views, volume.grid)) is not None}
    by_label: dict[int, Measures] = {}
    for place, part in enumerate(parts):
        if part.truncated or part.label not in views:
            by_label[part.label] = {}
        elif part.kind is StructureKind.VERTEBRAL_BODY:
            by_label[part.label] = body_measures(bodies[part.label]) if part.label in bodies else {}
        else:
            above, below = (_beside(parts, place, step) for step in (-1, 1))
            shape = disc_outline(views[part.label], *_limits(bodies.get(above), bodies.get(below)))
            ratios = t2_ratios(views[part.label], views.get(above), views.get(below), volume)
            by_label[part.label] = {**(disc_measures(shape) if shape is not None else {}), **ratios}
    return Measured(by_label=by_label, pairs=_pairs(parts, bodies), curvature=lordosis(parts, bodies))


def body_measures(body: Outline) -> Measures:
    """Return heights, depth and wedge angle of a body; the depth alone where an end is open."""
    top, base = (
        np.stack([body.corner(plate, wall) for wall in (body.front, body.rear)]) for plate in (body.upper, body.lower)
    )
    middle = (top + base) / 2
    along = _unit(middle[1] - middle[0])
    square = np.array([-along[1], along[0]])
    found = {Quantity.DEPTH: float((middle[1] - middle[0]) @ along)}
    if body.open_above or body.open_below:
        return found
    heights = (base - top) @ square
    t = float(middle[:, 0].mean())
    found[Quantity.HEIGHT_ANTERIOR] = float(heights[0])
    found[Quantity.HEIGHT_MIDDLE] = (body.lower.at(t) - body.upper.at(t)) * float(square[1])
    found[Quantity.HEIGHT_POSTERIOR] = float(heights[1])
    upper, lower = _unit(top[1] - top[0]), _unit(base[1] - base[0])
    # the upper endplate runs down toward the back where the front is higher
    found[Quantity.WEDGE_ANGLE] = float(np.degrees(np.arctan2(upper[1], upper[0]) - np.arctan2(lower[1], lower[0])))
    return found


def disc_measures(disc: Outline) -> Measures:
    """Return heights, depth and height index of a disc."""
    front, rear = disc.front.c[0], disc.rear.c[0]
    depth = rear - front
    places = [front + share * depth for share in (_INSET, 0.5, 1 - _INSET)]
    slope = (disc.upper.slope(places[1]) + disc.lower.slope(places[1])) / 2
    heights = [(disc.lower.at(t) - disc.upper.at(t)) * float(np.cos(np.arctan(slope))) for t in places]
    if min(heights) <= 0:
        return {Quantity.DEPTH: depth}
    return {
        Quantity.HEIGHT_ANTERIOR: heights[0],
        Quantity.HEIGHT_MIDDLE: heights[1],
        Quantity.HEIGHT_POSTERIOR: heights[2],
        Quantity.DEPTH: depth,
        Quantity.DISC_HEIGHT_INDEX: (heights[0] + heights[2]) / 2 / depth,
    }


def _body_of(part: Part, parts: Sequence[Part], views: Mapping[int, Section], grid: Grid) -> Outline | None:
    """Return the outline of a body, with the sides open that the dens or the field of view take."""
    view = views.get(part.label)
    if part.kind is not StructureKind.VERTEBRAL_BODY or view is None:
        return None
    uppermost = next(other for other in parts if other.kind is part.kind) is part
    above = uppermost if part.level is None else part.level.first in ("C1", "C2")
    below = False
    if part.truncated:
        cut_above, cut_below = view.cut(grid)
        if cut_above == cut_below:
            return None
        above, below = above or cut_above, cut_below
    return None if above and below else body_outline(view, open_above=above, open_below=below)


def _beside(parts: Sequence[Part], place: int, step: int) -> int:
    """Return the label of the body just above (-1) or below (1) a disc, 0 where there is none."""
    if not 0 <= place + step < len(parts):
        return 0
    part = parts[place + step]
    return part.label if part.kind is StructureKind.VERTEBRAL_BODY else 0


def _limits(above: Outline | None, below: Outline | None) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return the front rims and the back rims, LPS mm, between which a disc lies."""
    facing = [(body, body.lower, body.rims[1]) for body in (above,) if body is not None and not body.open_below]
    facing += [(body, body.upper, body.rims[0]) for body in (below,) if body is not None and not body.open_above]
    front, rear = ([body.lps_mm(np.array([t[end], plate.at(t[end])])) for body, plate, t in facing] for end in (0, 1))
    return front, rear


def _pairs(parts: Sequence[Part], bodies: Mapping[int, Outline]) -> tuple[Pair, ...]:
    found = []
    for upper, lower in neighbours(parts):
        if upper.label in bodies and lower.label in bodies:
            slip = slip_mm(bodies[upper.label], bodies[lower.label])
            if slip is not None:
                found.append(Pair(upper=upper.label, lower=lower.label, measures={Quantity.SLIP: slip}))
    return tuple(found)


def _unit(step: FloatArray) -> FloatArray:
    return np.asarray(step / np.linalg.norm(step))
