"""The command that makes DICOM of the dataset's own masks."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from node import show
from node.cli.options import ERRORS, AsJson
from node.errors import InputError, NothingToSegment


class By(StrEnum):
    """Who made a mask."""

    EXPERT = "expert"
    WEAK = "weak"


def masks(  # noqa: PLR0913, PLR0917 - one parameter an option
    source: Annotated[Path, typer.Argument(metavar="ROOT|MANIFEST", help="The download, or its manifest.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the batch; an earlier one goes on.")],
    where: Annotated[str | None, typer.Option("--where", help="Which exams: manufacturer == 'GE' and expert.")] = None,
    only: Annotated[By | None, typer.Option("--only", help="Only masks by experts, or only the weak ones.")] = None,
    unmarked: Annotated[
        By | None, typer.Option("--unmarked", help="What a mask is taken for that no table tells about.")
    ] = None,
    release: Annotated[str | None, typer.Option("--release", help="Of the dataset, as its tables are named.")] = None,
    workers: Annotated[int, typer.Option("--workers", "-w", min=0, help="Processes; 0: one a CPU.")] = 0,
    failed: Annotated[bool, typer.Option("--only-failed", help="Run what failed, and only that.")] = False,
    anew: Annotated[bool, typer.Option("--anew", help="Do all anew where OUT is of another task.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make SEG and SR of the dataset's own masks, voxel for voxel, on the DICOM series that they were drawn on.

    An expert's mask becomes a SEG of type MANUAL, a weak one AUTOMATIC. The same command goes on after whatever ended
    it.
    """
    from node.batch.masks.origin import RELEASE  # noqa: PLC0415 - Dask and pandas take a second to load
    from node.batch.masks.task import MaskTask, mask_items  # noqa: PLC0415
    from node.batch.midrc.exam import Annotation  # noqa: PLC0415
    from node.batch.midrc.manifest import open_manifest  # noqa: PLC0415
    from node.batch.midrc.where import chosen  # noqa: PLC0415
    from node.batch.runner.options import RunOptions  # noqa: PLC0415
    from node.batch.runner.run import run_batch  # noqa: PLC0415
    from node.cli.batch_progress import shown  # noqa: PLC0415

    exams = open_manifest(source).exams
    if where is not None:
        exams = chosen(exams, where)
    items = list(
        mask_items(
            exams,
            only=None if only is None else Annotation(only.value),
            unmarked=None if unmarked is None else Annotation(unmarked.value),
        )
    )
    options = RunOptions(workers=workers, only_failed=failed, anew=anew)
    with shown(ERRORS) as progress:
        progress.begin(len(items))
        report = run_batch(items, MaskTask(release=release or RELEASE), out, options, progress.tell)
    document = {"out": str(out), "exams": len(items), **report.document()}
    show.answer(document, _text(document), as_json=as_json)
    if report.failed:
        raise typer.Exit(InputError.exit_code)
    if not items:
        raise typer.Exit(NothingToSegment.exit_code)


def _text(document: dict[str, Any]) -> str:
    return (
        f"{document['out']}: the masks of {document['done']} exams are DICOM, {document['failed']} failed; "
        f"{document['earlier']} had ended before. {document['wall_s']:.0f} s on {document['workers']} workers"
    )
