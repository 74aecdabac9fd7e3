"""Holds the tables, the headers, the image and the mask of an exam against one another."""

import math
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

import numpy as np

from node.batch.midrc.columns import plain_manufacturer
from node.batch.midrc.defects import DefectCode, defect
from node.batch.midrc.exam import Defect
from node.batch.midrc.geometry import box_of, fits
from node.batch.midrc.images import ImageFacts
from node.batch.midrc.joins import Joins, SeriesRows
from node.batch.midrc.layout import SeriesPlace
from node.batch.midrc.series import PlaceFacts, SeriesFacts
from node.domain.geometry import Grid, closest_axes
from node.errors import InputError

#: The table holds whole millimetres, cut off or rounded.
_THICKNESS_MM = 1.0
_FIELD_T = 0.2
_LABELS = frozenset({0.0, 1.0, 2.0})


def check_place(facts: PlaceFacts, chosen: SeriesFacts | None, rows: SeriesRows) -> Iterator[Defect]:
    """Yield what is wrong with the place of a series and with what its names say."""
    if facts.failed is not None:
        yield defect(DefectCode.DICOM_UNREADABLE, f"{DefectCode.DICOM_UNREADABLE.meaning} {_why(facts.failed)}")
    elif facts.unreadable:
        text = f"{len(facts.unreadable)} files of the series cannot be read. {_why(facts.unreadable[0])}"
        yield defect(DefectCode.INSTANCE_UNREADABLE, text)
    if len(facts.series) > 1:
        yield defect(DefectCode.SEVERAL_SERIES, f"{len(facts.series)} series lie where one should.")
    if chosen is None:
        return
    if facts.at.series_uid not in {None, chosen.series_uid}:
        yield defect(DefectCode.SERIES_UID_DIFFERS)
    if _studies_differ(facts.at, chosen, rows):
        yield defect(DefectCode.STUDY_UID_DIFFERS)


def check_patient(
    at: SeriesPlace | None, chosen: SeriesFacts | None, rows: SeriesRows, files: Iterable[ImageFacts]
) -> Iterator[Defect]:
    """Yield a defect where folder, headers, tables and the names of `files`, image and mask, say different patients."""
    said = {
        "the folder": frozenset({at.patient} if at is not None and at.patient else ()),
        "the headers": frozenset() if chosen is None else chosen.scanner.patients,
        "the tables": rows.patients,
        "the names of image and mask": frozenset(file.name.patient for file in files if file.name.patient),
    }
    if len(frozenset().union(*said.values())) > 1:
        speaking = [who for who, patients in said.items() if patients]
        yield defect(DefectCode.PATIENT_DIFFERS, f"{' and '.join(speaking)} name more than one patient.".capitalize())


def check_series(chosen: SeriesFacts, unreadable: int, rows: SeriesRows) -> Iterator[Defect]:
    """Yield what is wrong with a series, and where the table of the series says otherwise."""
    if chosen.modality not in {None, "MR"}:
        yield defect(DefectCode.NOT_MR)
    if chosen.refused is not None:
        yield defect(DefectCode.NO_VOLUME, f"{DefectCode.NO_VOLUME.meaning} {_why(chosen.refused)}")
    elif chosen.grid is not None and not _sagittal(chosen.grid):
        yield defect(DefectCode.NOT_SAGITTAL)
    if chosen.damaged is not None:
        yield defect(DefectCode.INSTANCE_UNREADABLE, f"The pixels cannot be decoded. {_why(chosen.damaged)}")
    yield from _table_differs(chosen, unreadable, rows)


def _table_differs(chosen: SeriesFacts, unreadable: int, rows: SeriesRows) -> Iterator[Defect]:
    scanner = chosen.scanner
    there, counted = chosen.instances + unreadable, _number(rows.said("mr_series", "number_of_instances"))
    if counted is not None and counted != there:
        yield defect(DefectCode.INSTANCES_DIFFER, f"The table counts {counted:g} instances, {there} are there.")
    thickness = _number(rows.said("mr_series", "slice_thickness"))
    if _apart(thickness, scanner.slice_thickness_mm, _THICKNESS_MM):
        text = f"Slices are {thickness:g} mm thick by the table, {scanner.slice_thickness_mm:g} mm by the headers."
        yield defect(DefectCode.SLICE_THICKNESS_DIFFERS, text)
    maker = plain_manufacturer(rows.said("mr_series", "manufacturer"))
    if maker and scanner.manufacturer and maker != plain_manufacturer(scanner.manufacturer):
        yield defect(DefectCode.MANUFACTURER_DIFFERS)
    field = _number(rows.said("mr_series", "magnetic_field_strength"))
    if _apart(field, scanner.field_strength_t, _FIELD_T):
        text = f"The field is {field:g} T by the table, {scanner.field_strength_t:g} T by the headers."
        yield defect(DefectCode.FIELD_STRENGTH_DIFFERS, text)


