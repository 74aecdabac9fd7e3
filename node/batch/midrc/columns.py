"""What the tables and the files say of an exam, as columns for people and for `--where`."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from node.batch.midrc.exam import Cell
from node.batch.midrc.images import ImageFacts
from node.batch.midrc.joins import OF_SERIES, Joins, SeriesRows
from node.batch.midrc.series import SeriesFacts, in_tesla
from node.batch.midrc.tables import Row, typed
from node.domain.geometry import Grid

#: Columns of the manifest itself; a table's column of such a name always carries the table's in front.
OWN = (
    "key",
    "patient_id",
    "study_uid",
    "series_uid",
    "dicom",
    "image",
    "mask",
    "annotation",
    "image_matched_by",
    "mask_matched_by",
    "defects",
)
#: Names that `--where` knows besides.
DERIVED = ("expert", "weak", "has_dicom", "has_image", "has_mask", "complete")
#: What the headers say where the table does not.
FROM_DICOM = ("manufacturer", "magnetic_field_strength", "slice_thickness")
#: Those that are numbers, however a table writes them: in T and in mm.
_QUANTITIES = ("magnetic_field_strength", "slice_thickness")
_QUANTITY = re.compile(r"([0-9]+[.,]?[0-9]*|[.,][0-9]+) *(?:t|tesla|g|gauss|mm)?", re.IGNORECASE)

_OF_HEADERS = (
    "dicom.series_uid",
    "dicom.instances",
    "dicom.mr_acquisition_type",
    "dicom.manufacturer",
    "dicom.manufacturer_model_name",
    "dicom.magnetic_field_strength",
    "dicom.slice_thickness",
)
_MANUFACTURERS = {"ge": "GE", "general electric": "GE", "siemens": "Siemens", "philips": "Philips"}


class Columns:
    """Gives the columns of each exam: the same ones for all exams of a download."""

    def __init__(self, joins: Joins) -> None:
        self._typed = {name: typed(joins.table(name)) for name in OF_SERIES}
        of_series = self._typed["mr_series"]
        #: Quantities that the table does not write as plain numbers everywhere; its words stay beside them.
        self._spelt = [
            name for name in _QUANTITIES if any(isinstance(cell, str) for cell in of_series.get(name, {}).values())
        ]
        columns = {name: joins.table(name).columns for name in OF_SERIES}
        often = Counter(column for of_table in columns.values() for column in of_table)
        self._names = {
            (table, column): column if often[column] == 1 and column not in (*OWN, *DERIVED) else f"{table}.{column}"
            for table, of_table in columns.items()
            for column in of_table
        }

    def of(
        self, rows: SeriesRows, annotation: Sequence[Row], series: SeriesFacts | None, image: ImageFacts | None
    ) -> Mapping[str, Cell]:
        """Return the columns of an exam; None where nothing is said. `annotation`: the rows of its mask."""
        cells: dict[str, Cell] = {}
        for (table, column), name in self._names.items():
            found = annotation if table == "annotation_file" else rows.rows[table]
            texts = {row[column] for row in (found if table == "image_manifest" else found[:1])}
            text = texts.pop() if len(texts) == 1 else None
            cells[name] = self._typed[table][column][text]
        cells |= _of_dicom(series) | _of_image(image)
        if "manufacturer" in cells:
            cells["mr_series.manufacturer"] = cells["manufacturer"]
        for name in self._spelt:
            said = cells[name]
            cells[f"mr_series.{name}"] = said if isinstance(said, str) else None
        cells |= {name: _quantity(cells.get(name)) for name in _QUANTITIES}
        for name in FROM_DICOM:
            if cells.get(name) is None:
                cells[name] = cells[f"dicom.{name}"]
        cells["manufacturer"] = plain_manufacturer(cells["manufacturer"])
        cells["magnetic_field_strength"] = in_tesla(_quantity(cells["magnetic_field_strength"]))
        return cells


def plain_manufacturer(said: Cell) -> str | None:
    """Return a manufacturer as one name, however it is written: GE, Siemens, Philips, or as it is.

    >>> plain_manufacturer("GE MEDICAL SYSTEMS"), plain_manufacturer("SIEMENS")
    ('GE', 'Siemens')
    """
    if not isinstance(said, str):
        return None
    text = said.strip().lower()
    return next(
        (plain for name, plain in _MANUFACTURERS.items() if text == name or text.startswith(f"{name} ")), said.strip()
    )


def _quantity(said: Cell) -> float | None:
    """Return what a cell such as "1,5 T" says as a number, None where it says none."""
    if isinstance(said, float):
        return said
    found = _QUANTITY.fullmatch(said.strip()) if isinstance(said, str) else None
    return float(found[1].replace(",", ".")) if found else None


def _of_dicom(series: SeriesFacts | None) -> dict[str, Cell]:
    cells: dict[str, Cell] = dict.fromkeys(_OF_HEADERS)
    if series is not None:
        scanner = series.scanner
        said: tuple[Cell, ...] = (
            series.series_uid,
            float(series.instances),
            series.acquisition,
            scanner.manufacturer,
            scanner.model,
            scanner.field_strength_t,
            scanner.slice_thickness_mm,
        )
        cells = dict(zip(_OF_HEADERS, said, strict=True))
    return cells | _of_grid("dicom", ("slices", "rows", "columns"), None if series is None else series.grid)


def _of_image(image: ImageFacts | None) -> dict[str, Cell]:
    return _of_grid("image", ("axis_0", "axis_1", "axis_2"), None if image is None else image.grid)


def _of_grid(of: str, axes: Sequence[str], grid: Grid | None) -> dict[str, Cell]:
    """Return shape, spacing in mm and orientation, each axis in the order in which it is stored."""
    shape: tuple[float | None, ...] = (None, None, None) if grid is None else grid.shape
    spacing: tuple[float | None, ...] = (None, None, None) if grid is None else grid.spacing_mm
    cells: dict[str, Cell] = {}
    for axis, size, apart in zip(axes, shape, spacing, strict=True):
        cells[f"{of}.{axis}"] = None if size is None else float(size)
        cells[f"{of}.{axis}_apart_mm"] = None if apart is None else round(apart, 4)
    cells[f"{of}.orientation"] = None if grid is None else grid.orientation()
    return cells
