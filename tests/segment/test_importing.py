"""Trained models of nnU-Net become bundles, and bundles become trained models again."""

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from trained import UNET, checkpoint, configuration, dataset, network, old_configuration, plans, write_model

from node.domain.anatomy import StructureKind
from node.domain.geometry import Grid
from node.errors import BundleError, ModelRefused
from node.segment.bundle import Bundle, load_bundle
from node.segment.models.exporting import export_model
from node.segment.models.importing import ImportWishes, import_model
from node.segment.models.modelfolder import Selection
from node.segment.models.provenance import orientation_of
from node.segment.models.verifying import verify_networks
from node.segment.nnunet.checkpoint import read_weights
from node.segment.nnunet.network import load_networks, own_weights, read_plan

FINAL, BEST, LATEST = (f"checkpoint_{name}.pth" for name in ("final", "best", "latest"))


def wishes(*, orientation: str = "RSP", **selection: Any) -> ImportWishes:
    return ImportWishes(name="neck", orientation=orientation, selection=Selection(**selection))


def imported(source: Path, wanted: ImportWishes | None = None) -> Bundle:
    out = source.parent / "library" / "neck"
    shutil.rmtree(out, ignore_errors=True)
    return import_model(source, out, wanted or wishes())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


def test_2d_and_3d_fullres_become_one_bundle_with_the_weights_of_the_checkpoints(source: Path) -> None:
    for name in ("3d_fullres", "2d"):
        write_model(source, name, files={f"fold_0/{FINAL}": {}, f"fold_1/{FINAL}": {}})
    bundle = imported(source)
    assert [(member.configuration, member.folds, member.mirror_axes) for member in bundle.members] == [
        ("2d", ("0", "1"), (0, 1)),
        ("3d_fullres", ("0", "1"), (0, 1, 2)),
    ]
    assert bundle.labels == {1: StructureKind.VERTEBRAL_BODY, 2: StructureKind.INTERVERTEBRAL_DISC}
    assert bundle.orientation == "RSP"
    assert bundle.source == {
        "dataset": "Dataset108_Necks",
        "trainer": "nnUNetTrainer",
        "plans": "nnUNetPlans",
        "checkpoint": "checkpoint_final.pth",
        "orientation": "as the importer said",
    }
    for member in bundle.members:
        for seed, made in enumerate(load_networks(member, read_plan(member.folder, member.configuration))):
            state = network(plans(), member.configuration, seed).state_dict()
            assert made.state_dict().keys() == state.keys()
            assert all(torch.equal(tensor, state[name]) for name, tensor in made.state_dict().items())


def test_a_weight_is_stored_once_though_the_network_has_it_under_several_names(source: Path) -> None:
    write_model(source, "2d")
    stored = read_weights(imported(source).members[0].weights[0])
    made = network(plans(), "2d")
    assert stored.keys() == own_weights(made).keys()
    assert len(stored) < len(made.state_dict())


@pytest.mark.parametrize("depth", ["", "Dataset108_Necks", "results/Dataset108_Necks"])
def test_a_model_is_found_up_to_three_folders_down(source: Path, depth: str) -> None:
    write_model(source / depth, "3d_lowres")
    assert [member.configuration for member in imported(source).members] == ["3d_lowres"]


def test_the_model_folder_itself_may_be_the_source_under_another_name(source: Path) -> None:
    write_model(source, "2d").rename(source / "renamed")
    assert imported(source / "renamed").members[0].configuration == "2d"


@pytest.mark.parametrize("name", ["2d", "3d_fullres"])
def test_a_residual_encoder_network_is_taken(source: Path, name: str) -> None:
    write_model(source, name, plans(**{name: configuration(name, residual=True)}))
    assert verify_networks(imported(source)).keys() == {f"{name} fold 0"}


