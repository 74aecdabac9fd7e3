"""A bundle of the trained models, with their figures on the test part.

The predictions are those of nnU-Net's own commands (`predict`), which are the reference of the node's engine; the
figures are those of `node.batch.evaluate`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from node.batch.evaluate.evaluate import evaluate
from node.batch.evaluate.pairs import NiftiFile, Pair, Pairs
from node.batch.evaluate.scheme import load_scheme
from node.batch.evaluate.scores import CLASS, DETECTION, MEAN, Scores, write_scores
from node.batch.evaluate.statistics import summary
from node.durable import write_durably
from node.errors import BundleError, InputError, TrainingFailed
from node.segment.bundle import Bundle
from node.segment.models.importing import ImportWishes, import_model
from node.segment.models.modelfolder import FINAL, Selection
from node.train.cspineseg.card import card
from node.train.cspineseg.folds import Stage
from node.train.cspineseg.official import Commands
from node.train.cspineseg.plan import known, plans_file
from node.train.cspineseg.predict import Members, predict
from node.train.cspineseg.run import chosen_plans, fold_of
from node.train.cspineseg.workspace import FILE_ENDING, FOLDS, Json, Workspace, read_folds, write_json

Step = Callable[[str], None]

SCHEME = "cspineseg"
_GROUPS = (CLASS, MEAN, DETECTION)
_FIGURES = ("n", "patients", "mean", "mean_low", "mean_high", "median", "minimum")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageWishes:
    """What becomes a bundle, and where."""

    out: Path
    name: str
    version: str
    #: Empty: what was trained last.
    trainer: str = ""
    plans: str = ""
    configurations: tuple[str, ...] = ()
    #: Empty: all five, which then must be finished.
    folds: tuple[int, ...] = ()
    device: str = "cpu"
    processes: int | None = None
    intended_use: str = "Research use only. Not a medical device."
    licence: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Packaged:
    """A bundle, and its figures on the test part."""

    bundle: Bundle
    evaluation: Json

    def document(self) -> Json:
        """Return it as JSON."""
        return {
            "bundle": str(self.bundle.folder),
            "name": self.bundle.name,
            "version": self.bundle.version,
            "digest": self.bundle.digest,
            "evaluation": self.evaluation,
        }

    def text(self) -> str:
        """Return it for a person."""
        rows = self.evaluation["test"][self.evaluation["answer"]]
        lines = [
            f"  {row['structure']}: {row['metric']} {row['mean']:.3f}"
            for row in rows
            if row["metric"] in {"dice", "slice_mean_dice"} and row["mean"] is not None
        ]
        return "\n".join([f"{self.bundle.name} {self.bundle.version} in {self.bundle.folder}", *lines])


def package(workspace: Workspace, wishes: PackageWishes, step: Step = lambda _text: None) -> Packaged:
    """Predict and evaluate the test part, and write the bundle to the new folder `wishes.out`.

    Raises BundleError where it is there already; InputError where a patient is on both sides of the split or of a
    fold, or a fold is not finished; TrainingFailed where a command of nnU-Net fails or a prediction cannot be compared.
    """
    if wishes.out.exists():
        raise BundleError(f"{wishes.out}: is there already")
    prepared = workspace.prepared()
    refuse_two_sides(workspace)
    with workspace.alone("package"):
        members = _members(workspace, wishes, prepared["digest"])
        outputs = predict(workspace, members, wishes.device, Commands(workspace, processes=wishes.processes), step)
        test: Json = {}
        for answer, out in outputs.items():
            step(f"{answer}: comparing with the masks")
            scores = evaluate(_pairs(workspace, out), load_scheme(SCHEME), workers=wishes.processes or 1)
            if len(scores.failures):
                raise TrainingFailed(f"{answer}: {len(scores.failures)} predictions cannot be compared")
            write_scores(scores, workspace.folder / "evaluation" / answer)
            test[answer] = _figures(scores)
        evaluation = _evaluation(workspace, members, prepared, test)
        step("writing the bundle")
        bundle = import_model(
            workspace.results, wishes.out, _import_wishes(workspace, wishes, members, evaluation), step
        )
    return Packaged(bundle=bundle, evaluation=evaluation)


def refuse_two_sides(workspace: Workspace) -> None:
    """Raise InputError where a patient is in training and test, or on both sides of a fold, or a case is in no fold."""
    cases = pd.read_csv(workspace.cases, sep="\t", dtype=str, keep_default_na=False)
    patients = {part: set(rows["patient_id"]) for part, rows in cases.groupby("part")}
    training = cases[cases["part"] == "train"].set_index("case")["patient_id"]
    if both := patients.get("train", set()) & patients.get("test", set()):
        raise InputError(f"{workspace.cases}: {len(both)} patients are in training and test")
    for number, fold in enumerate(read_folds(workspace.splits)):
        learnt, checked = set(fold["train"]), set(fold["val"])
        if learnt | checked != set(training.index):
            raise InputError(f"{workspace.splits}: fold {number} is not of the cases of the training part")
        if both := set(training[list(learnt)]) & set(training[list(checked)]):
            raise InputError(f"{workspace.splits}: {len(both)} patients are on both sides of fold {number}")


def _members(workspace: Workspace, wishes: PackageWishes, dataset: str) -> Members:
    """Return the models to package. Raises InputError where a fold of them is not finished."""
    last = workspace.trained()
    trainer = wishes.trainer or str(last["trainer"])
    plans, configurations = chosen_plans(workspace, wishes.plans or str(last["plans"]), wishes.configurations)
    numbers = wishes.folds or tuple(range(FOLDS))
    known([str(number) for number in numbers], [str(number) for number in range(FOLDS)], "fold")
    folds = [fold_of(workspace, trainer, plans, name, number) for name in configurations for number in numbers]
    if lacking := [fold.name for fold in folds if fold.stage() is not Stage.DONE]:
        raise InputError(
            f"not finished: {', '.join(lacking)}; run them, or name the folds (--folds) and configurations to package"
        )
    digest = hashlib.sha256(dataset.encode())
    for fold in folds:
        digest.update(hashlib.sha256((fold.folder / FINAL).read_bytes()).digest())
    return Members(
        trainer=trainer, plans=plans, configurations=configurations, folds=numbers, digest=digest.hexdigest()
    )


def _pairs(workspace: Workspace, out: Path) -> Pairs:
    cases = pd.read_csv(workspace.cases, sep="\t", dtype=str, keep_default_na=False)
    tested = cases[cases["part"] == "test"]
    pairs = [
        Pair(
            key=row["case"],
            prediction=NiftiFile(path=out / f"{row['case']}{FILE_ENDING}"),
            reference=NiftiFile(path=workspace.raw / "labelsTs" / f"{row['case']}{FILE_ENDING}"),
            about={"patient_id": row["patient_id"], "annotation": row["annotation"]},
        )
        for row in tested.to_dict("records")
    ]
    return Pairs(pairs=tuple(pairs), failures=())


def _figures(scores: Scores) -> list[Json]:
    """Return means with intervals by structure and metric; nothing of single cases."""
    kept = scores.scores[scores.scores["group"].isin(_GROUPS)]
    table = summary(replace(scores, scores=kept))
    return [
        {
            "structure": row["structure"],
            "group": row["group"],
            "metric": row["metric"],
            **{name: None if pd.isna(row[name]) else row[name] for name in _FIGURES if name in row},
        }
        for row in table.to_dict("records")
    ]


def _evaluation(workspace: Workspace, members: Members, prepared: Json, test: Json) -> Json:
    planned = workspace.planned()
    return {
        "answer": members.answers[-1],
        "predicted_with": "nnUNetv2_predict and nnUNetv2_ensemble, mirroring and all named folds",
        "test": test,
        "split": {
            "seed": prepared["wishes"]["seed"],
            "own_file": prepared["wishes"]["split"],
            "training": prepared["training"],
            "test": prepared["test"],
            "folds": prepared["folds"],
            "weak_masks": prepared["wishes"]["weak"],
            "digest": prepared["digest"],
        },
        "training": {
            "trainer": members.trainer,
            "plans": members.plans,
            "plans_sha256": hashlib.sha256(plans_file(workspace, members.plans).read_bytes()).hexdigest(),
            "configurations": list(members.configurations),
            "folds": list(members.folds),
            "nnunetv2": planned["nnunetv2"],
        },
    }


def _import_wishes(workspace: Workspace, wishes: PackageWishes, members: Members, evaluation: Json) -> ImportWishes:
    folder = workspace.folder / "evaluation"
    write_json(folder / "evaluation.json", evaluation)
    write_durably(
        folder / "MODEL_CARD.md", [card(wishes.name, wishes.version, wishes.intended_use, evaluation).encode()]
    )
    return ImportWishes(
        name=wishes.name,
        version=wishes.version,
        intended_use=wishes.intended_use,
        orientation=str(workspace.prepared()["orientation"]),
        selection=Selection(
            configurations=members.configurations,
            trainer=members.trainer,
            plans=members.plans,
            folds=tuple(map(str, members.folds)),
            checkpoint="final",
        ),
        evaluation=folder / "evaluation.json",
        licence=wishes.licence,
        card=folder / "MODEL_CARD.md",
    )
