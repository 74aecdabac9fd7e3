"""Tiny trained models as nnU-Net leaves them: real networks of a few thousand weights, never trained."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

Json = dict[str, Any]

UNET = "dynamic_network_architectures.architectures.unet."
PATCH = {"2d": [16, 16], "3d_fullres": [4, 16, 16], "3d_lowres": [4, 16, 16]}
MIRRORS = {"2d": (0, 1), "3d_fullres": (0, 1, 2), "3d_lowres": (0, 1, 2)}
_RESAMPLE = "resample_data_or_seg_to_shape"


def dataset(**changes: Any) -> Json:
    return {
        "channel_names": {"0": "T2"},
        "labels": {"background": 0, "vertebrae": 1, "inter-vetebral disc": 2},
        "numTraining": 3,
        "file_ending": ".nii.gz",
        **changes,
    }


def configuration(name: str, *, residual: bool = False) -> Json:
    axes = len(PATCH[name])
    blocks = "n_blocks_per_stage" if residual else "n_conv_per_stage"
    kwargs = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    return {
        "data_identifier": f"nnUNetPlans_{name}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": PATCH[name],
        "median_image_size_in_voxels": [float(size) for size in PATCH[name]],
        "spacing": [3.0, 1.0, 1.0][-axes:],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        **{f"resampling_fn_{kind}": _RESAMPLE for kind in ("data", "seg", "probabilities")},
        **{f"resampling_fn_{kind}_kwargs": dict(kwargs) for kind in ("data", "seg", "probabilities")},
        "architecture": {
            "network_class_name": UNET + ("ResidualEncoderUNet" if residual else "PlainConvUNet"),
            "arch_kwargs": {
                "n_stages": 2,
                "features_per_stage": [4, 8],
                "conv_op": f"torch.nn.modules.conv.Conv{axes}d",
                "kernel_sizes": [[3] * axes] * 2,
                "strides": [[1] * axes, [2] * axes],
                blocks: [1, 1],
                "n_conv_per_stage_decoder": [1],
                "conv_bias": True,
                "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{axes}d",
                "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        "batch_dice": True,
    }


def old_configuration(name: str, network: str = "PlainConvUNet") -> Json:
    """The same as nnU-Net before 2.4 wrote it."""
    new = configuration(name)
    kwargs = new.pop("architecture")["arch_kwargs"]
    return {
        **new,
        "UNet_class_name": network,
        "UNet_base_num_features": 4,
        "unet_max_num_features": 8,
        "n_conv_per_stage_encoder": [1, 1],
        "n_conv_per_stage_decoder": [1],
        "num_pool_per_axis": [1] * len(PATCH[name]),
        "pool_op_kernel_sizes": kwargs["strides"],
        "conv_kernel_sizes": kwargs["kernel_sizes"],
    }


def plans(**configurations: Json) -> Json:
    described = configurations or {name: configuration(name) for name in PATCH}
    figures = dict.fromkeys(("max", "mean", "median", "min", "percentile_00_5", "percentile_99_5", "std"), 0.0)
    return {
        "dataset_name": "Dataset108_Necks",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [3.0, 1.0, 1.0],
        "original_median_shape_after_transp": [12, 64, 64],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": figures},
        "configurations": copy.deepcopy(described),
    }


def network(described: Json, name: str, seed: int = 0, heads: int = 3) -> torch.nn.Module:
    torch.manual_seed(seed)
    architecture = described["configurations"][name]["architecture"]
    made: torch.nn.Module = get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        1,
        heads,
        deep_supervision=False,
    )
    return made


def checkpoint(described: Json, name: str, seed: int = 0, **changes: Any) -> Json:
    """What nnU-Net's trainer saves, with numpy scalars and a device in it as in life."""
    return {
        "network_weights": network(described, name, seed).state_dict(),
        "optimizer_state": {"state": {}, "param_groups": [{"lr": 0.01}]},
        "grad_scaler_state": None,
        "logging": {"mean_fg_dice": [np.float64(0.5)], "dice_per_class_or_region": [[np.float32(0.5)]]},
        "_best_ema": np.float64(0.5),
        "current_epoch": 1000,
        "init_args": {
            "plans": described,
            "configuration": name,
            "fold": 0,
            "dataset_json": dataset(),
            "device": torch.device("cpu"),
        },
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": MIRRORS[name],
        **changes,
    }


def write_model(
    root: Path, name: str, described: Json | None = None, files: dict[str, Json] | None = None, data: Json | None = None
) -> Path:
    """Write one trained-model folder below `root`; `files`: "fold_0/checkpoint_final.pth" -> changes to it."""
    described = described or plans()
    folder = root / f"nnUNetTrainer__nnUNetPlans__{name}"
    folder.mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(described))
    (folder / "dataset.json").write_text(json.dumps(data or dataset()))
    for number, (file, changes) in enumerate((files or {"fold_0/checkpoint_final.pth": {}}).items()):
        (folder / file).parent.mkdir(exist_ok=True)
        torch.save(checkpoint(described, name, number, **changes), folder / file)
    return folder