@pytest.mark.parametrize("unet", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_a_model_from_before_version_2_4_is_taken(source: Path, unet: str) -> None:
    new = plans(**{"2d": configuration("2d", residual=unet != "PlainConvUNet")})
    folder = write_model(source, "2d", new)
    (folder / "plans.json").write_text(json.dumps(plans(**{"2d": old_configuration("2d", unet)})))
    assert verify_networks(imported(source)).keys() == {"2d fold 0"}


@pytest.mark.parametrize(
    ("present", "asked", "taken"),
    [
        (["0", "1", "all"], (), ("0", "1")),
        (["all"], (), ("all",)),
        (["0", "1", "all"], ("all",), ("all",)),
        (["0", "1", "2"], ("2", "0"), ("2", "0")),
        (["10", "2"], (), ("2", "10")),
    ],
)
def test_numbered_folds_go_before_all_as_in_nnunet(
    source: Path, present: list[str], asked: tuple[str, ...], taken: tuple[str, ...]
) -> None:
    write_model(source, "2d", files={f"fold_{fold}/{FINAL}": {} for fold in present})
    assert imported(source, wishes(folds=asked)).members[0].folds == taken


def test_the_best_checkpoint_stands_in_where_there_is_no_final_one(source: Path) -> None:
    write_model(source, "2d", files={f"fold_0/{BEST}": {}})
    assert imported(source).source["checkpoint"] == BEST


def test_a_checkpoint_may_be_asked_for(source: Path) -> None:
    write_model(source, "2d", files={f"fold_0/{name}": {} for name in (FINAL, BEST, LATEST)})
    assert imported(source, wishes(checkpoint="latest")).source["checkpoint"] == LATEST
    with pytest.raises(BundleError, match="not the name of a checkpoint"):
        imported(source, wishes(checkpoint="../../x.pth"))


@pytest.mark.parametrize("unfinished", [f"fold_1/{LATEST}", f"fold_1/{BEST}"])
def test_a_fold_whose_training_goes_on_is_named_unless_others_were_asked_for(source: Path, unfinished: str) -> None:
    write_model(source, "2d", files={f"fold_0/{FINAL}": {}, unfinished: {}})
    with pytest.raises(BundleError, match=r"fold_1 has no checkpoint_final\.pth"):
        imported(source)
    assert imported(source, wishes(folds=("0",))).members[0].folds == ("0",)


def test_a_fold_that_is_not_there_is_named(source: Path) -> None:
    write_model(source, "2d")
    with pytest.raises(BundleError, match="no fold_3, only 0"):
        imported(source, wishes(folds=("3",)))


def test_two_models_of_one_configuration_need_a_choice(source: Path) -> None:
    write_model(source, "2d", files={f"fold_0/{FINAL}": {"trainer_name": "nnUNetTrainerDA5"}}).rename(
        source / "nnUNetTrainerDA5__nnUNetPlans__2d"
    )
    write_model(source, "2d")
    with pytest.raises(BundleError, match=r"several models of 2d .*--trainer"):
        imported(source)
    assert imported(source, wishes(trainer="nnUNetTrainerDA5")).source["trainer"] == "nnUNetTrainerDA5"


def test_models_of_two_data_sets_need_a_choice(source: Path) -> None:
    write_model(source / "one", "2d")
    write_model(source / "two", "3d_fullres", {**plans(), "dataset_name": "Dataset109_Other"})
    with pytest.raises(BundleError, match="several data sets"):
        imported(source)
    assert imported(source, wishes(configurations=("3d_fullres",))).source["dataset"] == "Dataset109_Other"


def test_a_cascade_is_refused_and_may_be_left_out(source: Path) -> None:
    cascade = {**configuration("3d_fullres"), "previous_stage": "3d_lowres"}
    whole = plans(**{"2d": configuration("2d"), "3d_cascade_fullres": cascade})
    write_model(source, "2d", whole)
    shutil.copytree(
        source / "nnUNetTrainer__nnUNetPlans__2d", source / "nnUNetTrainer__nnUNetPlans__3d_cascade_fullres"
    )
    with pytest.raises(ModelRefused, match="cascade"):
        imported(source)
    assert len(imported(source, wishes(configurations=("2d",))).members) == 1


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_weights_of_distributed_or_compiled_training_lose_their_prefix(source: Path, prefix: str) -> None:
    state = network(plans(), "2d").state_dict()
    named = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    write_model(source, "2d", files={f"fold_0/{FINAL}": {"network_weights": named}})
    stored = read_weights(imported(source).members[0].weights[0])
    assert all(torch.equal(tensor, state[name]) for name, tensor in stored.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_weights_keep_the_precision_of_the_checkpoint(source: Path, dtype: torch.dtype) -> None:
    state = {name: tensor.to(dtype) for name, tensor in network(plans(), "2d").state_dict().items()}
    write_model(source, "2d", files={f"fold_0/{FINAL}": {"network_weights": state}})
    assert {tensor.dtype for tensor in read_weights(imported(source).members[0].weights[0]).values()} == {dtype}


def _spoilt(change: str) -> dict[str, Any]:
    state = dict(network(plans(), "2d").state_dict())
    first = next(iter(state))
    if change == "missing":
        del state[first]
    elif change == "more":
        state["more"] = torch.zeros(1)
    elif change == "shape":
        state[first] = torch.zeros(3)
    elif change == "twice":
        state[f"module.{first}"] = state[first]
    elif change in {"nan", "inf"}:
        state = {name: tensor * float(change) for name, tensor in state.items()}
    elif change == "text":
        state[first] = "text"
    elif change == "whole":
        state[first] = state[first].to(torch.int64)
    elif change == "complex":
        state[first] = state[first].to(torch.complex64)
    return state


@pytest.mark.parametrize("change", ["missing", "more", "shape", "twice", "nan", "inf", "text", "complex", "whole"])
def test_weights_that_are_not_those_of_the_network_are_refused_and_leave_nothing(source: Path, change: str) -> None:
    write_model(source, "2d", files={f"fold_0/{FINAL}": {"network_weights": _spoilt(change)}})
    with pytest.raises(BundleError, match=r"checkpoint_final\.pth"):
        imported(source)
    assert list((source.parent / "library").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"trainer_name": "nnUNetTrainerBN"}, "trainer 'nnUNetTrainerBN'"),
        ({"trainer_name": "nnUNet_Primus_M_Trainer"}, "not allowed"),
        ({"trainer_name": "os.system"}, "not allowed"),
        ({"init_args": {"configuration": "3d_fullres"}}, "trained as '3d_fullres'"),
        ({"inference_allowed_mirroring_axes": (0, 2)}, "axes that the images do not have"),
        ({"inference_allowed_mirroring_axes": (0, 0)}, "axes that the images do not have"),
        ({"inference_allowed_mirroring_axes": "ab"}, "not a checkpoint"),
        ({"init_args": None}, "not a checkpoint"),
        ({"network_weights": None}, "not a checkpoint"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(source: Path, changes: dict[str, Any], complaint: str) -> None:
    write_model(source, "2d", files={f"fold_0/{FINAL}": changes})
    with pytest.raises(BundleError, match=complaint):
        imported(source)


@pytest.mark.parametrize("trainer", ["nnUNetTrainer_250epochs", "nnUNetTrainerNoMirroring", "nnUNetTrainerDiceLoss"])
def test_trainers_that_leave_the_network_alone_are_taken(source: Path, trainer: str) -> None:
    write_model(
        source,
        "2d",
        files={f"fold_0/{FINAL}": {"trainer_name": trainer, "inference_allowed_mirroring_axes": None}},
    )
    assert imported(source).members[0].mirror_axes == ()


def test_folds_that_differ_in_their_mirrors_are_refused(source: Path) -> None:
    changes = {"inference_allowed_mirroring_axes": (0,)}
    write_model(source, "2d", files={f"fold_0/{FINAL}": {}, f"fold_1/{FINAL}": changes})
    with pytest.raises(ModelRefused, match="the folds differ"):
        imported(source)


def test_configurations_with_other_labels_are_refused(source: Path) -> None:
    write_model(source, "2d")
    write_model(source, "3d_fullres", data=dataset(labels={"background": 0, "disc": 1, "body": 2}))
    with pytest.raises(ModelRefused, match="differ in their labels"):
        imported(source)


def test_an_import_that_is_broken_off_leaves_nothing(source: Path) -> None:
    write_model(source, "2d", files={f"fold_{fold}/{FINAL}": {} for fold in (0, 1)})
    seen: list[str] = []

    def step(text: str) -> None:
        seen.append(text)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_model(source, source.parent / "library" / "neck", wishes(), step)
    assert seen == ["2d fold 0", "2d fold 1"]
    assert list((source.parent / "library").iterdir()) == []


def test_a_bundle_that_is_there_is_not_overwritten(source: Path) -> None:
    write_model(source, "2d")
    out = imported(source).folder
    with pytest.raises(BundleError, match="is there already"):
        import_model(source, out, wishes())


def test_a_folder_without_a_model_is_named(source: Path) -> None:
    source.mkdir()
    with pytest.raises(BundleError, match="no folder with plans"):
        imported(source)
    with pytest.raises(BundleError, match="not a folder"):
        imported(source / "absent")


def _validation_image(folder: Path, codes: str, name: str = "case_1") -> None:
    """A validation image whose axes on disk grow as `codes` says, which nnU-Net reads in reverse."""
    ways = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
    affine = np.eye(4)
    affine[:3, :3] = np.transpose([ways[letter] for letter in codes])
    path = folder / "fold_0" / "validation" / f"{name}.nii.gz"
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), np.uint8), affine), path)


