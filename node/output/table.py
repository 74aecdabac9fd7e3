"""Findings as `measurements.tsv`: one row a measurement, for spreadsheets and statistics.

    structure         "C5", "C5-C6" (fused bodies), "C5/C6" (a disc), "vertebral_body 3" where the level is unknown,
                      "C4 on C5" (two neighbours), "vertebral_body total", "cervical spine"
    kind              vertebral_body, intervertebral_disc, pair, total, curvature
    level             the same where it is known: "C5", "C5/C6"; of a pair the disc's between the two
    quantity, value, unit    such as volume, 3127.25, mm3 (UCUM); values are not rounded
    level_confidence  0 to 1; of a pair that of the less sure name
    truncated         whether the field of view cuts it: true or false

What does not apply to a row is empty.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields

from node.domain.findings import Findings, Measures, Pair, Quantity, Structure


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement; the columns are the fields."""

    structure: str
    kind: str
    level: str
    quantity: str
    value: float
    unit: str
    level_confidence: float | None = None
    truncated: bool | None = None


def name_of(structure: Structure) -> str:
    """Return the name of a structure's level, or its kind and place from the head where nobody knows the level."""
    return structure.level.name if structure.level else f"{structure.kind.value} {structure.ordinal}"


def measurement_rows(findings: Findings) -> tuple[Row, ...]:
    """Return every measurement: of the structures from the head, of neighbours, totals, of the whole neck."""
    structures = {found.label: found for found in findings.structures}
    rows: list[Row] = []
    for found in findings.structures:
        rows.extend(_rows_of_structure(found))
    for pair in findings.pairs:
        rows.extend(_rows_of_pair(pair, structures))
    rows.extend(
        Row(
            structure=f"{kind.value} total",
            kind="total",
            level="",
            quantity=Quantity.VOLUME.key,
            value=volume,
            unit=Quantity.VOLUME.unit,
        )
        for kind, volume in findings.class_volume_mm3.items()
    )
    rows.extend(
        Row(structure="cervical spine", kind="curvature", level="", quantity=key, value=value, unit=unit)
        for key, value, unit in _values(findings.curvature)
    )
    return tuple(rows)


def measurements_tsv(findings: Findings) -> str:
    """Return `measurements.tsv`: a line of column names, then one for each row, fields parted by tabs."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(field.name for field in fields(Row))
    writer.writerows([_cell(value) for value in astuple(row)] for row in measurement_rows(findings))
    return text.getvalue()


def _rows_of_structure(found: Structure) -> Iterator[Row]:
    for key, value, unit in _values({Quantity.VOLUME: found.volume_mm3, **found.measures}):
        yield Row(
            structure=name_of(found),
            kind=found.kind.value,
            level=found.level.name if found.level else "",
            quantity=key,
            value=value,
            unit=unit,
            level_confidence=found.level_confidence,
            truncated=found.truncated,
        )


def _rows_of_pair(pair: Pair, structures: Mapping[int, Structure]) -> Iterator[Row]:
    upper, lower = structures[pair.upper], structures[pair.lower]
    for key, value, unit in _values(pair.measures):
        yield Row(
            structure=f"{name_of(upper)} on {name_of(lower)}",
            kind="pair",
            level=f"{upper.level.last}/{lower.level.first}" if upper.level and lower.level else "",
            quantity=key,
            value=value,
            unit=unit,
            level_confidence=min(upper.level_confidence, lower.level_confidence),
            truncated=upper.truncated or lower.truncated,
        )


def _values(measures: Measures) -> Iterator[tuple[str, float, str]]:
    for quantity, value in measures.items():
        yield quantity.key, value, quantity.unit


def _cell(value: str | float | bool | None) -> str:
    """Return a field as text; `repr` of a float is the shortest that reads back as the same number."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(float(value)) if isinstance(value, float) else str(value)
