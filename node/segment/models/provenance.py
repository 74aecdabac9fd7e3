"""What lies beside the weights of a trained model: how its training arrays lay, and how well it did."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from node.domain.anatomy import StructureKind
from node.domain.geometry import Grid
from node.errors import ModelRefused
from node.segment.models.modelfolder import TrainedModel
from node.segment.models.planfile import Json, read_json
from node.segment.models.plans import TURNING_READERS
from node.segment.nnunet.network import Plan

#: How CSpineSeg's arrays lie: 2D sagittal acquisitions converted by dcm2niix, read by SimpleITK.
_CSPINESEG_ORIENTATION = "RSP"
#: The data set's own spelling.
_CSPINESEG_LABELS = {"background": 0, "vertebrae": 1, "inter-vetebral disc": 2}
#: RAS on disk is this in arrays, whose axes nnU-Net's readers give in reverse.
_TURNED = "SAR"

_UNREADABLE = (OSError, ImageFileError, ValueError, EOFError, KeyError, ArithmeticError)


def training_orientation(models: Sequence[TrainedModel], plans: Sequence[Plan], said: str) -> tuple[str, str]:
    """Return how the training arrays lay, such as "RSP", and from where that is known. Raises ModelRefused.

    In this order: what the importer says; a reader of nnU-Net that turns every image; the headers of the validation
    images, which nnU-Net writes as the training images lay; the data set, when it is CSpineSeg.
    """
    if said:
        return said, "as the importer said"
    readers = {str(plan.plans.plans["image_reader_writer"]) for plan in plans}
    if readers <= TURNING_READERS:
        return _TURNED, f"nnU-Net's reader {', '.join(sorted(readers))}"
    files = sorted(file for model in models for file in model.folder.glob("fold_*/validation/*.nii.gz"))
    seen = Counter(orientation_of(file) for file in files)
    if len(seen) == 1 and (only := next(iter(seen))):
        return only, f"headers of {len(files)} validation images"
    if all(_is_cspineseg(plan) for plan in plans):
        return _CSPINESEG_ORIENTATION, "the data set is CSpineSeg: 2D sagittal T2 as dcm2niix and SimpleITK lay it"
    found = ", ".join(f"{count} {letters or 'unreadable'}" for letters, count in seen.most_common()) or "none there"
    raise ModelRefused(
        f"how the training images lay is not known (validation images: {found}); say it with --orientation, three "
        "letters for the directions in which slices, rows and columns of the arrays grow, such as RSP"
    )


def orientation_of(file: Path) -> str:
    """Return the orientation of the array that nnU-Net's reader makes of a NIfTI file; empty when it cannot be read."""
    try:
        image: Any = nib.load(file)
        ras, shape = np.asarray(image.affine, dtype=np.float64), tuple(int(size) for size in image.shape)
    except _UNREADABLE:
        return ""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ras
    if len(shape) != 3 or not np.isfinite(lps).all() or not np.linalg.det(lps[:3, :3]):
        return ""
    lps[:3, :3] = lps[:3, 2::-1]
    return Grid(shape=(shape[2], shape[1], shape[0]), affine=lps).orientation()


def reported_scores(models: Sequence[TrainedModel]) -> Json:
    """Return nnU-Net's own figures by configuration and run: the foreground means, and Dice by label.

    Nothing of single cases is taken along: their names may be those of patients. Raises BundleError.
    """
    found: Json = {}
    for model in models:
        files = [
            *((f"fold_{fold}", model.folder / f"fold_{fold}" / "validation" / "summary.json") for fold in model.folds),
            *((file.parent.name, file) for file in sorted(model.folder.glob("crossval_results*/summary.json"))),
        ]
        runs = {name: _scores(read_json(file)) for name, file in files if file.is_file()}
        if runs := {name: scores for name, scores in runs.items() if scores}:
            found[model.configuration] = runs
    return found


def finite(content: Any) -> Any:
    """Return JSON content with null where a number is none; nnU-Net writes NaN for a label that no case has."""
    if isinstance(content, dict):
        return {str(name): finite(value) for name, value in content.items()}
    if isinstance(content, list):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def described_labels(meanings: dict[int, StructureKind]) -> dict[str, str]:
    """Return the meanings of labels as a manifest spells them."""
    return {str(value): kind.value for value, kind in meanings.items()}


def _scores(summary: Json) -> Json:
    overall, labels = summary.get("foreground_mean"), summary.get("mean")
    scores: Json = {}
    if isinstance(overall, dict):
        scores["foreground_mean"] = {name: value for name, value in overall.items() if _is_number(value)}
    if isinstance(labels, dict):
        scores["dice"] = {
            label: values["Dice"]
            for label, values in labels.items()
            if isinstance(values, dict) and _is_number(values.get("Dice"))
        }
    return scores


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_cspineseg(plan: Plan) -> bool:
    return "CSpineSeg" in plan.plans.dataset_name or plan.dataset["labels"] == _CSPINESEG_LABELS
