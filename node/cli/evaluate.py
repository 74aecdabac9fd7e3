"""The command that holds predictions against references."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node import show
from node.cli.options import ERRORS, AsJson
from node.errors import InputError, SettingsError

if TYPE_CHECKING:
    from node.batch.report.sections.computed import Computed

REPORT = "report.html"

_METRICS = ("dice", "hd95_mm", "assd_mm", "nsd", "slice_mean_dice")


class Answer(StrEnum):
    """Which answer of a batch."""

    CLASSES = "classes"
    LABELS = "labels"


def evaluate(  # noqa: PLR0913, PLR0917 - one parameter an option
    predictions: Annotated[list[Path], typer.Argument(help="Folders: of a batch, or of NIfTI label maps.")],
    reference: Annotated[
        Path, typer.Option("--reference", "-r", help="Folder of label maps, CSpineSeg download, or its manifest.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for tables and report.html.")],
    scheme: Annotated[
        str, typer.Option("--scheme", help="cspineseg, ctspine1k, spider, or a TOML file.")
    ] = "cspineseg",
    where: Annotated[str | None, typer.Option("--where", help="Which exams: manufacturer == 'GE' and expert.")] = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="Folder of the images, for pictures; a dataset has its own.")
    ] = None,
    tolerance_mm: Annotated[
        float | None, typer.Option("--tolerance-mm", min=0, help="Of the normalised surface Dice; 1 without.")
    ] = None,
    which: Annotated[
        Answer, typer.Option("--which", help="Of a batch: the network's classes, or the labels after clean-up.")
    ] = Answer.CLASSES,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="Processes.")] = 1,
    names: Annotated[
        list[str] | None, typer.Option("--name", help="What a prediction is called; once for each, in their order.")
    ] = None,
    worst: Annotated[int, typer.Option("--worst", min=0, help="How many of the worst cases to picture.")] = 6,
    as_json: AsJson = False,
) -> None:
    """Compare label maps with their references: tables, statistics, and a report in one file (docs/evaluation.md).

    Several predictions of the same cases are compared with each other, too; each has its tables in OUT/NAME/.
    """
    from node.batch.evaluate.evaluate import Options  # noqa: PLC0415 - pandas and scipy take a second to load
    from node.batch.evaluate.evaluate import evaluate as compared  # noqa: PLC0415
    from node.batch.evaluate.scheme import load_scheme  # noqa: PLC0415
    from node.batch.evaluate.scores import write_scores  # noqa: PLC0415
    from node.batch.report.page import write_report  # noqa: PLC0415
    from node.batch.report.subject import About, Subject  # noqa: PLC0415
    from node.batch.report.views import views_of  # noqa: PLC0415
    from node.cli.evaluate_input import model_of, pairs_of, references_at  # noqa: PLC0415

    called = _called(predictions, names)
    known, against = load_scheme(scheme), references_at(reference, where, images)
    options = Options() if tolerance_mm is None else Options(tolerance_mm=tolerance_mm)
    subjects, facts = [], {"Reference": reference.resolve().name, **({"Exams where": where} if where else {})}
    for name, prediction in called.items():
        found = pairs_of(prediction, against, known, which.value)
        with _progress(name) as progress:
            scores = compared(found, known, options, workers=workers, progress=progress)
        write_scores(scores, out / name if len(called) > 1 else out)
        subjects.append(Subject(name=name, scores=scores, view=views_of(found, known)))
        of = f" of {name}" if len(called) > 1 else ""
        facts |= {f"{fact}{of}": value for fact, value in model_of(found).items()}
    title = f"{' and '.join(called)} against {reference.resolve().name}"
    made = write_report(out / REPORT, subjects, About(title=title, facts=facts, worst=worst))
    show.answer(_document(made, out), _text(made, out), as_json=as_json)
    if all(one.subject.scores.cases.empty for one in made):
        raise typer.Exit(InputError.exit_code)


def _called(predictions: Sequence[Path], names: Sequence[str] | None) -> dict[str, Path]:
    """Return the predictions by their names: those given, or of their folders. Raises SettingsError."""
    if names and len(names) != len(predictions):
        raise SettingsError(f"--name: {len(names)} names for {len(predictions)} predictions")
    called = dict(zip(names or [path.resolve().name for path in predictions], predictions, strict=True))
    if len(called) < len(predictions):
        raise SettingsError("--name: two predictions have the same name; give each its own")
    if wrong := [name for name in called if not name or name.startswith(".") or "/" in name]:
        raise SettingsError(f"--name: {wrong[0]!r} cannot name a folder")
    return called


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=ERRORS, disable=not ERRORS.is_terminal) as progress:
        bar = progress.add_task(name, total=None)

        def told(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        yield told


def _document(made: Sequence["Computed"], out: Path) -> dict[str, Any]:
    return {
        "report": str(out / REPORT),
        "predictions": {
            one.subject.name: {
                "cases": len(one.subject.scores.cases),
                "failures": one.subject.scores.failures.to_dict("records"),
                "figures": _figures(one),
            }
            for one in made
        },
    }


def _figures(one: "Computed") -> dict[str, dict[str, dict[str, float | None]]]:
    """Return mean and interval by structure and metric; None where an interval is not defined, as of one case."""
    from node.batch.report.subject import structures  # noqa: PLC0415

    columns = {"mean": "mean", "low": "mean_low", "high": "mean_high"}
    return {
        structure: {
            metric: {key: _known(row[column]) for key, column in columns.items()}
            for metric in _METRICS
            if (row := one.row(metric, group, structure)) is not None
        }
        for group, structure in structures(one.subject.scores)
    }


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _text(made: Sequence["Computed"], out: Path) -> str:
    """Return the figures as a table for a terminal: means, the Dice with its 95 % interval."""
    from node.batch.report.words import figure, interval  # noqa: PLC0415

    lines = []
    for one in made:
        scores = one.subject.scores
        lines.append(f"{one.subject.name}: {len(scores.cases)} compared, {len(scores.failures)} could not be")
        figures = _figures(one)
        width = max((len(name) for name in figures), default=0)
        lines.append(f"  {'':<{width}}  Dice (95 % interval)    HD95 mm  ASSD mm    NSD  mean slice Dice")
        for name, row in figures.items():
            dice = row["dice"]
            span = interval(dice["low"], dice["high"], 3)
            dice_text = f"{figure('dice', dice['mean'])} ({span})"
            rest = (
                figure(metric, row[metric]["mean"] if metric in row else None).rjust(size)
                for metric, size in (("hd95_mm", 7), ("assd_mm", 7), ("nsd", 5), ("slice_mean_dice", 10))
            )
            lines.append(f"  {name:<{width}}  {dice_text:<22}  {'  '.join(rest)}")
    return "\n".join([*lines, f"report: {out / REPORT}"])
