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

from node.segment.ensemble import Classes, Probabilities, in_255ths, mean_probabilities, most_probable
from node.segment.layers import Layers
from node.segment.nnunet.answer import Answer, Image
from node.segment.nnunet.network import Plan
from node.segment.nnunet.opinions import carried, opinions, running_maximum
from node.segment.nnunet.stages import Stages

_TRAINER = "nnUNetTrainer"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Prepared:
    """What nnU-Net's preprocessing made of one image for one member."""

    data: Any
    properties: Any


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceMember:
    """One configuration: its plan, its folds by name, one network each, and the axes to mirror along, if any."""

    plan: Plan
    names: Sequence[str]
    networks: Sequence[nn.Module]
    mirror_axes: tuple[int, ...]


class _Listening(nnUNetPredictor):  # type: ignore[misc]
    """nnU-Net's predictor as it is, which also keeps the classes of each of several folds, on the network's grid."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.folds: list[torch.Tensor] = []

    def predict_sliding_window_return_logits(self, input_image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = super().predict_sliding_window_return_logits(input_image)
        if len(self.list_of_parameters) > 1:
            self.folds.append(running_maximum(logits).cpu())
        return logits


class Reference:
    """The members of an ensemble behind nnU-Net's predictors."""

    def __init__(self, members: Sequence[ReferenceMember], device: torch.device) -> None:
        self._predictors = [_predictor(member, device) for member in members]
        self._opinions = opinions([(member.plan.name, member.names) for member in members])
        self.precision = "float16" if device.type == "cuda" else "float32"

    def prepare(self, image: Image, stages: Stages) -> list[_Prepared]:
        """Crop, normalise and resample for each member."""
        with stages.stage("preprocess"):
            return [_preprocess(predictor, image) for predictor in self._predictors]

    def answer(self, prepared: Sequence[_Prepared], stages: Stages) -> Answer:
        """Run the networks and average the members."""
        shares: list[Probabilities] = []
        folds: list[Classes] = []
        for predictor, ready in zip(self._predictors, prepared, strict=True):
            predictor.folds.clear()
            with stages.stage("network"):
                logits = predictor.predict_logits_from_preprocessed_data(ready.data).cpu()
            with stages.stage("back"):
                shares.append(_onto_image(predictor, logits, ready.properties))
                folds += [_fold_onto_image(predictor, fold, ready.properties) for fold in predictor.folds]
        with stages.stage("combine"):
            mean = mean_probabilities(shares)
            configurations = [most_probable(share) for share in shares] if len(shares) > 1 else []
            stack = np.stack([most_probable(mean), *in_255ths(mean[1:]), *configurations, *folds])
        return Answer(
            layers=Layers(voxels=stack, corner=(0, 0, 0), whole=mean.shape[1:]),
            opinions=self._opinions,
        )


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


def _fold_onto_image(predictor: Any, classes: torch.Tensor, properties: Any) -> Classes:
    """Return the classes of one fold, by nearest neighbour, (slices, rows, columns) of the image."""
    shape = properties["shape_after_cropping_and_before_resampling"]
    whole = np.zeros(properties["shape_before_cropping"], dtype=np.uint8)
    box = tuple(slice(*side) for side in properties["bbox_used_for_cropping"])
    whole[box] = carried(classes, shape, [slice(None)] * 3).numpy()
    return whole.transpose(predictor.plans_manager.transpose_backward)


def _predictor(member: ReferenceMember, device: torch.device) -> Any:
    predictor = _Listening(
        use_mirroring=bool(member.mirror_axes),
        perform_everything_on_device=device.type == "cuda",
        device=device,
        allow_tqdm=False,
    )
    predictor.manual_initialization(
        copy.deepcopy(member.networks[0]),  # nnU-Net loads fold after fold into this one
        member.plan.plans,
        member.plan.configuration,
        [network.state_dict() for network in member.networks],
        dict(member.plan.dataset),
        _TRAINER,
        member.mirror_axes or None,
    )
    return predictor
