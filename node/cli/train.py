"""The commands that train: the starter bundle on generated anatomy, and models on the public download."""

import time
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from node import show
from node.cli import training
from node.cli.options import ERRORS, AsJson
from node.segment.bundle import STARTER
from node.settings import STARTER_BUNDLE

app = typer.Typer(
    help="Train models: on the CSpineSeg download, or on generated anatomy.", no_args_is_help=True, add_completion=False
)
for step in (training.prepare, training.plan, training.run, training.package):
    app.command()(step)


class Preset(StrEnum):
    """For which machine."""

    CPU_OVERNIGHT = "cpu-overnight"
    GPU = "gpu"
    QUICK = "quick"


@app.command()
def starter(  # noqa: PLR0913, PLR0917 - one parameter an option
    out: Annotated[
        Path, typer.Option("--out", help="New folder of the bundle; OUT-training beside it keeps the rest.")
    ],
    preset: Annotated[Preset, typer.Option("--preset", help="The rest is as for this machine.")] = Preset.CPU_OVERNIGHT,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0.01, help="For each network.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="For each network; ends it reproducibly.")] = None,
    cases: Annotated[int | None, typer.Option("--cases", min=1, help="Phantoms to train on.")] = None,
    test_cases: Annotated[int | None, typer.Option("--test-cases", min=1, help="Phantoms to measure on.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=1, help="Of everything that is drawn.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes that generate cases.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Of each network's process.")] = None,
    device: Annotated[str | None, typer.Option("--device", help="cpu, cuda or cuda:N.")] = None,
    overlap: Annotated[
        bool | None, typer.Option("--overlap/--no-overlap", help="Fit while cases are still being generated.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", min=1e-6, max=0.1)] = None,
    snapshots: Annotated[int | None, typer.Option("--snapshots", min=1, help="How often it is looked at.")] = None,
    prepared: Annotated[
        Path | None, typer.Option("--prepared", help="Folder that keeps the generated cases for the next run.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="BUNDLE", help="Begin with its weights; a folder, or starter.")
    ] = None,
    lumbar: Annotated[
        Path | None, typer.Option("--lumbar", help="Labelled lumbar slices; some join the training.")
    ] = None,
    real: Annotated[
        Path | None, typer.Option("--real", help="JSON list of figures on real volumes, for the model card.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on with what a killed run left, or begin anew.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Train, measure and write the starter bundle. Killed at any moment, the same command goes on."""
    from node.train.recipe import PRESETS  # noqa: PLC0415 - torch takes seconds to import
    from node.train.starter import train  # noqa: PLC0415

    wishes: dict[str, Any] = {
        "minutes": minutes,
        "steps": steps,
        "cases": cases,
        "test_cases": test_cases,
        "seed": seed,
        "workers": workers,
        "threads": threads,
        "device": device,
        "overlap": overlap,
        "learning_rate": learning_rate,
        "snapshots": snapshots,
        "start": STARTER if start == STARTER_BUNDLE else start and Path(start),
        "lumbar": lumbar,
        "real": real,
    }
    recipe = replace(PRESETS[preset], **{name: wish for name, wish in wishes.items() if wish is not None})
    report = train(out, recipe, prepared, resume=resume, say=_say)
    document = {"bundle": str(report.out), "fitted": report.fitted, "evaluation": report.evaluation}
    lines = [
        f"{name}: {done['steps']} steps, {done['minutes']:g} minutes, validation Dice {done['validation_dice']:.3f}"
        for name, done in report.fitted.items()
    ]
    show.answer(document, "\n".join([f"{report.out}", *lines]), as_json=as_json)


def _say(text: str) -> None:
    ERRORS.print(time.strftime("%Y-%m-%d %H:%M:%S"), text, markup=False)
