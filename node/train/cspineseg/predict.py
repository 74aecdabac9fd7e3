"""The test part, predicted by nnU-Net's own commands: each configuration, and their ensemble.

nnUNetv2_predict -d 108 -i imagesTs -o OUT_<configuration> -f FOLDS -tr TRAINER -c CONFIGURATION -p PLANS
    --save_probabilities
nnUNetv2_ensemble -i OUT_2d OUT_3d_fullres -o OUT_ensemble
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from node.errors import TrainingFailed
from node.train.cspineseg.official import Commands, device_kind
from node.train.cspineseg.workspace import DATASET_ID, FILE_ENDING, Workspace, read_json, write_json

ENSEMBLE = "ensemble"
_DONE = ".done.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """The trained models that predict together."""

    trainer: str
    plans: str
    configurations: tuple[str, ...]
    folds: tuple[int, ...]
    #: What they and the test part are: a prediction of another one is made anew.
    digest: str

    @property
    def answers(self) -> tuple[str, ...]:
        """What is predicted: each configuration, and the ensemble where there are several; the last is the model's."""
        return (*self.configurations, *([ENSEMBLE] if len(self.configurations) > 1 else []))


def predict(
    workspace: Workspace, members: Members, device: str, commands: Commands, step: Callable[[str], None]
) -> dict[str, Path]:
    """Predict the test part and return the folder of each answer. What is there is kept. Raises TrainingFailed."""
    top = workspace.folder / "predictions" / f"{members.trainer}__{members.plans}"
    outputs = {answer: top / answer for answer in members.answers}
    cases = sorted(path.name for path in (workspace.raw / "labelsTs").glob(f"*{FILE_ENDING}"))
    if all(_is_done(out, members.digest) for out in outputs.values()):
        return outputs
    for answer, out in outputs.items():
        if _is_done(out, members.digest):
            continue
        step(f"{answer}: predicting {len(cases)} cases of the test part")
        shutil.rmtree(out, ignore_errors=True)
        parts = [outputs[name] for name in members.configurations]
        arguments = (
            ["nnUNetv2_ensemble", "-i", *map(str, parts), "-o", str(out)]
            if answer == ENSEMBLE
            else _predict(workspace, members, answer, out, device)
        )
        commands.run(arguments, f"predict_{answer}", device=device, line=step)
        if lacking := [name for name in cases if not (out / name).is_file()]:
            raise TrainingFailed(f"{answer}: {len(lacking)} of {len(cases)} cases have no prediction")
        write_json(out / _DONE, {"digest": members.digest})
    for out in outputs.values():  # gigabytes that only the ensemble needs
        for probabilities in (*out.glob("*.npz"), *out.glob("*.pkl")):
            probabilities.unlink()
    return outputs


def _predict(workspace: Workspace, members: Members, configuration: str, out: Path, device: str) -> list[str]:
    return [
        *("nnUNetv2_predict", "-d", str(DATASET_ID), "-i", str(workspace.raw / "imagesTs"), "-o", str(out)),
        *("-f", *map(str, members.folds), "-tr", members.trainer, "-c", configuration, "-p", members.plans),
        *("--save_probabilities", "-device", device_kind(device), "--disable_progress_bar"),
    ]


def _is_done(out: Path, digest: str) -> bool:
    return (out / _DONE).is_file() and read_json(out / _DONE) == {"digest": digest}
