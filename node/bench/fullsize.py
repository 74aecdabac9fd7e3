"""A bundle of the size that nnU-Net's planner gives such data: its networks, with weights drawn from a seed.

The plans are those that `nnUNetv2_plan_experiment` writes for series of 15 x 512 x 512 voxels of 3.3 x 0.43 x 0.43 mm.
Untrained weights cost the same time; what they find means nothing.
Source: nnunetv2 2.8, `experiment_planners/default_experiment_planner.py`, `network_topology.py`.
"""

import json
from pathlib import Path
from typing import Any

from node.domain.anatomy import StructureKind
from node.segment.bundle import Bundle, load_bundle, seal

Json = dict[str, Any]

SPACING_MM = (3.3, 0.43, 0.43)
SHAPE = (15, 512, 512)
PATCH = {"2d": (512, 512), "3d_fullres": (12, 384, 384)}
MIRROR_AXES = {"2d": (0, 1), "3d_fullres": (0, 1, 2)}

_FEATURES = {"2d": (32, 64, 128, 256, 512, 512, 512, 512), "3d_fullres": (32, 64, 128, 256, 320, 320, 320)}
_STRIDES = {
    "2d": [[1, 1]] + [[2, 2]] * 7,
    "3d_fullres": [[1, 1, 1], [1, 2, 2], [1, 2, 2], [2, 2, 2], [1, 2, 2], [1, 2, 2], [1, 2, 2]],
}
_KERNELS = {"2d": [[3, 3]] * 8, "3d_fullres": [[1, 3, 3]] * 2 + [[3, 3, 3]] * 5}
_BATCH = {"2d": 12, "3d_fullres": 2}
_RESAMPLE = "resample_data_or_seg_to_shape"
_INTENSITY = ("max", "mean", "median", "min", "percentile_00_5", "percentile_99_5", "std")
_DATASET = "Dataset901_FullSize"


def write_full_size_bundle(folder: Path, folds: int) -> Bundle:
    """Write a full-size bundle with `folds` folds of each configuration and return it, verified."""
    from node.segment.nnunet.seeded import write_seeded_weights  # noqa: PLC0415 - torch takes seconds to import

    for configuration in PATCH:
        member = folder / configuration
        member.mkdir(parents=True)
        (member / "plans.json").write_text(json.dumps(plans(), indent=2), encoding="utf-8")
        (member / "dataset.json").write_text(json.dumps(dataset(), indent=2), encoding="utf-8")
        write_seeded_weights(member, configuration, folds)
    seal(
        folder,
        {
            "name": "cspine-full-size-untrained",
            "version": "1",
            "intended_use": "Measurements of time and memory only: the networks are not trained.",
            "source": {"trainer": "none", "weights": "drawn from a seed"},
            "orientation": "RSP",
            "labels": {1: StructureKind.VERTEBRAL_BODY.value, 2: StructureKind.INTERVERTEBRAL_DISC.value},
            "members": [
                {
                    "configuration": configuration,
                    "folder": configuration,
                    "folds": [str(fold) for fold in range(folds)],
                    "mirror_axes": list(MIRROR_AXES[configuration]),
                }
                for configuration in PATCH
            ],
        },
    )
    return load_bundle(folder)


def dataset() -> Json:
    """Return nnU-Net's dataset.json."""
    return {
        "channel_names": {"0": "T2"},
        "labels": {"background": 0, "vertebrae": 1, "inter-vetebral disc": 2},
        "numTraining": 1,
        "file_ending": ".nii.gz",
        "name": _DATASET,
    }


def plans() -> Json:
    """Return nnU-Net's plans.json."""
    return {
        "dataset_name": _DATASET,
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": list(SPACING_MM),
        "original_median_shape_after_transp": list(SHAPE),
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": dict.fromkeys(_INTENSITY, 0.0)},  # z-score uses none
        "configurations": {name: _configuration(name) for name in PATCH},
    }


def _configuration(name: str) -> Json:
    axes = len(PATCH[name])
    kinds = {"data": (False, 3), "seg": (True, 1), "probabilities": (False, 1)}
    return {
        "data_identifier": f"nnUNetPlans_{name}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": _BATCH[name],
        "patch_size": list(PATCH[name]),
        "median_image_size_in_voxels": [float(size) for size in SHAPE[-axes:]],
        "spacing": list(SPACING_MM[-axes:]),
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        **{f"resampling_fn_{kind}": _RESAMPLE for kind in kinds},
        **{
            f"resampling_fn_{kind}_kwargs": {"is_seg": is_seg, "order": order, "order_z": 0, "force_separate_z": None}
            for kind, (is_seg, order) in kinds.items()
        },
        "architecture": _architecture(name, axes),
        "batch_dice": True,
    }


def _architecture(name: str, axes: int) -> Json:
    stages = len(_FEATURES[name])
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": list(_FEATURES[name]),
            "conv_op": f"torch.nn.modules.conv.Conv{axes}d",
            "kernel_sizes": _KERNELS[name],
            "strides": _STRIDES[name],
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * (stages - 1),
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{axes}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
