"""Measures trained models on what they never saw, with nnU-Net's own predictor and no code of this project."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from numpy.typing import NDArray
from scipy import ndimage

from node.segment.models.exporting import folder_name
from node.segment.models.modelfolder import FINAL
from node.train.cases import drawn
from node.train.lumbar import KEPT_APART, read_slice
from node.train.modelfolder import CONFIGURATIONS
from node.train.plans import SPACING_MM, Json

_KINDS = {1: "vertebral_body", 2: "intervertebral_disc"}

#: Nobody knows the size of the lumbar slices' pixels: as small as the training's, and as in a field of 280 mm.
LUMBAR_PIXELS_MM = (0.8, 1.1)
#: A component stands for a structure when it covers this share of it.
_COVERS = 0.3
#: A structure that the picture cuts to less than this share of the median of its kind is not asked for.
_ENOUGH = 0.3

Probabilities = NDArray[np.float32]


class OfficialEnsemble:
    """The mean of the softmax outputs of both configurations, each from the official `nnUNetPredictor`."""

    def __init__(self, folders: Path, device: str = "cpu") -> None:
        """Load the members from the model folders in `folders`."""
        self._predictors = {}
        for configuration in CONFIGURATIONS:
            predictor = nnUNetPredictor(
                device=torch.device(device), allow_tqdm=False, perform_everything_on_device=device != "cpu"
            )
            predictor.initialize_from_trained_model_folder(
                str(folders / folder_name(configuration)), use_folds=(0,), checkpoint_name=FINAL
            )
            self._predictors[configuration] = predictor

    def probabilities(self, image: NDArray[np.float32], spacing_mm: list[float]) -> dict[str, Probabilities]:
        """Return per configuration, and as "ensemble", softmax outputs (classes, slices, rows, columns).

        `image`: (slices, rows, columns) float32 in the orientation of the training arrays.
        """
        found: dict[str, Probabilities] = {}
        for configuration, predictor in self._predictors.items():
            _, found[configuration] = predictor.predict_single_npy_array(
                image[None], {"spacing": spacing_mm}, save_or_return_probabilities=True
            )
        found["ensemble"] = np.mean(np.stack([found[name] for name in CONFIGURATIONS]), axis=0)
        return found


def dice(found: NDArray[np.integer], truth: NDArray[np.integer], label: int) -> float:
    """Return the volumetric Dice of one label; 1 when neither side has it."""
    one, two = found == label, truth == label
    total = int(one.sum()) + int(two.sum())
    return 2.0 * int((one & two).sum()) / total if total else 1.0


def found_once(
    found: NDArray[np.integer], structures: NDArray[np.integer], labels: NDArray[np.integer], label: int
) -> tuple[int, int]:
    """Return how many structures of one label were found exactly once, and how many there are.

    Found once: one component of `found` (face-connected) covers it, and covers no other one. All arrays (slices, rows,
    columns); `structures` numbers the voxels of `labels` by structure. Slivers at the picture's edge are not asked for.
    """
    components, count = ndimage.label(found == label)
    table = np.zeros((int(structures.max()) + 1, count + 1), dtype=np.int64)
    asked = labels == label
    np.add.at(table, (structures[asked], components[asked]), 1)
    sizes = table.sum(axis=1)
    there = np.flatnonzero(sizes)
    there = there[sizes[there] >= _ENOUGH * np.median(sizes[there])] if there.size else there
    covers = table[there, 1:] >= _COVERS * sizes[there, None]
    alone = covers.sum(axis=0) == 1
    return int(np.count_nonzero((covers.sum(axis=1) == 1) & covers[:, alone].any(axis=1))), int(there.size)


def evaluate(folders: Path, seeds: Sequence[int], device: str = "cpu") -> Json:
    """Return figures of each configuration and of the ensemble over phantoms that were never trained on.

    Mean and lowest volumetric Dice of both kinds, and the share of the structures that were found exactly once.
    """
    ensemble = OfficialEnsemble(folders, device)
    scores: dict[str, dict[str, list[float]]] = {}
    counts: dict[str, dict[str, list[int]]] = {}
    for seed in seeds:
        case = drawn(seed)
        for name, shares in ensemble.probabilities(case.image, case.spacing_mm).items():
            found = np.argmax(shares, axis=0)
            for label, kind in _KINDS.items():
                scores.setdefault(name, {}).setdefault(kind, []).append(dice(found, case.labels, label))
                once, there = found_once(found, case.structures, case.labels, label)
                tally = counts.setdefault(name, {}).setdefault(kind, [0, 0])
                tally[0], tally[1] = tally[0] + once, tally[1] + there
    return {
        "data": "held-out generated phantoms",
        "volumes": len(seeds),
        "first_seed": seeds[0],
        "measure": "volumetric Dice, mean and lowest over the volumes, official nnUNetPredictor",
        "dice": {name: {kind: _summary(values) for kind, values in kinds.items()} for name, kinds in scores.items()},
        "found_once": {
            name: {kind: {"found": once, "there": there} for kind, (once, there) in kinds.items()}
            for name, kinds in counts.items()
        },
    }


def evaluate_lumbar(folders: Path, lumbar: Path, device: str = "cpu") -> Json:
    """Return the Dice on the labelled lumbar slices that are kept apart from every training.

    Each slice is a volume of one slice for nnU-Net, so that 3d_fullres, and through it the ensemble, sees nothing
    beside it. Raises InputError.
    """
    ensemble = OfficialEnsemble(folders, device)
    scores: dict[str, dict[str, dict[str, list[float]]]] = {}
    for number in KEPT_APART:
        picture, truth = read_slice(lumbar, number)
        for pixel in LUMBAR_PIXELS_MM:
            shares = ensemble.probabilities(picture[None], [SPACING_MM[0], pixel, pixel])
            by_member = scores.setdefault(f"{pixel:g}", {})
            for name, share in shares.items():
                for label, kind in _KINDS.items():
                    by_kind = by_member.setdefault(name, {})
                    by_kind.setdefault(kind, []).append(dice(share.argmax(axis=0), truth[None], label))
    return {
        "data": "real lumbar slices kept apart, sulaimanvesal/vertebraeSegementation",
        "slices": list(KEPT_APART),
        "measure": "Dice of a slice, mean and lowest over the slices, by the pixel size (mm) that nnU-Net is told",
        "dice": {
            pixel: {name: {kind: _summary(values) for kind, values in kinds.items()} for name, kinds in names.items()}
            for pixel, names in scores.items()
        },
    }


def _summary(values: Sequence[float]) -> Json:
    return {"mean": round(float(np.mean(values)), 4), "lowest": round(float(np.min(values)), 4)}
