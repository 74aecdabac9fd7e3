"""How far the networks agree about each structure, and how sure they are together.

Disagreement of an ensemble's members predicts the error of its answer: A. Mehrtash et al., IEEE Trans. Med. Imaging 39
(2020) 3868; A. G. Roy et al., NeuroImage 195 (2019) 11.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from node.domain.anatomy import StructureKind
from node.domain.findings import Doubt, Evidence, Objection, Segmentation, Structure, Verdict
from node.domain.overlap import dice
from node.measure.result import NOUNS, Result, called

#: How far around a structure an opinion still speaks of it, in mm: half of what lies between two neighbours of a kind.
AROUND_MM = 4.0
#: Lowest Dice of two opinions about one structure, below which somebody is to look. Two masks that differ by half a
#: millimetre all around and by one slice in five overlap by 0.82 for a body (14 x 16 mm), by 0.75 for a disc
#: (5 x 15 mm): what lies below differs by more than their borders. Networks reach 0.92 against experts on such data
#: (CSpineSeg, Sci. Data 2025).
LEAST_DICE = {StructureKind.VERTEBRAL_BODY: 0.80, StructureKind.INTERVERTEBRAL_DISC: 0.70}
#: Lowest Dice over all structures of a kind, below which the answer is to be looked at as a whole: of what either
#: configuration calls so, three voxels in seven are all that both do.
LEAST_DICE_OF_A_KIND = 0.60
#: Below this it is not to be used: less than a fifth is common, so that at least one of them sees something else.
#: One weak member of an ensemble is no reason yet: the mean may still be right, and a reader can tell.
NO_COMMON_ANSWER = 0.30
#: Highest mean entropy. As if every voxel were decided by 0.8 to 0.2: (0.8 ln 1.25 + 0.2 ln 5) / ln 3 = 0.455.
MOST_ENTROPY = 0.45

_FOLD = " fold "
#: p ln p of a probability in 255ths; 0 for 0.
_P_LOG_P = np.array([0.0] + [n / 255 * np.log(n / 255) for n in range(1, 256)])

Box = tuple[slice, slice, slice]


def evidence(segmentation: Segmentation, result: Result, spacing_mm: Sequence[float]) -> dict[int, Evidence]:
    """Return the evidence of each structure, by label; `spacing_mm` along slices, rows and columns."""
    boxes = find_objects(result.labels)
    values = {kind: value for value, kind in segmentation.meanings.items()}
    return {
        structure.label: _evidence(
            segmentation, result, structure, values, _grown(boxes[structure.label - 1], spacing_mm)
        )
        for structure in result.structures
    }


def agreement_by_kind(segmentation: Segmentation) -> dict[StructureKind, float | None]:
    """Return for each kind the lowest Dice between two configurations over the whole volume; None without a pair."""
    members = [opinion for name, opinion in segmentation.opinions.items() if _FOLD not in name]
    found: dict[StructureKind, float | None] = {}
    for value, kind in segmentation.meanings.items():
        masks = [member == value for member in members]
        overlaps = [dice(first, second) for first, second in combinations(masks, 2)]
        found[kind] = min((overlap for overlap in overlaps if overlap is not None), default=None)
    return found


def objections(
    segmentation: Segmentation,
    result: Result,
    evidences: Mapping[int, Evidence],
    by_kind: Mapping[StructureKind, float | None],
) -> Iterator[Objection]:
    """Yield what speaks against a result in which the networks disagree or are unsure."""
    members = _listed([name for name in segmentation.opinions if _FOLD not in name])
    for kind, overlap in by_kind.items():
        if overlap is not None and overlap < LEAST_DICE_OF_A_KIND:
            text = f"{NOUNS[kind]}: {members} overlap by no more than {overlap:.2f} over the whole volume (Dice)"
            verdict = Verdict.REJECT if overlap < NO_COMMON_ANSWER else Verdict.REVIEW
            yield Objection(doubt=Doubt.MEMBER_DISAGREEMENT, verdict=verdict, text=text)
    for structure in result.structures:
        found = evidences[structure.label]
        compared = (
            (Doubt.MEMBER_DISAGREEMENT, found.member_agreement, members),
            (Doubt.FOLD_DISAGREEMENT, found.fold_agreement, "two folds of one configuration"),
        )
        for doubt, overlap, who in compared:
            if overlap is not None and overlap < LEAST_DICE[structure.kind]:
                yield _to_be_seen(doubt, f"{who} overlap by {overlap:.2f} (Dice)", structure)
        if found.entropy > MOST_ENTROPY:
            said = f"the ensemble is unsure, mean entropy {found.entropy:.2f} of 1"
            yield _to_be_seen(Doubt.HIGH_ENTROPY, said, structure)


def _evidence(
    segmentation: Segmentation,
    result: Result,
    structure: Structure,
    values: Mapping[StructureKind, int],
    box: Box,
) -> Evidence:
    labels = result.labels[box]
    own = labels == structure.label
    around = own | (labels == 0)
    names = list(segmentation.opinions)
    overlaps = _overlaps([opinion[box][around] == values[structure.kind] for opinion in segmentation.opinions.values()])
    members, folds = [], []
    for first, second in combinations(range(len(names)), 2):
        kinds = [name.partition(_FOLD) for name in (names[first], names[second])]
        if not kinds[0][1] and not kinds[1][1]:
            members.append(overlaps[first, second])
        elif kinds[0][1] and kinds[1][1] and kinds[0][0] == kinds[1][0]:
            folds.append(overlaps[first, second])
    return Evidence(
        member_agreement=_lowest(members),
        fold_agreement=_lowest(folds),
        entropy=mean_entropy([share[box][own] for share in segmentation.probabilities.values()]),
    )


def mean_entropy(shares: Sequence[NDArray[np.uint8]]) -> float:
    """Return the mean entropy over voxels, 0 to 1 (1 = all classes alike), of each kind's probabilities in 255ths.

    `shares`: one array `(n,)` a kind; the background has what they leave.
    """
    given = np.zeros(shares[0].shape, dtype=np.int64)
    total = np.zeros(shares[0].shape)
    for share in shares:
        given += share
        total -= _P_LOG_P[share]
    total -= _P_LOG_P[np.maximum(255 - given, 0)]
    return float(total.mean() / np.log(len(shares) + 1)) if total.size else 0.0


def _overlaps(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Return the Dice of every two of `masks`, each `(n,)`; NaN where both are empty."""
    if not masks:
        return np.zeros((0, 0))
    stack = np.stack(masks).astype(np.float32)
    shared = (stack @ stack.T).astype(np.float64)  # whole numbers below 2**24: exact
    sizes = np.diag(shared)
    both = sizes[:, np.newaxis] + sizes
    return np.divide(2.0 * shared, both, out=np.full_like(shared, np.nan), where=both > 0)


def _lowest(overlaps: Sequence[float]) -> float | None:
    return min((float(overlap) for overlap in overlaps if not np.isnan(overlap)), default=None)


def _grown(box: Box, spacing_mm: Sequence[float]) -> Box:
    first, second, third = (
        slice(max(0, side.start - round(AROUND_MM / step)), side.stop + round(AROUND_MM / step))
        for side, step in zip(box, spacing_mm, strict=True)
    )
    return first, second, third


def _to_be_seen(doubt: Doubt, said: str, structure: Structure) -> Objection:
    return Objection(
        doubt=doubt, verdict=Verdict.REVIEW, text=f"{called(structure)}: {said}", labels=(structure.label,)
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)
