"""The rows of the tables that speak of one series, and of one file."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from node.batch.midrc.defects import DefectCode, defect
from node.batch.midrc.exam import Annotation, Defect
from node.batch.midrc.names import is_patient, is_uid, stem_of
from node.batch.midrc.tables import Row, Table, words

_NO_TABLE = Table(name="", columns=(), rows=())
#: Tables whose rows speak of a series, in the order in which their columns are given.
OF_SERIES = ("mr_series", "imaging_study", "case", "annotation_file", "image_manifest")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRows:
    """The rows of each table of `OF_SERIES` that speak of a series, and what is wrong with them."""

    rows: Mapping[str, Sequence[Row]]
    defects: tuple[Defect, ...]

    def said(self, table: str, column: str) -> str | None:
        """Return a cell of the first row of a table."""
        rows = self.rows[table]
        return rows[0].get(column) if rows else None

    @property
    def labels(self) -> frozenset[str]:
        """The names that the tables know the series by, in small letters."""
        return frozenset(word for row in self.rows["mr_series"] for word in words(row.get("submitter_id")))

    @property
    def studies(self) -> frozenset[str]:
        """The names that the tables know its study by, in small letters."""
        found = [row.get("imaging_studies.submitter_id") for row in self.rows["mr_series"]]
        return frozenset(word for cell in found for word in words(cell))

    @property
    def patients(self) -> frozenset[str]:
        """The pseudonyms of its patient, as far as the tables give any."""
        cells = [row.get("case_ids") for table in ("mr_series", "imaging_study") for row in self.rows[table]]
        cells += [row.get("cases.submitter_id") for row in self.rows["imaging_study"]]
        cells += [row.get("submitter_id") for row in self.rows["case"]]
        return frozenset(word for cell in cells for word in words(cell) if is_patient(word))


@dataclass(slots=True)
class Joins:
    """The tables, joined as far as they and their columns are there."""

    tables: Mapping[str, Table]
    _files: dict[str, dict[str, list[Row]]] = field(default_factory=dict)

    def table(self, name: str) -> Table:
        """Return a table, an empty one where it is not there."""
        return self.tables.get(name, _NO_TABLE)

    def has(self, name: str, column: str) -> bool:
        """Return whether a table is there and has the column."""
        return column in self.table(name).columns

    def series_uids(self) -> tuple[str, ...]:
        """Return the Series Instance UIDs that the tables speak of."""
        cells = [row.get("series_uid") for name in ("mr_series", "image_manifest") for row in self.table(name).rows]
        return tuple(dict.fromkeys(word for cell in cells for word in words(cell) if is_uid(word)))

    def of_series(self, series_uid: str | None, study_uid: str | None, patient: str | None) -> SeriesRows:
        """Return the rows that speak of a series, and the joins that lead nowhere.

        Where the table of the series has no column of UIDs, its submitter_id or the only row of the patient does.
        """
        defects: list[Defect] = []
        series = self._series_rows(series_uid, patient)
        studies = self._joined(series, "imaging_studies.submitter_id", "imaging_study", defects) or self.table(
            "imaging_study"
        ).having("submitter_id", study_uid)
        cases = (
            self._joined(studies, "case_ids", "case", defects)
            or self._joined(series, "case_ids", "case", [])
            or self.table("case").having("submitter_id", patient)
        )
        if series_uid is not None and not series and self.has("mr_series", "series_uid"):
            defects.append(defect(DefectCode.FILE_WITHOUT_ROW, "mr_series has no row of this series."))
        rows = {
            "mr_series": series,
            "imaging_study": studies,
            "case": cases,
            "annotation_file": (),
            "image_manifest": self.table("image_manifest").having("series_uid", series_uid),
        }
        defects += [_twice(table, rows[table]) for table in ("mr_series", "imaging_study", "case") if rows[table][1:]]
        defects += self._shared(series)
        return SeriesRows(rows=rows, defects=tuple(defects))

    def _series_rows(self, series_uid: str | None, patient: str | None) -> Sequence[Row]:
        table = self.table("mr_series")
        found = table.having("series_uid", series_uid)
        if found or "series_uid" in table.columns:
            return found
        found = table.having("submitter_id", series_uid)
        of_patient = table.having("case_ids", patient)
        return found or (of_patient if len(of_patient) == 1 else ())

    def _joined(self, rows: Sequence[Row], column: str, into: str, defects: list[Defect]) -> Sequence[Row]:
        """Return the rows of table `into` that the first of `rows` refers to."""
        if not rows or not self.has(into, "submitter_id"):
            return ()
        referred = words(rows[0].get(column))
        found = [row for word in referred for row in self.table(into).having("submitter_id", word)]
        if referred and not found:
            text = f"A {column} leads to no row of {into}."
            defects.append(defect(DefectCode.JOIN_BROKEN, text))
        return found

    def _shared(self, series: Sequence[Row]) -> Iterable[Defect]:
        """Say where the submitter_id of a series is that of another one too."""
        for word in words(series[0].get("submitter_id")) if series else ():
            uids = {row.get("series_uid") for row in self.table("mr_series").having("submitter_id", word)}
            if len(uids) > 1:
                text = "mr_series has rows of several series under one submitter_id."
                yield defect(DefectCode.ROW_TWICE, text)

    def of_file(self, table: str, name: str) -> Sequence[Row]:
        """Return the rows of a table that name a file, whatever folder they say it lies in."""
        if table not in self._files:
            index: dict[str, list[Row]] = defaultdict(list)
            for row in self.table(table).rows:
                file = row.get("file_name")
                if file is not None:
                    index[stem_of(file).lower()].append(row)
            self._files[table] = index
        return self._files[table].get(stem_of(name).lower(), ())

    def annotation_of_series(self, labels: Iterable[str]) -> Sequence[Row]:
        """Return the rows of annotation_file that refer to a series."""
        table = self.table("annotation_file")
        return [row for label in sorted(labels) for row in table.having("mr_series_files.submitter_id", label)]


def _twice(table: str, rows: Sequence[Row]) -> Defect:
    differing = sorted({column for row in rows for column in row if row[column] != rows[0][column]})
    what = f"they differ in {', '.join(differing)}" if differing else "they are the same"
    return defect(DefectCode.ROW_TWICE, f"{table} has {len(rows)} rows of it, and {what}.")


def annotation_of(rows: Sequence[Row]) -> tuple[Annotation | None, tuple[Defect, ...]]:
    """Return how a mask came about by its rows of annotation_file, and what is wrong with what they say."""
    said = {(row.get("annotation_method") or "").lower() for row in rows} - {""}
    methods = {_method(text) for text in said}
    if len(methods) > 1:
        return None, (defect(DefectCode.ANNOTATION_CONTRADICTS),)
    method = next(iter(methods), None)
    return method, () if method is not None else (defect(DefectCode.ANNOTATION_UNKNOWN),)


def _method(text: str) -> Annotation | None:
    if text.endswith("expert"):
        return Annotation.EXPERT
    return Annotation.WEAK if text.endswith("auto") else None
