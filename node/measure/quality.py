"""How far a result can be trusted: evidence, objections, and the worst of them as the verdict."""

from collections.abc import Iterator
from dataclasses import replace

from node.domain.anatomy import REPORTED_BODIES, REPORTED_DISCS, VERTEBRAE, StructureKind, listed
from node.domain.findings import Doubt, Objection, Presence, Quality, Segmentation, Structure, Verdict
from node.domain.geometry import Volume
from node.measure.cores import SPECK_MM3
from node.measure.doubts import agreement, picture, plausibility
from node.measure.result import NOUNS, Result, called

#: Most that specks may have of what was kept. A neck's structures hold about 50,000 mm3: two in a hundred are a disc.
MOST_SPECKS = 0.02

#: Below this the uppermost name, from which all others are counted, is to be looked at.
SURE = 0.9

#: How many objections of one kind are told in full.
_TOLD = 3

#: From the best to the worst.
_SEVERITY = (Verdict.GOOD, Verdict.REVIEW, Verdict.REJECT)


def judge(segmentation: Segmentation, volume: Volume, result: Result) -> Quality:
    """Return how far `result`, measured in `segmentation` of `volume`, can be trusted.

    A published mask is not rejected: what speaks against it is for somebody to look at.
    """
    evidences = agreement.evidence(segmentation, result, volume.grid.spacing_mm)
    by_kind = agreement.agreement_by_kind(segmentation)
    column = _without_loose(result)
    found = (
        *_nothing(segmentation, result),
        *agreement.objections(segmentation, result, evidences, by_kind),
        *plausibility.objections(column),
        *_levels(column),
        *_view(column),
        *_specks(result),
        *_loose(result),
        *picture.objections(volume, result),
    )
    objections = _told_together(tuple(map(_to_be_looked_at, found)) if segmentation.origin.is_mask else found)
    return Quality(
        verdict=max((objection.verdict for objection in objections), key=_SEVERITY.index, default=Verdict.GOOD),
        objections=objections,
        evidence=evidences,
        member_agreement=by_kind,
        specks_mm3=result.specks_mm3,
    )


def _without_loose(result: Result) -> Result:
    """Return the result without the structures that are no part of the column."""
    structures = tuple(found for found in result.structures if found.label not in result.loose)
    return replace(result, structures=structures)


def _to_be_looked_at(objection: Objection) -> Objection:
    return replace(objection, verdict=Verdict.REVIEW) if objection.verdict is Verdict.REJECT else objection


def _told_together(objections: tuple[Objection, ...]) -> tuple[Objection, ...]:
    """Return one objection for each doubt and verdict, with the sentences of the first few."""
    alike: dict[tuple[Doubt, Verdict], list[Objection]] = {}
    for objection in objections:
        alike.setdefault((objection.doubt, objection.verdict), []).append(objection)
    return tuple(
        Objection(
            doubt=doubt,
            verdict=verdict,
            text=_sentences([objection.text for objection in group]),
            labels=tuple(dict.fromkeys(label for objection in group for label in objection.labels)),
        )
        for (doubt, verdict), group in alike.items()
    )


def _sentences(texts: list[str]) -> str:
    """Return the first texts and how many more there are.

    >>> _sentences(["a", "b", "c", "d", "e"])
    'a; b; c; and 2 more'
    """
    told = "; ".join(texts[:_TOLD])
    return told if len(texts) <= _TOLD else f"{told}; and {len(texts) - _TOLD} more"


def _nothing(segmentation: Segmentation, result: Result) -> Iterator[Objection]:
    """Each kind that the model knows is in every neck: one alone is an answer to another picture."""
    found = {structure.kind for structure in result.structures}
    lacking = [NOUNS[kind] for kind in StructureKind if kind in segmentation.meanings.values() and kind not in found]
    if lacking:
        text = f"no {' and no '.join(lacking)} was found"
        yield Objection(doubt=Doubt.NOTHING_FOUND, verdict=Verdict.REJECT, text=text)


def _levels(result: Result) -> Iterator[Objection]:
    unnamed = [structure for structure in result.structures if structure.level is None]
    if unnamed:
        surest = max(structure.level_confidence for structure in unnamed)
        text = f"no sure level for {_called(unnamed)} (confidence {surest:.2f} at most)"
        labels = tuple(structure.label for structure in unnamed)
        yield Objection(doubt=Doubt.LEVEL_UNCERTAIN, verdict=Verdict.REVIEW, text=text, labels=labels)
    first = next((structure for structure in result.structures if structure.level is not None), None)
    if first is not None and first.level_confidence < SURE:
        sure = f"{first.level_confidence:.2f}"
        text = f"the levels are counted from {called(first)}, which is not sure (confidence {sure})"
        yield Objection(doubt=Doubt.LEVEL_UNCERTAIN, verdict=Verdict.REVIEW, text=text, labels=(first.label,))


def _view(result: Result) -> Iterator[Objection]:
    """C2 to C7 whole and T1 at least in part are what a report on the neck speaks of."""
    outside = [missing.level for missing in result.missing if missing.presence is Presence.NOT_IN_VIEW]
    if outside:
        text = f"not in the field of view: {listed(outside)}"
        yield Objection(doubt=Doubt.TRUNCATED, verdict=Verdict.REVIEW, text=text)
    cut = [structure for structure in result.structures if structure.truncated and _is_reported_whole(structure)]
    if cut:
        text = f"cut by the edge of the field of view: {_called(cut)}"
        labels = tuple(structure.label for structure in cut)
        yield Objection(doubt=Doubt.TRUNCATED, verdict=Verdict.REVIEW, text=text, labels=labels)


def _is_reported_whole(structure: Structure) -> bool:
    if structure.level is None:
        return False
    if structure.kind is StructureKind.INTERVERTEBRAL_DISC:
        return structure.level in REPORTED_DISCS
    first, last = REPORTED_BODIES[0].first, REPORTED_BODIES[-2].first
    return any(
        VERTEBRAE.index(first) <= VERTEBRAE.index(one) <= VERTEBRAE.index(last) for one in structure.level.vertebrae
    )


def _specks(result: Result) -> Iterator[Objection]:
    kept = sum(structure.volume_mm3 for structure in result.structures)
    if kept and result.specks_mm3 > MOST_SPECKS * kept:
        part = 100 * result.specks_mm3 / kept
        text = f"{result.specks_mm3:,.0f} mm3 in loose pieces were dropped, {part:.0f} % of what was kept"
        yield Objection(doubt=Doubt.SPECKS, verdict=Verdict.REVIEW, text=text)


def _loose(result: Result) -> Iterator[Objection]:
    """Specks of a mask say nothing; larger pieces that are no part of the column do."""
    loose = [found for found in result.structures if found.label in result.loose]
    large = [found for found in loose if found.volume_mm3 >= SPECK_MM3[found.kind]]
    if large:
        volume = sum(found.volume_mm3 for found in large)
        text = f"{volume:,.0f} mm3 of the mask seem to be no part of the column, and are kept without a level"
        labels = tuple(found.label for found in large)
        yield Objection(doubt=Doubt.LEVEL_UNCERTAIN, verdict=Verdict.REVIEW, text=text, labels=labels)


def _called(structures: list[Structure]) -> str:
    return ", ".join(called(structure) for structure in structures)
