"""The commands that train on the public download: prepare, plan, run, package."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from node import show
from node.cli.options import ERRORS, AsJson, OptionalConfig
from node.errors import InputError, SettingsError
from node.segment.models.library import Library
from node.settings import load_settings

if TYPE_CHECKING:
    from node.train.cspineseg.progress import Progress
    from node.train.cspineseg.run import Listener

Work = Annotated[Path, typer.Argument(metavar="WORK", help="The folder of the training, as prepare made it.")]
Configurations = Annotated[
    str, typer.Option("--configurations", "-c", help="Such as 2d,3d_fullres; else all that are planned.")
]
Folds = Annotated[str, typer.Option("--folds", "-f", help="Such as 0,1; else all five.")]
Epochs = Annotated[int | None, typer.Option("--epochs", min=1, help="As nnU-Net has trainers for; else 1000.")]
Trainer = Annotated[str | None, typer.Option("--trainer", help="One of nnU-Net's trainers, instead of --epochs.")]
Plans = Annotated[str, typer.Option("--plans", "-p", help="Name of the plans; else those that were planned last.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda:0, cuda:0,cuda:1 (a fold each), mps; auto.")]
Processes = Annotated[
    int | None, typer.Option("--processes", min=1, help="How many nnU-Net may start a job; else as it likes.")
]


class Masks(StrEnum):
    """Which masks are trained on."""

    EXPERT = "expert"
    ALL = "all"


class Planner(StrEnum):
    """nnU-Net's planners."""

    DEFAULT = "default"
    RESENC_M = "resenc-m"
    RESENC_L = "resenc-l"
    RESENC_XL = "resenc-xl"


def prepare(  # noqa: PLR0913, PLR0917 - one parameter an option
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="The download, or a manifest of it.")],
    work: Annotated[Path, typer.Option("--out", "-o", metavar="WORK", help="Folder of the training; new.")],
    annotation: Annotated[
        Masks, typer.Option("--annotation", help="all: weak masks join the training, never the test.")
    ] = Masks.EXPERT,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the split and the folds.")] = 0,
    test: Annotated[
        int | None, typer.Option("--test", min=1, help="Exams to test on; else 100 of 491, or in that ratio.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option("--split", help="A split of your own (JSON: train or folds, test).")
    ] = None,
    where: Annotated[str, typer.Option("--where", help="A subset, such as \"manufacturer == 'GE'\".")] = "",
    as_json: AsJson = False,
) -> None:
    """Make nnU-Net's raw data set Dataset108_CSpineSeg of the download, with split and folds by patient."""
    from node.train.cspineseg.prepare import Wishes  # noqa: PLC0415 - pandas and SimpleITK take a second
    from node.train.cspineseg.prepare import prepare as made  # noqa: PLC0415
    from node.train.cspineseg.workspace import Workspace  # noqa: PLC0415

    weak = annotation is Masks.ALL
    wishes = Wishes(source=source, weak=weak, seed=seed, test=test, split=split, where=where)
    with show.steps(ERRORS) as step:
        record = made(Workspace(work), wishes, step)
    left_out = record["left_out"]
    lines = [
        f"{record['training']} exams to train on, in folds of {', '.join(map(str, record['folds']))}; "
        f"{record['test']} to test on; {record['patients']} patients, none on both sides",
        f"{len(record['turned'])} images lay otherwise and were turned: {', '.join(record['turned']) or 'none'}",
        f"{len(left_out)} exams take no part:",
        *(f"  {one['key']}: {one['code']}" for one in left_out if one["code"] != "annotation"),
        f"  and {sum(one['code'] == 'annotation' for one in left_out)} whose masks are not asked for",
        f"in {work}",
    ]
    show.answer({"work": str(work), **record}, "\n".join(lines), as_json=as_json)


