"""The engine, on the bundle that ships and on small changes of it."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bundles import changed_bundle, ensemble_of_two_folds, shorten_self_test
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from node.domain.anatomy import StructureKind
from node.domain.findings import Segmentation
from node.domain.geometry import Volume, turn
from node.domain.overlap import dice
from node.errors import BundleError, EngineError, ImageRefused, ModelRefused, SelfTestFailed, SettingsError
from node.segment.bundle import STARTER, Bundle, load_bundle
from node.segment.nnunet import profile as profile_module
from node.segment.nnunet import selftest
from node.segment.nnunet.answer import Image
from node.segment.nnunet.checkpoint import read_weights, write_weights
from node.segment.nnunet.engine import NnunetEngine
from node.segment.nnunet.stages import Stages
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
    """A phantom that no training saw: training seeds lie below 100,000, test seeds begin at 200,000."""
    return generate(345_678, shape=(12, 192, 192), spacing_mm=(4.0, 0.9, 0.9))


@pytest.fixture(scope="module")
def torch_engine() -> NnunetEngine:
    return NnunetEngine(load_bundle(STARTER), ModelSettings.model_validate({"cpu": {"backend": "torch"}}), "cpu")


@pytest.fixture
def short_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """For engines that are made for one test; `engine` tests itself on all of the phantom."""
    shorten_self_test(monkeypatch)


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


def test_the_way_the_slices_lie_changes_no_voxel(engine: NnunetEngine, found: Segmentation, phantom: Phantom) -> None:
    voxels, grid = turn(phantom.image, phantom.grid, "PRS")
    turned = engine.segment(Volume(grid=grid, voxels=voxels, sources=(), acquired_in_3d=False)).classes
    assert np.array_equal(turn(turned, grid, "LIP")[0], found.classes)


def test_the_answer_comes_with_its_probabilities_and_what_each_configuration_answered(found: Segmentation) -> None:
    body, disc = (
        found.probabilities[StructureKind.VERTEBRAL_BODY],
        found.probabilities[StructureKind.INTERVERTEBRAL_DISC],
    )
    assert (body.dtype, body.shape) == (np.uint8, found.classes.shape)
    left = 255 - np.minimum(body.astype(int) + disc, 255)
    stacked = np.stack([left, body, disc]).astype(int)
    chosen = np.take_along_axis(stacked, found.classes[None].astype(int), axis=0)[0]
    assert (stacked.max(axis=0) - chosen).max() <= 2  # what rounding to 255ths can turn round
    assert list(found.opinions) == ["2d", "3d_fullres"]
    for opinion in found.opinions.values():
        assert (opinion.dtype, opinion.shape, set(np.unique(opinion))) == (np.uint8, found.classes.shape, {0, 1, 2})


def test_the_probabilities_of_the_two_modes_are_the_same_to_a_255th_where_fast_mode_tells_any(
    found: Segmentation, phantom: Phantom
) -> None:
    reference = NnunetEngine(load_bundle(STARTER), ModelSettings(mode="reference"), "cpu").segment(volume_of(phantom))
    told = np.logical_or.reduce([probability > 0 for probability in found.probabilities.values()])
    box = tuple(slice(used.min(), used.max() + 1) for used in np.nonzero(told))
    for kind, probability in reference.probabilities.items():
        assert np.abs(found.probabilities[kind].astype(int) - probability)[box].max() <= 1
        assert probability[~told].max() <= 255 / (1 + np.e)  # outside fast mode's box, where background is sure
    assert list(reference.opinions) == list(found.opinions)
    for name, opinion in reference.opinions.items():
        assert np.count_nonzero(opinion != found.opinions[name]) <= 5e-6 * opinion.size + 1


def answered(bundle: Bundle, phantom: Phantom, mode: str, folds: int) -> dict[str, NDArray[np.uint8]]:
    """Return the opinions of the first so many folds, without mirroring, about the middle of the phantom.

    Four slices, one tile in 3d; as the bundle wants them to lie.
    """
    settings = ModelSettings.model_validate({"cpu": {"folds": folds, "mirroring": False, "backend": "torch"}})
    profile = profile_module.decide(bundle, settings, "cpu")
    networks = profile_module.load_fast(profile) if mode == "fast" else profile_module.load_reference(profile)
    voxels, grid = turn(phantom.image, phantom.grid, bundle.orientation)
    middle = voxels[4:8, 16:176, 16:176].astype(np.float32)
    image = Image(voxels=middle, spacing_mm=grid.spacing_mm)
    answer = networks.answer(networks.prepare(image, Stages()), Stages())
    _, _, _, *opinions = answer.layers.unpacked()
    return dict(zip(answer.opinions, opinions, strict=True))


def test_where_several_folds_ran_each_gives_its_opinion_in_either_mode(tmp_path: Path, phantom: Phantom) -> None:
    bundle = ensemble_of_two_folds(tmp_path)
    fast, reference = (answered(bundle, phantom, mode, folds=2) for mode in ("fast", "reference"))
    folds = ["2d fold 0", "2d fold 1", "3d_fullres fold 0", "3d_fullres fold 1"]
    assert list(fast) == list(reference) == ["2d", "3d_fullres", *folds]
    for name in fast:
        assert np.array_equal(fast[name], reference[name]), name
    alone = answered(bundle, phantom, "fast", folds=1)
    for configuration in ("2d", "3d_fullres"):
        first, second = (fast[f"{configuration} fold {number}"] for number in (0, 1))
        assert not np.array_equal(first, second)
        # Nearest neighbour against linear interpolation: they part at the edges alone (test_opinions.py), which in this
        # phantom of thin structures is 4 to 6 percent of what is found.
        uniform = ~(edges(first) | edges(alone[configuration]))
        assert np.array_equal(first[uniform], alone[configuration][uniform]), configuration


def edges(classes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where one of the eight neighbours within the slice has another class."""
    around = (1, 3, 3)
    return np.asarray(maximum_filter(classes, around) != minimum_filter(classes, around))


