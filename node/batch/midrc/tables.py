"""The tables of the download, read as text; columns and whole tables may be missing."""

import csv
import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from node.batch.midrc.defects import DefectCode, defect
from node.batch.midrc.exam import Cell, Defect

#: A row by its columns; None where the cell says nothing.
Row = Mapping[str, str | None]

#: The columns by which rows are joined or files are found, and that which tells experts' masks.
JOINED_BY: Mapping[str, tuple[str, ...]] = {
    "mr_series": ("submitter_id", "series_uid", "imaging_studies.submitter_id"),
    "imaging_study": ("submitter_id", "case_ids"),
    "case": ("submitter_id",),
    "annotation_file": ("file_name", "mr_series_files.submitter_id", "annotation_method"),
    "image_manifest": ("file_name", "series_uid", "md5sum", "file_size"),
    "clinical_manifest": ("file_name", "md5sum", "file_size"),
}

_NOTHING = frozenset({"", "nan", "null", "none", "na", "n/a", "[]"})
_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]{0,14})(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_TRUTH = {"true": True, "false": False}
#: Columns that name things: numbers among their values are no quantities.
_NAMES = re.compile(r"(^|[._])(id|ids|uid|uids|name|zip|md5sum|acl|urls|version)$")


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns in their order, and its rows."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    _indices: dict[str, dict[str, list[Row]]] = field(default_factory=dict, compare=False)

    def having(self, column: str, value: str | None) -> Sequence[Row]:
        """Return the rows that name `value` in `column`, alone or in a list; none where value or column is missing."""
        if value is None or column not in self.columns:
            return ()
        if column not in self._indices:
            index: dict[str, list[Row]] = defaultdict(list)
            for row in self.rows:
                for word in words(row[column]):
                    index[word].append(row)
            self._indices[column] = index
        return self._indices[column].get(value.lower(), ())


def words(cell: str | None) -> tuple[str, ...]:
    """Return the identifiers in a cell, in small letters: one, or a list such as "['a', 'b']".

    >>> words("['593973-000003']")
    ('593973-000003',)
    """
    if cell is None:
        return ()
    bare = cell.strip("[]{}()")
    parts = bare.split(",") if bare != cell else [bare]
    return tuple(dict.fromkeys(word.lower() for part in parts if (word := part.strip(" '\""))))


def read_table(name: str, path: Path) -> tuple[Table | None, tuple[Defect, ...]]:
    """Return the table in the file at `path`, and what is wrong with it; None where it is no table. Raises OSError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            # not quoted: one quotation mark too many would swallow the rest of the table
            lines = [line for line in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if any(line)]
    except (csv.Error, UnicodeDecodeError) as error:
        lines, why = [], type(error).__name__
    else:
        why = "nothing in it"
    if not lines:
        return None, (defect(DefectCode.TABLE_UNREADABLE, f"{name}: not tab-separated text: {why}"),)
    header = [_unquoted(cell) for cell in lines[0]]
    columns = tuple(dict.fromkeys(header))
    odd = sum(len(line) != len(header) for line in lines[1:])
    rows = tuple(_row(header, line) for line in lines[1:])
    return Table(name=name, columns=columns, rows=rows), tuple(_wrong(name, columns, odd))


def _wrong(name: str, columns: Sequence[str], odd: int) -> Iterable[Defect]:
    if odd:
        yield defect(DefectCode.TABLE_RAGGED, f"{name}: {odd} rows have fewer or more cells than there are columns.")
    for column in JOINED_BY[name]:
        if column not in columns:
            yield defect(DefectCode.COLUMN_MISSING, f"{name}: the column {column} is not there.")


def _row(header: Sequence[str], line: Sequence[str]) -> Row:
    """Return the cells of a line; of two columns of one name the first counts, a short line lacks its last cells."""
    row: dict[str, str | None] = {}
    for column, cell in itertools.zip_longest(header, line[: len(header)], fillvalue=""):
        text = _unquoted(cell)
        row.setdefault(column, None if text.lower() in _NOTHING else text)
    return row


def _unquoted(cell: str) -> str:
    text = cell.strip()
    return text[1:-1].replace('""', '"').strip() if len(text) > 1 and text[0] == text[-1] == '"' else text


def typed(table: Table) -> Mapping[str, Mapping[str | None, Cell]]:
    """Return what each text of each column stands for: a number or a truth where the whole column does, else itself.

    Identifiers stay text, and so do columns with a number that is not written plainly, such as 02139.
    """
    return {column: _typed(column, {row[column] for row in table.rows}) for column in table.columns}


def _typed(column: str, texts: set[str | None]) -> Mapping[str | None, Cell]:
    said = {text for text in texts if text is not None}
    cells: dict[str | None, Cell] = {None: None}
    if said and not _NAMES.search(column) and all(_is_number(text) for text in said):
        return cells | {text: float(text) for text in said}
    if said and all(text.lower() in _TRUTH for text in said):
        return cells | {text: _TRUTH[text.lower()] for text in said}
    return cells | {text: text for text in said}


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None and math.isfinite(float(text))
