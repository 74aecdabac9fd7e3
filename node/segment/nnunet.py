"""The engine: nnU-Net v2's own predictor, kept in memory. The only importer of torch in the node's live path.

Every step that touches a voxel is nnU-Net's code (`nnUNetPredictor.predict_single_npy_array`): crop, z-score, resample,
tiles, mirrors, folds, resample back. What is left out is everything around it: imports, weights and files for every
case. Weights are read with `weights_only=True`, and the network's class comes from an allow-list, since a plans file
names classes and nnU-Net imports whatever it names.
"""

import importlib.metadata
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from node import __version__
from node.domain.findings import Algorithm, Segmentation
from node.domain.geometry import Volume, turn
from node.domain.product import MODEL_NAME
from node.errors import BundleError, EngineError, SettingsError
from node.segment.bundle import Bundle, Member
from node.segment.ensemble import Probabilities, agreement, mean_probabilities, most_probable
from node.settings import ModelSettings

_NETWORKS = frozenset(
    {
        "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
    }
)

#: Layers that plans may name: nnU-Net imports and calls whatever stands there.
_LAYERS = frozenset(
    f"torch.nn.{module}.{name}"
    for module, names in (
        ("modules.conv", ("Conv2d", "Conv3d")),
        ("modules.instancenorm", ("InstanceNorm2d", "InstanceNorm3d")),
        ("modules.batchnorm", ("BatchNorm2d", "BatchNorm3d")),
        ("modules.dropout", ("Dropout2d", "Dropout3d")),
        ("modules.activation", ("LeakyReLU", "ReLU", "PReLU", "GELU")),
    )
    for name in names
) | {"torch.nn.LeakyReLU", "torch.nn.ReLU"}

_TRAINER = "nnUNetTrainer"


class NnunetEngine:
    """The networks of a bundle, loaded once. Not safe to use from two threads at a time."""

    def __init__(self, bundle: Bundle, settings: ModelSettings) -> None:
        """Load every network. Raises BundleError when a file is not what nnU-Net expects."""
        import torch  # noqa: PLC0415 - seconds of import that commands without a network need not pay

        if settings.threads:
            torch.set_num_threads(settings.threads)
        if settings.device == "cuda" and not torch.cuda.is_available():
            raise SettingsError("model.device: no CUDA device is at hand")
        use_cuda = settings.device == "cuda" or (settings.device == "auto" and torch.cuda.is_available())
        self._device = torch.device("cuda" if use_cuda else "cpu")
        self._bundle = bundle
        self._predictors = [
            (member, _load_member(member, self._device, mirroring=settings.mirroring)) for member in bundle.members
        ]
        self._algorithm = Algorithm(
            name=MODEL_NAME,
            version=__version__,
            bundle_name=bundle.name,
            bundle_version=bundle.version,
            bundle_digest=bundle.digest,
            members=tuple(name for member in bundle.members for name in member.names),
            engine=(
                f"nnunetv2 {importlib.metadata.version('nnunetv2')}, torch {torch.__version__}, "
                f"{self._device.type}, {torch.get_num_threads()} threads"
            ),
            intended_use=bundle.intended_use,
        )

    @property
    def algorithm(self) -> Algorithm:
        """What answers here."""
        return self._algorithm

    def segment(self, volume: Volume) -> Segmentation:
        """Return the ensemble's classes on the grid of `volume`. Raises EngineError."""
        voxels, grid = turn(volume.voxels, volume.grid, self._bundle.orientation)
        image = voxels[np.newaxis].astype(np.float32)
        answers = [self._answer(predictor, image, grid.spacing_mm) for _, predictor in self._predictors]
        classes = most_probable(mean_probabilities(answers))
        back, _ = turn(classes, grid, volume.grid.orientation())
        return Segmentation(
            classes=back.astype(np.uint8, copy=False),
            meanings=self._bundle.labels,
            member_agreement=agreement(answers, self._bundle.labels),
            algorithm=self._algorithm,
        )

    @staticmethod
    def _answer(predictor: Any, image: Probabilities, spacing_mm: tuple[float, float, float]) -> Probabilities:
        try:
            _, probabilities = predictor.predict_single_npy_array(
                image, {"spacing": list(spacing_mm)}, save_or_return_probabilities=True
            )
        except (RuntimeError, MemoryError, ValueError, IndexError) as error:
            raise EngineError(f"the network failed: {type(error).__name__}: {error}") from error
        return np.asarray(probabilities, dtype=np.float32)


def _load_member(member: Member, device: Any, *, mirroring: bool) -> Any:
    """Return nnU-Net's predictor with the member's networks, built from its plans."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor  # noqa: PLC0415
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans  # noqa: PLC0415
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager  # noqa: PLC0415

    dataset = _read_json(member.folder / "dataset.json")
    plans = PlansManager(_read_json(member.folder / "plans.json"))
    configuration = plans.get_configuration(member.configuration)
    _check_architecture(configuration, member)
    checkpoints = [_read_checkpoint(path) for path in member.checkpoints]
    predictor = nnUNetPredictor(
        use_mirroring=mirroring,
        perform_everything_on_device=device.type == "cuda",
        device=device,
        allow_tqdm=False,
    )
    try:
        network = get_network_from_plans(
            configuration.network_arch_class_name,
            configuration.network_arch_init_kwargs,
            configuration.network_arch_init_kwargs_req_import,
            input_channels=len(dataset["channel_names"]),
            output_channels=plans.get_label_manager(dataset).num_segmentation_heads,
            allow_init=False,
            deep_supervision=False,
        )
        weights = [checkpoint["network_weights"] for checkpoint in checkpoints]
        network.load_state_dict(weights[0])
    except (KeyError, RuntimeError, TypeError) as error:
        raise BundleError(f"{member.folder}: plans and weights do not fit: {type(error).__name__}") from error
    predictor.manual_initialization(
        network,
        plans,
        configuration,
        weights,
        dataset,
        _TRAINER,
        checkpoints[0].get("inference_allowed_mirroring_axes"),
    )
    return predictor


def _check_architecture(configuration: Any, member: Member) -> None:
    """Refuse plans that name a class outside the allow-lists. Raises BundleError."""
    arguments = configuration.network_arch_init_kwargs
    layers = {arguments.get(name) for name in configuration.network_arch_init_kwargs_req_import}
    strange = ({configuration.network_arch_class_name} - _NETWORKS) | (layers - _LAYERS - {None})
    if strange:
        raise BundleError(f"{member.folder}: the plans name {', '.join(sorted(map(str, strange)))}: not allowed")


def _read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running code from it; nnU-Net's own hold numpy scalars beside the weights."""
    import torch  # noqa: PLC0415

    scalars = [
        np._core.multiarray.scalar,  # type: ignore[attr-defined]
        np.dtype,
        np.dtypes.Float64DType,
        np.dtypes.Float32DType,
    ]
    try:
        with torch.serialization.safe_globals(scalars):
            return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise BundleError(f"{path}: not a checkpoint: {type(error).__name__}") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: not JSON") from error
