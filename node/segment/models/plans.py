"""What a trained model may ask for: its plans and data set description held against allow-lists. No torch here.

nnU-Net imports and calls whatever class or function a plans file names (`pydoc.locate`, or a search through its own
folders that takes any attribute of any module). So every such name is looked up here before nnU-Net sees the file.
"""

from collections.abc import Iterator, Mapping, Sequence

from node.errors import BundleError, ModelRefused
from node.segment.models.planfile import (
    Architecture,
    Configuration,
    Dataset,
    Intensities,
    NetworkArguments,
    Plans,
    as_today,
    inherited,
    parsed,
    shortened,
)

_UNETS = "dynamic_network_architectures.architectures.unet."
#: Class -> the argument that says how many convolutions or blocks a stage has.
_NETWORKS = {
    f"{_UNETS}PlainConvUNet": "n_conv_per_stage",
    f"{_UNETS}ResidualEncoderUNet": "n_blocks_per_stage",
    # nnU-Net's own conversion of old plans names this module, which is gone.
    "dynamic_network_architectures.architectures.residual_unet.ResidualEncoderUNet": "n_blocks_per_stage",
}


def _of_torch(module: str, *names: str) -> frozenset[str]:
    return frozenset(f"torch.nn.{name}" for name in names) | {f"torch.nn.modules.{module}.{name}" for name in names}


#: Argument -> what may stand there. nnU-Net imports and calls whatever stands there.
_LAYERS: Mapping[str, frozenset[str]] = {
    "conv_op": _of_torch("conv", "Conv2d", "Conv3d"),
    "norm_op": _of_torch("instancenorm", "InstanceNorm2d", "InstanceNorm3d")
    | _of_torch("batchnorm", "BatchNorm2d", "BatchNorm3d"),
    "dropout_op": _of_torch("dropout", "Dropout2d", "Dropout3d"),
    "nonlin": _of_torch("activation", "LeakyReLU", "ReLU", "PReLU", "GELU"),
    "block": frozenset(
        f"dynamic_network_architectures.building_blocks.residual.{name}" for name in ("BasicBlockD", "BottleneckD")
    ),
}
_PREPROCESSORS = frozenset({"DefaultPreprocessor"})
_NORMALISATIONS = frozenset(
    {
        "ZScoreNormalization",
        "CTNormalization",
        "NoNormalization",
        "RescaleTo01Normalization",
        "RGBTo01Normalization",
    }
)
_RESAMPLINGS = frozenset({"resample_data_or_seg_to_shape", "resample_torch_fornnunet", "no_resampling_hack"})
#: CT normalisation reads these.
_INTENSITIES = frozenset({"mean", "std", "percentile_00_5", "percentile_99_5"})
#: Readers that turn every image to RAS, so that the arrays are (S, A, R) whatever lies in the file.
TURNING_READERS = frozenset({"NibabelIOWithReorient", "SimpleITKIOWithReorient"})
_READERS = TURNING_READERS | {"SimpleITKIO", "NibabelIO", "Tiff3DIO", "NaturalImage2DIO"}


def check_plans(plans: object, dataset: object, configuration: str) -> None:
    """Hold plans.json and dataset.json against what this engine does, whatever shape they have.

    Raises ModelRefused when they name a class outside the allow-lists, or ask for a cascade, regions or more than one
    channel; BundleError when they are malformed.
    """
    labels_of(dataset)
    whole = parsed(Plans, plans, "plans.json")
    place = f"plans.json: {configuration}"
    raw = inherited(whole.configurations, configuration)
    if raw.get("previous_stage") is not None:
        raise ModelRefused(f"{place}: the second stage of a cascade; import the other configurations without it")
    _check_names(
        ("label_manager", whole.label_manager, frozenset({"LabelManager"})),
        ("image_reader_writer", whole.image_reader_writer, _READERS),
    )
    entry = parsed(Configuration, as_today(raw, place), place)
    _check_names(
        ("preprocessor_name", entry.preprocessor_name, _PREPROCESSORS),
        *(("normalization_schemes", name, _NORMALISATIONS) for name in entry.normalization_schemes),
        ("resampling_fn_data", entry.resampling_fn_data, _RESAMPLINGS),
        ("resampling_fn_seg", entry.resampling_fn_seg, _RESAMPLINGS),
        ("resampling_fn_probabilities", entry.resampling_fn_probabilities, _RESAMPLINGS),
        *_names_of(entry.architecture),
    )
    if complaint := next(_disagreements(whole, entry), None):
        raise BundleError(f"{place}: {complaint}")
    _check_intensities(plans, entry)


