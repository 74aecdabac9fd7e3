"""The commands that run the pipeline over many cases."""

from pathlib import Path
from typing import Annotated, Any

import typer

from node import show
from node.bootstrap.engine import open_bundle
from node.cli.batch_input import Input, Listener, Query, Use, items_of
from node.cli.options import ERRORS, AsJson, OptionalConfig, settings_or_defaults
from node.cli.sending import send
from node.errors import InputError, NothingToSegment, SettingsError

app = typer.Typer(
    help="Segment many cases on many processes (docs/batch.md).", no_args_is_help=True, add_completion=False
)
app.command()(send)

Out = Annotated[Path, typer.Argument(help="Folder of the batch.")]


@app.command()
def run(  # noqa: PLR0913, PLR0917 - one parameter an option
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the batch; an earlier one goes on.")],
    paths: Annotated[list[Path] | None, typer.Argument(metavar="[INPUT]...", help="DICOM, zips, NIfTI.")] = None,
    dataset: Annotated[
        Path | None, typer.Option("--dataset", "--manifest", help="A CSpineSeg download, or its manifest.")
    ] = None,
    where: Annotated[str | None, typer.Option("--where", help="Which of its exams: manufacturer == 'GE'.")] = None,
    use: Annotated[Use, typer.Option("--input", help="Which form of its exams.")] = Use.DICOM,
    query: Annotated[str | None, typer.Option("--query", help="Name of an archive in the settings.")] = None,
    study_date: Annotated[str, typer.Option("--study-date", help="Of --query: 20240131, 20240101-20241231.")] = "",
    study_description: Annotated[str, typer.Option("--study-description", help="Of --query; * and ? count.")] = "",
    series_description: Annotated[str, typer.Option("--series-description", help="Of --query; * and ? count.")] = "",
    workers: Annotated[int, typer.Option("--workers", "-w", min=0, help="Processes; 0: one a GPU, or a CPU.")] = 0,
    threads: Annotated[int, typer.Option("--threads", min=0, help="CPU threads of each; 0: what is there.")] = 0,
    scheduler: Annotated[str | None, typer.Option("--scheduler", help="Address of a Dask scheduler.")] = None,
    scheduler_file: Annotated[Path | None, typer.Option("--scheduler-file", help="The file it wrote.")] = None,
    tls: Annotated[
        tuple[Path, Path, Path] | None,
        typer.Option("--tls", metavar="CA CERT KEY", help="PEM files to speak with the scheduler."),
    ] = None,
    patience: Annotated[float, typer.Option("--patience", min=0, help="Seconds to wait for a lost one.")] = 600.0,
    dashboard: Annotated[str | None, typer.Option("--dashboard", help="Dask's pages: 127.0.0.1:8787.")] = None,
    shard: Annotated[str | None, typer.Option("--shard", metavar="I/N", help="Part I of N.")] = None,
    only: Annotated[str | None, typer.Option("--only", metavar="failed", help="Run what failed, only that.")] = None,
    attempts: Annotated[int, typer.Option("--attempts", min=1, help="Tries where an error may pass.")] = 2,
    anew: Annotated[bool, typer.Option("--anew", help="Do all anew where OUT is of another task.")] = False,
    all_series: Annotated[bool, typer.Option("--all-series", help="Segment what the routes would refuse.")] = False,
    index: Annotated[Path | None, typer.Option("--index", help="Where to remember INPUT; OUT/input.sqlite.")] = None,
    config: OptionalConfig = None,
    as_json: AsJson = False,
) -> None:
    """Segment every case of the input that OUT does not have yet.

    The same command goes on after whatever ended it.
    """
    from node.batch.runner.batch import Shard  # noqa: PLC0415 - Dask takes a second to load
    from node.batch.runner.devices import cuda_devices  # noqa: PLC0415
    from node.batch.runner.options import RunOptions, Tls  # noqa: PLC0415
    from node.batch.runner.run import run_batch  # noqa: PLC0415
    from node.batch.runner.segmenting import SegmentTask  # noqa: PLC0415
    from node.cli.batch_progress import shown  # noqa: PLC0415

    if only not in {None, "failed"}:
        raise SettingsError(f"--only {only}: there is only --only failed")
    settings = settings_or_defaults(config)
    given = Input(
        paths=tuple(path.absolute() for path in paths or ()),
        dataset=dataset,
        where=where,
        use=use,
        query=None if query is None else Query(
            archive=query,
            study_date=study_date,
            study_description=study_description,
            series_description=series_description,
        ),
        index=index or out / _index_name(shard),
    )  # fmt: skip
    options = RunOptions(
        workers=workers,
        threads=threads,
        devices=() if settings.model.device != "auto" else cuda_devices(),
        scheduler=scheduler,
        scheduler_file=scheduler_file,
        tls=None if tls is None else Tls(ca=tls[0], cert=tls[1], key=tls[2]),
        patience_s=patience,
        dashboard=dashboard,
        shard=None if shard is None else Shard.parse(shard),
        only_failed=only == "failed",
        attempts=attempts,
        anew=anew,
    )
    task = SegmentTask.of(settings, open_bundle(settings.model).folder.resolve(), all_series=all_series)
    skipped: list[dict[str, Any]] = []
    with shown(ERRORS) as progress:
        listener = Listener(begin=progress.begin, skipped=lambda file: skipped.append(_skipped_document(file)))
        report = run_batch(items_of(given, settings, listener), task, out, options, progress.tell)
    document = {"out": str(out), **report.document(), "skipped_files": len(skipped), "skipped": skipped[:_MOST_SKIPPED]}
    show.answer(document, _run_text(document), as_json=as_json)
    if report.failed:
        raise typer.Exit(InputError.exit_code)
    if not report.executions + report.earlier + report.done:
        raise typer.Exit(NothingToSegment.exit_code)