def check_image(image: ImageFacts, chosen: SeriesFacts | None) -> Iterator[Defect]:
    """Yield what is wrong with an image, and with its place on the series."""
    if image.grid is None:
        yield defect(DefectCode.IMAGE_UNREADABLE, f"{DefectCode.IMAGE_UNREADABLE.meaning} {_why(image.failed)}")
        return
    if chosen is None or chosen.grid is None:
        return
    if not fits(box_of(image.grid), box_of(chosen.grid)):
        yield defect(DefectCode.IMAGE_GRID_DIFFERS, _grids("image", image.grid, "series", chosen.grid))
    elif image.digest is not None and chosen.digest is not None and image.digest != chosen.digest:
        yield defect(DefectCode.IMAGE_VOXELS_DIFFER)


def check_mask(mask: ImageFacts, image: ImageFacts | None, chosen: SeriesFacts | None) -> Iterator[Defect]:
    """Yield what is wrong with a mask, its labels and its place on the image, or else on the series."""
    if mask.grid is None or mask.labels is None:
        yield defect(DefectCode.MASK_UNREADABLE, f"{DefectCode.MASK_UNREADABLE.meaning} {_why(mask.failed)}")
        return
    on = (("image", image.grid if image else None), ("series", chosen.grid if chosen else None))
    for what, grid in on:
        if grid is not None and not fits(box_of(mask.grid), box_of(grid)):
            yield defect(DefectCode.MASK_GRID_DIFFERS, _grids("mask", mask.grid, what, grid))
            break
    values = frozenset(mask.labels)
    if values - _LABELS:
        others = ", ".join(f"{value:g}" for value in sorted(values - _LABELS)[:5])
        yield defect(DefectCode.MASK_LABELS, f"The mask holds other values than 0, 1 and 2: {others}.")
    elif values <= {0.0}:
        yield defect(DefectCode.MASK_EMPTY)
    elif not values >= {1.0, 2.0}:
        yield defect(DefectCode.MASK_LACKS_LABEL)


def check_bytes(name: str, size: int, md5: str | None, joins: Joins) -> Iterator[Defect]:
    """Yield where a file is not what a manifest of the download says of it."""
    short = PurePosixPath(name).name
    for table in ("image_manifest", "clinical_manifest"):
        for row in joins.of_file(table, name)[:1]:
            expected, digest = _number(row.get("file_size")), (row.get("md5sum") or "").lower()
            if expected is not None and expected != size:
                yield defect(DefectCode.SIZE_DIFFERS, f"{short}: {size} bytes, {table} has {expected:.0f}.")
            elif md5 is not None and digest and digest != md5:
                yield defect(DefectCode.MD5_DIFFERS, f"{short}: its MD5 is not that of {table}.")


def _studies_differ(at: SeriesPlace, chosen: SeriesFacts, rows: SeriesRows) -> bool:
    named = {row.get("study_uid") for row in rows.rows["image_manifest"]} | {at.study_uid}
    return not named <= {None, chosen.study_uid}


def _sagittal(grid: Grid) -> bool:
    return closest_axes(grid.affine)[0][0] == 0


def _grids(one: str, grid: Grid, other: str, of_other: Grid) -> str:
    """Say how two grids differ."""
    shapes = ["x".join(map(str, each.shape)) for each in (grid, of_other)]
    if sorted(grid.shape) != sorted(of_other.shape):
        return f"The {one} has {shapes[0]} voxels, the {other} {shapes[1]}."
    centres = [each.to_lps_mm((np.array(each.shape) - 1) / 2) for each in (grid, of_other)]
    apart = float(((centres[0] - centres[1]) ** 2).sum() ** 0.5)
    return f"The {one} does not lie on the {other}: their centres are {apart:.1f} mm apart, or they are turned."


def _why(error: InputError | None) -> str:
    return "" if error is None else f"({error.code})"


def _number(text: str | None) -> float | None:
    try:
        number = math.nan if text is None else float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _apart(one: float | None, other: float | None, least: float) -> bool:
    return one is not None and other is not None and abs(one - other) >= least
