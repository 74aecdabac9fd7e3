"""Trains the folds, each by nnU-Net's own command, one a device at a time.

    nnUNetv2_train 108 {2d|3d_fullres} {0..4} --npz [--c | --val] -tr TRAINER -p PLANS -device DEVICE

The truth is in nnU-Net's own files (`folds`), so that the same command goes on after any kill. Several machines may
train folds of one workspace on a shared disk: a fold is locked while it is trained.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from node.errors import InputError, NodeError, TrainingFailed
from node.train.cspineseg.folds import Fold, Stage
from node.train.cspineseg.official import Commands, device_kind
from node.train.cspineseg.plan import known, plans_file
from node.train.cspineseg.progress import Progress, after
from node.train.cspineseg.trainers import epochs_of
from node.train.cspineseg.workspace import DATASET_ID, FOLDS, Json, Workspace, read_json, write_json

_OPTIONS = {Stage.NEW: [], Stage.BEGUN: ["--c"], Stage.TRAINED: ["--val"]}
_ABOUT = "trained_on.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWishes:
    """What is trained, and on what."""

    trainer: str
    #: Name of the plans; empty: those that were planned last.
    plans: str = ""
    #: Empty: all that are planned.
    configurations: tuple[str, ...] = ()
    folds: tuple[int, ...] = tuple(range(FOLDS))
    devices: tuple[str, ...] = ("cpu",)
    #: How many nnU-Net may start for each of its jobs; None leaves it to nnU-Net.
    processes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who is told: of every step of a fold, and of what is done to it."""

    progress: Callable[[Progress], None] = lambda _progress: None
    say: Callable[[str], None] = lambda _text: None


def run(workspace: Workspace, wishes: RunWishes, listener: Listener) -> Json:
    """Train what is not trained yet, and return the folds with nnU-Net's figures on their validation parts.

    A fold that fails does not stop the others. Raises TrainingFailed that names those that failed; InputError.
    """
    plans, configurations = chosen_plans(workspace, wishes.plans, wishes.configurations)
    known([str(fold) for fold in wishes.folds], [str(fold) for fold in range(FOLDS)], "fold")
    folds = [
        fold_of(workspace, wishes.trainer, plans, name, number) for name in configurations for number in wishes.folds
    ]
    workspace.keep("run", {"trainer": wishes.trainer, "plans": plans})
    training = _Training(workspace, wishes, plans, listener)
    failures = training.all(folds)
    if failures:
        raise TrainingFailed("; ".join(f"{name}: {error}" for name, error in failures))
    return {
        "trainer": wishes.trainer,
        "plans": plans,
        "folds": [{"name": fold.name, "folder": str(fold.folder), **_scores(fold)} for fold in folds],
    }


def chosen_plans(workspace: Workspace, plans: str, configurations: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the name of the plans and the configurations, of what is planned. Raises InputError."""
    planned = workspace.planned()
    name = plans or str(planned["latest"])
    known((name,), tuple(planned["plans"]), "plan that is there")
    there = tuple(planned["plans"][name]["configurations"])
    wanted = tuple(configurations) or there
    known(wanted, there, "configuration that is planned")
    return name, wanted


def fold_of(workspace: Workspace, trainer: str, plans: str, configuration: str, number: int) -> Fold:
    """Return a fold of a model, which need not be begun."""
    folder = workspace.model(trainer, plans, configuration) / f"fold_{number}"
    return Fold(configuration=configuration, number=number, folder=folder)


class _Training:
    def __init__(self, workspace: Workspace, wishes: RunWishes, plans: str, listener: Listener) -> None:
        self._workspace = workspace
        self._wishes = wishes
        self._plans = plans
        self._listener = listener
        self._commands = Commands(workspace, processes=wishes.processes)
        digest = hashlib.sha256(plans_file(workspace, plans).read_bytes()).hexdigest()
        self._about = {"dataset": workspace.prepared()["digest"], "plans": digest}

    def all(self, folds: Sequence[Fold]) -> list[tuple[str, NodeError]]:
        """Train the folds, one a device at a time; return those that failed."""
        waiting: SimpleQueue[Fold] = SimpleQueue()
        for fold in folds:
            waiting.put(fold)
        failures: list[tuple[str, NodeError]] = []
        with ThreadPoolExecutor(len(self._wishes.devices)) as pool:
            try:
                for done in as_completed(
                    [pool.submit(self._serve, device, waiting, failures) for device in self._wishes.devices]
                ):
                    done.result()
            except BaseException:
                self._commands.stop()
                raise
        return failures

    def _serve(self, device: str, waiting: "SimpleQueue[Fold]", failures: list[tuple[str, NodeError]]) -> None:
        while True:
            try:
                fold = waiting.get_nowait()
            except Empty:
                return
            try:
                self._train(fold, device)
            except NodeError as error:
                self._listener.say(f"{fold.name}: {error.code}")
                failures.append((fold.name, error))

    def _train(self, fold: Fold, device: str) -> None:
        progress = Progress(name=fold.name, epochs=epochs_of(self._wishes.trainer))
        with self._workspace.alone(f"{fold.folder.parent.name}__{fold.folder.name}") as hold:
            self._same_data(fold)
            stage = fold.stage()
            self._listener.say(f"{fold.name}: {stage.value}")
            if stage is not Stage.DONE:
                for name in fold.set_damaged_aside():
                    self._listener.say(f"{fold.name}: {name} was cut short and is set aside")
                write_json(fold.folder / _ABOUT, self._about)

                def heard(line: str) -> None:
                    nonlocal progress
                    if (now := after(progress, line)) is not progress:
                        progress = now
                        self._listener.progress(now)

                arguments = [*self._command(fold), *_OPTIONS[stage], "-device", device_kind(device)]
                self._commands.run(arguments, _log_name(fold), device=device, hold=hold, line=heard)
            if fold.stage() is not Stage.DONE:
                raise TrainingFailed("nnU-Net ended without a final checkpoint and the summary of a validation")

    def _command(self, fold: Fold) -> list[str]:
        return [
            *("nnUNetv2_train", str(DATASET_ID), fold.configuration, str(fold.number), "--npz"),
            *("-tr", self._wishes.trainer, "-p", self._plans),
        ]

    def _same_data(self, fold: Fold) -> None:
        """Refuse to go on from what was trained on other data or by other plans."""
        about = fold.folder / _ABOUT
        if fold.stage() is not Stage.NEW and (not about.is_file() or read_json(about) != self._about):
            raise InputError(f"{fold.folder}: was trained on another data set or by other plans; move it away")


def _log_name(fold: Fold) -> str:
    return f"{fold.folder.parent.name}__{fold.folder.name}"


def _scores(fold: Fold) -> Json:
    summary = fold.summary() or {}
    overall = summary.get("foreground_mean", {}).get("Dice")
    return {"validation_dice": overall, "checkpoint": str(fold.folder / "checkpoint_final.pth")}