@app.command()
def status(out: Out, as_json: AsJson = False) -> None:
    """Show how far a batch is, from its ledger; it may be running."""
    from node.batch.runner.batch import read_batch  # noqa: PLC0415
    from node.batch.runner.standing import read_standings  # noqa: PLC0415

    batch = read_batch(out)
    standings = read_standings(out, batch.task)
    document = {
        "out": str(out),
        "version": batch.version,
        "cases": standings.counts(),
        "executions": standings.executions,
        "writers": len(standings.files),
        "damaged_lines": [{"file": damage.file, "offset": damage.offset} for damage in standings.damaged],
    }
    counts = ", ".join(f"{count} {state}" for state, count in standings.counts().items())
    lines = [f"{out}: {counts}; {standings.executions} runs of cases", *_damage_lines(document)]
    show.answer(document, "\n".join(lines), as_json=as_json)


@app.command()
def tables(out: Out, as_json: AsJson = False) -> None:
    """Write the tables over all cases of a batch that have ended."""
    from dataclasses import asdict  # noqa: PLC0415

    from node.batch.runner.tables import write_tables  # noqa: PLC0415 - Arrow takes a second to load

    report = write_tables(out)
    text = f"{out}: {report.cases} cases, {report.measurements} measurements, {report.failures} failures"
    show.answer({"out": str(out), **asdict(report)}, text, as_json=as_json)


_MOST_SKIPPED = 1000


def _index_name(shard: str | None) -> str:
    return "input.sqlite" if shard is None else f"input-{shard.replace('/', '-of-')}.sqlite"


def _skipped_document(file: Any) -> dict[str, Any]:
    return {"path": str(file.path), "member": file.member, "code": file.reason.code, "text": file.reason.text}


def _run_text(document: dict[str, Any]) -> str:
    return "\n".join(
        [
            f"{document['out']}: {document['done']} done, {document['refused']} refused, {document['failed']} failed; "
            f"{document['earlier']} had ended before",
            f"{document['executions']} runs of cases in {document['wall_s']:.0f} s on {document['workers']} workers: "
            f"{document['cases_per_hour']:.0f} an hour",
            *_damage_lines(document),
            *([f"{document['skipped_files']} files are no image"] if document["skipped_files"] else []),
        ]
    )


def _damage_lines(document: dict[str, Any]) -> list[str]:
    return [
        f"ledger/{damage['file']}: the line at byte {damage['offset']} is damaged; its case counts as not done"
        for damage in document["damaged_lines"]
    ]
