"""Folds are trained, killed and gone on with. nnU-Net's command is a stand-in here; `test_chain` has the real one."""

import math
import os
from pathlib import Path

import faketrainer
import pytest
from faketrainer import checkpoint, prepared_by_hand, started, use_fake

from node.errors import InputError, ModelRefused, TrainingFailed
from node.train.cspineseg import official
from node.train.cspineseg.devices import devices_of
from node.train.cspineseg.folds import Fold, Stage
from node.train.cspineseg.official import environment
from node.train.cspineseg.progress import Progress, after
from node.train.cspineseg.run import Listener, RunWishes, run
from node.train.cspineseg.trainers import trainer_of
from node.train.cspineseg.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(official, "program", official.program)  # put back what use_fake replaces
    monkeypatch.setattr(official, "_GUARD", official._GUARD)
    use_fake(tmp_path)
    return prepared_by_hand(tmp_path / "work")


def fold(workspace: Workspace, number: int = 0, configuration: str = "2d") -> Path:
    return workspace.model("nnUNetTrainer", "nnUNetPlans", configuration) / f"fold_{number}"


def calls(folder: Path) -> list[str]:
    return (folder / "calls.txt").read_text().splitlines()


def is_alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def killed_when(workspace: Workspace, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start `train run`, kill it with -9 at a moment, and wait until nothing of it is left."""
    monkeypatch.setenv("FAKE_WAITS", moment)
    process = started(workspace)
    log = workspace.folder / "logs" / "nnUNetTrainer__nnUNetPlans__2d__fold_0.log"
    while not (log.is_file() and f"waiting after {moment}" in log.read_text()):
        assert process.poll() is None
        os.sched_yield()
    worker = int((fold(workspace) / "worker.pid").read_text())
    assert is_alive(worker)
    process.kill()
    process.communicate()
    while is_alive(worker):
        os.sched_yield()
    monkeypatch.delenv("FAKE_WAITS")


def test_every_fold_of_every_configuration_is_trained_and_told_of(workspace: Workspace) -> None:
    seen: list[Progress] = []
    wishes = RunWishes(trainer="nnUNetTrainer", folds=(0, 3))
    report = run(workspace, wishes, Listener(progress=seen.append))
    assert [(one["name"], one["validation_dice"]) for one in report["folds"]] == [
        ("2d fold 0", 0.5),
        ("2d fold 3", 0.5),
        ("3d_fullres fold 0", 0.5),
        ("3d_fullres fold 3", 0.5),
    ]
    last = [now for now in seen if now.name == "2d fold 0"][-1]
    assert (last.done, last.epochs, last.train_loss, last.val_loss, last.dice[0]) == (3, 1000, 0.25, 0.5, 0.75)
    assert last.left_s == 997 * 2.0
    assert calls(fold(workspace)) == ["--npz"]
    run(workspace, wishes, Listener())
    assert calls(fold(workspace)) == ["--npz"]


@pytest.mark.parametrize(("moment", "goes_on"), [("epoch 1", "--npz --c"), ("trained", "--npz --val")])
def test_a_kill_ends_the_workers_too_and_the_same_command_goes_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, moment: str, goes_on: str
) -> None:
    killed_when(workspace, moment, monkeypatch)
    process = started(workspace)
    said, _ = process.communicate()
    assert process.returncode == 0
    assert calls(fold(workspace)) == ["--npz", goes_on]
    assert "progress 1\n" not in said


def test_a_checkpoint_that_was_cut_short_is_set_aside(workspace: Workspace) -> None:
    run(workspace, RunWishes(trainer="nnUNetTrainer", configurations=("2d",), folds=(0,)), Listener())
    folder = fold(workspace)
    whole = (folder / "checkpoint_final.pth").read_bytes()
    (folder / "checkpoint_final.pth").write_bytes(whole[: len(whole) // 2])
    checkpoint(folder / "checkpoint_latest.pth")
    said: list[str] = []
    run(workspace, RunWishes(trainer="nnUNetTrainer", configurations=("2d",), folds=(0,)), Listener(say=said.append))
    assert said == ["2d fold 0: begun", "2d fold 0: checkpoint_final.pth was cut short and is set aside"]
    assert (folder / "checkpoint_final.pth.damaged").is_file()
    assert calls(folder) == ["--npz", "--npz --c"]


def test_a_summary_that_was_cut_short_is_no_end(tmp_path: Path) -> None:
    one = Fold(configuration="2d", number=0, folder=tmp_path)
    assert one.stage() is Stage.NEW
    checkpoint(tmp_path / "checkpoint_best.pth")
    assert one.stage() is Stage.BEGUN
    checkpoint(tmp_path / "checkpoint_final.pth")
    (tmp_path / "validation").mkdir()
    (tmp_path / "validation" / "summary.json").write_text('{"foreground_mean": {"Di')
    assert one.stage() is Stage.TRAINED


def test_a_fold_that_fails_is_named_with_its_last_words_and_the_others_go_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAILS", "2d 0")
    with pytest.raises(TrainingFailed, match=r"^2d fold 0: nnUNetv2_train ended with 3, see .*out of memory$"):
        run(workspace, RunWishes(trainer="nnUNetTrainer", configurations=("2d",), folds=(0, 1)), Listener())
    assert (fold(workspace, 1) / "validation" / "summary.json").is_file()


def test_what_was_trained_on_other_data_is_not_gone_on_with(workspace: Workspace) -> None:
    wishes = RunWishes(trainer="nnUNetTrainer", configurations=("2d",), folds=(0,))
    run(workspace, wishes, Listener())
    (workspace.preprocessed / "nnUNetPlans.json").write_text('{"another": 1}')
    with pytest.raises(TrainingFailed, match="was trained on another data set or by other plans"):
        run(workspace, wishes, Listener())


def test_each_fold_sees_the_device_it_is_given(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    wishes = RunWishes(trainer="nnUNetTrainer", configurations=("2d",), devices=("cuda:0", "cuda:1"))
    run(workspace, wishes, Listener())
    used = {(fold(workspace, number) / "device.txt").read_text() for number in range(5)}
    assert used <= {"cuda 4\n", "cuda 7\n"}
    assert environment(workspace, "cuda:1", None)["CUDA_VISIBLE_DEVICES"] == "7"


def test_nothing_leaves_the_machine_and_no_foreign_trainer_comes_in(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_API_KEY", "nnUNet_extTrainer"):
        monkeypatch.setenv(name, "somewhere")
    monkeypatch.setenv("nnUNet_wandb_enabled", "1")
    found = environment(workspace, "cpu", 2)
    assert found["nnUNet_wandb_enabled"] == "0"
    assert not found.keys() & {"WANDB_API_KEY", "nnUNet_extTrainer"}
    assert found["nnUNet_raw"] == str(workspace.folder / "nnUNet_raw")
    assert "nnUNet_raw" not in os.environ


def test_a_fold_is_trained_by_one_process_at_a_time(workspace: Workspace) -> None:
    with (
        workspace.alone("nnUNetTrainer__nnUNetPlans__2d__fold_0"),
        pytest.raises(TrainingFailed, match="another process is at work there"),
    ):
        run(workspace, RunWishes(trainer="nnUNetTrainer", configurations=("2d",), folds=(0,)), Listener())


@pytest.mark.parametrize(
    ("epochs", "name", "trainer"),
    [(None, None, "nnUNetTrainer"), (1000, None, "nnUNetTrainer"), (1, None, "nnUNetTrainer_1epoch"),
     (250, None, "nnUNetTrainer_250epochs"), (None, "nnUNetTrainerDA5", "nnUNetTrainerDA5")],
)  # fmt: skip
def test_epochs_choose_one_of_nnunets_own_trainers(epochs: int | None, name: str | None, trainer: str) -> None:
    assert trainer_of(epochs, name) == trainer


def test_a_trainer_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(
        InputError, match="no trainer of 7 epochs; there are 1, 5, 10, 20, 50, 100, 250, 500, 750, 1000"
    ):
        trainer_of(7, None)
    with pytest.raises(ModelRefused, match="not one of nnU-Net's"):
        trainer_of(None, "SomebodysTrainer")


def test_devices_are_held_against_the_machine() -> None:
    assert devices_of("cpu") == ("cpu",)
    with pytest.raises(InputError, match="cuda:99: there is no such device"):
        devices_of("cuda:99")
    with pytest.raises(InputError, match="'gpu' is no device"):
        devices_of("gpu")


def test_the_trainers_words_become_numbers() -> None:
    progress = Progress(name="2d fold 0", epochs=10)
    for line in (
        "2026-11-21 21:25:49.197559: Epoch 4",
        "2026-11-21 21:25:49.197559: train_loss -0.3604",
        "2026-11-21 21:25:49.197838: val_loss np.float32(0.7402)",
        "2026-11-21 21:25:49.197929: Pseudo dice [np.float32(0.2711), np.float32(0.0)]",
        "2026-11-21 21:25:49.198021: Epoch time: 453.57 s",
    ):
        progress = after(progress, line)
    assert (progress.done, progress.train_loss, progress.val_loss) == (5, -0.3604, 0.7402)
    assert progress.dice == (0.2711, 0.0)
    assert math.isclose(progress.left_s, 5 * 453.57)
    assert after(progress, "predicting cspine_0").validating == 1
    assert faketrainer.EPOCHS == 3
