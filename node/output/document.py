"""Findings as `findings.json`: what scripts of users read."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from node.domain.findings import Findings, Measures, Objection, Quality, Run, Structure


def findings_document(
    findings: Findings, segments: Mapping[int, int], timings_s: Mapping[str, float]
) -> dict[str, Any]:
    """Return `findings.json`: structures head to feet, totals in mm3, quality, timings in seconds, algorithm.

    `segments`: by the label of a structure the number of its segment in the SEG; several may share one.

    Measurements stand there as they are, unrounded: SEG, SR, table and this document say the same number.
    """
    return {
        "structures": [_structure_document(found, segments[found.label]) for found in findings.structures],
        "missing": [
            {"level": item.level.name, "kind": item.level.kind.value, "presence": item.presence.value}
            for item in findings.missing
        ],
        "pairs": [
            {"upper": pair.upper, "lower": pair.lower, "measures": _measures_document(pair.measures)}
            for pair in findings.pairs
        ],
        "curvature": _measures_document(findings.curvature),
        "total_volume_mm3": {kind.value: volume for kind, volume in findings.class_volume_mm3.items()},
        "quality": _quality_document(findings.quality, {found.label: found for found in findings.structures}),
        "timings_s": {stage: round(seconds, 3) for stage, seconds in timings_s.items()},
        "algorithm": asdict(findings.algorithm),
        "run": _run_document(findings.run),
    }


def _structure_document(found: Structure, segment: int) -> dict[str, Any]:
    return {
        "label": found.label,
        "segment": segment,
        "kind": found.kind.value,
        "ordinal": found.ordinal,
        "level": found.level.name if found.level else None,
        "level_confidence": round(found.level_confidence, 4),
        "truncated": found.truncated,
        "volume_mm3": found.volume_mm3,
        "centroid_lps_mm": [round(value, 3) for value in found.centroid_lps_mm],
        "measures": _measures_document(found.measures),
    }


def _measures_document(measures: Measures) -> dict[str, float]:
    return {quantity.key: value for quantity, value in measures.items()}


def _quality_document(quality: Quality, structures: Mapping[int, Structure]) -> dict[str, Any]:
    return {
        "verdict": quality.verdict.value,
        "objections": [_objection_document(objection, structures) for objection in quality.objections],
        "evidence": [
            {
                "label": label,
                "member_agreement_dice": _rounded(evidence.member_agreement),
                "fold_agreement_dice": _rounded(evidence.fold_agreement),
                "entropy": round(evidence.entropy, 4),
            }
            for label, evidence in quality.evidence.items()
        ],
        "member_agreement_dice": {kind.value: _rounded(overlap) for kind, overlap in quality.member_agreement.items()},
        "specks_mm3": round(quality.specks_mm3, 3),
    }


def _objection_document(objection: Objection, structures: Mapping[int, Structure]) -> dict[str, Any]:
    levels = [found.level.name for label in objection.labels if (found := structures.get(label)) and found.level]
    return {
        "doubt": objection.doubt.value,
        "verdict": objection.verdict.value,
        "text": objection.text,
        "labels": list(objection.labels),
        "levels": levels,
    }


def _rounded(overlap: float | None) -> float | None:
    return overlap if overlap is None else round(overlap, 4)


def _run_document(run: Run) -> dict[str, Any]:
    rounded = {
        name: {stage: round(seconds, 3) for stage, seconds in times.items()}
        for name, times in (("stages_s", run.stages_s), ("cpu_s", run.cpu_s))
    }
    return {**asdict(run), **rounded}
