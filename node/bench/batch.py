"""A batch on this machine: workers against one worker, what a case costs besides the pipeline, memory over many cases.

The cases are generated necks of one size under UIDs of their own, as classic MR series in folders. Every run is a whole
batch in a new folder: scan, Dask, engines, results, ledger, tables. A rate is taken without the start of the engines:
for each worker the cases after its first over the time they took, and the sum of these over the workers.
"""

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.batch.runner.ledger import Record, State
from node.batch.runner.options import RunOptions
from node.batch.runner.report import BatchReport, Moment
from node.batch.runner.run import run_batch
from node.batch.runner.segmenting import SegmentTask
from node.batch.sources.paths import found_at
from node.bench.figures import summary
from node.bench.machine import describe_machine
from node.bench.processes import resident_bytes, tree
from node.demo.source import write_series
from node.errors import SystemFailed
from node.segment.bundle import Bundle
from node.settings import Settings
from node.train.phantom import generate

#: (slices, rows, columns) of a small series and their distances in mm: one tile of the starter.
SHAPE = (9, 104, 104)
SPACING_MM = (4.0, 1.4, 1.4)

_SEED = 300_011
_MIB = 1 << 20
#: Memory is compared after this share of the cases with memory at the end: by then every buffer has had its size.
_SETTLED = 0.1
_LOOKS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchBench:
    """What is measured: `cases` in each run that is timed, of each number of workers `repetitions` times."""

    bundle: Bundle
    settings: Settings
    cases: int
    repetitions: int
    workers: int
    memory_cases: int
    step: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One batch."""

    report: BatchReport
    #: Cases an hour, without the start of the engines.
    rate: float
    #: Bytes of all that the batch left, and of its ledger.
    bytes_left: int
    ledger_bytes: int


def measure_batch(bench: BatchBench) -> dict[str, Any]:
    """Measure, and return the document that is printed and kept. Raises SystemFailed when a case fails."""
    with tempfile.TemporaryDirectory(prefix="cspine-bench-batch-") as scratch_name:
        scratch = Path(scratch_name)
        bench.step(f"writing {max(bench.cases, bench.memory_cases)} series")
        trees = _write_trees(scratch, bench)
        rows: dict[int, list[_Run]] = {1: [], bench.workers: []}
        for number in range(bench.repetitions):
            for workers, runs in rows.items():
                bench.step(f"run {number + 1} of {bench.repetitions}, workers: {workers}")
                runs.append(_run(bench, trees["timed"], scratch / "out", workers, lambda _moment: None))
        bench.step(f"memory over {bench.memory_cases} cases")
        memory = _memory(bench, trees["memory"], scratch / "out")
    ratios = [many.rate / one.rate for one, many in zip(rows[1], rows[bench.workers], strict=True)]
    return {
        "machine": describe_machine(None),
        "bundle": bench.bundle.name,
        "shape": list(SHAPE),
        "cases": bench.cases,
        "workers": bench.workers,
        "rates_per_hour": {str(workers): summary([run.rate for run in runs]) for workers, runs in rows.items()},
        "speed_up": summary(ratios),
        "efficiency": round(summary(ratios)["median"] / bench.workers, 4),
        "besides_the_pipeline_ms": {
            str(workers): summary([run.report.overhead_s * 1000 for run in runs]) for workers, runs in rows.items()
        },
        "stages_ms": _stages_ms(rows[bench.workers]),
        "kilobytes_left_a_case": round(rows[1][0].bytes_left / bench.cases / 1000, 1),
        "ledger_bytes_a_case": round(rows[1][0].ledger_bytes / bench.cases, 1),
        "memory": memory,
    }


def batch_text(document: dict[str, Any]) -> str:
    """Return the document as lines for a reader."""
    workers, memory = str(document["workers"]), document["memory"]
    rates, besides = document["rates_per_hour"], document["besides_the_pipeline_ms"]
    lines = [
        f"cases an hour: {rates['1']['median']:.0f} with one worker, {rates[workers]['median']:.0f} with {workers}",
        f"speed-up {document['speed_up']['median']:.2f}, {document['efficiency']:.2f} of the number of workers",
        f"besides the pipeline: {besides['1']['median']:.1f} ms a case with one worker, "
        f"{besides[workers]['median']:.1f} ms with {workers}",
        f"left on the disk: {document['kilobytes_left_a_case']:.0f} kB a case, "
        f"ledger {document['ledger_bytes_a_case']:.0f} bytes",
        f"memory of the largest worker: {memory['settled_mib']:.0f} MiB after {memory['settled_after']} cases, "
        f"{memory['last_mib']:.0f} MiB after {memory['cases']}",
    ]
    return "\n".join(lines)


def _write_trees(scratch: Path, bench: BatchBench) -> dict[str, Path]:
    """Write the series once; the timed batches see the first of them."""
    phantom = generate(_SEED, shape=SHAPE, spacing_mm=SPACING_MM)
    trees = {"timed": scratch / "timed", "memory": scratch / "memory"}
    for number in range(max(bench.cases, bench.memory_cases)):
        name = f"{number:06d}"
        write_series(phantom.image, phantom.grid, trees["memory"] / name, name=f"batch {name}")
        if number < bench.cases:
            (trees["timed"] / name).parent.mkdir(exist_ok=True)
            shutil.copytree(trees["memory"] / name, trees["timed"] / name, copy_function=os.link)
    return trees


def _run(bench: BatchBench, tree_of_series: Path, out: Path, workers: int, tell: Callable[[Moment], None]) -> _Run:
    """Run a batch of everything below a folder on `workers` processes of one thread each, and delete what it left."""
    records: list[Record] = []

    def heard(moment: Moment) -> None:
        if moment.record is not None:
            records.append(moment.record)
        tell(moment)

    task = SegmentTask.of(bench.settings, bench.bundle.folder, all_series=False)
    try:
        with found_at([tree_of_series]) as found:
            report = run_batch(found.items(), task, out, RunOptions(workers=workers, threads=1), heard)
        if bad := [record for record in records if record.state is not State.DONE]:
            raise SystemFailed(f"a case of the benchmark ended as {bad[0].state.value}: {bad[0].code}")
        return _Run(report=report, rate=_rate(records), bytes_left=_bytes(out), ledger_bytes=_bytes(out / "ledger"))
    finally:
        shutil.rmtree(out, ignore_errors=True)


def _rate(records: list[Record]) -> float:
    """Return cases an hour. Raises SystemFailed where a worker had fewer than two."""
    ends: dict[str, list[float]] = defaultdict(list)
    for record in records:
        ends[record.worker].append(record.at)
    if any(len(times) < 2 for times in ends.values()):
        raise SystemFailed("too few cases: a worker had only one")
    return sum((len(times) - 1) / (max(times) - min(times)) for times in ends.values()) * 3600


def _stages_ms(runs: list[_Run]) -> dict[str, float]:
    """Return what a case took by stage, in ms, over all runs."""
    total: dict[str, float] = defaultdict(float)
    executions = sum(run.report.executions for run in runs)
    for run in runs:
        for name, seconds in run.report.stages_s.items():
            total[name] += seconds
    return {name: round(seconds / executions * 1000, 1) for name, seconds in total.items()}


def _memory(bench: BatchBench, tree_of_series: Path, out: Path) -> dict[str, Any]:
    """Return the resident memory of the workers, each with its engine, over many cases."""
    looks: list[tuple[int, int]] = []
    every = max(1, bench.memory_cases // _LOOKS)

    def look(moment: Moment) -> None:
        if moment.record is not None and moment.done % every == 0:
            looks.append((moment.done, max(_worker_bytes(), default=0)))

    _run(bench, tree_of_series, out, bench.workers, look)
    settled = next(look for look in looks if look[0] >= _SETTLED * bench.memory_cases)
    return {
        "cases": looks[-1][0],
        "settled_after": settled[0],
        "settled_mib": round(settled[1] / _MIB, 1),
        "last_mib": round(looks[-1][1] / _MIB, 1),
        "looks": [[done, round(size / _MIB, 1)] for done, size in looks],
    }


def _worker_bytes() -> Iterator[int]:
    """Yield for each child of this process the resident memory of it and of all below it."""
    children = list(tree(os.getpid()))[1:]
    below = {pid: list(tree(pid)) for pid in children}
    inner = {member for pid, members in below.items() for member in members if member != pid}
    for pid in children:
        if pid not in inner:
            yield sum(resident_bytes(member) for member in below[pid])


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
