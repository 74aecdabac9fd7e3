"""Power cuts at every operation that changes the disk, under a recording file system, strict and torn."""

import itertools
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from faults import controls, scorecard
from faults.disk import Disk
from faults.forks import Gone, Raised
from faults.kill import Bench, bench
from faults.recorder import Operation, read_record, recording
from faults.stage import Instance, Sent, data_sets, send

_STATE = "state"
_ANY = frozenset({"create", "mkdir", "write", "truncate", "fsync", "fsyncdir", "rename", "link", "unlink"})
#: A cut just before one of these finds the most that is not synced.
_DECISIVE = frozenset({"fsync", "fsyncdir", "rename", "link"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """One undisturbed life of a node on the recorded disk."""

    operations: list[Operation]
    sent: list[Sent]
    taken: list[tuple[int, str, str]]


def record_life(made: Bench, seed: int, variant: str = "", *, finish: bool = True) -> Record:
    """Receive the series, in an order and over associations that the seed chooses; `finish`: close, work, send."""
    chooser = random.Random(seed)
    instances = chooser.sample(made.instances, len(made.instances))
    lanes = [instances[number::lanes_] for lanes_ in (chooser.choice((1, 1, 2, 3)),) for number in range(lanes_)]
    again = chooser.sample(instances, 2) if chooser.random() < 0.5 else []
    work = made.folder()
    made.archive.clear()
    with recording(work) as (mount, log), made.template.process() as process:
        where = {"state_dir": str(mount / _STATE), "archive_port": made.archive.port}
        port = process.ask("open", variant=variant, **where)
        sent = [*_send_abreast(port, lanes), *send(port, again)]
        if finish:
            process.ask("finish")
        process.ask("close")
    taken = list(made.archive.taken)
    operations = read_record(log)
    shutil.rmtree(work)
    return Record(operations=operations, sent=sent, taken=taken)


def _send_abreast(port: int, lanes: list[list[Instance]]) -> list[Sent]:
    found: list[list[Sent]] = [[] for _ in lanes]

    def one(number: int) -> None:
        found[number] = send(port, lanes[number])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(lanes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(itertools.chain.from_iterable(found))


def cuts(record: Record, before: Container[str] = _ANY) -> Iterator[tuple[int, Disk]]:
    """Yield the time before every operation of the kinds `before`, and the disk that has seen all until then."""
    disk = Disk()
    for operation in record.operations:
        if operation.what in before:
            yield operation.at_ns, disk
        disk.apply(operation)
    yield time.monotonic_ns(), disk


def try_cut(
    made: Bench, record: Record, cut: tuple[int, Disk], chooser: random.Random | None, *, finish: bool
) -> list[str]:
    """Cut the power, start again on what is left, and return what is wrong; `finish`: also end the case."""
    at_ns, disk = cut
    restored = made.folder() / "disk"
    disk.restore(restored, chooser)
    promised = {sent.instance.uid: sent.instance for sent in record.sent if sent.ended_ns < at_ns and sent.status == 0}
    if finish:
        made.archive.go_back(record.taken, at_ns)
        lacking = [instance for instance in made.instances if instance.uid not in promised]
        wrong = made.finish(restored / _STATE, list(promised.values()), lacking)
    else:
        wrong = _start_again(made, restored / _STATE, list(promised.values()))
    shutil.rmtree(restored.parent)
    return wrong


def _start_again(made: Bench, state_dir: Path, promised: list[Instance]) -> list[str]:
    """Open a node on what is left, look, and close it; one process does so for many cuts, until one of them fails."""
    process = made.process()
    try:
        where = {"state_dir": str(state_dir)}
        process.ask("open", archive_port=made.archive.port, listen=False, **where)
        told = [instance.promised for instance in promised]
        wrong = list(process.ask("check", acknowledged=told, data_sets=data_sets(made.instances), **where))
        process.ask("close")
    except (Gone, Raised) as error:
        made.replace_process()
        return [f"the recovering process failed: {error}"]
    return wrong


def catch(made: Bench, variant: str, seed: int, enough: int) -> tuple[int, int]:
    """Return at how many cuts a broken node is noticed, of how many, until it has been noticed often enough."""
    noticed = tried = 0
    chooser = random.Random(seed)
    record = record_life(made, seed, variant, finish=False)
    first_ns = min(sent.ended_ns for sent in record.sent)
    later = (cut for cut in cuts(record, _DECISIVE) if cut[0] > first_ns)
    for cut, model in ((cut, model) for cut in later for model in (None, chooser, chooser)):
        tried += 1
        noticed += bool(try_cut(made, record, cut, model, finish=False))
        if noticed >= enough:
            break
    return noticed, tried


def quick(made: Bench, seed: int, every: int) -> list[str]:
    """Cut at every `every`-th operation of one life, strict and torn, and return what is wrong."""
    chooser = random.Random(seed)
    record = record_life(made, seed)
    wrong = []
    for place, cut in enumerate(cuts(record)):
        if place % every == 0:
            for model in (None, chooser):
                told = try_cut(made, record, cut, model, finish=place % (4 * every) == 0)
                wrong += [f"operation {place}: {line}" for line in told]
    return wrong


def run(work: Path | None, seed: int, number: int = 0) -> list[str]:
    """Cut at every operation of as many lives as `number` cuts take, record the figures, and return what is wrong."""
    begun = time.monotonic()
    wrong: list[str] = []
    tried: Counter[str] = Counter()
    ended = 0
    with bench(work) as made:
        lives = 0
        while tried.total() < number or lives < 2:
            lives += 1
            chooser = random.Random(seed + lives)
            record = record_life(made, seed + lives)
            for place, cut in enumerate(cuts(record)):
                for name, model in (("strict", None), ("torn", chooser)):
                    finish = (place + lives) % 8 == 0
                    told = try_cut(made, record, cut, model, finish=finish)
                    wrong += [f"life {lives}, operation {place}, {name}: {line}" for line in told]
                    tried[name] += 1
                    ended += finish
        caught = {variant: catch(made, variant, seed, 10) for variant in controls.DISK}
    missed = [variant for variant, (noticed, _) in caught.items() if not noticed]
    scorecard.record(
        "power",
        title="Power cut before every operation on the disk",
        points=tried.total(),
        unit="cuts",
        faults=len(wrong),
        controls=f"{len(caught) - len(missed)} of {len(caught)}",
        seed=seed,
        duration_s=time.monotonic() - begun,
        command="PYTHONPATH=.:tests python -m faults --only power",
        proves="Whatever the disk keeps of bytes and names that were not synced, what was acknowledged"
        " before the cut is there after, and no file under a final name is torn; of every eighth cut"
        " the case is also brought to its end, and the archive holds its two results once.",
        limits="A disk that lies about its flushes; bytes that were synced and rot. The models know neither"
        " the order that a real file system keeps between files nor blocks that it relocates: they"
        " allow more than it would.",
        lives_recorded=lives,
        cuts_by_model=dict(tried),
        cuts_brought_to_the_end=ended,
        controls_noticed_at={name: f"{noticed} of the first {of}" for name, (noticed, of) in caught.items()},
        what_was_wrong=sorted(set(wrong))[:20],
    )
    return wrong + [f"the control {variant} was not caught" for variant in missed]