def test_one_network_alone_has_no_opinions_beside_its_answer(tmp_path: Path, phantom: Phantom) -> None:
    folder = changed_bundle(tmp_path, lambda bundle: None, only="2d")
    assert answered(load_bundle(folder), phantom, "fast", folds=1) == {}


def test_a_meaning_for_a_class_that_no_network_has_is_a_bundle_error() -> None:
    bundle = replace(
        load_bundle(STARTER), labels={1: StructureKind.VERTEBRAL_BODY, 3: StructureKind.INTERVERTEBRAL_DISC}
    )
    with pytest.raises(BundleError, match="tells 2 classes apart, none is 3"):
        NnunetEngine(bundle, ModelSettings(), "cpu")


def test_the_same_volume_gives_the_same_voxels_again(
    engine: NnunetEngine, found: Segmentation, phantom: Phantom
) -> None:
    assert np.array_equal(engine.segment(volume_of(phantom)).classes, found.classes)


def test_it_tells_what_answered(engine: NnunetEngine) -> None:
    assert engine.algorithm.members == ("2d fold 0", "3d_fullres fold 0")
    assert "nnunetv2 2.8" in engine.algorithm.engine
    assert "fast, cpu, float32" in engine.algorithm.engine
    assert engine.algorithm.bundle_digest == hashlib.sha256((STARTER / "bundle.json").read_bytes()).hexdigest()


def test_it_tells_how_the_answer_came_about(found: Segmentation) -> None:
    run = found.run
    assert (run.mode, run.device, run.precision, run.fallbacks) == ("fast", "cpu", "float32", ())
    assert set(run.stages_s) == set(run.cpu_s) == {"preprocess", "windows", "network", "combine"}
    assert all(seconds > 0 for seconds in run.stages_s.values())
    assert run.members == ("2d fold 0", "3d_fullres fold 0")
    assert run.peak_host_bytes > 100 << 20
    assert run.peak_device_bytes is None
    assert run.self_test_ppm is not None
    assert run.self_test_ppm <= 5


def test_a_volume_of_nothing_is_refused_by_name(engine: NnunetEngine, phantom: Phantom) -> None:
    for value in (0.0, np.nan):
        voxels = np.full(phantom.image.shape, value, dtype=np.float32)
        with pytest.raises(ImageRefused):
            engine.segment(Volume(grid=phantom.grid, voxels=voxels, sources=(), acquired_in_3d=False))


def test_where_nothing_is_found_every_voxel_is_background(engine: NnunetEngine, phantom: Phantom) -> None:
    voxels = np.zeros(phantom.image.shape, dtype=np.int16)
    voxels[:, :30, :30] = np.arange(30)
    answer = engine.segment(Volume(grid=phantom.grid, voxels=voxels, sources=(), acquired_in_3d=False))
    reference = NnunetEngine(load_bundle(STARTER), ModelSettings(mode="reference"))
    assert np.array_equal(
        answer.classes,
        reference.segment(Volume(grid=phantom.grid, voxels=voxels, sources=(), acquired_in_3d=False)).classes,
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_device_that_is_not_there_is_a_settings_error(device: str) -> None:
    with pytest.raises(SettingsError, match=r"model\.device"):
        NnunetEngine(load_bundle(STARTER), ModelSettings(), device)


def test_a_backend_that_is_not_there_is_a_settings_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_module, "has_openvino", lambda: False)
    with pytest.raises(SettingsError, match=r"model\.cpu\.backend"):
        profile_module.backends(ModelSettings.model_validate({"cpu": {"backend": "openvino"}}))
    assert profile_module.backends(ModelSettings()) == ["torch"]


