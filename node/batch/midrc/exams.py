"""Puts the findings together: one exam a series, each with its image, its mask, its rows and its defects."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from node.batch.midrc.checks import (
    check_bytes,
    check_image,
    check_mask,
    check_patient,
    check_place,
    check_series,
)
from node.batch.midrc.columns import Columns
from node.batch.midrc.defects import DefectCode, defect
from node.batch.midrc.exam import Defect, Exam, Orphan
from node.batch.midrc.images import ImageFacts
from node.batch.midrc.joins import Joins, annotation_of
from node.batch.midrc.layout import Layout
from node.batch.midrc.names import is_mask_name, stem_of
from node.batch.midrc.series import PlaceFacts
from node.batch.midrc.tables import Row
from node.batch.midrc.units import Unit, Units


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything that was read."""

    layout: Layout
    joins: Joins
    places: tuple[PlaceFacts, ...]
    images: tuple[ImageFacts, ...]
    masks: tuple[ImageFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The exams, sorted by key; the files that became part of none; what is wrong with the tables as a whole."""

    exams: tuple[Exam, ...]
    orphans: tuple[Orphan, ...]
    defects: tuple[Defect, ...]


def put_together(findings: Findings) -> Result:
    """Match everything that was found, and check it."""
    units = Units(findings.places, findings.joins)
    units.add_images(findings.images)
    units.add_masks(findings.masks)
    columns = Columns(findings.joins)
    absent, defects = _absent(findings, units)
    exams = [_exam(unit, findings, columns, absent.get(unit.key, ())) for unit in units]
    return Result(
        exams=tuple(sorted(exams, key=lambda exam: exam.key)),
        orphans=tuple(units.orphans),
        defects=defects,
    )


def _absent(findings: Findings, units: Units) -> tuple[Mapping[str, Sequence[Defect]], tuple[Defect, ...]]:
    """Return, for each exam and for the whole, the files that annotation_file names and that are not there.

    Nothing is said of the files of a part that is missing.
    """
    there = {stem_of(file.at.place.name).lower() for file in (*findings.images, *findings.masks)}
    of_exams: dict[str, list[Defect]] = defaultdict(list)
    of_whole: list[Defect] = []
    for row in findings.joins.table("annotation_file").rows:
        name = row.get("file_name")
        if name is None or stem_of(name).lower() in there:
            continue
        if ("segmentation" if is_mask_name(PurePosixPath(name)) else "annotation") in findings.layout.missing:
            continue
        missing = defect(DefectCode.ROW_WITHOUT_FILE, f"annotation_file names {stem_of(name)}, which is not there.")
        keys = units.referred(row)
        for key in keys:
            of_exams[key].append(missing)
        if not keys:
            of_whole.append(missing)
    return of_exams, tuple(of_whole)


def _exam(unit: Unit, findings: Findings, columns: Columns, absent: Sequence[Defect]) -> Exam:
    joins, rows = findings.joins, _mask_rows(unit, findings.joins)
    annotation, doubts = annotation_of(rows)
    at = unit.place.at if unit.place else None
    chosen = unit.chosen
    defects = [*unit.defects, *unit.rows.defects, *_lacking(unit), *absent]
    defects += check_patient(at, chosen, unit.rows, filter(None, (unit.image, unit.mask)))
    if unit.place is not None:
        defects += check_place(unit.place, chosen, unit.rows)
        if at is not None and at.size is not None:
            defects += check_bytes(at.place.name, at.size, unit.place.md5, joins)
    if chosen is not None and unit.place is not None:
        defects += check_series(chosen, len(unit.place.unreadable), unit.rows)
    if unit.image is not None:
        defects += [*check_image(unit.image, chosen), *_check_file(unit.image, joins)]
    if unit.mask is not None:
        defects += [*check_mask(unit.mask, unit.image, chosen), *_check_file(unit.mask, joins)]
        defects += doubts if joins.has("annotation_file", "annotation_method") else ()
    return Exam(
        key=unit.key,
        patient_id=_patient(unit),
        study_uid=(at.study_uid if at else None) or (chosen.study_uid if chosen else None) or _tabled_study(unit),
        series_uid=unit.series_uid,
        dicom=at.place if at else None,
        image=unit.image.at.place if unit.image else None,
        mask=unit.mask.at.place if unit.mask else None,
        annotation=annotation,
        image_matched_by=unit.image_match.by if unit.image_match else None,
        mask_matched_by=unit.mask_match.by if unit.mask_match else None,
        columns=columns.of(unit.rows, rows, chosen, unit.image),
        defects=tuple(dict.fromkeys(defects)),
    )


def _lacking(unit: Unit) -> Iterator[Defect]:
    there = {
        DefectCode.DICOM_MISSING: unit.place,
        DefectCode.IMAGE_MISSING: unit.image,
        DefectCode.MASK_MISSING: unit.mask,
    }
    return (defect(code) for code, has in there.items() if has is None)


def _check_file(file: ImageFacts, joins: Joins) -> Iterator[Defect]:
    """Yield where the tables do not speak of an image or a mask, or say other things of its bytes."""
    name = file.at.place.name
    if joins.has("annotation_file", "file_name") and not joins.of_file("annotation_file", name):
        yield defect(DefectCode.FILE_WITHOUT_ROW, f"annotation_file has no row of {stem_of(name)}.")
    yield from check_bytes(name, file.at.size, file.md5, joins)


def _mask_rows(unit: Unit, joins: Joins) -> Sequence[Row]:
    """Return the rows of the mask; where none names it, those of its series that say how the mask was made."""
    rows = joins.of_file("annotation_file", unit.mask.at.place.name) if unit.mask else ()
    if rows:
        return rows
    labels = unit.target().labels
    return [row for row in joins.annotation_of_series(labels) if row.get("annotation_method")]


def _patient(unit: Unit) -> str | None:
    """Return the pseudonym: the folder's, else the tables', that of a name, or the headers'."""
    at = unit.place.at if unit.place else None
    if at is not None and at.patient is not None:
        return at.patient
    named = [file.name.patient for file in (unit.image, unit.mask) if file is not None and file.name.patient]
    headers = unit.chosen.scanner.patients if unit.chosen else ()
    return next(iter([*sorted(unit.rows.patients), *named, *sorted(headers)]), None)


def _tabled_study(unit: Unit) -> str | None:
    said = {row.get("study_uid") for row in unit.rows.rows["image_manifest"]} - {None}
    return said.pop() if len(said) == 1 else None
