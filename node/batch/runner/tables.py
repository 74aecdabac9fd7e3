"""The tables over all cases, made anew from the ledger and the folders of the cases, a chunk at a time.

    OUT/cases.{parquet,tsv}           a row for each case that has ended
    OUT/measurements.{parquet,tsv}    a row for each measurement of each case that is done (`node.output.table`)
    OUT/failures.tsv                  a row for each case that failed, with its reason

Rows are in the order of the keys. A case that the ledger calls done and whose measurements are not as they were written
has the state "missing", and stands among the failures.
"""

import csv
import io
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from node.batch.runner.batch import read_batch
from node.batch.runner.folder import case_folder
from node.batch.runner.ledger import Record, State
from node.batch.runner.locks import held
from node.batch.runner.standing import read_standings
from node.durable import GrowingFile
from node.output.table import Row

MISSING = "missing"

_CHUNK = 4 << 20
_KINDS: dict[Any, Any] = {str: pa.string(), float: pa.float64(), float | None: pa.float64(), bool | None: pa.bool_()}
_CASES = {
    "key": pa.string(),
    "state": pa.string(),
    "verdict": pa.string(),
    "code": pa.string(),
    "reason": pa.string(),
    "attempt": pa.int32(),
    "bodies": pa.int32(),
    "discs": pa.int32(),
    "seconds": pa.float64(),
    "pipeline_seconds": pa.float64(),
    "ended_at": pa.string(),
    "worker": pa.string(),
}
_MEASUREMENTS = {"key": pa.string(), **{field.name: _KINDS[field.type] for field in fields(Row)}}
_FAILURES = {name: _CASES[name] for name in ("key", "state", "code", "reason", "attempt", "ended_at", "worker")}
#: The first line of `measurements.tsv`.
_HEADER = "\t".join(field.name for field in fields(Row)) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class TablesReport:
    """How many rows the tables have, and how many cases of each state."""

    cases: int
    measurements: int
    failures: int
    states: dict[str, int]


def write_tables(out: Path) -> TablesReport:
    """Write the tables of the batch at `out`; each replaces the earlier one when it is whole.

    Raises InputError where there is no batch, JournalDamaged, OSError, BatchInterrupted.
    """
    states: Counter[str] = Counter()
    with ExitStack() as stack:
        stack.enter_context(held(out, "tables", wait=True))
        standings = read_standings(out, read_batch(out).task)
        cases = stack.enter_context(_Table(out, "cases", _CASES))
        measurements = stack.enter_context(_Table(out, "measurements", _MEASUREMENTS))
        failures = stack.enter_context(_Table(out, "failures", _FAILURES, parquet_too=False))
        for record in standings.records():
            row = _case_row(record)
            if record.state is State.DONE:
                measured = _measured(case_folder(out, record.key), record)
                if measured is None:
                    row |= {"state": MISSING, "code": "results-missing", "reason": "its measurements are not there"}
                else:
                    measurements.add(measured, rows=len(measured.splitlines()))
            states[str(row["state"])] += 1
            cases.add_row(row)
            if row["state"] in {State.FAILED.value, MISSING}:
                failures.add_row(row)
    return TablesReport(cases=cases.rows, measurements=measurements.rows, failures=failures.rows, states=dict(states))


def _case_row(record: Record) -> dict[str, Any]:
    returned = record.returned
    return {
        "key": record.key,
        "state": record.state.value,
        "verdict": returned.get("verdict"),
        "code": record.code,
        "reason": record.reason,
        "attempt": record.attempt,
        "bodies": returned.get("bodies"),
        "discs": returned.get("discs"),
        "seconds": round(record.seconds, 3),
        "pipeline_seconds": returned.get("pipeline_s"),
        "ended_at": datetime.fromtimestamp(record.at, UTC).isoformat(timespec="seconds"),
        "worker": record.worker,
    }


def _measured(folder: Path, record: Record) -> str | None:
    """Return the lines of a case's measurements, its key in front of each; none for a task that measures nothing.

    None where there are not as many as the record says.
    """
    rows = record.returned.get("rows")
    if rows is None:
        return ""
    try:
        with (folder / "measurements.tsv").open(encoding="utf-8", newline="") as file:
            if file.readline() != _HEADER:
                return None
            lines = file.readlines()
    except FileNotFoundError:
        return None
    return "".join(f"{record.key}\t{line}" for line in lines) if len(lines) == rows else None


class _Table:
    """A table that grows, as TSV and as Parquet; both come of the same text. Kept at the end of `with`."""

    def __init__(self, out: Path, name: str, columns: dict[str, Any], *, parquet_too: bool = True) -> None:
        self.rows = 0
        self._columns = columns
        self._tsv, self._tsv_path = GrowingFile(out), out / f"{name}.tsv"
        self._parquet = GrowingFile(out) if parquet_too else None
        self._parquet_path = out / f"{name}.parquet"
        self._writer: Any = None
        self._chunk = io.StringIO()
        self._cells = csv.writer(self._chunk, delimiter="\t", lineterminator="\n")

    def __enter__(self) -> Self:
        """Begin with the names of the columns."""
        self._tsv.write(("\t".join(self._columns) + "\n").encode())
        if self._parquet is not None:
            sink = pa.PythonFile(_Sink(self._parquet), mode="w")
            self._writer = parquet.ParquetWriter(sink, pa.schema(list(self._columns.items())), compression="zstd")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Replace the earlier table, or leave it after an error."""
        try:
            if error is None:
                self._flush()
            if self._writer is not None:
                self._writer.close()
            if error is None:
                self._tsv.keep(self._tsv_path)
                if self._parquet is not None:
                    self._parquet.keep(self._parquet_path)
        finally:
            self._tsv.discard()
            if self._parquet is not None:
                self._parquet.discard()

    def add_row(self, cells: dict[str, Any]) -> None:
        """Add a row; cells of other columns are left out. Tabs and line ends become spaces."""
        values = (cells[name] for name in self._columns)
        self._cells.writerow(" ".join(value.split()) if isinstance(value, str) else value for value in values)
        self._grown(1)

    def add(self, text: str, *, rows: int) -> None:
        """Add rows as lines of TSV."""
        self._chunk.write(text)
        self._grown(rows)

    def _grown(self, rows: int) -> None:
        self.rows += rows
        if self._chunk.tell() >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        data = self._chunk.getvalue().encode()
        self._chunk.seek(0)
        self._chunk.truncate()
        if not data:
            return
        self._tsv.write(data)
        if self._writer is not None:
            self._writer.write_table(
                arrow_csv.read_csv(
                    pa.BufferReader(data),
                    read_options=arrow_csv.ReadOptions(column_names=list(self._columns), use_threads=False),
                    parse_options=arrow_csv.ParseOptions(delimiter="\t"),
                    convert_options=arrow_csv.ConvertOptions(column_types=self._columns, null_values=[""]),
                )
            )


class _Sink(io.RawIOBase):
    """A growing file as Arrow writes to one."""

    def __init__(self, file: GrowingFile) -> None:
        super().__init__()
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Append `data`."""
        self._file.write(memoryview(data))
        return len(data)

    def tell(self) -> int:
        return self._file.size
