"""The manifest as files, one row a series: `manifest.parquet`, which can be read back, and `manifest.tsv`."""

import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from node.batch.midrc.columns import OWN
from node.batch.midrc.defects import BETWEEN
from node.batch.midrc.exam import Annotation, Cell, Defect, Exam, Manifest, MatchedBy, Orphan, Place
from node.batch.midrc.inspection import Progress, inspect, silent
from node.durable import write_durably
from node.errors import InputError

__all__ = ["Manifest", "Orphan", "manifest_frame", "open_manifest", "read_manifest", "write_manifest"]

MANIFEST_PARQUET = "manifest.parquet"
MANIFEST_TSV = "manifest.tsv"

#: Key of the metadata of the Parquet file under which lies what is no row.
_WHOLE = b"cspine-node"
_LAYOUT = 1


def manifest_frame(manifest: Manifest) -> pd.DataFrame:
    """Return one row a series: the columns of `docs/dataset.md`, then those of the tables and of the headers.

    Places are paths within `dicom_in`, `image_in` and `mask_in`: "." is the root of the download, anything else a zip
    of it. Missing values are None.
    """
    return pd.DataFrame(_rows(manifest), columns=_names(manifest.exams), dtype=object)


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write `manifest.parquet` and `manifest.tsv` durably into `folder`. Raises OSError."""
    rows, names = _rows(manifest), _names(manifest.exams)
    arrays = [_array([row.get(name) for row in rows]) for name in names]
    table = pa.Table.from_arrays(arrays, names=names).replace_schema_metadata({_WHOLE: json.dumps(_whole(manifest))})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    write_durably(folder / MANIFEST_PARQUET, [sink.getvalue()])
    text = manifest_frame(manifest).to_csv(sep="\t", index=False, na_rep="", lineterminator="\n")
    write_durably(folder / MANIFEST_TSV, [text.encode()])


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in the Parquet file `path`, or in the folder `path`; beside `manifest.tsv` lies the same one.

    Raises InputError where there is none that this software wrote.
    """
    file = path / MANIFEST_PARQUET if path.is_dir() else path.with_suffix(".parquet")
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    try:
        table = pq.read_table(file)
        whole = json.loads((table.schema.metadata or {})[_WHOLE])
        if whole["layout"] != _LAYOUT:
            raise InputError(f"{file}: written by another version; inspect the download again")
        root = Path(whole["root"])
        return Manifest(
            root=root,
            exams=tuple(_exam(row, root) for row in table.to_pylist()),
            defects=tuple(Defect(**one) for one in whole["defects"]),
            orphans=tuple(
                Orphan(place=_place(one["in"], one["name"], root), defect=Defect(**one["defect"]))
                for one in whole["orphans"]
            ),
        )
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: no manifest of a download: {type(error).__name__}") from error


def open_manifest(path: Path, progress: Progress = silent, *, thorough: bool = False) -> Manifest:
    """Return the manifest of a manifest file, of the folder that it was written to, or else of the download `path`.

    A download is inspected, by its headers alone unless `thorough`. Raises InputError.
    """
    if path.suffix in {".parquet", ".tsv"} or (path / MANIFEST_PARQUET).is_file():
        return read_manifest(path)
    return inspect(path, progress, thorough=thorough)


def _names(exams: Sequence[Exam]) -> list[str]:
    places = ("dicom_in", "image_in", "mask_in")
    first = [*(name for name in OWN if name not in {"defects", *places}), *places, "defects", "what_is_wrong"]
    return [*first, *dict.fromkeys(name for exam in exams for name in exam.columns)]


def _rows(manifest: Manifest) -> list[dict[str, Cell]]:
    return [_row(exam, manifest.root) for exam in manifest.exams]


def _row(exam: Exam, root: Path) -> dict[str, Cell]:
    row: dict[str, Cell] = {
        **exam.told,
        "defects": " ".join(defect.code for defect in exam.defects),
        "what_is_wrong": BETWEEN.join(defect.text for defect in exam.defects),
    }
    for name, place in (("dicom", exam.dicom), ("image", exam.image), ("mask", exam.mask)):
        row[name] = None if place is None else place.name
        row[f"{name}_in"] = None if place is None else _relative(place.container, root)
    return row | dict(exam.columns)


def _exam(row: Mapping[str, Any], root: Path) -> Exam:
    own = {*_names(())}
    places = {
        name: _place(row[f"{name}_in"], row[name], root) if row[name] else None for name in ("dicom", "image", "mask")
    }
    codes, texts = row["defects"].split(), row["what_is_wrong"].split(BETWEEN)
    return Exam(
        key=row["key"],
        patient_id=row["patient_id"],
        study_uid=row["study_uid"],
        series_uid=row["series_uid"],
        **places,
        annotation=Annotation(row["annotation"]) if row["annotation"] else None,
        image_matched_by=MatchedBy(row["image_matched_by"]) if row["image_matched_by"] else None,
        mask_matched_by=MatchedBy(row["mask_matched_by"]) if row["mask_matched_by"] else None,
        columns={name: cell for name, cell in row.items() if name not in own},
        defects=tuple(Defect(code=code, text=text) for code, text in zip(codes, texts, strict=bool(codes))),
    )


def _whole(manifest: Manifest) -> dict[str, Any]:
    return {
        "layout": _LAYOUT,
        "root": str(manifest.root),
        "defects": [_said(one) for one in manifest.defects],
        "orphans": [
            {"in": _relative(one.place.container, manifest.root), "name": one.place.name, "defect": _said(one.defect)}
            for one in manifest.orphans
        ],
    }


def _said(defect: Defect) -> dict[str, str]:
    return {"code": defect.code, "text": defect.text}


def _relative(container: Path, root: Path) -> str:
    return os.path.relpath(container, root)


def _place(container: str, name: str, root: Path) -> Place:
    return Place(container=Path(os.path.normpath(root / container)), name=name)


def _array(cells: Sequence[Cell]) -> pa.Array:
    """Return one column; it has one type, as `tables.typed` sees to."""
    kinds = {type(cell) for cell in cells if cell is not None}
    return pa.array(cells, type=pa.float64() if kinds == {float} else pa.bool_() if kinds == {bool} else pa.string())