@pytest.mark.parametrize(("codes", "orientation"), [("PSR", "RSP"), ("RAS", "SAR"), ("LPI", "IPL")])
def test_the_orientation_is_that_of_the_validation_images(source: Path, codes: str, orientation: str) -> None:
    _validation_image(write_model(source, "2d"), codes)
    bundle = imported(source, wishes(orientation=""))
    assert bundle.orientation == orientation
    assert bundle.source["orientation"] == "headers of 1 validation images"


def test_the_orientation_is_what_simpleitk_makes_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "fold_0").mkdir()
    _validation_image(tmp_path, "PSR")
    file = tmp_path / "fold_0" / "validation" / "case_1.nii.gz"
    image = SimpleITK.ReadImage(str(file))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3))[:, ::-1]
    shape = SimpleITK.GetArrayFromImage(image).shape
    assert orientation_of(file) == Grid(shape=shape, affine=affine).orientation() == "RSP"


def test_without_any_sign_the_orientation_is_asked_for(source: Path) -> None:
    data = dataset(labels={"background": 0, "vertebrae": 1, "disc": 2})
    folder = write_model(source, "2d", data=data)
    with pytest.raises(ModelRefused, match=r"none there.*--orientation"):
        imported(source, wishes(orientation=""))
    _validation_image(folder, "PSR")
    _validation_image(folder, "RAS", "case_2")
    with pytest.raises(ModelRefused, match=r"1 RSP, 1 SAR|1 SAR, 1 RSP"):
        imported(source, wishes(orientation=""))
    (folder / "fold_0" / "validation" / "case_2.nii.gz").write_bytes(b"no image")
    with pytest.raises(ModelRefused, match="1 unreadable"):
        imported(source, wishes(orientation=""))