def plan(  # noqa: PLR0913, PLR0917 - one parameter an option
    work: Work,
    planner: Annotated[Planner, typer.Option("--planner", help="nnU-Net's planner.")] = Planner.DEFAULT,
    configurations: Configurations = "",
    small: Annotated[bool, typer.Option("--small", help="Small networks, for a CPU and to try the chain.")] = False,
    small_patch: Annotated[int, typer.Option("--small-patch", min=16, help="Their patch, in voxels an axis.")] = 64,
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Plan and preprocess, by nnU-Net's own commands."""
    from node.train.cspineseg.plan import PlanWishes  # noqa: PLC0415 - nnU-Net's file formats take a second
    from node.train.cspineseg.plan import plan as made  # noqa: PLC0415
    from node.train.cspineseg.workspace import CONFIGURATIONS, Workspace  # noqa: PLC0415

    wishes = PlanWishes(
        planner=planner.value,
        configurations=_words(configurations) or CONFIGURATIONS,
        small_patch=small_patch if small else None,
        processes=processes,
    )
    with show.steps(ERRORS) as step:
        record = made(Workspace(work), wishes, step)
    text = f"{record['latest']}: {', '.join(record['plans'][record['latest']]['configurations'])}"
    show.answer({"work": str(work), **record}, text, as_json=as_json)


def run(  # noqa: PLR0913, PLR0917 - one parameter an option
    work: Work,
    configurations: Configurations = "",
    folds: Folds = "",
    device: Device = "auto",
    epochs: Epochs = None,
    trainer: Trainer = None,
    plans: Plans = "",
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Train the folds, by nnU-Net's own commands. Killed at any moment, the same command goes on."""
    from node.train.cspineseg.devices import devices_of  # noqa: PLC0415 - torch takes seconds to import
    from node.train.cspineseg.run import RunWishes  # noqa: PLC0415
    from node.train.cspineseg.run import run as trained  # noqa: PLC0415
    from node.train.cspineseg.trainers import trainer_of  # noqa: PLC0415
    from node.train.cspineseg.workspace import Workspace  # noqa: PLC0415

    wishes = RunWishes(
        trainer=trainer_of(epochs, trainer),
        plans=plans,
        configurations=_words(configurations),
        devices=devices_of(device),
        processes=processes,
        **({"folds": _numbers(folds)} if folds else {}),
    )
    with _listening() as listener:
        report = trained(Workspace(work), wishes, listener)
    lines = [f"{fold['name']}: validation Dice {fold['validation_dice']:.3f}" for fold in report["folds"]]
    show.answer({"work": str(work), **report}, "\n".join(lines), as_json=as_json)


def package(  # noqa: PLR0913, PLR0917 - one parameter an option
    work: Work,
    name: Annotated[str, typer.Option("--name", help="Name in the library and in every result.")],
    version: Annotated[str, typer.Option("--version", help="Version of the model.")] = "1",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="New folder of the bundle; else the library.")] = None,
    configurations: Configurations = "",
    folds: Folds = "",
    device: Device = "auto",
    epochs: Epochs = None,
    trainer: Trainer = None,
    plans: Plans = "",
    processes: Processes = None,
    intended_use: Annotated[
        str, typer.Option("--intended-use", help="A sentence that goes into every result.")
    ] = "Research use only. Not a medical device.",
    licence: Annotated[Path | None, typer.Option("--licence", help="Licence of the weights.")] = None,
    config: OptionalConfig = None,
    models: Annotated[Path | None, typer.Option("--models", help="Library folder; else that of the settings.")] = None,
    as_json: AsJson = False,
) -> None:
    """Predict and evaluate the test part, and make a bundle of the trained models."""
    from node.train.cspineseg.devices import devices_of  # noqa: PLC0415 - torch takes seconds to import
    from node.train.cspineseg.package import PackageWishes  # noqa: PLC0415
    from node.train.cspineseg.package import package as packaged  # noqa: PLC0415
    from node.train.cspineseg.trainers import trainer_of  # noqa: PLC0415
    from node.train.cspineseg.workspace import Workspace  # noqa: PLC0415

    wishes = PackageWishes(
        out=out or _library(config, models).place(name),
        name=name,
        version=version,
        trainer=trainer_of(epochs, trainer) if epochs or trainer else "",
        plans=plans,
        configurations=_words(configurations),
        folds=_numbers(folds),
        device=devices_of(device)[0],
        processes=processes,
        intended_use=intended_use,
        licence=licence,
    )
    with show.steps(ERRORS) as step:
        report = packaged(Workspace(work), wishes, step)
    show.answer(report.document(), report.text(), as_json=as_json)


def _library(config: Path | None, models: Path | None) -> Library:
    if models is not None:
        return Library(folder=models)
    if config is None:
        raise SettingsError("where to? Give --out DIR, --models DIR or --config FILE")
    return Library(folder=load_settings(config).node.models_dir)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(word) for word in _words(text)))
    except ValueError as error:
        raise InputError(f"--folds {text}: not numbers with commas between") from error


@contextmanager
def _listening() -> Iterator["Listener"]:
    """Show the folds: a bar each on a terminal, a line an epoch elsewhere."""
    from node.train.cspineseg.run import Listener  # noqa: PLC0415 - torch takes seconds to import

    if not ERRORS.is_terminal:
        yield Listener(progress=_EpochLines(), say=lambda text: ERRORS.print(text, markup=False))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[words]}"))
    with Bars(*columns, console=ERRORS) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(now: "Progress") -> None:
            if now.name not in tasks:
                tasks[now.name] = bars.add_task(now.name, total=now.epochs, words="")
            bars.update(tasks[now.name], completed=now.done, words=_figures(now))

        yield Listener(progress=progress, say=lambda text: bars.console.print(text, markup=False))


class _EpochLines:
    """Prints a line when an epoch is done, and one when the validation begins."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[int, bool]] = {}

    def __call__(self, now: "Progress") -> None:
        state = (now.done, bool(now.validating))
        if now.done and state != self._said.get(now.name) and not math.isnan(now.epoch_s):
            ERRORS.print(f"{now.name}: epoch {now.done} of {now.epochs or '?'}, {_figures(now)}", markup=False)
            self._said[now.name] = state


def _figures(now: "Progress") -> str:
    if now.validating:
        return f"validating case {now.validating}"
    figures: dict[str, Any] = {
        "loss": f"{now.train_loss:.3f}/{now.val_loss:.3f}",
        "Dice": "/".join(f"{value:.3f}" for value in now.dice),
    }
    if not math.isnan(now.left_s):
        hours, seconds = divmod(round(now.left_s), 3600)
        figures["left"] = f"{hours}:{seconds // 60:02}:{seconds % 60:02}"
    return "  ".join(f"{name} {figure}" for name, figure in figures.items())
