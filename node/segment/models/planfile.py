"""The shapes of nnU-Net's plans.json and dataset.json: what must stand there, of which type, within which bounds.

Only what inference reads is looked at. The bounds are far beyond what a planner writes; they keep a hostile file from
asking for all the memory.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from node.errors import BundleError, ModelRefused

_MOST_BYTES = 64 << 20
_MOST_CLASSES = 256
_MOST_LETTERS = 100

Json = dict[str, Any]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Count = Annotated[int, Field(ge=1, le=4096)]
Axis = Annotated[int, Field(ge=0, le=2)]
Plain = bool | Annotated[int, Field(ge=-4096, le=4096)] | float | Name | None
#: One number for all stages, or one a stage.
PerStage = Count | Annotated[list[Count], Field(min_length=1, max_length=16)]
#: The same of numbers that may differ by axis.
PerStageAndAxis = (
    Count | Annotated[list[Count | Annotated[list[Count], Field(max_length=3)]], Field(min_length=1, max_length=16)]
)
Spacing = Annotated[float, Field(gt=0, le=1e4)]


class Shape(BaseModel):
    """A part of a file: nothing is converted, numbers are finite, what inference does not read may be anything."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class NetworkArguments(Shape):
    """`arch_kwargs` of nnU-Net's plain and residual-encoder U-Nets; no other argument is passed to a network."""

    model_config = ConfigDict(extra="forbid")

    n_stages: Annotated[int, Field(ge=1, le=16)]
    features_per_stage: PerStage
    conv_op: Name
    kernel_sizes: PerStageAndAxis
    strides: PerStageAndAxis
    n_conv_per_stage: PerStage | None = None
    n_blocks_per_stage: PerStage | None = None
    n_conv_per_stage_decoder: PerStage | Annotated[list[Count], Field(max_length=0)]
    conv_bias: bool = False
    norm_op: Name | None = None
    norm_op_kwargs: dict[Name, Plain] | None = None
    dropout_op: Name | None = None
    dropout_op_kwargs: dict[Name, Plain] | None = None
    nonlin: Name | None = None
    nonlin_kwargs: dict[Name, Plain] | None = None
    nonlin_first: bool = False
    deep_supervision: bool = False
    block: Name | None = None
    bottleneck_channels: PerStage | None = None
    stem_channels: Count | None = None


class Architecture(Shape):
    """`architecture`: what nnU-Net builds the network from."""

    network_class_name: Name
    arch_kwargs: NetworkArguments
    kw_requires_import: list[Name] = Field(alias="_kw_requires_import", max_length=16)


class ResamplingArguments(Shape):
    """`resampling_fn_*_kwargs`: the arguments of nnU-Net's resampling functions."""

    model_config = ConfigDict(extra="forbid")

    is_seg: bool = False
    order: Annotated[int, Field(ge=0, le=5)] = 3
    order_z: Annotated[int, Field(ge=0, le=5)] = 0
    force_separate_z: bool | None = None
    separate_z_anisotropy_threshold: Annotated[float, Field(gt=0)] = 3
    num_threads: Annotated[int, Field(ge=1, le=64)] = 4
    memefficient_seg_resampling: bool = False
    mode: Literal["linear", "nearest", "nearest-exact"] = "linear"
    aniso_axis_mode: Literal["linear", "nearest", "nearest-exact"] = "nearest-exact"


class Configuration(Shape):
    """One entry of `configurations`, with what it inherits."""

    preprocessor_name: Name
    patch_size: list[Count] = Field(min_length=2, max_length=3)
    spacing: list[Spacing] = Field(min_length=2, max_length=3)
    normalization_schemes: list[Name] = Field(min_length=1)
    use_mask_for_norm: list[bool] = Field(min_length=1)
    resampling_fn_data: Name
    resampling_fn_data_kwargs: ResamplingArguments
    resampling_fn_seg: Name
    resampling_fn_seg_kwargs: ResamplingArguments
    resampling_fn_probabilities: Name
    resampling_fn_probabilities_kwargs: ResamplingArguments
    architecture: Architecture


