"""Stands in for nnU-Net's commands where a test is about how they are started, killed and gone on with.

As a program it is `nnUNetv2_train`: it leaves the same files, an epoch at a time, and waits where it is told to.
"""

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

from node.train.cspineseg import official
from node.train.cspineseg.run import Listener, RunWishes, run
from node.train.cspineseg.workspace import DATASET_NAME, Workspace

EPOCHS = 3
PLANS = "nnUNetPlans"


def prepared_by_hand(folder: Path) -> Workspace:
    """A workspace as prepare and plan leave it, without images."""
    workspace = Workspace(folder)
    workspace.preprocessed.mkdir(parents=True)
    rows = [f"cspine_{n}\ttrain\t{n}\tpatient-{n}" for n in range(5)] + ["cspine_0\ttest\t\tpatient-9"]
    workspace.cases.write_text("\n".join(["case\tpart\tfold\tpatient_id", *rows]) + "\n")
    names = [f"cspine_{number}" for number in range(5)]
    folds = [{"train": [other for other in names if other != name], "val": [name]} for name in names]
    workspace.splits.write_text(json.dumps(folds))
    (workspace.preprocessed / f"{PLANS}.json").write_text("{}")
    digest = workspace.digest()
    workspace.keep("prepare", {"digest": digest})
    entry = {"planner": "default", "configurations": ["2d", "3d_fullres"]}
    workspace.keep("plan", {"dataset": digest, "latest": PLANS, "plans": {PLANS: entry}})
    return workspace


def use_fake(folder: Path) -> None:
    """Let `official` start this file in the place of nnU-Net's programs, without torch."""
    script = folder / "fake.sh"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" train "$@"\n')
    script.chmod(0o755)
    official.program = lambda _name: str(script)
    official._GUARD = official._GUARD[:4]


def started(workspace: Workspace, *options: str) -> "subprocess.Popen[str]":
    """The command `train run` in a process of its own."""
    command = [sys.executable, __file__, "run", str(workspace.folder), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."})


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def checkpoint(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"weights" * 1000)


def _train(arguments: list[str]) -> None:
    configuration, fold = arguments[1], arguments[2]
    trainer, plans = arguments[arguments.index("-tr") + 1], arguments[arguments.index("-p") + 1]
    results = Path(os.environ["nnUNet_results"])  # noqa: SIM112 - nnU-Net spells it so
    model = results / DATASET_NAME / f"{trainer}__{plans}__{configuration}"
    folder = model / f"fold_{fold}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "calls.txt").open("a") as calls:
        calls.write(" ".join(word for word in arguments if word in {"--c", "--val", "--npz"}) + "\n")
    with (folder / "device.txt").open("a") as devices:
        devices.write(f"{arguments[arguments.index('-device') + 1]} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}\n")
    worker = subprocess.Popen(["sleep", "1000"])  # as an augmenter that goes on for ever
    (folder / "worker.pid").write_text(str(worker.pid))
    state = folder / "epoch.txt"
    done = int(state.read_text()) if state.exists() and "--c" in arguments else 0
    for epoch in range(EPOCHS if "--val" in arguments else done, EPOCHS):
        _say(f"2026-01-01 00:00:00.0: Epoch {epoch}")
        _say("2026-01-01 00:00:00.0: train_loss 0.25\n2026-01-01 00:00:00.0: val_loss 0.5")
        _say("2026-01-01 00:00:00.0: Pseudo dice [np.float32(0.75), nan]\n2026-01-01 00:00:00.0: Epoch time: 2.0 s")
        checkpoint(folder / "checkpoint_latest.pth")
        state.write_text(str(epoch + 1))
        _wait_if_told(f"epoch {epoch}")
    if "--val" not in arguments:
        checkpoint(folder / "checkpoint_final.pth")
        (folder / "checkpoint_latest.pth").unlink()
    _wait_if_told("trained")
    if os.environ.get("FAKE_FAILS") == f"{configuration} {fold}":
        _say("out of memory")
        raise SystemExit(3)
    (folder / "validation").mkdir(exist_ok=True)
    (folder / "validation" / "summary.json").write_text(json.dumps({"foreground_mean": {"Dice": 0.5}}))


def _wait_if_told(moment: str) -> None:
    if os.environ.get("FAKE_WAITS") == moment:
        _say(f"waiting after {moment}")
        signal.pause()


def _run(folder: Path, options: list[str]) -> None:
    folder_of_scripts = folder.parent
    use_fake(folder_of_scripts)
    wishes = RunWishes(trainer="nnUNetTrainer", configurations=("2d",), folds=(0,), devices=tuple(options) or ("cpu",))
    listener = Listener(progress=lambda now: _say(f"progress {now.done}"), say=_say)
    run(Workspace(folder), wishes, listener)


if __name__ == "__main__":
    if sys.argv[1] == "train":
        _train(sys.argv[2:])
    else:
        _run(Path(sys.argv[2]), sys.argv[3:])
