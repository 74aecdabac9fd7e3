"""How vertebrae stand to each other: slip between neighbours, lordosis from C2 to C7."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from node.domain.anatomy import VERTEBRAE, StructureKind
from node.domain.findings import Measures, Quantity
from node.domain.geometry import FloatArray
from node.measure.morphometry.outline import Outline
from node.measure.parts import Part


def slip_mm(upper: Outline, lower: Outline) -> float | None:
    """Return how far a body stands before the one below, in mm; negative where it stands behind.

    From the lower body's posterior-superior corner to the upper body's posterior-inferior corner, along the line from
    front to back corner of the lower body's superior endplate: the step that Meyerding (Surg Gynecol Obstet 54:371,
    1932) and Taillard (Acta Orthop Scand 24:115, 1954) relate to that endplate's length, here in mm. Endplates seldom
    stand square on back walls, so that a healthy pair has a slip of some tenths of a mm. None where the field of view
    cuts off either endplate.
    """
    if upper.open_below or lower.open_above:
        return None
    edge = upper.lps_mm(upper.corner(upper.lower, upper.rear))
    step = lower.lps_mm(lower.corner(lower.upper, lower.rear)) - edge
    return float(step @ lower.chord(lower.upper))


def neighbours(parts: Sequence[Part]) -> list[tuple[Part, Part]]:
    """Return the pairs of bodies or blocks, upper first, between which no other belongs; `parts` from head to feet.

    Two bodies are no pair when their names leave a gap, or when more than one disc lies between them.
    """
    bodies = [(place, part) for place, part in enumerate(parts) if part.kind is StructureKind.VERTEBRAL_BODY]
    return [
        (upper, lower)
        for (start, upper), (end, lower) in pairwise(bodies)
        if end - start <= 2 and _adjoin(upper, lower)
    ]


def _adjoin(upper: Part, lower: Part) -> bool:
    if upper.level is None or lower.level is None:
        return True
    return VERTEBRAE.index(upper.level.last) + 1 == VERTEBRAE.index(lower.level.first)


def lordosis(parts: Sequence[Part], outlines: Mapping[int, Outline]) -> Measures:
    """Return LORDOSIS_COBB and LORDOSIS_POSTERIOR_TANGENT, C2 to C7, degrees, positive where hollow toward the back.

    Cobb: between the inferior endplates of C2 and C7, each from its front to its back corner. A block that ends at C7
    has C7's lower endplate; the endplate of C2 inside a block with C3 is gone, and so is the angle.

    Posterior tangent: between the back walls of C2 (within one depth of its lower endplate) and C7 (D. E. Harrison et
    al., Spine 25:2072, 2000, who compare both). Neither may be part of a block, where the wall is not its own.

    Seen from the side, so that a turned or bent head does not count. Left out where either body is cut by the field of
    view, or has no name.
    """
    ends = {
        part.level.last: part
        for part in parts
        if part.kind is StructureKind.VERTEBRAL_BODY
        and part.level is not None
        and part.level.last in ("C2", "C7")
        and not part.truncated
        and part.label in outlines
    }
    if len(ends) < 2:
        return {}
    upper, lower = outlines[ends["C2"].label], outlines[ends["C7"].label]
    left = np.cross(upper.down, upper.back) + np.cross(lower.down, lower.back)
    found = {Quantity.LORDOSIS_COBB: _turn_deg(upper.chord(upper.lower), lower.chord(lower.lower), left)}
    if all(part.level is not None and part.level.first == part.level.last for part in ends.values()):
        found[Quantity.LORDOSIS_POSTERIOR_TANGENT] = _turn_deg(upper.rear_wall(), lower.rear_wall(), left)
    return found


def _turn_deg(upper: FloatArray, lower: FloatArray, left: FloatArray) -> float:
    """Return by how much `upper` is turned against `lower`, degrees, positive where its back is turned down."""
    left = left / np.linalg.norm(left)
    upper, lower = (vector - (vector @ left) * left for vector in (upper, lower))
    return float(np.degrees(np.arctan2(np.cross(upper, lower) @ left, upper @ lower)))
