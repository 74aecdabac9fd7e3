"""Sizes and places that a spine does not have.

The ranges are wide on purpose: they are to find what is no vertebra or two of them, not to tell disease from health.
Sources: M. M. Panjabi et al., Spine 16 (1991) 861 and 888 (bodies C2 to T12: end-plates of 15 x 16 mm at C3, 16 x 22
mm at C7, 33 x 39 mm at T12; heights of 11 to 13 mm in the neck, 14 to 23 mm in the chest); I. Gilad and M. Nissan, J.
Anat. 143 (1985) 115 (sagittal dimensions of bodies and discs).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from node.domain.anatomy import VERTEBRAE, StructureKind, listed
from node.domain.findings import Doubt, Objection, Presence, Quantity, Structure, Verdict
from node.measure.result import NOUNS, Result, called, vertebrae

_FIRST_OF_CHEST = VERTEBRAE.index("T1")
_AXIS = "C2"

#: Plausible volumes of one whole structure in mm3, least and most, in the neck and below it. A body of the neck: its
#: sides multiplied give 2,500 to 4,500; half of the least, for small people and thick slices, to twice the most, for C2
#: with its dens and for osteophytes. Of the chest: 6,000 at T1 to 29,000 at T12.
VOLUME_MM3 = {
    (StructureKind.VERTEBRAL_BODY, False): (1_200.0, 9_000.0),
    (StructureKind.VERTEBRAL_BODY, True): (2_000.0, 45_000.0),
    (StructureKind.INTERVERTEBRAL_DISC, False): (150.0, 4_000.0),
    (StructureKind.INTERVERTEBRAL_DISC, True): (150.0, 15_000.0),
}
#: Plausible heights in the middle in mm, least and most, of one body or disc. A body of the neck has 11 +- 1.4 mm (five
#: deviations below begin at a body that has collapsed), T12 has 23; a disc of the neck 4 to 7 mm.
HEIGHT_MM = {
    (StructureKind.VERTEBRAL_BODY, False): (6.0, 22.0),
    (StructureKind.VERTEBRAL_BODY, True): (7.0, 32.0),
    (StructureKind.INTERVERTEBRAL_DISC, False): (0.5, 12.0),
    (StructureKind.INTERVERTEBRAL_DISC, True): (0.5, 14.0),
}
#: Largest plausible ratio of two neighbouring bodies' volumes; the mean steps are 1.4 at most (C6 to C7, C7 to T1).
VOLUME_JUMP = 2.2
#: Largest plausible ratio of two neighbouring bodies' heights; the mean steps are 1.2 at most. Beyond, one of the two
#: has lost a third of its height: a fracture of moderate or severe grade (H. K. Genant, 1993), or no vertebra.
HEIGHT_JUMP = 1.55
#: How far a centroid may lie off a smooth line through all, in mm: more than any curve or slip does, less than a body
#: is deep, which is where the canal and the processes begin.
OFF_THE_LINE_MM = 14.0

_FEWEST_FOR_A_LINE = 5
_ROUNDS = 12


def objections(result: Result) -> Iterator[Objection]:
    """Yield what speaks against a result whose structures have sizes or places that a spine does not have."""
    for structure in result.structures:
        yield from _size(structure)
    yield from _jumps(result.structures)
    yield from _order(result)
    yield from _gaps(result)
    yield from _off_the_line(result.structures)


def _size(structure: Structure) -> Iterator[Objection]:
    """A structure cut by the field of view may be as small as it likes; a block as large as its vertebrae together."""
    count = vertebrae(structure)
    checks = (
        (Doubt.IMPLAUSIBLE_VOLUME, VOLUME_MM3, structure.volume_mm3, "volume", "mm3", 0),
        (Doubt.IMPLAUSIBLE_HEIGHT, HEIGHT_MM, structure.measures.get(Quantity.HEIGHT_MIDDLE), "height", "mm", 1),
    )
    for doubt, ranges, value, word, unit, digits in checks:
        least, most = _range(structure, ranges)
        if count > 1:
            most *= count if word == "volume" else 1.5 * count  # the discs within a block are part of its height
        if value is None or (least <= value <= most) or (value < least and structure.truncated):
            continue
        text = f"{called(structure)}: {word} {value:,.{digits}f} {unit}, plausible are {least:,g} to {most:,g} {unit}"
        yield Objection(doubt=doubt, verdict=Verdict.REVIEW, text=text, labels=(structure.label,))


def _range(structure: Structure, ranges: dict[tuple[StructureKind, bool], tuple[float, float]]) -> tuple[float, float]:
    """Return the range at a structure's place; of one without a name that of the neck and the chest together."""
    neck, chest = ranges[structure.kind, False], ranges[structure.kind, True]
    if structure.level is None:
        return min(neck[0], chest[0]), max(neck[1], chest[1])
    return chest if VERTEBRAE.index(structure.level.last) >= _FIRST_OF_CHEST else neck


