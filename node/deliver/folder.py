"""Results as files: what `segment` and `demo` leave in a folder, and what the live node keeps of each case.

The names are a contract, scripts of users stand on them:

    seg.dcm  sr.dcm  findings.json  overlay.png         always (no seg.dcm where nothing was found)
    image.nii.gz  labels.nii.gz                         on request, laid out as dcm2niix would
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from node.deliver.nifti import nifti_bytes
from node.domain.case import ObjectKind
from node.domain.findings import Findings, Run
from node.domain.geometry import Volume
from node.durable import write_durably

#: File name of each object.
OBJECT_NAMES: Mapping[ObjectKind, str] = {ObjectKind.SEGMENTATION: "seg.dcm", ObjectKind.REPORT: "sr.dcm"}


def write_case(
    folder: Path, *, objects: Mapping[ObjectKind, bytes], document: Mapping[str, Any], overlay: bytes
) -> None:
    """Write the objects, `findings.json` and `overlay.png` into `folder`; on return they are on the disk.

    An object of an earlier run that this one does not have is deleted: the files of a folder belong together.
    """
    for kind in OBJECT_NAMES.keys() - objects.keys():
        (folder / OBJECT_NAMES[kind]).unlink(missing_ok=True)
    for kind, content in objects.items():
        write_durably(folder / OBJECT_NAMES[kind], [content])
    write_durably(folder / "overlay.png", [overlay])
    write_durably(folder / "findings.json", [(json.dumps(document, indent=2) + "\n").encode()])


def write_nifti(folder: Path, volume: Volume, findings: Findings) -> None:
    """Write `image.nii.gz` and `labels.nii.gz`, voxel on voxel."""
    write_durably(folder / "image.nii.gz", [nifti_bytes(volume, volume.voxels)])
    write_durably(folder / "labels.nii.gz", [nifti_bytes(volume, findings.labels)])


def findings_document(findings: Findings, timings_s: Mapping[str, float]) -> dict[str, Any]:
    """Return `findings.json`: structures head to feet, totals in mm3, quality, timings in seconds, algorithm."""
    return {
        "structures": [
            {
                "label": found.label,
                "kind": found.kind.value,
                "level": found.level,
                "volume_mm3": round(found.volume_mm3, 3),
                "centroid_lps_mm": [round(value, 3) for value in found.centroid_lps_mm],
            }
            for found in findings.structures
        ],
        "total_volume_mm3": {kind.value: round(volume, 3) for kind, volume in findings.class_volume_mm3.items()},
        "quality": {
            "member_agreement_dice": {
                kind.value: overlap if overlap is None else round(overlap, 4)
                for kind, overlap in findings.quality.member_agreement.items()
            },
            "specks_mm3": round(findings.quality.specks_mm3, 3),
        },
        "timings_s": {stage: round(seconds, 3) for stage, seconds in timings_s.items()},
        "algorithm": asdict(findings.algorithm),
        "run": _run_document(findings.run),
    }


def _run_document(run: Run) -> dict[str, Any]:
    rounded = {
        name: {stage: round(seconds, 3) for stage, seconds in times.items()}
        for name, times in (("stages_s", run.stages_s), ("cpu_s", run.cpu_s))
    }
    return {**asdict(run), **rounded}
