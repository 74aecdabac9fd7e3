"""Measures trained models on phantoms they never saw, with nnU-Net's own predictor and no code of this project."""

from pathlib import Path

import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from numpy.typing import NDArray

from node.segment.models.exporting import folder_name
from node.segment.models.modelfolder import FINAL
from node.train.cases import oriented
from node.train.modelfolder import CONFIGURATIONS
from node.train.plans import Json

_KINDS = {1: "vertebral_body", 2: "intervertebral_disc"}

Probabilities = NDArray[np.float32]


class OfficialEnsemble:
    """The mean of the softmax outputs of both configurations, each from the official `nnUNetPredictor`."""

    def __init__(self, folders: Path) -> None:
        self._predictors = {}
        for configuration in CONFIGURATIONS:
            predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
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


def evaluate(folders: Path, seeds: range) -> Json:
    """Return the mean and lowest volumetric Dice of each configuration and of the ensemble over held-out phantoms."""
    ensemble = OfficialEnsemble(folders)
    scores: dict[str, dict[str, list[float]]] = {}
    for seed in seeds:
        image, truth, spacing = oriented(seed)
        for name, shares in ensemble.probabilities(image, spacing).items():
            found = np.argmax(shares, axis=0)
            for label, kind in _KINDS.items():
                scores.setdefault(name, {}).setdefault(kind, []).append(dice(found, truth, label))
    return {
        "data": "held-out generated phantoms",
        "volumes": len(seeds),
        "first_seed": seeds.start,
        "measure": "volumetric Dice, mean and lowest over the volumes, official nnUNetPredictor",
        "dice": {
            name: {
                kind: {"mean": round(float(np.mean(values)), 4), "lowest": round(float(np.min(values)), 4)}
                for kind, values in kinds.items()
            }
            for name, kinds in scores.items()
        },
    }
