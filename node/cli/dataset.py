"""The command that looks at a download of the CSpineSeg dataset."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from node import show
from node.cli.masks import masks
from node.cli.options import ERRORS, AsJson

if TYPE_CHECKING:
    from node.batch.midrc.exam import Manifest

app = typer.Typer(
    help="The CSpineSeg download: what is there, and its masks as DICOM (docs/dataset.md).",
    no_args_is_help=True,
    add_completion=False,
)
app.command()(masks)

#: Of each defect, so many exams are named.
_EXAMPLES = 3


@app.command()
def inspect(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder with the four zips, or with what was in them.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder for manifest.parquet and manifest.tsv.")] = None,
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="EXPR", help="Only these, such as \"manufacturer == 'GE' and expert\"."),
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough/--quick", help="Every byte and pixel, or the headers and the masks.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Tell what of the dataset is there, what belongs together, and what is missing or contradictory.

    Exits with 0 also where defects are found, and with 65 where nothing of the dataset lies there.
    """
    from node.batch.midrc.exam import Manifest  # noqa: PLC0415 - pandas takes half a second to import
    from node.batch.midrc.inspection import inspect as look  # noqa: PLC0415
    from node.batch.midrc.manifest import write_manifest  # noqa: PLC0415
    from node.batch.midrc.where import chosen  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=ERRORS, transient=True) as bar:
        task = bar.add_task("looking at the files", total=None)
        found = look(root, lambda done, total: bar.update(task, completed=done, total=total), thorough=thorough)
    if where is not None:
        kept = chosen(found.exams, where)
        found = Manifest(root=found.root, exams=kept, defects=found.defects, orphans=found.orphans)
    if out is not None:
        write_manifest(found, out)
    document = summary(found)
    if out is not None:
        document["manifest"] = [str(out / "manifest.parquet"), str(out / "manifest.tsv")]
    show.answer(document, "\n".join(_lines(document)), as_json=as_json)


def summary(manifest: "Manifest") -> dict[str, Any]:
    """Return what is there and what is wrong, as counts, with the first exams of each defect."""
    exams = manifest.exams
    said: dict[str, list[dict[str, str]]] = {}
    for exam in exams:
        for defect in exam.defects:
            said.setdefault(defect.code, []).append({"exam": exam.key, "text": defect.text})
    for orphan in manifest.orphans:
        said.setdefault(orphan.defect.code, []).append({"file": orphan.place.name, "text": orphan.defect.text})
    return {
        "root": str(manifest.root),
        "exams": len(exams),
        "patients": len({exam.patient_id for exam in exams} - {None}),
        "with": {
            "dicom": sum(exam.dicom is not None for exam in exams),
            "image": sum(exam.image is not None for exam in exams),
            "mask": sum(exam.mask is not None for exam in exams),
            "all": sum(None not in {exam.dicom, exam.image, exam.mask} for exam in exams),
        },
        "masks": _counted(exam.annotation.value if exam.annotation else "unknown" for exam in exams if exam.mask),
        "manufacturers": _counted(str(exam.columns.get("manufacturer") or "unknown") for exam in exams),
        "images_matched_by": _counted(exam.image_matched_by.value for exam in exams if exam.image_matched_by),
        "masks_matched_by": _counted(exam.mask_matched_by.value for exam in exams if exam.mask_matched_by),
        "without_defects": sum(not exam.defects for exam in exams),
        "of_the_whole": [{"code": defect.code, "text": defect.text} for defect in manifest.defects],
        "defects": {code: {"count": len(found), "first": found[:_EXAMPLES]} for code, found in sorted(said.items())},
    }


def _counted(words: Any) -> dict[str, int]:
    return dict(Counter(words).most_common())


def _lines(document: dict[str, Any]) -> list[str]:
    there, masks = document["with"], document["masks"]
    lines = [
        f"{document['root']}: {document['exams']} exams of {document['patients']} patients",
        f"  with DICOM {there['dicom']}, image {there['image']}, mask {there['mask']}, all three {there['all']}",
        f"  masks: {_listed(masks)}",
        f"  manufacturers: {_listed(document['manufacturers'])}",
        f"  images matched by {_listed(document['images_matched_by'])}",
        f"  masks matched by {_listed(document['masks_matched_by'])}",
        f"  {document['without_defects']} exams without defects",
    ]
    lines += [f"  {defect['code']}: {defect['text']}" for defect in document["of_the_whole"]]
    for code, found in document["defects"].items():
        lines.append(f"  {code}: {found['count']}")
        lines += [f"      {one.get('exam') or one['file']}: {one['text']}" for one in found["first"]]
    if "manifest" in document:
        lines.append(f"  written: {' and '.join(document['manifest'])}")
    return lines


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