def test_the_orientation_of_cspineseg_is_known(source: Path) -> None:
    write_model(source, "2d")
    bundle = imported(source, wishes(orientation=""))
    assert (bundle.orientation, bundle.source["orientation"][:25]) == ("RSP", "the data set is CSpineSeg")


def test_a_reader_that_turns_every_image_settles_the_orientation(source: Path) -> None:
    write_model(source, "2d", {**plans(), "image_reader_writer": "NibabelIOWithReorient"})
    assert imported(source, wishes(orientation="")).orientation == "SAR"


def test_figures_of_nnunet_and_of_the_importer_are_taken_along_without_cases(source: Path) -> None:
    summary = {
        "foreground_mean": {"Dice": 0.9, "IoU": 0.8},
        "mean": {"1": {"Dice": 0.91, "TP": 5}, "2": {"Dice": float("nan")}},
        "metric_per_case": [{"prediction_file": "/data/Mustermann.nii.gz"}],
    }
    folder = write_model(source, "2d")
    for name in ("fold_0/validation", "crossval_results_folds_0_1"):
        (folder / name).mkdir()
        (folder / name / "summary.json").write_text(json.dumps(summary))
    (source / "figures.json").write_text('{"site": {"dice": 0.95}}')
    (source / "LICENCE.txt").write_text("words")
    wanted = ImportWishes(
        name="neck", orientation="RSP", evaluation=source / "figures.json", licence=source / "LICENCE.txt"
    )
    bundle = imported(source, wanted)
    scores = {"foreground_mean": {"Dice": 0.9, "IoU": 0.8}, "dice": {"1": 0.91, "2": None}}
    assert bundle.evaluation == {
        "site": {"dice": 0.95},
        "nnunet": {"2d": {"fold_0": scores, "crossval_results_folds_0_1": scores}},
    }
    assert (bundle.folder / "LICENSE").read_text() == "words"
    assert "Mustermann" not in (bundle.folder / "bundle.json").read_text()


