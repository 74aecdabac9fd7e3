"""Which items are to be run, asked for one by one: a million items are never held."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from node.batch.runner.folder import checked_key
from node.batch.runner.ledger import State
from node.batch.runner.options import RunOptions
from node.batch.runner.report import Tally
from node.batch.runner.standing import Standing, Standings
from node.batch.runner.task import WorkItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """An item, and which try it will be, from 1."""

    item: WorkItem
    attempt: int


class Pending:
    """The items that the ledger does not settle; first those that are given back."""

    def __init__(self, items: Iterable[WorkItem], standings: Standings, options: RunOptions, tally: Tally) -> None:
        self._standings = standings.by_key
        self._options = options
        self._tally = tally
        self._back: deque[Try] = deque()
        self._new = self._chosen(items)

    def give_back(self, task: Try) -> None:
        """Let an item be run once more."""
        self._back.append(task)

    def next(self) -> Try | None:
        """Return what is to be run next, None where there is nothing now. Raises InputError for a key that is none."""
        return self._back.popleft() if self._back else next(self._new, None)

    def _chosen(self, items: Iterable[WorkItem]) -> Iterator[Try]:
        seen: set[str] = set()
        shard = self._options.shard
        for item in items:
            key = checked_key(item.key)
            if shard is not None and not shard.has(key):
                continue
            if key in seen:
                self._tally.repeated += 1
                continue
            seen.add(key)
            attempt = self._attempt(item, self._standings.get(key))
            if attempt:
                yield Try(item=item, attempt=attempt)
            else:
                self._tally.earlier += 1

    def _attempt(self, item: WorkItem, standing: Standing | None) -> int:
        """Return which try of a case is due, 0 where none is."""
        if self._options.only_failed:
            return 1 if standing is not None and standing.state is State.FAILED else 0
        if standing is None or (item.mark and standing.mark != item.mark):
            return 1
        if standing.state is not State.FAILED or standing.final:
            return 0
        return standing.attempt + 1
