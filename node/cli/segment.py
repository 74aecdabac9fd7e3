"""The commands that segment without an installation: series from files, and a demonstration."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from node import show
from node.batch.offline import Options, segment_paths
from node.bootstrap.engine import open_engine
from node.cli.options import ERRORS, AsJson, OptionalConfig, settings_or_defaults
from node.domain.case import Order, ReportForm, SegmentationForm, SegmentsOf, Wanted
from node.errors import NothingToSegment


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
    settings = settings_or_defaults(config)
    order = _order(segmentations, reports, segments, key_images=key_images)
    options = Options(out=out, nifti=nifti, all_series=all_series, order=order)
    with open_engine(settings.model) as engine, show.progress(ERRORS) as progress:
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
