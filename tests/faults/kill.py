"""SIGKILL at every system call of receive, encode and send."""

import contextlib
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults import scorecard, strace
from faults.forks import Gone, Process, Raised, Template
from faults.stage import Archive, Instance, archive, data_sets, send, series

PHASES = ("receive", "work")


@dataclass(slots=True)
class Bench:
    """What all points of a harness share."""

    template: Template
    archive: Archive
    work: Path
    instances: list[Instance]
    #: What the archive holds when all has gone well: the data sets' digests by UID.
    wanted: dict[str, set[str]] = field(default_factory=dict)
    operator: bool = False
    operated: int = 0
    _process: Process | None = None
    _number: int = 0

    def folder(self) -> Path:
        """Return a new empty folder for the state of one point."""
        self._number += 1
        made = self.work / f"point-{self._number:06d}"
        made.mkdir()
        return made

    def process(self) -> Process:
        """Return a process that is used again and again."""
        if self._process is None:
            self._process = self.template.fork()
        return self._process

    def replace_process(self) -> None:
        """End the process that is used again and again; the next one is new."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def finish(self, state_dir: Path, acknowledged: list[Instance], lacking: list[Instance]) -> list[str]:
        """Recover in a new process, send it what the sender still has, let it finish, and return what is wrong."""
        promised = [instance.promised for instance in acknowledged]
        with self.template.process() as process:
            try:
                return self._finish(process, state_dir, promised, lacking)
            except (Gone, Raised) as error:
                return [f"the recovering process failed: {error}"]

    def _finish(self, process: Process, state_dir: Path, promised: list[Any], lacking: list[Instance]) -> list[str]:
        port = process.ask("open", state_dir=str(state_dir), archive_port=self.archive.port, listen=bool(lacking))
        return self.go_on(process, port, state_dir, promised, lacking)

    def go_on(
        self, process: Process, port: int, state_dir: Path, promised: list[Any], lacking: list[Instance]
    ) -> list[str]:
        """Send an open node what lacks, let it finish, and return what is wrong. Raises Gone or Raised.

        With `operator` he tries a case again whose attempts are spent; `operated` counts how often he had to.
        """
        everything = data_sets(self.instances)
        wrong = list(process.ask("check", state_dir=str(state_dir), acknowledged=promised, data_sets=everything))
        if lacking:
            answers = [sent.status for sent in send(port, lacking)]
            if answers != [0] * len(lacking):
                wrong.append(f"after recovery the node answers {answers}")
        met = process.ask("finish")
        states = process.ask("states", state_dir=str(state_dir))
        if self.operator and "quarantined" in states:
            self.operated += 1
            process.ask("retry")
            met = process.ask("finish")
            states = process.ask("states", state_dir=str(state_dir))
        if met or states.count("delivered") != 1 or set(states) - {"delivered", "superseded", "rejected"}:
            wrong.append(f"the case does not end: {states}, {met}")
        wrong += [f"a thread ended: {name}" for name in process.ask("threads")]
        process.ask("close")
        return wrong + self.archive.wrong(self.wanted)


@contextlib.contextmanager
def bench(work: Path | None = None) -> Iterator[Bench]:
    """Set the stage: archive, template, instances, and what one undisturbed run brings to the archive."""
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=work))
    template = Template()  # before any thread of this process
    try:
        with archive() as kept:
            made = Bench(template=template, archive=kept, work=folder, instances=series(folder / "series"))
            wrong = made.finish(made.folder(), [], made.instances)
            made.wanted = {uid: set(digests) for uid, digests in kept.stored.items()}
            assert len(made.wanted) == 2, (wrong, made.wanted)
            try:
                yield made
            finally:
                made.replace_process()
    finally:
        template.close()
        shutil.rmtree(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Kill at the `when`-th `call` of any thread, during `phase`."""

    phase: str
    call: str
    when: int

    @property
    def inject(self) -> str:
        """As strace wants it."""
        return f"{self.call}:signal=KILL:when={self.when}"


def points(made: Bench) -> list[Point]:
    """Return every point that an undisturbed run passes."""
    found = []
    for phase in PHASES:
        log = made.work / f"count-{phase}.log"
        made.archive.clear()
        _disturb(made, made.folder(), phase, "", log)
        counts = strace.counted(log)
        found += [Point(phase=phase, call=call, when=n + 1) for call in sorted(counts) for n in range(counts[call])]
    return found


