"""Findings as `findings.json`: what scripts of users read."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from node.domain.findings import Findings, Measures, Objection, Quality, Run, Structure, Verdict
from node.errors import ResultDamaged

_NAME = "findings.json"
#: None that the node wrote is larger.
_LARGEST_BYTES = 16 << 20


def findings_document(
    findings: Findings, segments: Mapping[int, int] | None, timings_s: Mapping[str, float]
) -> dict[str, Any]:
    """Return `findings.json`: structures head to feet, totals in mm3, quality, timings in seconds, algorithm.

    `segments`: by the label of a structure the number of its segment in the SEG; several may share one. None where
    there is no SEG.

    Measurements stand there as they are, unrounded: SEG, SR, table and this document say the same number.
    """
    return {
        "structures": [
            _structure_document(found, segments[found.label] if segments is not None else None)
            for found in findings.structures
        ],
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
        **({"origin": findings.origin.value} if findings.origin.is_mask else {}),
        "run": _run_document(findings.run),
    }


def read_findings(folder: Path) -> dict[str, Any]:
    """Return `findings.json` of a folder of results. Raises ResultDamaged for one that is gone or is none."""
    try:
        with (folder / _NAME).open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
        document = json.loads(content) if len(content) <= _LARGEST_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise ResultDamaged(f"{_NAME} cannot be read: {type(error).__name__}") from error
    if not isinstance(document, dict):
        raise ResultDamaged(f"{_NAME} is not what the node writes")
    return document


def verdict_of(document: Mapping[str, Any]) -> Verdict:
    """Return the verdict that a `findings.json` tells. Raises ResultDamaged where it tells none."""
    try:
        return Verdict(document["quality"]["verdict"])
    except (KeyError, TypeError, ValueError) as error:
        raise ResultDamaged(f"{_NAME} tells no verdict") from error


def _structure_document(found: Structure, segment: int | None) -> dict[str, Any]:
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
