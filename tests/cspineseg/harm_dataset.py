"""What can be wrong with the dataset as a whole."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from cspineseg.draft import Draft
from cspineseg.tables import AUTO, COLUMNS, Row, table_name
from cspineseg.truth import ExamTruth

_APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "
_EXPERTS_FROM = ("without_structured", "without_annotation_file_table", "without_annotation_method")


@dataclass(kw_only=True)
class Tables:
    """The tables before they are written."""

    columns: dict[str, list[str]]
    rows: dict[str, list[Row]]


@dataclass(kw_only=True)
class Parts:
    """The four parts by name ("structured" ...), each files by their path within it; and how they come."""

    files: dict[str, dict[str, bytes]]
    #: Which of them are zips; None: all or none, as is asked for.
    zipped: frozenset[str] | None = None
    also_zipped: bool = False
    extra_folder: bool = False
    junk: bool = False
    #: Of the whole zip of the images, how much is there.
    imaging_zip_share: float = 1.0


def collected(drafts: list[Draft], *, of_instances: bool) -> Tables:
    """Return the tables of all exams. A patient with two exams is there once."""
    manifest = "image_manifest_of_instances" if of_instances else "image_manifest"
    rows: dict[str, list[Row]] = {table: [] for table in COLUMNS}
    for exam in drafts:
        for table in ("case", "imaging_study", "mr_series", "annotation_file"):
            rows[table] += [row for row in exam.rows[table] if table != "case" or row not in rows["case"]]
        rows["image_manifest"] += exam.rows[manifest]
    return Tables(columns={table: list(columns) for table, columns in COLUMNS.items()}, rows=rows)


def harm_tables(tables: Tables, planted: tuple[str, ...]) -> None:
    for table in COLUMNS:
        if f"without_{table}_table" in planted:
            del tables.rows[table]
    if "all_marked_auto" in planted:
        for row in tables.rows["annotation_file"]:
            row["annotation_method"] = AUTO if row["annotation_method"] else row["annotation_method"]
    for name, (table, column) in _COLUMNS_LACKING.items():
        if name in planted:
            tables.columns[table].remove(column)


def harm_parts(parts: Parts, planted: tuple[str, ...]) -> None:
    for name, change in _PARTS.items():
        if name in planted:
            change(parts)
    for part in [part for part in parts.files if f"without_{part}" in planted]:
        del parts.files[part]


def as_left(exam: ExamTruth, planted: tuple[str, ...]) -> ExamTruth:
    """Return what is left of an exam in the dataset as it was harmed."""
    if "all_marked_auto" in planted and exam.expert:
        exam = replace(exam, expert=False)
    if any(name in planted for name in _EXPERTS_FROM):
        exam = replace(exam, expert=None)
    if "without_imaging_files" in planted:
        exam = replace(exam, dicom=None)
    if "without_annotation" in planted:
        exam = replace(exam, image=None)
    if "without_segmentation" in planted:
        exam = replace(exam, mask=None)
    return exam


def _by_excel(parts: Parts) -> None:
    for name, data in parts.files["structured"].items():
        parts.files["structured"][name] = b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n")


def _ragged(parts: Parts) -> None:
    lines = parts.files["structured"][table_name("mr_series")].splitlines(keepends=True)
    lines[-1] = b"\t".join(lines[-1].rstrip(b"\n").split(b"\t")[:-3]) + b"\n"
    parts.files["structured"][table_name("mr_series")] = b"".join(lines)


def _no_text(parts: Parts) -> None:
    parts.files["structured"][table_name("mr_series")] = bytes(range(256)) * 8


def _clinical_md5_differs(parts: Parts) -> None:
    # The same length, so that the size does not tell.
    name = table_name("case")
    parts.files["structured"][name] = parts.files["structured"][name].replace(b"Study Enrollment", b"Study enrollment")


def _set(parts: Parts, **fields: object) -> None:
    for name, value in fields.items():
        setattr(parts, name, value)


_COLUMNS_LACKING = {
    "without_annotation_method": ("annotation_file", "annotation_method"),
    "without_series_uid": ("mr_series", "series_uid"),
    "without_series_link": ("annotation_file", "mr_series_files.submitter_id"),
}
_PARTS: Mapping[str, Callable[[Parts], None]] = {
    "tables_by_excel": _by_excel,
    "mr_series_ragged": _ragged,
    "mr_series_no_text": _no_text,
    "clinical_md5_differs": _clinical_md5_differs,
    "extra_folder": partial(_set, extra_folder=True),
    "macos_junk": partial(_set, junk=True),
    "zips_beside_folders": partial(_set, also_zipped=True),
    "half_unpacked": partial(_set, zipped=frozenset({"imaging_files", "annotation"})),
    "imaging_zip_truncated": partial(_set, imaging_zip_share=0.6),
}


def with_junk(files: Mapping[str, bytes], top: str) -> dict[str, bytes]:
    """Return files by path with what macOS puts beside them, as its own zips hold it."""
    junk: dict[str, bytes] = {f"{top}/.DS_Store": b"\x00\x00\x00\x01Bud1"}
    for name in files:
        folder, _, last = name.rpartition("/")
        junk[f"__MACOSX/{folder}/._{last}"] = _APPLE_DOUBLE
        junk[f"{folder}/._{last}"] = _APPLE_DOUBLE
    return dict(files) | junk