def _jumps(structures: Sequence[Structure]) -> Iterator[Objection]:
    """Compare neighbouring bodies that are whole and single. Discs of one neck differ by more: they wear one by one."""
    bodies = [structure for structure in structures if structure.kind is StructureKind.VERTEBRAL_BODY]
    for upper, lower in pairwise(bodies):
        if not (_comparable(upper) and _comparable(lower)):
            continue
        heights = [one.measures.get(Quantity.HEIGHT_MIDDLE) for one in (upper, lower)]
        for doubt, values, most, word in (
            (Doubt.IMPLAUSIBLE_VOLUME, [upper.volume_mm3, lower.volume_mm3], VOLUME_JUMP, "volume"),
            (Doubt.IMPLAUSIBLE_HEIGHT, heights, HEIGHT_JUMP, "height"),
        ):
            known = [value for value in values if value]
            if len(known) < 2 or max(known) <= most * min(known):
                continue
            ratio = max(known) / min(known)
            text = f"{called(upper)} and {called(lower)}: one has {ratio:.1f} times the {word} of the other"
            yield Objection(doubt=doubt, verdict=Verdict.REVIEW, text=text, labels=(upper.label, lower.label))


def _comparable(body: Structure) -> bool:
    """C2 with its dens is like no other; without a name the uppermost may be C2."""
    axis = body.ordinal == 1 if body.level is None else body.level.first == _AXIS
    return not (body.truncated or axis or vertebrae(body) > 1)


def _order(result: Result) -> Iterator[Objection]:
    """Bodies and discs alternate, but for what `missing` says is absent, which is an objection of its own."""
    absent = [missing.level for missing in result.missing if missing.presence is Presence.ABSENT]
    for upper, lower in pairwise(result.structures):
        if upper.kind is not lower.kind:
            continue
        if upper.level is not None and lower.level is not None:
            low, high = VERTEBRAE.index(upper.level.first), VERTEBRAE.index(lower.level.last)
            if any(low <= VERTEBRAE.index(level.first) and VERTEBRAE.index(level.last) <= high for level in absent):
                continue
        other = next(kind for kind in StructureKind if kind is not upper.kind)
        text = f"{called(upper)} and {called(lower)} follow each other without a {NOUNS[other]} between them"
        yield Objection(
            doubt=Doubt.IMPLAUSIBLE_ORDER, verdict=Verdict.REVIEW, text=text, labels=(upper.label, lower.label)
        )


def _gaps(result: Result) -> Iterator[Objection]:
    absent = [missing.level for missing in result.missing if missing.presence is Presence.ABSENT]
    if absent:
        text = f"not found, though what lies above and below was: {listed(absent)}"
        yield Objection(doubt=Doubt.IMPLAUSIBLE_ORDER, verdict=Verdict.REVIEW, text=text)


def _off_the_line(structures: Sequence[Structure]) -> Iterator[Objection]:
    if len(structures) < _FEWEST_FOR_A_LINE:
        return
    distances = distances_mm(np.array([structure.centroid_lps_mm for structure in structures]))
    for structure, distance in zip(structures, distances, strict=True):
        if distance > OFF_THE_LINE_MM:
            text = f"{called(structure)}: its centre lies {distance:.0f} mm off the line of the others"
            yield Objection(doubt=Doubt.IMPLAUSIBLE_ORDER, verdict=Verdict.REVIEW, text=text, labels=(structure.label,))


def distances_mm(points: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> Sequence[float]:
    """Return how far each of `points`, (n, 3) in mm, lies off the parabola along their long axis that most are near to.

    Least absolute distances by repeated weighting, so that a single one far off draws no line to itself.
    """
    centred = points - np.median(points, axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    along = centred @ axes[0]
    along /= max(float(np.abs(along).max()), 1e-9)
    basis = np.stack([np.ones_like(along), along, along**2], axis=1)
    across = centred @ axes[1:].T
    weights = np.ones(len(points))
    distances = np.zeros(len(points))
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)[:, np.newaxis]
        fitted = basis @ np.linalg.lstsq(root * basis, root * across, rcond=None)[0]
        distances = np.linalg.norm(across - fitted, axis=1)
        weights = 1.0 / np.maximum(distances, 1.0)
    return [float(distance) for distance in distances]
