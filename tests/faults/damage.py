"""Sixteen bytes of the journal changed at random: noticed, or harmless; and a journal made anew from the spool."""

import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from faults import scorecard
from faults.forks import Gone, Raised
from faults.full_disk import others
from faults.kill import Bench, bench
from faults.stage import Instance, send
from faults.subject import JOURNAL

_BYTES = 16
#: How many of the journals that are found damaged are made anew.
_REBUILT_OF = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A sound state folder: what was acknowledged, and the dump of the journal."""

    state_dir: Path
    held: list[Instance]
    dump: dict[str, str]


def base(made: Bench, *, killed: bool) -> Base:
    """Make a state folder with a delivered case and an open series: closed in order, or left by a killed process."""
    made.archive.clear()
    state_dir = made.folder() / "state"
    with made.template.process() as process:
        port = process.ask("open", state_dir=str(state_dir), archive_port=made.archive.port)
        send(port, made.instances)
        process.ask("finish")
        late = others(made, random.Random(0), 1)
        sent = send(port, late)
        assert [answer.status for answer in sent] == [0]
        dump = process.ask("dump", state_dir=str(state_dir))
        if not killed:
            process.ask("close")
    return Base(state_dir=state_dir, held=[*made.instances, *late], dump=dump)


def try_flip(made: Bench, base: Base, chooser: random.Random) -> tuple[str, list[str]]:
    """Change bytes of a copy; return what the node makes of them, and what is wrong with that."""
    folder = made.folder()
    copy = folder / "state"
    shutil.copytree(base.state_dir, copy)
    sizes = {path: path.stat().st_size for path in (copy / JOURNAL, copy / f"{JOURNAL}-wal") if path.exists()}
    path = chooser.choices(list(sizes), weights=list(sizes.values()))[0]
    content = bytearray(path.read_bytes())
    at = chooser.randrange(len(content) - _BYTES)
    content[at : at + _BYTES] = bytes(byte ^ chooser.randrange(1, 256) for byte in content[at : at + _BYTES])
    path.write_bytes(content)
    told = [instance.promised for instance in base.held]
    try:
        with made.template.process() as process:
            found = str(process.ask("judge_journal", state_dir=str(copy), sound=base.dump, acknowledged=told))
    except (Gone, Raised) as error:
        return "crash", [f"{path.suffix} at {at}: {error}"]
    where = "log" if path.name.endswith("-wal") else "file"
    wrong = [f"{where} at {at}: {found}"] if found.startswith("unseen") else []
    if found.startswith("noticed") and chooser.random() < 1 / _REBUILT_OF:
        wrong += _ask(made, "rebuild", copy, base.held)
        found += ", rebuilt"
    elif "without a row" in found:
        found += (
            ", taken back by the sweep" if not _ask(made, "sweep_later", copy, base.held) else ", left by the sweep"
        )
    shutil.rmtree(folder)
    return f"{where}: {found}", wrong


def _ask(made: Bench, remedy: str, state_dir: Path, held: list[Instance]) -> list[str]:
    """Return what the journal lacks after a remedy."""
    told = [instance.promised for instance in held]
    try:
        with made.template.process() as process:
            return list(process.ask(remedy, state_dir=str(state_dir), acknowledged=told))
    except (Gone, Raised) as error:
        return [f"{remedy} fails: {error}"]


def quick(made: Bench, seed: int, flips: int) -> list[str]:
    """Change a few journals, and return what is wrong."""
    chooser = random.Random(seed)
    bases = [base(made, killed=killed) for killed in (False, True)]
    return [line for flip in range(flips) for line in try_flip(made, bases[flip % 2], chooser)[1]]


def run(work: Path | None, seed: int, number: int = 0) -> list[str]:
    """Change `number` journals, record the figures, and return what is wrong."""
    begun = time.monotonic()
    wrong: list[str] = []
    found: Counter[str] = Counter()
    chooser = random.Random(seed)
    flips = number or 20
    with bench(work) as made:
        bases = [base(made, killed=killed) for killed in (False, True)]
        for flip in range(flips):
            what, told = try_flip(made, bases[flip % 2], chooser)
            found[what] += 1
            wrong += told
    scorecard.record(
        "damage",
        title="Sixteen bytes of the journal changed at random",
        points=flips,
        unit="journals",
        faults=len(wrong),
        controls="-",
        seed=seed,
        duration_s=time.monotonic() - begun,
        command="PYTHONPATH=.:tests python -m faults --only damage",
        proves="A journal whose rows are not what was written is refused when it is opened, when the row is"
        " read, or by the check; else its rows are those of the sound one. A journal made anew from"
        " the spool knows every acknowledged instance.",
        limits="Damage that somebody makes on purpose: seals are digests, not signatures. A write-ahead log"
        " that a killed process left ends where it is damaged, and SQLite goes on without the rest: the check names"
        " the received files whose rows are gone, the start of the node does not look for them.",
        outcomes=dict(sorted(found.items())),
        what_was_wrong=sorted(set(wrong))[:20],
    )
    return wrong
