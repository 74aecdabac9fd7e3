"""The tables: one truth in two forms, as the ledger and the folders have it."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
from pyarrow import parquet

from node.batch.runner import tables
from node.batch.runner.batch import occupied
from node.batch.runner.folder import case_folder
from node.batch.runner.ledger import LedgerWriter, Record, State
from node.output.table import Row

TASK = "a" * 64
HEADER = "\t".join(field.name for field in dataclasses.fields(Row))
LINES = [
    "C5\tvertebral_body\tC5\tvolume\t3127.25\tmm3\t0.9\tfalse",
    "cervical spine\tcurvature\t\tlordosis_cobb\t-12.5\tdeg\t\t",
]


def batch(out: Path, cases: dict[str, State], rows: int = 2) -> None:
    """A batch of these cases; those that are done have two measurements, and the ledger says `rows`."""
    writer = LedgerWriter(out)
    with occupied(out, TASK, None, anew=False):
        for number, (key, state) in enumerate(cases.items()):
            returned = {}
            if state is State.DONE:
                folder = case_folder(out, key)
                folder.mkdir(parents=True)
                (folder / "measurements.tsv").write_text("\n".join([HEADER, *LINES, ""]))
                returned = {"verdict": "good", "bodies": 7, "discs": 6, "rows": rows, "pipeline_s": 2.5}
            writer.append(
                Record(
                    key=key,
                    state=state,
                    task=TASK,
                    attempt=1,
                    final=True,
                    at=1_800_000_000.0 + number,
                    code="" if state is State.DONE else "slice-gap",
                    reason="" if state is State.DONE else 'a "slice"\nis\tmissing',
                    worker=writer.name,
                    seconds=3.25,
                    returned=returned,
                )
            )
    writer.close()


def both(out: Path, name: str) -> pd.DataFrame:
    """A table as Parquet has it, which TSV has as well."""
    found = pd.read_parquet(out / f"{name}.parquet")
    text = pd.read_csv(out / f"{name}.tsv", sep="\t", keep_default_na=False, na_values={"level_confidence": ""})
    assert list(text.columns) == list(found.columns)
    assert len(text) == len(found)
    assert list(text["key"]) == list(found["key"])
    return found


def test_cases_and_measurements_are_in_the_order_of_the_keys(tmp_path: Path) -> None:
    batch(tmp_path, {"b": State.DONE, "c": State.FAILED, "a": State.DONE, "d": State.REFUSED})
    report = tables.write_tables(tmp_path)
    assert report == tables.TablesReport(
        cases=4, measurements=4, failures=1, states={"done": 2, "failed": 1, "refused": 1}
    )
    cases = both(tmp_path, "cases")
    assert list(cases["key"]) == ["a", "b", "c", "d"]
    assert list(cases["reason"]) == ["", "", 'a "slice" is missing', 'a "slice" is missing']
    assert list(cases["bodies"].fillna(0)) == [7, 7, 0, 0]
    assert cases["ended_at"][1] == "2027-01-15T08:00:00+00:00"
    measurements = both(tmp_path, "measurements")
    assert list(measurements["key"]) == ["a", "a", "b", "b"]
    assert list(measurements["value"]) == [3127.25, -12.5, 3127.25, -12.5]
    assert list(measurements["truncated"][:2]) == [False, None]
    assert measurements["level_confidence"].isna().tolist() == [False, True, False, True]
    [header, failure] = (tmp_path / "failures.tsv").read_text().splitlines()
    assert header.split("\t")[:4] == ["key", "state", "code", "reason"]
    assert failure.split("\t")[:3] == ["c", "failed", "slice-gap"]


@pytest.mark.parametrize("harm", ["gone", "short", "other columns"])
def test_a_case_whose_measurements_are_not_there_is_called_missing(tmp_path: Path, harm: str) -> None:
    batch(tmp_path, {"a": State.DONE, "b": State.DONE})
    path = case_folder(tmp_path, "a") / "measurements.tsv"
    if harm == "gone":
        path.unlink()
    else:
        path.write_text(f"{HEADER}\n{LINES[0]}\n" if harm == "short" else "\n".join(["x", *LINES, ""]))
    report = tables.write_tables(tmp_path)
    assert report.states == {"missing": 1, "done": 1}
    assert (report.measurements, report.failures) == (2, 1)
    assert list(both(tmp_path, "cases")["state"]) == ["missing", "done"]


def test_tables_are_written_a_chunk_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch(tmp_path, {f"case-{number:03}": State.DONE for number in range(40)})
    monkeypatch.setattr(tables, "_CHUNK", 500)
    tables.write_tables(tmp_path)
    assert len(both(tmp_path, "measurements")) == 80
    assert parquet.ParquetFile(tmp_path / "measurements.parquet").num_row_groups > 5


def test_tables_of_a_batch_without_cases_have_columns_only(tmp_path: Path) -> None:
    batch(tmp_path, {})
    assert tables.write_tables(tmp_path).cases == 0
    assert list(both(tmp_path, "cases").columns)[:3] == ["key", "state", "verdict"]
    assert len(both(tmp_path, "measurements")) == 0


def test_an_earlier_table_is_replaced_as_a_whole(tmp_path: Path) -> None:
    batch(tmp_path, {"a": State.DONE})
    tables.write_tables(tmp_path)
    tables.write_tables(tmp_path)
    assert len(both(tmp_path, "cases")) == 1
    assert not list(tmp_path.glob(".*.part"))
