"""Where each case stands, by the whole ledger."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from node.batch.runner.ledger import Record, Spot, State, ledger_files, read_lines, read_record
from node.errors import JournalDamaged


@dataclass(frozen=True, slots=True)
class Standing:
    """The record that counts for a case: of the latest input; what is done of it stays done; else the latest."""

    state: State
    final: bool
    attempt: int
    at: float
    #: Which file of `Standings.files`, and the first byte of the line.
    file: int
    offset: int
    #: What the input looked like, `WorkItem.mark`.
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A line of the ledger that is not as it was written."""

    file: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """The ledger as it was read."""

    out: Path
    #: Names of the files.
    files: tuple[str, ...]
    by_key: dict[str, Standing]
    #: Sound lines of this task: runs that ended.
    executions: int
    damaged: tuple[Damage, ...]

    def counts(self) -> dict[str, int]:
        """Return how many cases are in each state."""
        found = Counter(standing.state for standing in self.by_key.values())
        return {state.value: found[state] for state in State}

    def records(self) -> Iterator[Record]:
        """Yield the record that counts for each case, by key.

        Raises JournalDamaged where the ledger has changed under us, OSError where it cannot be read.
        """
        for key in sorted(self.by_key):
            standing = self.by_key[key]
            record = read_record(self.out, Spot(file=self.files[standing.file], offset=standing.offset))
            if record is None or record.key != key:
                raise JournalDamaged(f"{self.files[standing.file]}: byte {standing.offset}: the line has changed")
            yield record


def read_standings(out: Path, task: str) -> Standings:
    """Read the ledger of the results at `out`, the records of the task of digest `task`. Raises OSError.

    A million lines take some ten seconds and 300 MB. A line that begins as no record does counts as damaged.
    """
    by_key: dict[str, Standing] = {}
    several: dict[str, list[Standing]] = {}
    damaged: list[Damage] = []
    executions = 0
    wanted = task.encode("ascii")
    paths = ledger_files(out)
    for number, path in enumerate(paths):
        for offset, body in read_lines(path):
            head = None if body is None else _HEAD.match(body)
            if head is None:
                damaged.append(Damage(file=path.name, offset=offset))
                continue
            key, state, of_task, attempt, final, at, mark = head.groups(b"")
            if of_task != wanted:
                continue
            executions += 1
            name = key.decode("ascii")
            found = Standing(
                _STATES[state], final == b"true", int(attempt), float(at), number, offset, mark.decode("ascii")
            )
            known = by_key.setdefault(name, found)
            if known is not found:
                several.setdefault(name, [known]).append(found)
    by_key |= {name: _counting(runs) for name, runs in several.items()}
    return Standings(
        out=out,
        files=tuple(path.name for path in paths),
        by_key=by_key,
        executions=executions,
        damaged=tuple(damaged),
    )


def _counting(runs: Iterable[Standing]) -> Standing:
    """Return which of the runs of a case counts: the latest, but that a failure of the same input undoes nothing."""
    first, *later = sorted(runs, key=lambda run: run.at)
    counting = first
    for run in later:
        fails_again = run.state is State.FAILED and run.mark == counting.mark
        if not (fails_again and counting.state is not State.FAILED):
            counting = run
    return counting


_STATES = {state.value.encode(): state for state in State}
#: How each record begins (`Record.line`): the rest need not be read to know where a case stands.
_HEAD = re.compile(
    rb'\{"key":"([A-Za-z0-9._-]+)","state":"(done|refused|failed)","task":"([^"\\\\]+)","attempt":([0-9]+),'
    rb'"final":(true|false),"at":([0-9.]+),(?:"mark":"([0-9a-f]*)",)?'
)
