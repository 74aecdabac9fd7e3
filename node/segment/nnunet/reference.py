"""Reference mode: nnU-Net's own functions, step for step those of `nnUNetv2_predict` and `nnUNetv2_ensemble`.

What is left out is everything around them: imports, weights and files for every case.
Source: nnunetv2 2.8, `inference/predict_from_raw_data.py` (`predict_single_npy_array`).
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from nnunetv2.inference.data_iterators import PreprocessAdapterFromNpy
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from torch import nn

from node.segment.ensemble import Classes, Probabilities, mean_probabilities, most_probable
from node.segment.nnunet.answer import Answer, Image
from node.segment.nnunet.network import Plan
from node.segment.nnunet.stages import Stages

_TRAINER = "nnUNetTrainer"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Prepared:
    """What nnU-Net's preprocessing made of one image for one member."""

    data: Any
    properties: Any


class Reference:
    """The members of an ensemble behind nnU-Net's predictors."""

    def __init__(
        self, members: Sequence[tuple[Plan, Sequence[nn.Module], tuple[int, ...]]], device: torch.device
    ) -> None:
        """`members`: plan, one network a fold, axes to mirror along (empty: no mirroring)."""
        self._predictors = [_predictor(plan, networks, axes, device) for plan, networks, axes in members]
        self.precision = "float16" if device.type == "cuda" else "float32"

    def prepare(self, image: Image, stages: Stages) -> list[_Prepared]:
        """Crop, normalise and resample for each member."""
        with stages.stage("preprocess"):
            return [_preprocess(predictor, image) for predictor in self._predictors]

    def answer(self, prepared: Sequence[_Prepared], stages: Stages) -> Answer:
        """Run the networks and average the members."""
        shares: list[Probabilities] = []
        for predictor, ready in zip(self._predictors, prepared, strict=True):
            with stages.stage("network"):
                logits = predictor.predict_logits_from_preprocessed_data(ready.data).cpu()
            with stages.stage("back"):
                shares.append(_onto_image(predictor, logits, ready.properties))
        with stages.stage("combine"):
            members: list[Classes] = [most_probable(share) for share in shares] if len(shares) > 1 else []
            return Answer(classes=most_probable(mean_probabilities(shares)), members=members)


def _preprocess(predictor: Any, image: Image) -> _Prepared:
    adapter = PreprocessAdapterFromNpy(
        [image.voxels[np.newaxis]],
        [None],
        [{"spacing": list(image.spacing_mm)}],
        [None],
        predictor.plans_manager,
        predictor.dataset_json,
        predictor.configuration_manager,
        num_threads_in_multithreaded=1,
    )
    made = next(adapter)
    return _Prepared(data=made["data"], properties=made["data_properties"])


def _onto_image(predictor: Any, logits: torch.Tensor, properties: Any) -> Probabilities:
    _, probabilities = convert_predicted_logits_to_segmentation_with_correct_shape(
        logits,
        predictor.plans_manager,
        predictor.configuration_manager,
        predictor.label_manager,
        properties,
        return_probabilities=True,
    )
    return np.asarray(probabilities, dtype=np.float32)


def _predictor(plan: Plan, networks: Sequence[nn.Module], axes: tuple[int, ...], device: torch.device) -> Any:
    predictor = nnUNetPredictor(
        use_mirroring=bool(axes), perform_everything_on_device=device.type == "cuda", device=device, allow_tqdm=False
    )
    predictor.manual_initialization(
        copy.deepcopy(networks[0]),  # nnU-Net loads fold after fold into this one
        plan.plans,
        plan.configuration,
        [network.state_dict() for network in networks],
        dict(plan.dataset),
        _TRAINER,
        axes or None,
    )
    return predictor
