"""The commands that run the node and look at it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from node import __version__, bootstrap, show
from node.batch.offline import Options, segment_paths
from node.cli.options import ERRORS, AsJson, Config, OptionalConfig
from node.deliver.build import destination_of
from node.domain.case import Order, ReportForm, SegmentationForm, SegmentsOf, Wanted
from node.errors import NodeError, NothingToSegment, SettingsError
from node.journal.overview import events, overview
from node.settings import Settings, load_settings, parse_settings


def serve(config: Config, as_json: AsJson = False) -> None:
    """Listen for series and send their results back, until SIGTERM."""
    settings = load_settings(config)
    service, journal = bootstrap.build_service(settings)

    def ready(port: int) -> None:
        node = settings.node
        show.answer(
            {"ae_title": node.ae_title, "host": node.host, "port": port, "state_dir": str(node.state_dir)},
            f"{node.ae_title} listens on {node.host}:{port}, state in {node.state_dir}",
            as_json=as_json,
        )

    try:
        service.run(ready)
    finally:
        journal.close()


def segment(  # noqa: PLR0913, PLR0917 - one parameter an option
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, folders or zips.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    nifti: Annotated[bool, typer.Option("--nifti", help="Also image.nii.gz and labels.nii.gz.")] = False,
    all_series: Annotated[bool, typer.Option("--all-series", help="Segment what the routes would refuse.")] = False,
    segmentations: Annotated[
        list[SegmentationForm], typer.Option("--segmentation", help="A form of the SEG; may be given again.")
    ] = [],  # noqa: B006 - typer copies it
    reports: Annotated[
        list[ReportForm], typer.Option("--report", help="A storage class of the SR; may be given again.")
    ] = [],  # noqa: B006
    key_images: Annotated[bool, typer.Option("--key-images", help="Also key-1.dcm ...: pictures to look at.")] = False,
    segments: Annotated[SegmentsOf | None, typer.Option("--segments", help="What the SEG has a segment for.")] = None,
    config: OptionalConfig = None,
    as_json: AsJson = False,
) -> None:
    """Segment series from files, without a network, into OUT/<SeriesInstanceUID>/.

    Without one of the options on forms, the settings say what each route makes.
    """
    settings = _settings_or_defaults(config)
    order = _order(segmentations, reports, segments, key_images=key_images)
    options = Options(out=out, nifti=nifti, all_series=all_series, order=order)
    with bootstrap.open_engine(settings.model) as engine, show.progress(ERRORS) as progress:
        report = segment_paths(paths, options, engine.loaded, settings, progress)
    show.answer(show.report_document(report), show.report_text(report), as_json=as_json)
    if failed := [outcome.error for outcome in report.outcomes if outcome.error is not None]:
        raise typer.Exit(failed[0].exit_code)
    if not any(outcome.folder for outcome in report.outcomes):
        raise typer.Exit(NothingToSegment.exit_code)


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("demo-out"),
    source: Annotated[
        Path | None, typer.Option("--input", "-i", help="Your own DICOM folder, zip or NIfTI file; a phantom without.")
    ] = None,
    all_series: Annotated[bool, typer.Option("--all-series", help="Take what the default route refuses.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start an archive and a node, send a series over the network, and show what comes back."""
    from node.demo.run import run_demo  # noqa: PLC0415 - the phantom needs scipy, other commands do not

    with show.steps(ERRORS) as step:
        outcome = run_demo(out, source, step, all_series=all_series)
    show.answer(outcome.document(), show.demo_text(outcome), as_json=as_json)


def status(
    config: Config,
    series: Annotated[str | None, typer.Option("--series", help="The events of one Series Instance UID.")] = None,
    latest: Annotated[int, typer.Option("--latest", min=1, help="How many cases to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what the node received, what became of it and why."""
    store = bootstrap.open_journal_for_reading(load_settings(config))
    try:
        if series is not None:
            trail = events(store, series_uid=series)
            show.answer({"series_uid": series, "events": trail}, show.events_text(trail), as_json=as_json)
        else:
            state = overview(store, latest=latest)
            show.answer(state, show.overview_text(state), as_json=as_json)
    finally:
        store.close()


def echo(
    config: Config,
    destination: Annotated[str | None, typer.Argument(help="Name of a destination; all of them without.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the destinations whether they are there: C-ECHO, QIDO-RS, or a look at the folder."""
    settings = load_settings(config)
    chosen = [peer for peer in settings.destination if destination in {None, peer.name}]
    if not chosen:
        wanted = f"none is named {destination!r}" if destination else "none is configured"
        raise SettingsError(f"{config}: destination: {wanted}")
    answers: dict[str, Any] = {}
    failed: NodeError | None = None
    for peer in chosen:
        try:
            destination_of(peer, settings.node).reach()
            answers[peer.name] = {"ok": True}
        except NodeError as error:
            failed = error
            answers[peer.name] = {"ok": False, **show.error_document(error)}
    lines = [f"{name}: {'ok' if said['ok'] else said['error']['message']}" for name, said in answers.items()]
    show.answer({"destinations": answers}, "\n".join(lines), as_json=as_json)
    if failed is not None:
        raise typer.Exit(failed.exit_code)


def check_config(config: Config, as_json: AsJson = False) -> None:
    """Check a settings file and the bundle that it names, and print the settings with their defaults."""
    settings = load_settings(config)
    bundle = bootstrap.open_bundle(settings.model)
    document = {
        "settings": settings.model_dump(mode="json"),
        "bundle": {
            "name": bundle.name,
            "version": bundle.version,
            "digest": bundle.digest,
            "intended_use": bundle.intended_use,
        },
    }
    show.answer(document, f"{config}: ok\n{json.dumps(document, indent=2)}", as_json=as_json)


def version(as_json: AsJson = False) -> None:
    """Print the version."""
    show.answer({"version": __version__}, f"cspine-node {__version__}", as_json=as_json)


def _order(
    segmentations: Sequence[SegmentationForm],
    reports: Sequence[ReportForm],
    segments: SegmentsOf | None,
    *,
    key_images: bool,
) -> Order | None:
    """Return what the options ask for: every SEG with every SR; None where they ask for nothing."""
    if not (segmentations or reports or segments or key_images):
        return None
    wanted = {
        Wanted(segmentation=segmentation, report=report, key_images=key_images)
        for segmentation in segmentations or [SegmentationForm.BINARY]
        for report in reports or [ReportForm.COMPREHENSIVE_3D]
    }
    return Order(segments=segments or SegmentsOf.STRUCTURES, wanted=frozenset(wanted))


def _settings_or_defaults(config: Path | None) -> Settings:
    if config is not None:
        return load_settings(config)
    return parse_settings({"node": {"state_dir": "."}}, name="defaults")
