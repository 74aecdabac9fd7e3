"""The engine: nnU-Net v2's own predictor, kept in memory. The only importer of torch in the node's live path.

Every step that touches a voxel is nnU-Net's code (`nnUNetPredictor.predict_single_npy_array`): crop, z-score, resample,
tiles, mirrors, folds, resample back. What is left out is everything around it: imports, weights and files for every
case. Weights are read with `weights_only=True`, and the network's class comes from an allow-list, since a plans file
names classes and nnU-Net imports whatever it names.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from node import __version__
from node.domain.findings import Algorithm, Segmentation
from node.domain.geometry import Volume, turn
from node.domain.product import MODEL_NAME
from node.errors import BundleError, EngineError
from node.segment.bundle import Bundle, Member
from node.segment.ensemble import Probabilities, agreement, mean_probabilities, most_probable
from node.settings import ModelSettings

_NETWORKS = frozenset(
    {
        "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
    }
)

_TRAINER = "nnUNetTrainer"


class NnunetEngine:
    """The networks of a bundle, loaded once. Not safe to use from two threads at a time."""

    def __init__(self, bundle: Bundle, settings: ModelSettings) -> None:
        """Load every network. Raises BundleError when a file is not what nnU-Net expects."""
        import torch  # noqa: PLC0415 - seconds of import that commands without a network need not pay

        if settings.threads:
            torch.set_num_threads(settings.threads)
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
            device=str(self._device),
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
    if configuration.network_arch_class_name not in _NETWORKS:
        raise BundleError(f"{member.folder}: the network class {configuration.network_arch_class_name} is not allowed")
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


def _read_checkpoint(path: Path) -> dict[str, Any]:
    import torch  # noqa: PLC0415

    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise BundleError(f"{path}: not a checkpoint: {type(error).__name__}") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: not JSON") from error