def test_the_profile_of_the_cpu_takes_the_first_fold_without_mirroring(tmp_path: Path) -> None:
    bundle = load_bundle(STARTER)
    profile = profile_module.decide(bundle, ModelSettings(), "cpu")
    assert (profile.names, profile.mirroring) == (("2d fold 0", "3d_fullres fold 0"), False)
    every = ModelSettings.model_validate({"cpu": {"folds": 0, "mirroring": True, "backend": "torch"}})
    profile = profile_module.decide(bundle, every, "cpu")
    assert (profile.mirroring, profile.backend) == (True, "torch")


class Noisy:
    """A forward pass whose logits are off by so much."""

    def __init__(self, forward, error: float) -> None:
        self.forward, self.error = forward, error

    def __call__(self, tiles: torch.Tensor) -> torch.Tensor:
        answer = self.forward(tiles)
        return answer + self.error * torch.randn(answer.shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def noisy_openvino(monkeypatch: pytest.MonkeyPatch, short_self_test: None) -> None:
    """An OpenVINO, installed or not, whose logits are off by half."""
    monkeypatch.setattr(profile_module, "has_openvino", lambda: True)
    monkeypatch.setattr(
        profile_module,
        "openvino_forward",
        lambda network, patch, threads: Noisy(profile_module.torch_forward(network, torch.device("cpu")), 0.5),
    )


@pytest.mark.usefixtures("noisy_openvino")
def test_a_fast_engine_that_differs_from_the_official_functions_does_not_serve() -> None:
    settings = ModelSettings.model_validate({"cpu": {"backend": "openvino"}})
    with pytest.raises(SelfTestFailed, match=r"openvino differs .* voxels per million, allowed are 5") as caught:
        NnunetEngine(load_bundle(STARTER), settings, "cpu")
    assert not caught.value.retryable


@pytest.mark.usefixtures("noisy_openvino")
def test_a_backend_that_fails_the_self_test_gives_way_to_torch_where_that_is_left_open() -> None:
    engine = NnunetEngine(load_bundle(STARTER), ModelSettings(), "cpu")
    assert "openvino" not in engine.algorithm.engine
    assert engine.self_test is not None
    assert engine.self_test.ppm == 0.0


def test_the_self_tests_phantom_has_both_kinds_and_no_patient() -> None:
    image = selftest.phantom("RSP")
    assert image.voxels.shape == (12, 256, 256)
    assert image.spacing_mm == pytest.approx((3.3, 0.62, 0.62))


def test_a_device_without_room_gets_smaller_batches_and_the_answer_says_so(
    torch_engine: NnunetEngine, monkeypatch: pytest.MonkeyPatch, phantom: Phantom, found: Segmentation
) -> None:
    def with_room_for_two(forward):
        def tight(tiles: torch.Tensor) -> torch.Tensor:
            if len(tiles) > 2:
                raise torch.OutOfMemoryError("no room")
            return forward(tiles)

        return tight

    for member in torch_engine._networks._members:  # the seam of a device's memory is the forward pass
        monkeypatch.setattr(member, "forwards", [with_room_for_two(forward) for forward in member.forwards])
        monkeypatch.setattr(member, "batch", 8)
        monkeypatch.setattr(member, "notes", [])
    answer = torch_engine.segment(volume_of(phantom))
    assert answer.run.fallbacks == (
        "out of memory: 4 tiles of 2d at a time",
        "out of memory: 2 tiles of 2d at a time",
        "out of memory: 4 tiles of 3d_fullres at a time",
        "out of memory: 2 tiles of 3d_fullres at a time",
    )
    assert np.count_nonzero(answer.classes != found.classes) <= 5e-6 * found.classes.size + 1


@pytest.mark.usefixtures("short_self_test")
@pytest.mark.parametrize("allowed", [True, False])
def test_a_case_that_a_device_has_no_room_for_runs_on_the_cpu_where_that_is_allowed(
    torch_engine: NnunetEngine, monkeypatch: pytest.MonkeyPatch, phantom: Phantom, allowed: bool
) -> None:
    """No CUDA device is needed: an engine on the CPU is told that it is one, and has no room for a single tile."""
    expected = torch_engine.segment(volume_of(phantom)).classes
    engine = torch_engine
    monkeypatch.setattr(engine, "_settings", engine._settings.model_copy(update={"cpu_fallback": allowed}))

    def no_room(tiles: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("no room")

    prepared = engine.prepare(phantom.image, phantom.grid)
    for member in engine._networks._members:
        monkeypatch.setattr(member, "forwards", [no_room])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _device: None)
    monkeypatch.setattr(NnunetEngine, "_on_cuda", property(lambda self: self is engine))
    monkeypatch.setattr(NnunetEngine, "_settle", lambda self: None)
    if not allowed:
        with pytest.raises(EngineError, match="too little memory"):
            engine.answer(prepared)
        return
    answer = engine.answer(prepared)
    assert answer.run.fallbacks == ("out of memory on cpu: ran on the CPU",)
    assert np.array_equal(answer.classes, expected)


def test_what_a_library_raises_is_an_engine_error(
    engine: NnunetEngine, monkeypatch: pytest.MonkeyPatch, phantom: Phantom
) -> None:
    def broken(tiles: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("device-side assert")

    monkeypatch.setattr(engine._networks._members[0], "forwards", [broken])
    with pytest.raises(EngineError, match="RuntimeError"):
        engine.segment(volume_of(phantom))


def change_plans(bundle: Path, **kwargs: object) -> None:
    path = bundle / "2d" / "plans.json"
    plans = json.loads(path.read_text())
    plans["configurations"]["2d"].update(kwargs)
    path.write_text(json.dumps(plans))


@pytest.mark.usefixtures("short_self_test")
def test_plans_that_fast_mode_does_not_know_are_refused_and_reference_mode_takes_them(
    tmp_path: Path, phantom: Phantom
) -> None:
    keywords = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    folder = changed_bundle(tmp_path, lambda bundle: change_plans(bundle, resampling_fn_probabilities_kwargs=keywords))
    with pytest.raises(ModelRefused, match="reference"):
        NnunetEngine(load_bundle(folder), ModelSettings(), "cpu")
    answer = NnunetEngine(load_bundle(folder), ModelSettings(mode="reference"), "cpu").segment(volume_of(phantom))
    assert answer.run.mode == "reference"
    assert answer.run.self_test_ppm is None


@pytest.mark.usefixtures("short_self_test")
@pytest.mark.parametrize(
    "changes",
    [
        {"use_mask_for_norm": [True]},
        {"normalization_schemes": ["RescaleTo01Normalization"]},
        {"normalization_schemes": ["NoNormalization"]},
    ],
    ids=["normalised within the mask", "rescaled to 0..1", "not normalised"],
)
def test_other_ways_to_normalise_give_the_voxels_of_reference_mode(tmp_path: Path, changes: dict[str, object]) -> None:
    """The self-test of the engine is the assertion: it compares every voxel of its phantom."""
    folder = changed_bundle(tmp_path, lambda bundle: change_plans(bundle, **changes), only="2d")
    settings = ModelSettings.model_validate({"cpu": {"backend": "torch"}, "tolerance_ppm": 0.0})
    engine = NnunetEngine(load_bundle(folder), settings, "cpu")
    assert engine.self_test is not None
    assert engine.self_test.ppm == 0.0


@pytest.mark.usefixtures("short_self_test")
def test_axes_in_another_order_give_the_voxels_of_reference_mode(tmp_path: Path) -> None:
    def change(bundle: Path) -> None:
        path = bundle / "2d" / "plans.json"
        plans = json.loads(path.read_text())
        path.write_text(json.dumps({**plans, "transpose_forward": [0, 2, 1], "transpose_backward": [0, 2, 1]}))

    settings = ModelSettings.model_validate({"cpu": {"backend": "torch"}, "tolerance_ppm": 0.0})
    engine = NnunetEngine(load_bundle(changed_bundle(tmp_path, change, only="2d")), settings, "cpu")
    assert engine.self_test is not None
    assert engine.self_test.ppm == 0.0


def test_weights_that_do_not_fit_the_plans_are_refused(tmp_path: Path) -> None:
    def change(bundle: Path) -> None:
        path = bundle / "2d" / "fold_0.safetensors"
        weights = read_weights(path)
        first = next(iter(weights))
        write_weights(path, {name: tensor for name, tensor in weights.items() if name != first})

    with pytest.raises(BundleError, match="do not fit"):
        NnunetEngine(load_bundle(changed_bundle(tmp_path, change)), ModelSettings(), "cpu")


def test_the_engine_has_no_mode_but_these() -> None:
    with pytest.raises(ValueError, match="mode"):
        ModelSettings.model_validate({"mode": "turbo"})


def test_openvino_tells_its_makers_nothing(tmp_path: Path) -> None:
    code = """if True:
        import sys, torch
        from node.segment.nnunet.forwards import openvino_forward
        openvino_forward(torch.nn.Conv2d(1, 1, 3), (8, 8), 1)(torch.zeros((1, 1, 8, 8)))
        from openvino.tools.ovc import telemetry_utils
        print(telemetry_utils.tm.__name__, sys.modules["openvino_telemetry"])
    """
    # Its own switch for CI would hide what a hospital's machine does.
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "openvino.tools.ovc.telemetry_stub None\n"
    assert list(tmp_path.iterdir()) == []