def try_point(made: Bench, point: Point, variant: str = "") -> tuple[bool, list[str]]:
    """Kill at one point, recover, finish; return whether the process was killed, and what is wrong after."""
    made.archive.clear()
    state_dir = made.folder()
    killed, acknowledged = _disturb(made, state_dir, point.phase, point.inject, state_dir.with_suffix(".log"), variant)
    lacking = [instance for instance in made.instances if instance not in acknowledged]
    wrong = made.finish(state_dir, acknowledged, lacking)
    shutil.rmtree(state_dir)
    return killed, wrong


def _disturb(
    made: Bench, state_dir: Path, phase: str, inject: str, log: Path, variant: str = ""
) -> tuple[bool, list[Instance]]:
    """Run the node with a fault in one phase; return whether it died, and what the sender was promised."""
    acknowledged: list[Instance] = []
    with made.template.process() as process, contextlib.ExitStack() as traced:
        try:
            if phase == "receive":
                traced.enter_context(strace.tracing(process.pid, log, inject))
            port = process.ask("open", state_dir=str(state_dir), archive_port=made.archive.port, variant=variant)
            acknowledged += [sent.instance for sent in send(port, made.instances) if sent.status == 0]
            if phase == "receive":
                process.ask("hello")
                return False, acknowledged
            traced.enter_context(strace.tracing(process.pid, log, inject))
            process.ask("finish")
        except Gone:
            return True, acknowledged
    return False, acknowledged


def sample(found: list[Point], number: int, seed: int) -> list[Point]:
    """Return `number` points, of every phase and call as many as can be."""
    chooser = random.Random(seed)
    by_call: dict[tuple[str, str], list[Point]] = {}
    for point in found:
        by_call.setdefault((point.phase, point.call), []).append(point)
    heaps = [chooser.sample(heap, len(heap)) for heap in by_call.values()]
    chooser.shuffle(heaps)
    chosen: list[Point] = []
    while heaps and len(chosen) < number:
        chosen += [heap.pop() for heap in heaps][: number - len(chosen)]
        heaps = [heap for heap in heaps if heap]
    return chosen


def run(work: Path | None, seed: int, number: int = 0) -> list[str]:
    """Kill at every point until `number` kills have hit, record the figures, and return what is wrong."""
    begun = time.monotonic()
    wrong: list[str] = []
    hit: Counter[str] = Counter()
    missed = 0
    with bench(work) as made:
        found = points(made)
        rounds = 0
        while hit.total() < number or rounds == 0:
            rounds += 1
            most = len(found) if rounds == 1 else number - hit.total()
            for point in sample(found, most, seed + rounds):
                killed, told = try_point(made, point)
                hit[f"{point.phase} {point.call}"] += killed
                missed += not killed
                wrong += [f"{point}: {line}" for line in told]
        noticed = caught(made, found)
    scorecard.record(
        "kill",
        title="SIGKILL at every system call",
        points=hit.total(),
        unit="kills",
        faults=len(wrong),
        controls=f"{int(noticed)} of 1",
        seed=seed,
        duration_s=time.monotonic() - begun,
        command="PYTHONPATH=.:tests python -m faults --only kill",
        proves="Whatever call of receive, encode and send is the last one of a process, what was"
        " acknowledged is there after a restart, the case ends, and the archive holds its two results"
        " once, byte for byte those of an undisturbed run.",
        limits="A killed process leaves the kernel's page cache whole; that is what the power cut is for. A"
        " thread other than the busiest meets a point only when it makes as many calls.",
        distinct_points=len(found),
        not_reached_in_that_run=missed,
        kills_by_call=dict(sorted(hit.items())),
        what_was_wrong=sorted(set(wrong))[:20],
    )
    return wrong if noticed else [*wrong, "the control new-uid was not caught"]


def caught(made: Bench, found: list[Point]) -> bool:
    """Return whether a node that sends under new UIDs is noticed when it is killed while it sends."""
    sending = [point for point in found if point.phase == "work" and point.call == "recvfrom"]
    middle = len(sending) / 2 + 0.5  # after the first object is stored, before the last is recorded
    for point in sorted(sending, key=lambda point: abs(point.when - middle)):
        killed, told = try_point(made, point, "new-uid")
        if killed and any("duplicate result" in line for line in told) and not any("lacks" in line for line in told):
            return True
    return False