def test_a_name_that_no_result_could_carry_is_refused_before_any_weight_is_read(source: Path) -> None:
    shutil.rmtree(write_model(source, "2d") / "fold_0")
    (source / "nnUNetTrainer__nnUNetPlans__2d" / "fold_0").mkdir()
    (source / "nnUNetTrainer__nnUNetPlans__2d" / "fold_0" / FINAL).write_bytes(b"no checkpoint")
    with pytest.raises(BundleError, match=r"bundle\.json: name"):
        imported(source, ImportWishes(name="Rück\\en", orientation="RSP"))
    with pytest.raises(BundleError, match=r"bundle\.json: orientation"):
        imported(source, wishes(orientation="RRS"))


@pytest.mark.parametrize("residual", [False, True])
def test_the_official_predictor_loads_what_is_exported(source: Path, residual: bool, tmp_path: Path) -> None:
    described = plans(**{"2d": configuration("2d", residual=residual)})
    folds = {f"fold_{fold}/{FINAL}": {"trainer_name": "nnUNetTrainerDA5"} for fold in (0, 1)}
    write_model(source, "2d", described, folds)
    (folder,) = export_model(imported(source), tmp_path / "exported")
    assert folder.name == "nnUNetTrainer__nnUNetPlans__2d"
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(folder), use_folds=None)
    assert predictor.allowed_mirroring_axes == (0, 1)
    for seed, state in enumerate(predictor.list_of_parameters):
        before = network(described, "2d", seed).state_dict()
        assert list(state) == list(before)
        assert all(torch.equal(tensor, before[name]) for name, tensor in state.items())
    saved = torch.load(folder / "fold_0" / FINAL, weights_only=True)
    assert saved.keys() == checkpoint(described, "2d").keys()


def test_a_bundle_imported_from_its_export_has_the_same_weights(source: Path, tmp_path: Path) -> None:
    write_model(source, "3d_fullres")
    bundle = imported(source)
    export_model(bundle, tmp_path / "exported")
    again = import_model(tmp_path / "exported", tmp_path / "again", wishes())
    assert again.members[0].weights[0].read_bytes() == bundle.members[0].weights[0].read_bytes()
    with pytest.raises(BundleError, match="is there already"):
        export_model(bundle, tmp_path / "exported")


def test_the_starter_goes_out_and_in_again_with_the_same_weights(tmp_path: Path) -> None:
    starter = load_bundle(Path("node/segment/starter").resolve())
    export_model(starter, tmp_path / "exported")
    again = import_model(tmp_path / "exported", tmp_path / "again", wishes())
    for before, after in zip(starter.members, again.members, strict=True):
        assert before.mirror_axes == after.mirror_axes
        ours, theirs = read_weights(before.weights[0]), read_weights(after.weights[0])
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_plans_that_no_longer_fit_the_weights_are_refused_on_loading(source: Path) -> None:
    write_model(source, "2d")
    member = imported(source).members[0]
    wider = plans()
    wider["configurations"]["2d"]["architecture"]["arch_kwargs"]["features_per_stage"] = [4, 16]
    (member.folder / "plans.json").write_text(json.dumps(wider))
    with pytest.raises(BundleError, match="plans and weights do not fit"):
        load_networks(member, read_plan(member.folder, "2d"))
    assert UNET in (member.folder / "plans.json").read_text()
