"""What can be wrong with what the tables say of an exam."""

from collections.abc import Callable, Mapping
from functools import partial

from cspineseg.draft import Draft
from cspineseg.exams import uid
from cspineseg.tables import AUTO, EXPERT, annotation_row
from cspineseg.zips import made_elsewhere


def _without(exam: Draft, *, table: str) -> None:
    exam.rows[table] = []


def _not_annotated(exam: Draft) -> None:
    exam.rows["annotation_file"] = []
    exam.expert = None


def _listed_twice(exam: Draft) -> None:
    exam.rows["mr_series"] *= 2


def _submitter_id_twice(exam: Draft) -> None:
    ghost = uid(exam.scan.series_uid, "ghost")
    exam.rows["mr_series"].append(exam.rows["mr_series"][0] | {"series_uid": ghost})
    exam.ghosts.append(ghost)


def _instances_miscounted(exam: Draft) -> None:
    _series_says(exam, "number_of_instances", exam.shown.image.shape[0] + 4)


def _thickness_contradicts(exam: Draft) -> None:
    _series_says(exam, "slice_thickness", int(exam.scan.thickness_mm) + 5)


def _manufacturer_contradicts(exam: Draft) -> None:
    _series_says(exam, "manufacturer", "GE MEDICAL SYSTEMS" if exam.scan.siemens else "SIEMENS")


def _field_contradicts(exam: Draft) -> None:
    _series_says(exam, "magnetic_field_strength", 4.5 - exam.scan.field_t)


def _case_contradicts(exam: Draft) -> None:
    _series_says(exam, "case_ids", "593973-999993")


def _annotated_file_absent(exam: Draft) -> None:
    absent = exam.scan.stem + "_third_SEG.nii.gz"
    exam.rows["annotation_file"].append(annotation_row(exam.scan, absent, AUTO))


def _method_is(exam: Draft, *, method: str) -> None:
    for row in exam.annotation_rows(mask=True):
        row["annotation_method"] = method
    exam.expert = None


def _annotation_contradictory(exam: Draft) -> None:
    (row,) = exam.annotation_rows(mask=True)
    other = AUTO if row["annotation_method"] == EXPERT else EXPERT
    exam.rows["annotation_file"].append(row | {"annotation_method": other})
    exam.expert = None


def _md5_differs(exam: Draft) -> None:
    exam.spoil = made_elsewhere


def _series_says(exam: Draft, column: str, value: str | float) -> None:
    for row in exam.rows["mr_series"]:
        row[column] = value


ROWS: Mapping[str, Callable[[Draft], None]] = {
    "not_in_mr_series": partial(_without, table="mr_series"),
    "not_in_imaging_study": partial(_without, table="imaging_study"),
    "patient_not_in_case": partial(_without, table="case"),
    "not_in_annotation_file": _not_annotated,
    "listed_twice": _listed_twice,
    "submitter_id_twice": _submitter_id_twice,
    "instances_miscounted": _instances_miscounted,
    "thickness_contradicts": _thickness_contradicts,
    "manufacturer_contradicts": _manufacturer_contradicts,
    "field_contradicts": _field_contradicts,
    "case_contradicts": _case_contradicts,
    "annotated_file_absent": _annotated_file_absent,
    "annotation_method_absent": partial(_method_is, method=""),
    "annotation_method_unknown": partial(_method_is, method="Prospective_other"),
    "annotation_contradictory": _annotation_contradictory,
    "md5_differs": _md5_differs,
}
