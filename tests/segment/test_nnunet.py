"""The engine, on the bundle that ships."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from node.domain.anatomy import StructureKind
from node.domain.findings import Segmentation
from node.domain.geometry import Volume, turn
from node.errors import BundleError, SettingsError
from node.segment.bundle import STARTER, load_bundle
from node.segment.ensemble import dice
from node.segment.nnunet import NnunetEngine
from node.settings import ModelSettings
from node.train.phantom import Phantom, generate

pytestmark = [
    pytest.mark.slow,
    # nnU-Net's preprocessing and scipy's zoom warn of their own defaults
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def engine() -> NnunetEngine:
    return NnunetEngine(load_bundle(STARTER), ModelSettings())


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    """A phantom that no training saw: training seeds lie below 1000, test seeds begin at 200,000."""
    return generate(345_678, shape=(12, 192, 192), spacing_mm=(4.0, 0.9, 0.9))


def volume_of(phantom: Phantom) -> Volume:
    return Volume(grid=phantom.grid, voxels=phantom.image, sources=(), acquired_in_3d=False)


@pytest.fixture(scope="module")
def found(engine: NnunetEngine, phantom: Phantom) -> Segmentation:
    return engine.segment(volume_of(phantom))


def test_it_segments_a_phantom_that_it_never_saw(found: Segmentation, phantom: Phantom) -> None:
    for label, least in ((1, 0.85), (2, 0.75)):
        overlap = dice(found.classes == label, phantom.labels == label)
        assert overlap is not None
        assert overlap > least, found.meanings[label]
    assert found.meanings == {1: StructureKind.VERTEBRAL_BODY, 2: StructureKind.INTERVERTEBRAL_DISC}


def test_it_gives_the_voxels_of_the_official_predictor(found: Segmentation, phantom: Phantom) -> None:
    image, grid = turn(phantom.image, phantom.grid, "RSP")
    members = []
    for folder in ("nnUNetTrainer__nnUNetPlans__2d", "nnUNetTrainer__nnUNetPlans__3d_fullres"):
        predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(str(STARTER / folder), use_folds=(0,))
        _, probabilities = predictor.predict_single_npy_array(
            image[None].astype(np.float32), {"spacing": list(grid.spacing_mm)}, save_or_return_probabilities=True
        )
        members.append(probabilities)
    official, _ = turn(np.argmax(np.mean(members, axis=0), axis=0), grid, "LIP")
    assert np.count_nonzero(official != found.classes) == 0


def test_the_way_the_slices_lie_changes_no_voxel(engine: NnunetEngine, found: Segmentation, phantom: Phantom) -> None:
    voxels, grid = turn(phantom.image, phantom.grid, "PRS")
    turned = engine.segment(Volume(grid=grid, voxels=voxels, sources=(), acquired_in_3d=False)).classes
    assert np.array_equal(turn(turned, grid, "LIP")[0], found.classes)


def test_it_tells_what_answered(engine: NnunetEngine) -> None:
    assert engine.algorithm.members == ("2d fold 0", "3d_fullres fold 0")
    assert "nnunetv2 2.8" in engine.algorithm.engine
    assert engine.algorithm.bundle_digest == hashlib.sha256((STARTER / "bundle.json").read_bytes()).hexdigest()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match=r"model\.device"):
        NnunetEngine(load_bundle(STARTER), ModelSettings(device="cuda"))


def changed_bundle(folder: Path, change: Callable[[Path], None]) -> Path:
    """Copy the starter, let `change` alter its 2d member, and write matching digests."""
    bundle = folder / "bundle"
    shutil.copytree(STARTER, bundle)
    change(bundle / "nnUNetTrainer__nnUNetPlans__2d")
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest["files"] = {name: hashlib.sha256((bundle / name).read_bytes()).hexdigest() for name in manifest["files"]}
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    return bundle


@pytest.mark.parametrize("name", ["nonlin", "conv_op", "network_class_name"])
def test_plans_that_name_a_foreign_class_are_refused_before_it_is_imported(tmp_path: Path, name: str) -> None:
    def change(member: Path) -> None:
        plans = json.loads((member / "plans.json").read_text())
        architecture = plans["configurations"]["2d"]["architecture"]
        (architecture if name == "network_class_name" else architecture["arch_kwargs"])[name] = "os.system"
        (member / "plans.json").write_text(json.dumps(plans))

    bundle = load_bundle(changed_bundle(tmp_path, change))
    with pytest.raises(BundleError, match=r"os\.system: not allowed"):
        NnunetEngine(bundle, ModelSettings())


def test_a_checkpoint_with_numpy_scalars_loads_as_nnu_net_writes_them(tmp_path: Path) -> None:
    def change(member: Path) -> None:
        path = member / "fold_0" / "checkpoint_final.pth"
        checkpoint = torch.load(path, weights_only=True)
        torch.save({**checkpoint, "_best_ema": np.float64(0.9), "logging": {"lr": [np.float32(0.1)]}}, path)

    assert NnunetEngine(load_bundle(changed_bundle(tmp_path, change)), ModelSettings()).algorithm.members


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (eval, ("1 + 1",))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    def change(member: Path) -> None:
        torch.save({"network_weights": {}, "evil": _Evil()}, member / "fold_0" / "checkpoint_final.pth")

    bundle = load_bundle(changed_bundle(tmp_path, change))
    with pytest.raises(BundleError, match="UnpicklingError"):
        NnunetEngine(bundle, ModelSettings())
