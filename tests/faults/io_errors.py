"""EIO and ENOSPC at every call to the disk, once and from then on: the node says so or ends, and goes on after."""

import contextlib
import itertools
import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from faults import scorecard, strace
from faults.forks import Gone, Process, Raised
from faults.kill import PHASES, Bench, bench
from faults.stage import Instance, Sent, send

_ERRORS = ("EIO", "ENOSPC")
#: With one of these failing from the first call on, nothing can be durable, and nothing may be acknowledged.
_NEEDED = ("fsync", "fdatasync", "pwrite64", "rename")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The `when`-th `call` of any thread fails in `phase`, and with `onward` every later one."""

    phase: str
    call: str
    when: int
    error: str
    onward: bool

    @property
    def inject(self) -> str:
        """As strace wants it."""
        return f"{self.call}:error={self.error}:when={self.when}{'+' if self.onward else ''}"


@dataclass(slots=True)
class _Life:
    """What became of a node that met the fault."""

    port: int = 0
    sent: list[Sent] = field(default_factory=list)
    #: Whether it still runs, and can be expected to go on.
    alive: bool = False
    wrong: list[str] = field(default_factory=list)


def points(made: Bench) -> list[Point]:
    """Return every point that an undisturbed run passes."""
    found = []
    for phase in PHASES:
        log = made.work / f"count-io-{phase}.log"
        made.archive.clear()
        with made.template.process() as process:
            _live(made, process, phase, made.folder(), "", log)
        for call, times in sorted(strace.counted(log).items()):
            found += [
                Point(phase=phase, call=call, when=when, error=error, onward=onward)
                for when, error, onward in itertools.product(range(1, times + 1), _ERRORS, (True, False))
            ]
    return found


def try_point(made: Bench, point: Point) -> tuple[int, list[str]]:
    """Let the disk fail at one point, end the fault, finish; return how many calls failed, and what is wrong."""
    made.archive.clear()
    state_dir = made.folder()
    log = state_dir.with_suffix(".log")
    made.operator = point.onward
    with made.template.process() as process:
        life = _live(made, process, point.phase, state_dir, point.inject, log)
        promised = [sent.instance for sent in life.sent if sent.status == 0]
        lacking = [instance for instance in made.instances if instance not in promised]
        wrong = life.wrong + [f"unknown answer 0x{sent.status:04X}" for sent in life.sent if not _is_known(sent.status)]
        if life.alive:
            wrong += _go_on(made, process, life.port, state_dir, promised, lacking)
    if not life.alive:
        wrong += made.finish(state_dir, promised, lacking)
    shutil.rmtree(state_dir)
    return strace.injected(log), wrong


def deny(made: Bench, call: str, error: str) -> list[str]:
    """Let one call fail from the first on while the node listens, and return what it acknowledged all the same."""
    state_dir = made.folder()
    with made.template.process() as process:
        port = process.ask("open", state_dir=str(state_dir), archive_port=made.archive.port)
        with strace.tracing(process.pid, state_dir.with_suffix(".log"), f"{call}:error={error}:when=1+", strace.DISK):
            sent = send(port, made.instances)
    return [f"acknowledged while {call} fails: {one.instance.uid}" for one in sent if one.status == 0]


def _live(made: Bench, process: Process, phase: str, state_dir: Path, inject: str, log: Path) -> _Life:
    """Run the node with a fault in one phase, and end the fault."""
    life = _Life()
    with contextlib.ExitStack() as traced:
        try:
            if phase == "receive":
                traced.enter_context(strace.tracing(process.pid, log, inject, strace.DISK))
            life.port = process.ask("open", state_dir=str(state_dir), archive_port=made.archive.port)
            life.sent = send(life.port, made.instances)
            if phase == "work":
                traced.enter_context(strace.tracing(process.pid, log, inject, strace.DISK))
                process.ask("finish")
            life.alive = process.ask("hello")
        except Raised as error:
            if not error.clean:
                life.wrong.append(f"no clean end: {error}")
        except Gone as error:
            life.wrong.append(f"no clean end: {error}")
    return life


def _go_on(
    made: Bench, process: Process, port: int, state_dir: Path, promised: list[Instance], lacking: list[Instance]
) -> list[str]:
    told = [instance.promised for instance in promised]
    try:
        return made.go_on(process, port, state_dir, told, lacking)
    except (Gone, Raised) as error:
        return [f"does not go on after the fault: {error}"]


def _is_known(status: int) -> bool:
    """Success, or out of resources, or cannot understand (PS3.4 B.2.3), or processing failure (PS3.7 C.5.8)."""
    return status == 0 or 0xA700 <= status < 0xA800 or 0xC000 <= status < 0xD000 or status == 0x0110


def sample(found: list[Point], number: int, seed: int) -> list[Point]:
    """Return `number` points, of every phase, call and kind of fault as many as can be."""
    chooser = random.Random(seed)
    heaps: dict[tuple[object, ...], list[Point]] = {}
    for point in found:
        heaps.setdefault((point.phase, point.call, point.onward), []).append(point)
    mixed = [chooser.sample(heap, len(heap)) for heap in heaps.values()]
    chooser.shuffle(mixed)
    in_turn = [point for turn in itertools.zip_longest(*mixed) for point in turn if point is not None]
    return in_turn[:number]


def run(work: Path | None, seed: int, number: int = 0) -> list[str]:
    """Try `number` points, all for 0, record the figures, and return what is wrong."""
    begun = time.monotonic()
    wrong: list[str] = []
    hit: Counter[str] = Counter()
    failed_calls = 0
    with bench(work) as made:
        found = points(made)
        for point in sample(found, number or len(found), seed):
            times, told = try_point(made, point)
            hit[f"{point.phase} {point.call}"] += bool(times)
            failed_calls += times
            wrong += [f"{point}: {line}" for line in told]
        for call, error in itertools.product(_NEEDED, _ERRORS):
            wrong += deny(made, call, error)
            hit[f"nothing but {call}"] += 1
    scorecard.record(
        "io-errors",
        title="EIO and ENOSPC at every call to the disk, once and from then on",
        points=hit.total(),
        unit="points",
        faults=len(wrong),
        controls="-",
        seed=seed,
        duration_s=time.monotonic() - begun,
        command="PYTHONPATH=.:tests python -m faults --only io-errors",
        proves="A node whose disk fails answers out of resources, waits, or ends with an error of its own;"
        " what it acknowledged is there; when the disk is well again the same process goes on, or a"
        " new one does, and the archive holds the two results once.",
        limits="Errors that come late, as of a write that is cached; the power cut covers what a failed"
        " fsync leaves. A fault that outlasts all attempts of a case leaves it in quarantine, and an"
        " operator's retry or reprocess is then part of the run.",
        cases_that_an_operator_had_to_retry=made.operated,
        distinct_points=len(found),
        calls_that_failed=failed_calls,
        points_by_call=dict(sorted(hit.items())),
        what_was_wrong=sorted(set(wrong))[:20],
    )
    return wrong
