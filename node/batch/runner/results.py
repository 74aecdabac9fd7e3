"""The folder of a case, and what the ledger keeps of it.

seg.dcm sr.dcm findings.json measurements.tsv overlay.png     as `node.output.folder` has them
labels.nii.gz       the structures, by `structures[].label` of findings.json
classes.nii.gz      the answer before clean-up, or the mask itself: 1 body, 2 disc, as in the masks of CSpineSeg
"""

from pathlib import Path
from typing import Any

import numpy as np

from node.assemble.nifti import NiftiImage
from node.domain.anatomy import StructureKind
from node.domain.geometry import lay_on
from node.errors import GridMismatch
from node.output.folder import write_case
from node.output.nifti import VoxelArray, nifti_bytes, nifti_bytes_as_stored
from node.pipeline import CaseResult, Stages

#: Values of `classes.nii.gz`.
_CLASSES = {StructureKind.VERTEBRAL_BODY: 1, StructureKind.INTERVERTEBRAL_DISC: 2}


def write_results(folder: Path, result: CaseResult, image: NiftiImage | None = None) -> None:
    """Write everything about a case durably, `findings.json` last.

    `image`: the NIfTI image of the case, on whose voxels and axes the label maps are laid; None for a series.
    """
    answer = result.segmentation
    classes = np.zeros_like(answer.classes)
    for value, kind in answer.meanings.items():
        classes[answer.classes == value] = _CLASSES[kind]
    voxels_of: dict[str, VoxelArray] = {"labels.nii.gz": result.findings.labels, "classes.nii.gz": classes}
    write_case(
        folder,
        objects=result.contents(),
        document=result.document,
        measurements=result.measurements,
        overlay=result.overlay,
        maps={name: _laid_out(result, image, voxels) for name, voxels in voxels_of.items()},
    )


def _laid_out(result: CaseResult, image: NiftiImage | None, voxels: VoxelArray) -> bytes:
    """Return a label map on the volume's grid as a NIfTI file, in the axes of the image that it came from."""
    if image is None:
        return nifti_bytes(result.volume, voxels)
    stored = lay_on(voxels, result.volume.grid, image.grid)
    if stored is None:
        raise GridMismatch("the label map does not lie on the voxels of its image")
    return nifti_bytes_as_stored(image.grid, stored)


def kept(result: CaseResult, stages: Stages) -> dict[str, Any]:
    """Return what the ledger keeps: `rows` of measurements, seconds of the pipeline and of each stage."""
    kinds = [found.kind for found in result.findings.structures]
    return {
        "verdict": result.document["quality"]["verdict"],
        "bodies": kinds.count(StructureKind.VERTEBRAL_BODY),
        "discs": kinds.count(StructureKind.INTERVERTEBRAL_DISC),
        "rows": result.measurements.count("\n") - 1,
        "pipeline_s": round(sum(result.timings_s.values()), 4),
        "stages_s": {name: round(seconds, 4) for name, seconds in {**stages.seconds, **result.timings_s}.items()},
    }
