"""Findings made by hand on any grid, and the sources that they lie on. Nothing here measures or recognises levels."""

import dataclasses
from collections.abc import Iterable, Sequence
from itertools import pairwise, product
from pathlib import Path

import numpy as np
from oracle import ALGORITHM, RUN
from scipy.ndimage import binary_dilation, find_objects

from node.assemble.headers import gather
from node.assemble.volume import build_volume
from node.demo.source import write_series
from node.domain.anatomy import Level, StructureKind, body, disc_below
from node.domain.case import Order, ReportForm, ResultKey, SegmentationForm, Wanted
from node.domain.findings import (
    Doubt,
    Evidence,
    Findings,
    Measures,
    Missing,
    Objection,
    Pair,
    Presence,
    Quality,
    Quantity,
    Segmentation,
    Structure,
    Verdict,
)
from node.domain.geometry import Grid, Volume
from node.domain.identifiers import Digest
from node.domain.picture import Picture
from node.domain.series import Series
from node.encode.encoding import Case

Source = tuple[Series, Volume]

BODY, DISC = StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC

KEY = ResultKey(
    content_digest=Digest("c" * 64), bundle_digest="b" * 64, settings_digest="s" * 64, software_version="0.1.0"
)

#: Every form of SEG and SR, with key images.
EVERYTHING = Order(
    wanted=frozenset(
        Wanted(segmentation=segmentation, report=report, key_images=report is ReportForm.ENHANCED)
        for segmentation, report in product(SegmentationForm, ReportForm)
    )
)

#: C2 to T2 with every disc between: fifteen structures.
NECK = (
    *(level for name in ("C2", "C3", "C4", "C5", "C6", "C7", "T1") for level in (body(name), disc_below(name))),
    body("T2"),
)

_BODY_MEASURES: Measures = {
    Quantity.HEIGHT_ANTERIOR: 13.25,
    Quantity.HEIGHT_MIDDLE: 12.5,
    Quantity.HEIGHT_POSTERIOR: 13.75,
    Quantity.DEPTH: 15.125,
    Quantity.WEDGE_ANGLE: -2.0625,
}
_DISC_MEASURES: Measures = {
    Quantity.HEIGHT_ANTERIOR: 5.5,
    Quantity.HEIGHT_MIDDLE: 5.75,
    Quantity.HEIGHT_POSTERIOR: 4.25,
    Quantity.DISC_HEIGHT_INDEX: 1 / 3,
    Quantity.T2_RATIO_MEAN: 0.9,
    Quantity.T2_RATIO_MEDIAN: 0.875,
}


def series_of(paths: Iterable[Path]) -> Source:
    """Return the only series among the files, and its volume."""
    [series], unreadable = gather(paths)
    assert unreadable == ()
    return series, build_volume(series)


def synthetic(folder: Path, shape: tuple[int, int, int] = (9, 64, 44), spacing: float = 1.0) -> Source:
    """Write a sagittal series of 3.5 mm slices, and return it with its volume."""
    affine = np.array(
        [[3.5, 0, 0, -14.0], [0, 0, spacing, -10.0], [0, -spacing, 0, 60.0], [0, 0, 0, 1]], dtype=np.float64
    )
    voxels = np.random.default_rng(5).integers(0, 900, shape).astype(np.int16)
    return series_of(write_series(voxels, Grid(shape=shape, affine=affine), folder, name=f"synthetic {shape}"))


def case_of(
    source: Source,
    levels: Sequence[Level | StructureKind] = NECK,
    *,
    labels: np.ndarray | None = None,
    pictures: int = 0,
) -> Case:
    """Return a case with a structure for each of `levels`, a kind standing for a structure whose level is not known.

    The structures are slabs down the rows, or, where `labels` is given, its labels 1, 2, 3 and so on.
    """
    series, volume = source
    labels = slabs(volume.grid.shape, len(levels)) if labels is None else labels
    kinds = [level.kind if isinstance(level, Level) else level for level in levels]
    structures = tuple(
        _structure(volume.grid, labels, number, kinds[: number + 1], level) for number, level in enumerate(levels)
    )
    findings = _findings(structures, labels)
    return Case(
        series=series,
        volume=volume,
        segmentation=_segmentation(labels, kinds),
        findings=findings,
        pictures=[_picture(number, volume) for number in range(pictures)],
    )