def labels_of(dataset: object) -> dict[str, int]:
    """Return the labels of dataset.json: name -> value. Raises ModelRefused for regions or channels, BundleError."""
    described = parsed(Dataset, dataset, "dataset.json")
    if len(described.channel_names) != 1:
        raise ModelRefused(f"dataset.json: {len(described.channel_names)} input channels; one image is all there is")
    labels: dict[str, int] = {}
    for name, value in described.labels.items():
        if isinstance(value, list):
            raise ModelRefused(shortened(f"dataset.json: label {name!r} is a region (a list of values): not supported"))
        labels[name] = value
    # nnU-Net takes the index of the largest output for the label, which holds for gapless labels only.
    values = sorted(labels.values())
    last = labels.get("ignore", values[-1])
    if labels.get("background") != 0 or values != list(range(len(values))) or last != values[-1]:
        raise BundleError("dataset.json: labels: not background 0, then 1, 2, 3 and so on, with ignore the last")
    return labels


def _check_names(*named: tuple[str, str | None, frozenset[str]]) -> None:
    strange = [f"{key} {name!r}" for key, name, allowed in named if name is not None and name not in allowed]
    if strange:
        raise ModelRefused(shortened(f"the plans name {', '.join(strange)}: not allowed"))


def _names_of(architecture: Architecture) -> Iterator[tuple[str, str | None, frozenset[str]]]:
    yield "network_class_name", architecture.network_class_name, frozenset(_NETWORKS)
    for key in architecture.kw_requires_import:
        yield "_kw_requires_import", key, frozenset(_LAYERS)
    for key, allowed in _LAYERS.items():
        yield key, getattr(architecture.arch_kwargs, key), allowed


def _disagreements(plans: Plans, entry: Configuration) -> Iterator[str]:
    """Yield what is right in itself and does not fit the rest."""
    axes = len(entry.patch_size)
    if len(entry.spacing) != axes:
        yield "patch_size and spacing differ in their axes"
    backward = [plans.transpose_forward.index(axis) for axis in range(3) if axis in plans.transpose_forward]
    if plans.transpose_backward != backward:
        yield "transpose_backward does not undo transpose_forward"
    arguments, imported = entry.architecture.arch_kwargs, entry.architecture.kw_requires_import
    for key in _LAYERS:
        name = getattr(arguments, key)
        if (name is not None and key not in imported) or (key in imported and key not in arguments.model_fields_set):
            yield f"{key} and _kw_requires_import do not fit"
        if key.endswith("_op") and name is not None and not name.endswith(f"{axes}d"):
            yield f"{key} {name} does not have {axes} axes"
    yield from _stage_disagreements(arguments, _NETWORKS[entry.architecture.network_class_name], axes)


def _stage_disagreements(arguments: NetworkArguments, counted: str, axes: int) -> Iterator[str]:
    stages = arguments.n_stages
    for key in ("n_conv_per_stage", "n_blocks_per_stage"):
        if (getattr(arguments, key) is None) == (key == counted):
            yield f"{key} does not fit the network"
    lists: Mapping[str, object] = {
        key: getattr(arguments, key) for key in ("features_per_stage", "kernel_sizes", "strides", counted)
    }
    for key, value in lists.items():
        if isinstance(value, list) and len(value) != stages:
            yield f"{key}: {len(value)} entries for {stages} stages"
    decoder = arguments.n_conv_per_stage_decoder
    if isinstance(decoder, list) and len(decoder) != stages - 1:
        yield f"n_conv_per_stage_decoder: {len(decoder)} entries for {stages} stages"
    for key in ("kernel_sizes", "strides"):
        if any(isinstance(item, list) and len(item) != axes for item in _items(lists[key])):
            yield f"{key}: entries that do not have {axes} axes"


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _check_intensities(plans: object, entry: Configuration) -> None:
    """Check the figures of the one channel; before nnU-Net 2.1 their key had another name."""
    if isinstance(plans, dict) and "foreground_intensity_properties_per_channel" not in plans:
        old = plans.get("foreground_intensity_properties_by_modality")
        plans = {"foreground_intensity_properties_per_channel": old}
    figures = parsed(Intensities, plans, "plans.json").foreground_intensity_properties_per_channel
    if "0" not in figures:
        raise BundleError("plans.json: foreground_intensity_properties_per_channel: 0: Field required")
    if "CTNormalization" in entry.normalization_schemes and not figures["0"].keys() >= _INTENSITIES:
        raise BundleError("plans.json: foreground_intensity_properties_per_channel: figures for CT are missing")
