"""The command that measures."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from node import show
from node.bootstrap.engine import open_bundle
from node.cli.options import ERRORS, AsJson, settings_or_defaults
from node.errors import EngineError, InputError
from node.settings import STARTER_BUNDLE

_ALL = "r1,r2,r3,results,memory"


def bench(  # noqa: PLR0913, PLR0917 - one parameter an option
    bundle: Annotated[str, typer.Option("--bundle", help="As model.bundle in the settings.")] = STARTER_BUNDLE,
    full_size: Annotated[
        bool, typer.Option("--full-size", help="Untrained networks of the planner's size instead of a bundle.")
    ] = False,
    folds: Annotated[
        int | None,
        typer.Option("--folds", min=0, help="Folds of each configuration, 0 for all; else as on this device."),
    ] = None,
    mirroring: Annotated[
        bool | None, typer.Option("--mirroring/--no-mirroring", help="Test-time mirrors; else as on this device.")
    ] = None,
    repetitions: Annotated[int, typer.Option("--repetitions", min=1, help="Of each side.")] = 10,
    cases: Annotated[int, typer.Option("--cases", min=1, help="Cases in a row for the engine's memory.")] = 200,
    only: Annotated[str, typer.Option("--only", help=f"Some of {_ALL}.")] = _ALL,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    source: Annotated[
        Path | None, typer.Option("--input", "-i", help="DICOM folder, zip or NIfTI file; a phantom without.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the JSON here.")] = None,
    rendered: Annotated[
        list[Path], typer.Option("--markdown", metavar="JSON", help="Measure nothing; print earlier JSON as Markdown.")
    ] = [],  # noqa: B006 - typer copies it
    as_json: AsJson = False,
) -> None:
    """Measure the node on this machine, against nnU-Net's own commands and against the device (docs/benchmarks.md)."""
    from node.bench import report  # noqa: PLC0415 - what it takes, other commands do not need
    from node.bench.run import Options, parse_parts, run_bench  # noqa: PLC0415

    if rendered:
        documents = [_read(path) for path in rendered]
        show.answer({"runs": documents}, report.many(documents), as_json=as_json)
        return
    options = Options(
        bundle=bundle,
        full_size=full_size,
        folds=folds,
        mirroring=mirroring,
        repetitions=repetitions,
        cases=cases,
        parts=parse_parts(only),
        device=device,
        source=source,
    )
    with show.steps(ERRORS) as step:
        document = run_bench(options, step)
    if out is not None:
        out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    show.answer(document, report.text(document), as_json=as_json)
    if complaints := report.complaints(document):
        raise typer.Exit(_complained(complaints))


def bench_net(
    images: Annotated[int, typer.Option("--images", min=8, help="Of 528 KB each.")] = 400,
    repetitions: Annotated[int, typer.Option("--repetitions", min=1, help="Of each receiver.")] = 3,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the JSON here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how fast the node takes images, against Orthanc on the same machine (docs/benchmarks.md)."""
    from node.bench.network import measure_network, rows  # noqa: PLC0415 - other commands do not need it

    with show.steps(ERRORS) as step:
        document = measure_network(images, repetitions, step)
    if out is not None:
        out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    table = rows(document)
    width = max(len(name) for name, _ in table)
    show.answer(document, "\n".join(f"{name:<{width}}  {value}" for name, value in table), as_json=as_json)


def bench_batch(  # noqa: PLR0913, PLR0917 - one parameter an option
    cases: Annotated[int, typer.Option("--cases", min=4, help="Small series in each run that is timed.")] = 40,
    repetitions: Annotated[int, typer.Option("--repetitions", min=1, help="Of each number of workers.")] = 3,
    workers: Annotated[int, typer.Option("--workers", min=2, help="Against one.")] = os.cpu_count() or 2,
    memory_cases: Annotated[int, typer.Option("--memory-cases", min=20, help="Of the run whose memory counts.")] = 500,
    bundle: Annotated[str, typer.Option("--bundle", help="As model.bundle in the settings.")] = STARTER_BUNDLE,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the JSON here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a batch on this machine: several workers against one, overhead, memory (docs/benchmarks.md)."""
    from node.bench.batch import BatchBench, batch_text, measure_batch  # noqa: PLC0415 - other commands do not need it

    settings = settings_or_defaults(None)
    with show.steps(ERRORS) as step:
        document = measure_batch(
            BatchBench(
                bundle=open_bundle(settings.model.model_copy(update={"bundle": bundle})),
                settings=settings,
                cases=cases,
                repetitions=repetitions,
                workers=workers,
                memory_cases=memory_cases,
                step=step,
            )
        )
    if out is not None:
        out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    show.answer(document, batch_text(document), as_json=as_json)


def bench_web(
    cases: Annotated[int, typer.Option("--cases", min=200, help="In the journal.")] = 10_000,
    repetitions: Annotated[int, typer.Option("--repetitions", min=3, help="Of each address.")] = 50,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the JSON here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how fast the web page answers over a large journal (docs/benchmarks.md)."""
    from node.bench.web import measure_web, over_limit, web_text  # noqa: PLC0415 - other commands do not need it

    with show.steps(ERRORS) as step:
        document = measure_web(cases, repetitions, step)
    if out is not None:
        out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    show.answer(document, web_text(document), as_json=as_json)
    if complaints := over_limit(document):
        raise typer.Exit(_complained(complaints))


def _complained(complaints: list[str]) -> int:
    for complaint in complaints:
        ERRORS.print(complaint, style="red", markup=False)
    return EngineError.exit_code


def _read(path: Path) -> dict[str, Any]:
    """Read the JSON of an earlier run. Raises InputError."""
    try:
        document = dict(json.loads(path.read_text(encoding="utf-8")))
        if {"machine", "subject"} <= document.keys():
            return document
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not a JSON of bench") from error
    raise InputError(f"{path}: not a JSON of bench")
