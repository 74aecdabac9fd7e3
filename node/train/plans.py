"""The starter's nnU-Net plans: two small networks, everything else as nnU-Net v2 writes it itself."""

from typing import Any

from node.train.phantom import LABELS

#: Slices, rows, columns in mm, to which inference resamples too.
SPACING_MM = (3.75, 0.8, 0.8)
DATASET_NAME = "Dataset900_CSpinePhantom"
FILE_ENDING = ".nii.gz"

Json = dict[str, Any]

_INTENSITY = ("max", "mean", "median", "min", "percentile_00_5", "percentile_99_5", "std")
_RESAMPLE = "resample_data_or_seg_to_shape"


def dataset_json(cases: int) -> Json:
    """Return nnU-Net's dataset.json for a training set of `cases` phantoms."""
    return {
        "channel_names": {"0": "T2"},
        "labels": dict(LABELS),
        "numTraining": cases,
        "file_ending": FILE_ENDING,
        "name": DATASET_NAME,
        "description": "Generated anatomy; no patient's data.",
    }


def plans(
    features_2d: tuple[int, ...],
    features_3d: tuple[int, ...],
    patch_2d: tuple[int, int],
    patch_3d: tuple[int, int, int],
) -> Json:
    """Return nnU-Net's plans.json with the given numbers of features for each stage and patch sizes in voxels."""
    return {
        "dataset_name": DATASET_NAME,
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": list(SPACING_MM),
        "original_median_shape_after_transp": [15, 280, 310],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": dict.fromkeys(_INTENSITY, 0.0)},  # z-score uses none
        "configurations": {"2d": _flat(features_2d, patch_2d), "3d_fullres": _solid(features_3d, patch_3d)},
    }


def _flat(features: tuple[int, ...], patch: tuple[int, int]) -> Json:
    stages = len(features)
    return _configuration(
        "2d",
        patch=list(patch),
        spacing=list(SPACING_MM[1:]),
        architecture=_unet(2, features, [[3, 3]] * stages, [[1, 1]] + [[2, 2]] * (stages - 1)),
    )


def _solid(features: tuple[int, ...], patch: tuple[int, int, int]) -> Json:
    """Two stages see single slices (they are five pixels apart), the deeper ones see their neighbours."""
    stages = len(features)
    kernels = [[1, 3, 3]] * 2 + [[3, 3, 3]] * (stages - 2)
    strides = [[1, 1, 1]] + [[1, 2, 2]] * 2 + [[2, 2, 2]] * min(2, stages - 3) + [[1, 2, 2]] * max(0, stages - 5)
    return _configuration(
        "3d_fullres",
        patch=list(patch),
        spacing=list(SPACING_MM),
        architecture=_unet(3, features, kernels, strides),
    )


def _configuration(name: str, *, patch: list[int], spacing: list[float], architecture: Json) -> Json:
    data = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    labels = {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None}
    probabilities = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    return {
        "data_identifier": f"nnUNetPlans_{name}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 4 if name == "2d" else 1,
        "patch_size": patch,
        "median_image_size_in_voxels": [280.0, 310.0] if name == "2d" else [15.0, 280.0, 310.0],
        "spacing": spacing,
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": _RESAMPLE,
        "resampling_fn_seg": _RESAMPLE,
        "resampling_fn_probabilities": _RESAMPLE,
        "resampling_fn_data_kwargs": data,
        "resampling_fn_seg_kwargs": labels,
        "resampling_fn_probabilities_kwargs": probabilities,
        "architecture": architecture,
        "batch_dice": True,
    }


def _unet(dimensions: int, features: tuple[int, ...], kernels: list[list[int]], strides: list[list[int]]) -> Json:
    stages = len(features)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": list(features),
            "conv_op": f"torch.nn.modules.conv.Conv{dimensions}d",
            "kernel_sizes": kernels,
            "strides": strides,
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [1] * (stages - 1),
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimensions}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
