"""The recipe writes what nnU-Net's own predictor loads; the starter bundle is what its manifest says."""

import fcntl
import json
import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from node.domain.geometry import turn
from node.errors import BundleError, InputError
from node.segment.bundle import STARTER, load_bundle
from node.segment.models.exporting import export_model
from node.segment.nnunet.checkpoint import read_weights
from node.segment.nnunet.network import build_network, load_weights, own_weights, read_plan
from node.train import cases, packing, phantom, starter
from node.train.cases import ORIENTATION
from node.train.curve import read_curve
from node.train.evaluation import OfficialEnsemble, dice, found_once
from node.train.fitting import Material
from node.train.modelcard import write_card
from node.train.packing import pack, real_figures
from node.train.plans import Json, plans
from node.train.recipe import PRESETS, Recipe
from node.train.starter import TrainingReport, train

MEMBERS = {"2d": "nnUNetTrainer__nnUNetPlans__2d", "3d_fullres": "nnUNetTrainer__nnUNetPlans__3d_fullres"}
SPACING_MM = (3.75, 1.6, 1.6)

TINY = Recipe(
    cases=2,
    validation_cases=1,
    test_cases=1,
    steps=2,
    workers=0,
    snapshots=1,
    features_2d=(4, 8, 8),
    features_3d=(4, 8, 8),
    patch_2d=(64, 64),
    patch_3d=(8, 64, 64),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainingReport:
    """A bundle of two tiny networks after two steps each, on phantoms of 8 x 128 x 128."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cases, "generate", partial(phantom.generate, shape=(8, 128, 128), spacing_mm=SPACING_MM))
        folder = tmp_path_factory.mktemp("trained")
        return train(folder / "bundle", TINY, folder / "cases")


def test_the_official_predictor_loads_and_runs_what_the_recipe_wrote(trained: TrainingReport) -> None:
    image = np.random.default_rng(0).normal(100.0, 20.0, (6, 70, 66)).astype(np.float32)
    found = OfficialEnsemble(trained.folders).probabilities(image, list(SPACING_MM))
    assert set(found) == {"2d", "3d_fullres", "ensemble"}
    for shares in found.values():
        assert shares.shape == (3, 6, 70, 66)
        assert shares.sum(axis=0) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("configuration", "mirrors"), [("2d", None), ("3d_fullres", (0,))])
def test_a_checkpoint_holds_plain_values_and_half_precision_tensors(
    trained: TrainingReport, configuration: str, mirrors: tuple[int, ...] | None
) -> None:
    path = trained.folders / MEMBERS[configuration] / "fold_0" / "checkpoint_final.pth"
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["trainer_name"] == "nnUNetTrainer"
    assert checkpoint["init_args"]["configuration"] == configuration
    assert checkpoint["inference_allowed_mirroring_axes"] == mirrors
    assert {tensor.dtype for tensor in checkpoint["network_weights"].values()} == {torch.float16}


def test_the_bundle_is_what_the_recipe_says(trained: TrainingReport) -> None:
    bundle = load_bundle(trained.out)
    assert (bundle.name, bundle.version, bundle.orientation) == ("cspine-starter", "0.2.0", "RSP")
    assert {value: kind.value for value, kind in bundle.labels.items()} == {
        1: "vertebral_body",
        2: "intervertebral_disc",
    }
    assert [(member.configuration, member.folds, member.mirror_axes) for member in bundle.members] == [
        ("2d", ("0",), ()),
        ("3d_fullres", ("0",), (0,)),
    ]
    assert bundle.evaluation["dice"] == trained.evaluation["dice"]
    assert (trained.out / "MODEL_CARD.md").is_file()


@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_weights_stay_in_half_precision_on_their_way_into_the_bundle_and_out(
    trained: TrainingReport, configuration: str, tmp_path: Path
) -> None:
    weights = read_weights(trained.out / configuration / "fold_0.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    export_model(load_bundle(trained.out), tmp_path / "out")
    name = f"{MEMBERS[configuration]}/fold_0/checkpoint_final.pth"
    before, after = (torch.load(root / name, weights_only=True) for root in (trained.folders, tmp_path / "out"))
    assert before["network_weights"].keys() == after["network_weights"].keys()
    assert all(torch.equal(before["network_weights"][key], after["network_weights"][key]) for key in weights)


def test_a_bundle_that_is_there_is_not_trained_over(trained: TrainingReport) -> None:
    with pytest.raises(BundleError, match="is there already"):
        train(trained.out, TINY)


def test_dataset_json_spells_the_labels_as_cspineseg_does(trained: TrainingReport) -> None:
    dataset = json.loads((trained.out / "2d" / "dataset.json").read_text(encoding="utf-8"))
    assert dataset["labels"] == {"background": 0, "vertebrae": 1, "inter-vetebral disc": 2}
    assert dataset["channel_names"] == {"0": "T2"}
    assert dataset["file_ending"] == ".nii.gz"


def test_the_report_counts_the_steps(trained: TrainingReport) -> None:
    assert {name: done["steps"] for name, done in trained.fitted.items()} == {"2d": 2, "3d_fullres": 2}
    assert trained.evaluation["volumes"] == 1


def test_training_arrays_grow_to_the_right_to_the_head_and_to_the_back() -> None:
    drawn = phantom.generate(4, shape=(6, 64, 64), spacing_mm=(4.0, 3.0, 3.0))
    _, grid = turn(drawn.image, drawn.grid, ORIENTATION)
    assert grid.orientation() == "RSP"


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [([1, 1, 0], [1, 1, 0], 1.0), ([1, 0, 0], [1, 1, 1], 0.5), ([0, 0, 0], [0, 0, 0], 1.0), ([1, 0], [0, 1], 0.0)],
)
def test_dice_of_label_one(found: list[int], truth: list[int], expected: float) -> None:
    assert dice(np.array(found), np.array(truth), 1) == pytest.approx(expected)


def test_the_starter_files_match_their_digests() -> None:
    assert load_bundle(STARTER).name == "cspine-starter"
    assert (STARTER / "MODEL_CARD.md").is_file()


def test_the_starter_is_small() -> None:
    assert sum(path.stat().st_size for path in STARTER.rglob("*") if path.is_file()) < 6_300_000


@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_the_starter_weights_fit_their_plans(configuration: str) -> None:
    network = build_network(read_plan(STARTER / configuration, configuration))
    weights = read_weights(STARTER / configuration / "fold_0.safetensors")
    load_weights(network, weights)
    assert all(torch.equal(tensor, weights[name].float()) for name, tensor in own_weights(network).items())


def test_the_default_recipe_describes_the_starter() -> None:
    recipe = Recipe()
    described = json.loads((STARTER / "2d" / "plans.json").read_text(encoding="utf-8"))
    assert described == plans(recipe.features_2d, recipe.features_3d, recipe.patch_2d, recipe.patch_3d)


def test_the_model_card_states_the_figures_of_the_manifest() -> None:
    manifest = json.loads((STARTER / "bundle.json").read_text(encoding="utf-8"))
    card = (STARTER / "MODEL_CARD.md").read_text(encoding="utf-8")
    stated = {float(mean) for mean in re.findall(r"\| (\d\.\d{4}) \| \d\.\d{4} \|", card)}
    measured = {scores["mean"] for kinds in manifest["evaluation"]["dice"].values() for scores in kinds.values()}
    assert stated == measured


def test_the_card_of_a_bundle_is_made_of_its_manifest_alone(trained: TrainingReport, tmp_path: Path) -> None:
    bundle = load_bundle(trained.out)
    write_card(tmp_path / "MODEL_CARD.md", dict(bundle.evaluation), bundle.version)
    assert (tmp_path / "MODEL_CARD.md").read_bytes() == (trained.out / "MODEL_CARD.md").read_bytes()


REAL = {
    "volume": "a neck at 4 mm",
    "bodies_expected": 9,
    "bodies_found_once": 8,
    "discs_expected": 8,
    "discs_found_once": 8,
    "outside_share": 0.0123,
    "names_right": True,
    "verdict": "review",
}


def test_the_card_tells_data_recipe_versions_and_figures(trained: TrainingReport, tmp_path: Path) -> None:
    evaluation = {**trained.evaluation, "real": [REAL]}
    pack(tmp_path / "bundle", trained.folders, evaluation, "9")
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    for words in (
        "# cspine-starter 9",
        "2 procedurally generated necks",
        "No picture of a patient",
        "seed 1, learning rate 0.002, on cpu",
        f"torch {torch.__version__.partition('+')[0]}",
        "| 2d | 2 | 4 |",
        "| ensemble | vertebral bodies |",
        "| a neck at 4 mm | 8 of 9 | 8 of 8 | 1.23% | yes | review |",
    ):
        assert words in card
    assert "lumbar" not in card
    assert load_bundle(tmp_path / "bundle").evaluation["real"] == [REAL]


def test_the_card_says_which_lumbar_slices_joined(trained: TrainingReport, tmp_path: Path) -> None:
    scores = {kind: {"mean": 0.8, "lowest": 0.7} for kind in ("vertebral_body", "intervertebral_disc")}
    lumbar = {"slices": [4], "dice": {"0.8": dict.fromkeys(("2d", "3d_fullres", "ensemble"), scores)}}
    training = {**trained.evaluation["training"], "lumbar_slices": [2, 3]}
    write_card(tmp_path / "card", {**trained.evaluation, "training": training, "lumbar": lumbar}, "9")
    card = (tmp_path / "card").read_text(encoding="utf-8")
    assert "2 real lumbar slices" in card
    assert "| 0.8 mm | 2d | vertebral bodies | 0.800 | 0.700 |" in card
    assert "slices 4, which were kept apart (other slices of this set joined the training)" in card


def test_figures_on_real_volumes_are_complete_or_refused(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text(json.dumps([REAL]), encoding="utf-8")
    assert real_figures(tmp_path / "real.json") == [REAL]
    (tmp_path / "real.json").write_text(json.dumps([{**REAL, "verdict": "good"}, {"volume": "x"}]), encoding="utf-8")
    with pytest.raises(InputError, match="without bodies_expected"):
        real_figures(tmp_path / "real.json")
    with pytest.raises(InputError, match="no JSON list"):
        real_figures(tmp_path / "none.json")


def test_a_bundle_that_is_lost_is_packed_again_without_training_or_measuring(
    trained: TrainingReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "again-training"
    shutil.copytree(trained.folders.parent, work)
    monkeypatch.setattr(packing, "evaluate", lambda *_: pytest.fail("measured again"))
    report = train(tmp_path / "again", TINY, trained.out.parent / "cases")
    assert load_bundle(report.out).digest == load_bundle(trained.out).digest


def test_two_trainings_do_not_share_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x-training").mkdir()
    with (tmp_path / "x-training" / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another training"):
            train(tmp_path / "x", TINY)


@pytest.mark.parametrize(("seed", "cases"), [(101, 1), (1, 100_001)])
def test_what_is_trained_on_never_reaches_what_is_measured_on(seed: int, cases: int) -> None:
    with pytest.raises(InputError, match="leaves the seeds"):
        _ = Recipe(seed=seed, cases=cases).training_seeds


@pytest.mark.parametrize("name", ["cpu-overnight", "gpu", "quick"])
def test_every_preset_trains_the_networks_of_the_starter(name: str) -> None:
    recipe = PRESETS[name]
    described = plans(recipe.features_2d, recipe.features_3d, recipe.patch_2d, recipe.patch_3d)
    assert described == json.loads((STARTER / "3d_fullres" / "plans.json").read_text(encoding="utf-8"))
    assert max(*recipe.training_seeds, *recipe.validation_seeds) < min(recipe.test_seeds)


STRUCTURES = np.array([[[1, 1, 1, 0, 3, 3, 3, 0, 5, 5, 5]]])


@pytest.mark.parametrize(
    ("found", "once"),
    [
        ([1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1], 3),
        ([1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1], 1),  # two are bridged
        ([1, 0, 1, 0, 1, 1, 1, 0, 0, 0, 0], 1),  # one in two pieces, one not at all
        ([1, 1, 0, 0, 0, 1, 1, 0, 2, 2, 2], 2),  # one of the other kind
    ],
)
def test_structures_found_once(found: list[int], once: int) -> None:
    labels = (STRUCTURES > 0).astype(np.uint8)
    assert found_once(np.array([[found]]), STRUCTURES, labels, 1) == (once, 3)


def test_a_sliver_at_the_edge_is_not_asked_for() -> None:
    structures = np.array([[[1, 0, 3, 3, 3, 3, 0, 5, 5, 5, 5]]])
    assert found_once(structures > 1, structures, structures > 0, 1) == (2, 2)


def test_a_device_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="cuda:0: there is no such device"):
        train(tmp_path / "x", replace(TINY, device="cuda:0"))
    assert not list(tmp_path.iterdir())


def in_processes(trained: TrainingReport, folder: Path, recipe: Recipe) -> dict[str, Json]:
    """Fit in worker processes what `trained` has prepared, into `folder`/nnunet."""
    pool = folder / "cases"
    shutil.copytree(trained.out.parent / "cases", pool)
    material = Material(folder=pool, training=recipe.training_seeds, validation=recipe.validation_seeds)
    return starter._fitted(folder / "nnunet", recipe, starter._members(recipe), material, lambda _text: None)


@pytest.mark.slow
def test_processes_train_what_one_process_trains(trained: TrainingReport, tmp_path: Path) -> None:
    assert in_processes(trained, tmp_path, replace(TINY, workers=1)).keys() == MEMBERS.keys()
    for name in MEMBERS.values():
        one, two = (
            torch.load(root / name / "fold_0" / "checkpoint_final.pth", weights_only=True)["network_weights"]
            for root in (trained.folders, tmp_path / "nnunet")
        )
        assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.slow
def test_a_training_that_overlaps_begins_with_the_first_cases(trained: TrainingReport, tmp_path: Path) -> None:
    """The third case is generated meanwhile; whether it joins before the last step is chance."""
    fitted = in_processes(trained, tmp_path, replace(TINY, workers=1, overlap=True, first_cases=2, cases=3))
    assert {name: done["steps"] for name, done in fitted.items()} == {"2d": 2, "3d_fullres": 2}
    assert [look.step for look in read_curve(tmp_path / "2d_curve.tsv")] == [2]
