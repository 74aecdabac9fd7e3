"""Trained models as nnU-Net leaves them on disk.

Dataset108_CSpineSeg/
    nnUNetTrainer__nnUNetPlans__2d/          trainer, plans and configuration; one `TrainedModel`
        plans.json, dataset.json
        fold_0/checkpoint_final.pth, checkpoint_best.pth, validation/...
        fold_1/...
    nnUNetTrainer__nnUNetPlans__3d_fullres/...
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from node.errors import BundleError
from node.segment.models.planfile import Plans, parsed, read_json, shortened
from node.segment.nnunet.checkpoint import read_checkpoint

FINAL, BEST = "checkpoint_final.pth", "checkpoint_best.pth"

_DEEPEST = 3
_CONFIGURATION = re.compile(r"[A-Za-z0-9_]{1,64}")
_CHECKPOINT = re.compile(r"checkpoint_[A-Za-z0-9_]{1,64}\.pth")
_FOLD = re.compile(r"fold_(all|0|[1-9][0-9]{0,3})")
_ORDER = ("2d", "3d_fullres", "3d_lowres")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """One folder of nnU-Net: a configuration with its folds."""

    folder: Path
    trainer: str
    plans_name: str
    configuration: str
    dataset_name: str
    #: Every fold that has a folder, "all" last.
    folds: tuple[str, ...]

    def checkpoint(self, fold: str, name: str) -> Path:
        """Return the file of a fold, which need not be there."""
        return self.folder / f"fold_{fold}" / name


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which of the models and folds in a source are meant; what is empty leaves it to what is there."""

    configurations: tuple[str, ...] = ()
    trainer: str = ""
    plans: str = ""
    folds: tuple[str, ...] = ()
    #: File name, or its middle: "final", "best", "latest".
    checkpoint: str = ""


def find_models(source: Path) -> list[TrainedModel]:
    """Return the trained models in `source` or up to three folders below it. Raises BundleError when there is none."""
    if not source.is_dir():
        raise BundleError(f"{source}: not a folder")
    models = [_described(folder) for folder in _folders(source, _DEEPEST)]
    if not models:
        raise BundleError(f"{source}: no folder with plans.json, dataset.json and fold_* in it")
    return sorted(models, key=lambda model: (_rank(model.configuration), str(model.folder)))


def chosen(models: Sequence[TrainedModel], wanted: Selection) -> list[TrainedModel]:
    """Return one model a configuration, as `wanted` says. Raises BundleError when that is not plain."""
    there = ", ".join(model.folder.name for model in models)
    fitting = [
        model
        for model in models
        if (not wanted.configurations or model.configuration in wanted.configurations)
        and wanted.trainer in {"", model.trainer}
        and wanted.plans in {"", model.plans_name}
    ]
    present = [model.configuration for model in fitting]
    lacking = [name for name in wanted.configurations if name not in present]
    if lacking or not fitting:
        raise BundleError(shortened(f"no trained model for {', '.join(lacking) or 'these wishes'}; there is {there}"))
    if len(datasets := {model.dataset_name for model in fitting}) > 1:
        raise BundleError(shortened(f"models of several data sets ({', '.join(sorted(datasets))}); name one's folder"))
    if twice := [model for model in fitting if present.count(model.configuration) > 1]:
        raise BundleError(
            shortened(
                f"several models of {twice[0].configuration} ({', '.join(model.folder.name for model in twice)}); "
                "choose with --configuration, --trainer or --plans"
            )
        )
    return fitting


def checkpoints(model: TrainedModel, wanted: Selection) -> dict[str, Path]:
    """Return the checkpoint of each fold that takes part: fold -> file. Raises BundleError when one is missing.

    Without wishes these are all numbered folds, or `all` when it is alone, as nnU-Net's predictor chooses them; their
    final checkpoints, or the best ones when no fold has a final one.
    """
    folds = wanted.folds or tuple(fold for fold in model.folds if fold != "all") or model.folds
    if strange := [fold for fold in folds if fold not in model.folds]:
        raise BundleError(f"{model.folder}: there is no fold_{strange[0]}, only {', '.join(model.folds)}")
    folds = tuple(dict.fromkeys(folds))
    name = _checkpoint_name(wanted.checkpoint) or _best_or_final(model, folds)
    files = {fold: model.checkpoint(fold, name) for fold in folds}
    if lacking := [fold for fold, file in files.items() if not file.is_file()]:
        raise BundleError(
            f"{model.folder}: fold_{lacking[0]} has no {name}; was its training ended? "
            "Choose with --fold or --checkpoint"
        )
    return files


def _checkpoint_name(wish: str) -> str:
    if not wish:
        return ""
    name = wish if wish.endswith(".pth") else f"checkpoint_{wish}.pth"
    if not _CHECKPOINT.fullmatch(name):
        raise BundleError(shortened(f"--checkpoint {wish!r}: not the name of a checkpoint"))
    return name


def _best_or_final(model: TrainedModel, folds: Collection[str]) -> str:
    final = any(model.checkpoint(fold, FINAL).is_file() for fold in folds)
    best = all(model.checkpoint(fold, BEST).is_file() for fold in folds)
    return BEST if best and not final else FINAL


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    if _is_model(folder):
        yield folder
        return
    if depth:
        for below in sorted(folder.iterdir()):
            if below.is_dir() and not below.name.startswith("."):
                yield from _folders(below, depth - 1)


def _is_model(folder: Path) -> bool:
    described = all((folder / name).is_file() for name in ("plans.json", "dataset.json"))
    return described and bool(_folds(folder))


def _folds(folder: Path) -> tuple[str, ...]:
    found = [_FOLD.fullmatch(path.name) for path in folder.iterdir() if path.is_dir()]
    names = [match[1] for match in found if match]
    return tuple(sorted(names, key=lambda name: (name == "all", name.rjust(4))))


def _described(folder: Path) -> TrainedModel:
    plans = parsed(Plans, read_json(folder / "plans.json"), str(folder / "plans.json"))
    folds = _folds(folder)
    parts = folder.resolve().name.split("__")
    if len(parts) == 3:
        trainer, plans_name, configuration = parts
    else:  # somebody renamed the folder; the checkpoints know
        files = [file for fold in folds for file in sorted((folder / f"fold_{fold}").glob("checkpoint_*.pth"))]
        if not files:
            raise BundleError(f"{folder}: no fold has a checkpoint")
        first = read_checkpoint(files[0])
        trainer, plans_name, configuration = first.trainer, plans.plans_name, first.configuration
    if not _CONFIGURATION.fullmatch(configuration):
        raise BundleError(shortened(f"{folder}: {configuration!r} is not the name of a configuration"))
    return TrainedModel(
        folder=folder,
        trainer=trainer,
        plans_name=plans_name,
        configuration=configuration,
        dataset_name=plans.dataset_name,
        folds=folds,
    )


def _rank(configuration: str) -> tuple[int, str]:
    return (_ORDER.index(configuration) if configuration in _ORDER else len(_ORDER), configuration)
