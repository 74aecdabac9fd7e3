"""A training that was killed goes on as if nothing had happened, and begins with the weights it was told to."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from node.errors import InputError
from node.segment.bundle import STARTER
from node.segment.nnunet.checkpoint import read_weights
from node.segment.nnunet.network import own_weights
from node.train import fitting
from node.train.curve import read_curve
from node.train.fitting import Material, Member, Schedule, fit, started
from node.train.modelfolder import write_member
from node.train.plans import dataset_json, plans
from node.train.recipe import Recipe

PLANS = plans((4, 8, 8), (4, 8, 8), (32, 32), (4, 32, 32))
SCHEDULE = Schedule(patch=(1, 32, 32), batch=2, steps=4, minutes=1e6, learning_rate=2e-3, snapshots=2, save_minutes=0.0)


def member(configuration: str = "2d", **changes: object) -> Member:
    schedule = SCHEDULE if configuration == "2d" else dataclasses.replace(SCHEDULE, patch=(4, 32, 32), batch=1)
    whole = Member(
        configuration=configuration, plans=PLANS, dataset=dataset_json(2), schedule=schedule, seed=3, threads=1
    )
    return dataclasses.replace(whole, **changes)  # type: ignore[arg-type]


@pytest.fixture
def material(tmp_path: Path) -> Material:
    """Two volumes of 5 x 40 x 40 to train on, one to look at."""
    folder = tmp_path / "cases"
    folder.mkdir()
    for seed in (0, 1, 9):
        rng = np.random.default_rng(seed)
        labels = np.zeros((5, 40, 40), np.uint8)
        labels[:, 5:15, 10:20], labels[:, 15:18, 10:20] = 1, 2
        np.save(folder / f"{seed}_labels.npy", labels)
        np.save(folder / f"{seed}_image.npy", (labels + rng.normal(0.0, 0.2, labels.shape)).astype(np.float16))
    return Material(folder=folder, training=range(2), validation=range(9, 10))


def weights(folders: Path, configuration: str = "2d") -> dict[str, torch.Tensor]:
    path = folders / f"nnUNetTrainer__nnUNetPlans__{configuration}" / "fold_0" / "checkpoint_final.pth"
    return torch.load(path, weights_only=True)["network_weights"]  # type: ignore[no-any-return]


class Killed(BaseException):
    """Stands for the end of a process."""


def before_each_step(action: Callable[[int], None], patch: pytest.MonkeyPatch) -> None:
    step = fitting._Fitting._step

    def with_action(self: fitting._Fitting, done: float) -> None:
        action(self._state.step)
        step(self, done)

    patch.setattr(fitting._Fitting, "_step", with_action)


def kill_after(steps: int, patch: pytest.MonkeyPatch) -> None:
    def kill(done: int) -> None:
        if done == steps:
            raise Killed

    before_each_step(kill, patch)


@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_training_killed_after_any_step_ends_with_the_weights_of_one_that_was_not(
    configuration: str, steps: int, material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole" / "nnunet"
    fit(whole, member(configuration), material)
    killed = tmp_path / "killed" / "nnunet"
    with monkeypatch.context() as patch:
        kill_after(steps, patch)
        with pytest.raises(Killed):
            fit(killed, member(configuration), material)
    assert fit(killed, member(configuration), material)["steps"] == 4
    one, two = weights(whole, configuration), weights(killed, configuration)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    states = [torch.load(folder.parent / f"{configuration}_state.pt") for folder in (whole, killed)]
    assert all(torch.equal(states[0]["network"][name], states[1]["network"][name]) for name in states[0]["network"])


def test_a_member_that_is_finished_is_not_trained_again(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fit(tmp_path / "out", member(), material)
    monkeypatch.setattr(fitting._Fitting, "_step", lambda *_: pytest.fail("a step"))
    assert fit(tmp_path / "out", member(), material) == first


def test_a_longer_schedule_goes_on_with_what_a_shorter_one_left(material: Material, tmp_path: Path) -> None:
    fit(tmp_path / "out", member(), material)
    longer = member(schedule=dataclasses.replace(SCHEDULE, steps=6))
    assert fit(tmp_path / "out", longer, material)["steps"] == 6


def test_a_shorter_schedule_than_what_was_done_keeps_what_there_is(material: Material, tmp_path: Path) -> None:
    never = member(schedule=dataclasses.replace(SCHEDULE, steps=100))
    with pytest.MonkeyPatch.context() as patch:
        kill_after(3, patch)
        with pytest.raises(Killed):
            fit(tmp_path / "out", never, material)
    assert fit(tmp_path / "out", member(schedule=dataclasses.replace(SCHEDULE, steps=3)), material)["steps"] == 3
    assert [look.step for look in read_curve(tmp_path / "2d_curve.tsv")] == [3]


def test_what_belongs_to_another_training_is_not_gone_on_with(material: Material, tmp_path: Path) -> None:
    fit(tmp_path / "out", member(), material)
    with pytest.raises(InputError, match="begun with another seed"):
        fit(tmp_path / "out", member(seed=4), material)


def test_the_curve_has_a_line_for_each_look(material: Material, tmp_path: Path) -> None:
    fit(tmp_path / "out", member(), material)
    table = (tmp_path / "2d_curve.tsv").read_text(encoding="ascii").splitlines()
    assert table[0] == "step\tminutes\tloss\tdice_bodies\tdice_discs\tcases\tkept"
    looks = read_curve(tmp_path / "2d_curve.tsv")
    assert [(look.step, look.cases) for look in looks] == [(2, 2), (4, 2)]
    assert looks[0].kept


def test_cases_that_are_prepared_meanwhile_join_at_the_next_look(material: Material, tmp_path: Path) -> None:
    late = material.folder / "1_image.npy"
    picture = np.load(late)
    late.unlink()

    with pytest.MonkeyPatch.context() as patch:
        before_each_step(lambda _done: np.save(late, picture), patch)
        fit(tmp_path / "out", member(), material)
    assert [look.cases for look in read_curve(tmp_path / "2d_curve.tsv")] == [1, 2]


def test_a_folder_without_cases_is_refused(material: Material, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prepared case"):
        fit(tmp_path / "out", member(), dataclasses.replace(material, training=range(50, 52)))


@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_a_warm_start_has_the_weights_of_the_bundle(configuration: str) -> None:
    recipe = Recipe()
    described = plans(recipe.features_2d, recipe.features_3d, recipe.patch_2d, recipe.patch_3d)
    network, digest = started(member(configuration, plans=described, start=STARTER))
    bundled = read_weights(STARTER / configuration / "fold_0.safetensors")
    assert all(torch.equal(tensor, bundled[name].float()) for name, tensor in own_weights(network).items())
    assert len(digest) == 64


def test_a_warm_start_from_another_architecture_is_refused() -> None:
    with pytest.raises(InputError, match="architecture of 2d is another one"):
        started(member(start=STARTER))


def test_a_snapshot_is_replaced_as_a_whole(tmp_path: Path) -> None:
    network = fitting.build(PLANS, "2d")
    path = write_member(tmp_path, "2d", network, PLANS, dataset_json(2))
    assert write_member(tmp_path, "2d", network, PLANS, dataset_json(2)) == path
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint_final.pth"]


@pytest.mark.parametrize("killed", [False, True])
def test_threads_and_arithmetic_of_the_process_are_afterwards_as_before(
    killed: bool, material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    during = []
    before_each_step(lambda _step: during.append((torch.get_num_threads(), sys.float_info.min / 2)), monkeypatch)
    if killed:
        kill_after(2, monkeypatch)
    torch.set_num_threads(2)
    with pytest.raises(Killed) if killed else contextlib.nullcontext():
        fit(tmp_path / "out", member(), material)
    assert set(during) == {(1, 0.0)}
    assert (torch.get_num_threads(), sys.float_info.min / 2 > 0) == (2, True)