class OldNetwork(Shape):
    """What stood in a configuration before nnU-Net 2.4 in the place of `architecture`."""

    unet_class_name: Name = Field(alias="UNet_class_name")
    unet_base_num_features: Count = Field(alias="UNet_base_num_features")
    unet_max_num_features: Count
    patch_size: list[Count] = Field(min_length=2, max_length=3)
    n_conv_per_stage_encoder: Annotated[list[Count], Field(min_length=1, max_length=16)]
    n_conv_per_stage_decoder: Annotated[list[Count], Field(max_length=16)]
    num_pool_per_axis: list[int]
    pool_op_kernel_sizes: list[list[Count]]
    conv_kernel_sizes: list[list[Count]]


class Plans(Shape):
    """plans.json, its configurations unread."""

    dataset_name: Name
    plans_name: Name
    image_reader_writer: Name
    transpose_forward: list[Axis] = Field(min_length=3, max_length=3)
    transpose_backward: list[Axis] = Field(min_length=3, max_length=3)
    label_manager: Name = "LabelManager"
    configurations: dict[str, Json]


class Intensities(Shape):
    """What the planner saw of the channel; only CT normalisation reads it."""

    foreground_intensity_properties_per_channel: dict[str, dict[str, float]]


class Dataset(Shape):
    """dataset.json."""

    channel_names: dict[str, Name] = Field(min_length=1)
    labels: dict[str, int | list[Any]] = Field(min_length=2, max_length=_MOST_CLASSES + 1)


_Shape = TypeVar("_Shape", bound=Shape)


def parsed(shape: type[_Shape], content: object, place: str) -> _Shape:
    """Return `content` as a `shape`. Raises BundleError with the key path of the first fault behind `place`."""
    try:
        return shape.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise BundleError(shortened(f"{place}: {path}: {first['msg']}")) from error


def read_json(path: Path) -> Json:
    """Read a JSON file that holds an object. Raises BundleError."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BundleError(f"{path}: larger than {_MOST_BYTES >> 20} MiB")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not JSON: {type(error).__name__}") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path}: not a JSON object")
    return content


def inherited(configurations: Mapping[str, Json], name: str) -> Json:
    """Return a configuration with what it `inherits_from` others. Raises ModelRefused, BundleError."""
    lineage: list[str] = []
    while True:
        if name in lineage:
            raise BundleError("plans.json: the configurations inherit from one another in a circle")
        if name not in configurations:
            raise BundleError(shortened(f"plans.json: there is no configuration {name!r}"))
        lineage.append(name)
        if "inherits_from" not in configurations[name]:
            break
        name = configurations[name]["inherits_from"]
        if not isinstance(name, str):
            raise BundleError("plans.json: inherits_from: not a name")
    whole: Json = {}
    for ancestor in reversed(lineage):
        whole.update(configurations[ancestor])
    return whole


def as_today(configuration: Json, place: str) -> Json:
    """Return a configuration of nnU-Net before 2.4 with the `architecture` that nnU-Net itself makes of it.

    Raises BundleError, ModelRefused.
    """
    if "architecture" in configuration:
        return configuration
    old = parsed(OldNetwork, configuration, place)
    convolutions = {"PlainConvUNet": "n_conv_per_stage", "ResidualEncoderUNet": "n_blocks_per_stage"}
    if old.unet_class_name not in convolutions:
        raise ModelRefused(shortened(f"{place}: UNet_class_name {old.unet_class_name!r}: not a network of nnU-Net"))
    axes, stages = len(old.patch_size), len(old.n_conv_per_stage_encoder)
    arguments = {
        "n_stages": stages,
        "features_per_stage": [
            min(old.unet_base_num_features * 2**stage, old.unet_max_num_features) for stage in range(stages)
        ],
        "conv_op": f"torch.nn.modules.conv.Conv{axes}d",
        "kernel_sizes": old.conv_kernel_sizes,
        "strides": old.pool_op_kernel_sizes,
        convolutions[old.unet_class_name]: old.n_conv_per_stage_encoder,
        "n_conv_per_stage_decoder": old.n_conv_per_stage_decoder,
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{axes}d",
        "nonlin": "torch.nn.LeakyReLU",
    }
    return {
        **configuration,
        "architecture": {
            "network_class_name": f"dynamic_network_architectures.architectures.unet.{old.unet_class_name}",
            "arch_kwargs": arguments,
            "_kw_requires_import": ["conv_op", "norm_op", "nonlin"],
        },
    }


def shortened(text: str) -> str:
    """Return a message that quotes a foreign file: printable and not endless."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean if len(clean) <= 3 * _MOST_LETTERS else f"{clean[: 3 * _MOST_LETTERS]}..."
