"""Batches on workers of this machine, and on a scheduler that others started."""

import csv
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from batchrig import cluster, driver
from batchwork import Toy, begun, ended, items, names, ready

from node.batch.runner.batch import read_batch
from node.batch.runner.cluster import connected
from node.batch.runner.options import RunOptions
from node.batch.runner.report import Moment
from node.batch.runner.run import run_batch
from node.batch.runner.standing import Standings, read_standings
from node.batch.runner.task import WorkItem
from node.errors import BatchInterrupted, InputError, SettingsError

LOCAL = RunOptions(workers=2)
DEEDS = {
    "case-0002": "input",
    "case-0003": "engine",
    "case-0005": "once",
    "case-0007": "refuse",
    "case-0011": "kill",
}


def ledger(out: Path) -> Standings:
    """What the ledger says."""
    return read_standings(out, read_batch(out).task)


def rows(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a table, by key."""
    with path.open(newline="") as file:
        return {row["key"]: row for row in csv.DictReader(file, delimiter="\t")}


def test_a_batch_ends_with_every_case_in_the_ledger_and_the_tables(tmp_path: Path) -> None:
    """Some fail for good, for a while or by ending their worker, and one is refused; what failed is run again alone."""
    toy, out = Toy(notes=tmp_path / "notes", deeds=DEEDS), tmp_path / "out"
    moments: list[Moment] = []
    report = run_batch(items(30), toy, out, LOCAL, moments.append)
    assert (report.done, report.refused, report.failed, report.earlier) == (26, 1, 3, 0)
    # Two tries of two cases; the one that kills is not begun a fourth time, which is a run without work.
    assert ledger(out).executions == 32
    # What a worker had said when it was killed may not have reached the driver: the ledger alone knows all.
    assert 29 <= report.executions <= 32
    assert moments[-1].done + moments[-1].refused + moments[-1].failed == 30
    assert Counter(begun(toy.notes))["case-0011"] == 3
    assert max(Counter(ended(toy.notes)).values()) == 1
    cases = rows(out / "cases.tsv")
    assert Counter(row["state"] for row in cases.values()) == {"done": 26, "refused": 1, "failed": 3}
    failures = rows(out / "failures.tsv")
    assert {key: (row["code"], row["reason"]) for key, row in failures.items()} == {
        "case-0002": ("input-error", "a slice is missing"),
        "case-0003": ("engine-error", "the network failed"),
        "case-0011": ("worker-died", "the worker's process ended each time while it held the case"),
    }
    # A model a worker, and one for each worker that was killed.
    assert len(ready(toy.notes)) <= 2 + 3
    assert {line.split()[1] for line in ready(toy.notes)} == {"0", "1"}

    again = run_batch(items(30), toy, out, LOCAL)
    assert (again.executions, again.earlier, again.workers) == (0, 30, 0)
    mended = replace(toy, deeds={"case-0003": "engine"})
    last = run_batch(items(30), mended, out, replace(LOCAL, only_failed=True))
    assert (last.done, last.failed, last.earlier, last.executions) == (2, 1, 27, 4)
    assert ledger(out).counts() == {"done": 28, "refused": 1, "failed": 1}


def test_workers_keep_the_memory_that_the_next_layer_of_a_network_takes() -> None:
    """Dask's own setting of malloc(3) cost a third of the time of a case."""
    with connected(LOCAL) as client:
        set_by_dask = client.run(lambda: [name for name in os.environ if name.startswith("MALLOC_")])
    assert list(set_by_dask.values()) == [[], []]


def test_a_window_of_items_is_held_however_many_there_are(tmp_path: Path) -> None:
    """Two a worker and two, besides what has ended."""
    toy = Toy(notes=tmp_path / "notes")
    ahead = []

    def told() -> Iterator[WorkItem]:
        for number, item in enumerate(items(60)):
            ahead.append(number - len(ended(toy.notes)))
            yield item

    run_batch(told(), toy, tmp_path / "out", LOCAL)
    assert len(ended(toy.notes)) == 60
    assert max(ahead) <= 6


def test_one_failure_after_the_other_stops_a_batch(tmp_path: Path) -> None:
    toy = Toy(notes=tmp_path / "notes", deeds=dict.fromkeys(names(100), "engine"))
    with pytest.raises(BatchInterrupted, match="20 runs in a row failed, so it is not the cases: engine-error"):
        run_batch(items(100), toy, tmp_path / "out", LOCAL)
    assert len(begun(toy.notes)) < 40


def test_what_stops_the_input_stops_the_batch_and_loses_nothing(tmp_path: Path) -> None:
    """As Ctrl-C and SIGTERM do, which are exceptions too."""
    toy, out = Toy(notes=tmp_path / "notes"), tmp_path / "out"

    def broken() -> Iterator[WorkItem]:
        yield from items(10)
        raise InputError("the disk is gone")

    with pytest.raises(InputError, match="the disk is gone"):
        run_batch(broken(), toy, out, LOCAL)
    kept = len(ledger(out).by_key)
    report = run_batch(items(12), toy, out, LOCAL)
    assert (report.done, report.earlier) == (12 - kept, kept)
    assert ledger(out).executions == 12


def test_another_task_in_the_same_folder_is_refused_before_anything_runs(tmp_path: Path) -> None:
    run_batch([], Toy(notes=tmp_path / "notes"), tmp_path / "out", LOCAL)
    other = Toy(notes=tmp_path / "notes", version="2")
    with pytest.raises(SettingsError, match="another task"):
        run_batch(items(3), other, tmp_path / "out", LOCAL)
    assert begun(tmp_path / "notes") == []


def test_a_scheduler_that_does_not_answer_is_waited_for_and_then_named(tmp_path: Path) -> None:
    options = RunOptions(scheduler_file=tmp_path / "nowhere.json", patience_s=0.0)
    with pytest.raises(BatchInterrupted, match="does not answer; the same command goes on"):
        run_batch(items(3), Toy(notes=tmp_path / "notes"), tmp_path / "out", options)


@pytest.mark.slow
def test_kills_of_worker_scheduler_and_driver_lose_no_case_and_repeat_none(tmp_path: Path) -> None:
    out, notes = tmp_path / "out", tmp_path / "notes"
    deeds = {
        "case-0003": "kill worker-0",
        "case-0006": "kill driver",
        "case-0010": "kill scheduler",
        "case-0014": "kill driver",
        "case-0017": "kill worker-1",
    }
    file = str(tmp_path / "scheduler.json")
    drivers = 0
    with cluster(tmp_path, notes) as kept:
        while True:
            drivers += 1
            process = driver(out, notes, count=24, deeds=deeds, rounds=100, scheduler_file=file)
            output, complaint = process.communicate()
            if process.returncode == 0:
                break
            assert process.returncode == -9, complaint.decode()
        assert kept["scheduler"].starts == 2
    assert drivers == 3
    standings = ledger(out)
    assert sorted(standings.by_key) == names(24)
    assert standings.executions == 24
    assert sorted(set(ended(notes))) == names(24)
    # A kill may fall between the results of a case and its line in the ledger: it is then done once more.
    assert len(ended(notes)) - 24 <= 2 + 2
    # Each kill of a worker costs the case it held; those of others may cost one a worker.
    assert len(begun(notes)) - 24 <= 2 + 2
    assert json.loads(output)["damaged_lines"] == []


@pytest.mark.slow
def test_a_killed_driver_takes_its_own_workers_along_and_the_next_goes_on(tmp_path: Path) -> None:
    out, notes = tmp_path / "out", tmp_path / "notes"
    arguments = {"count": 12, "deeds": {"case-0005": "kill driver"}, "rounds": 50}
    process = driver(out, notes, **arguments)
    process.communicate()
    assert process.returncode == -9
    process = driver(out, notes, **arguments)
    output, complaint = process.communicate()
    assert process.returncode == 0, complaint.decode()
    assert json.loads(output)["earlier"] + json.loads(output)["done"] == 12
    assert ledger(out).executions == 12
    assert os.path.lexists(out / "cases.parquet")