def slabs(shape: tuple[int, int, int], count: int) -> np.ndarray:
    """Return `count` slabs down the rows, each in contact with the next; the outer slices and columns stay free.

    Each is wider than the one above, so that no two have the same volume, and has a notch that tells left from right.
    """
    slices, rows, columns = shape
    labels = np.zeros(shape, dtype=np.uint16)
    edges = np.linspace(2, rows - 2, count + 1).astype(int)
    for number, (first, last) in enumerate(pairwise(edges), start=1):
        labels[1 : slices - 1, first:last, 4 : columns // 2 + number % (columns // 2 - 4)] = number
        labels[1, first, 4] = 0
    return labels


def _structure(
    grid: Grid, labels: np.ndarray, place: int, kinds: Sequence[StructureKind], level: Level | StructureKind
) -> Structure:
    named = isinstance(level, Level)
    voxels = np.argwhere(labels == place + 1)
    centroid = grid.to_lps_mm(voxels.mean(axis=0))
    return Structure(
        label=place + 1,
        kind=kinds[-1],
        ordinal=kinds.count(kinds[-1]),
        level=level if isinstance(level, Level) else None,
        level_confidence=(0.99 if place % 2 else 0.8) if named else 0.3,
        truncated=place == 0,
        volume_mm3=len(voxels) * grid.voxel_volume_mm3,
        centroid_lps_mm=(float(centroid[0]), float(centroid[1]), float(centroid[2])),
        measures={
            quantity: value + place / 8
            for quantity, value in (_BODY_MEASURES if kinds[-1] is BODY else _DISC_MEASURES).items()
        }
        if place
        else {},
    )


def _findings(structures: Sequence[Structure], labels: np.ndarray) -> Findings:
    bodies = [structure for structure in structures if structure.kind is BODY]
    levels = {structure.level for structure in structures}
    pairs = tuple(
        Pair(upper=upper.label, lower=lower.label, measures={Quantity.SLIP: 0.5 - upper.ordinal})
        for upper, lower in pairwise(bodies)
    )
    return Findings(
        labels=labels,
        structures=tuple(structures),
        missing=(),
        pairs=pairs,
        curvature={Quantity.LORDOSIS_COBB: 21.5, Quantity.LORDOSIS_POSTERIOR_TANGENT: 24.25}
        if {body("C2"), body("C7")} <= levels
        else {},
        class_volume_mm3={
            kind: sum(structure.volume_mm3 for structure in structures if structure.kind is kind)
            for kind in StructureKind
        },
        quality=Quality(
            verdict=Verdict.GOOD,
            objections=(),
            evidence={
                structure.label: Evidence(member_agreement=0.9, fold_agreement=None, entropy=0.1)
                for structure in structures
            },
            member_agreement={BODY: 0.9, DISC: 0.9},
            specks_mm3=0.0,
        ),
        algorithm=ALGORITHM,
        run=RUN,
    )


def _segmentation(labels: np.ndarray, kinds: Sequence[StructureKind]) -> Segmentation:
    """Return an ensemble's answer that is sure inside (0.9), less so at a border, and has a halo of 0.2."""
    values = {BODY: 1, DISC: 2}
    classes = np.array([0, *(values[kind] for kind in kinds)], dtype=np.uint8)[labels]
    probabilities = {}
    for kind, value in values.items():
        mask = classes == value
        halo = np.zeros_like(mask)
        for box in find_objects(mask.astype(np.uint8)):
            around = tuple(slice(max(0, side.start - 2), side.stop + 2) for side in box)
            halo[around] = binary_dilation(mask[around], iterations=2)
        probabilities[kind] = np.where(mask, 230, np.where(halo, 51, 0)).astype(np.uint8)
    return Segmentation(
        classes=classes,
        meanings={1: BODY, 2: DISC},
        probabilities=probabilities,
        opinions={},
        algorithm=ALGORITHM,
        run=RUN,
    )


def _picture(number: int, volume: Volume) -> Picture:
    pixels = np.random.default_rng(number).integers(0, 255, (30, 40, 3)).astype(np.uint8)
    return Picture(pixels=pixels, slices=(1, min(2 + number, volume.grid.shape[0] - 1)))


def with_findings(case: Case, **changes: object) -> Case:
    """Return the case with other findings."""
    return dataclasses.replace(case, findings=dataclasses.replace(case.findings, **changes))


def judged(case: Case, verdict: Verdict, *doubts: Doubt) -> Case:
    """Return the case with a verdict and an objection for each doubt."""
    objections = tuple(
        Objection(doubt=doubt, verdict=verdict, text=f"What speaks against it: {doubt.value}.") for doubt in doubts
    )
    quality = dataclasses.replace(case.findings.quality, verdict=verdict, objections=objections)
    return with_findings(case, quality=quality)


def whole_neck(source: Source) -> Case:
    """Fifteen named structures, two levels that are missing, a verdict of review."""
    case = judged(case_of(source, NECK, pictures=2), Verdict.REVIEW, Doubt.MOTION, Doubt.TRUNCATED)
    missing = (
        Missing(level=body("T3"), presence=Presence.NOT_IN_VIEW),
        Missing(level=disc_below("T3"), presence=Presence.ABSENT),
    )
    return with_findings(case, missing=missing)


def doubtful_neck(source: Source) -> Case:
    """A block, named structures, and below them structures whose level is not known."""
    unnamed = (StructureKind.INTERVERTEBRAL_DISC, StructureKind.VERTEBRAL_BODY)
    levels = (body("C4"), disc_below("C4"), body("C5", "C6"), disc_below("C6"), body("C7"), *unnamed, *unnamed)
    return judged(case_of(source, levels, pictures=1), Verdict.REVIEW, Doubt.LEVEL_UNCERTAIN)
