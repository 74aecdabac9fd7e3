"""The driver: gives items to workers and hears what became of them. All that it knows is in the ledger as well."""

import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from distributed import CancelledError, KilledWorker

from node.batch.runner.batch import Batch, occupied
from node.batch.runner.cluster import connected, threads_of_worker
from node.batch.runner.ledger import LedgerWriter, Record, State
from node.batch.runner.options import RunOptions
from node.batch.runner.pending import Pending, Try
from node.batch.runner.report import BatchReport, Moment, Tally
from node.batch.runner.standing import Standings, read_standings
from node.batch.runner.tables import write_tables
from node.batch.runner.task import Task, WorkItem
from node.batch.runner.worker import WORKER_DIED, Answer, Site, release, run
from node.errors import BatchInterrupted, NodeError, unexpected

#: How long the driver waits for an answer before it looks whether the scheduler and its workers are there.
_LOOK_S = 2.0
#: How long Dask's own thread may take for what it has in memory.
_ANSWER_S = 60.0
#: Cases in a row that fail in a way that may pass: then it is not the cases.
_MOST_FAILURES = 20
#: How often Dask may give up an item that no claim knows of, before it is taken for what ends the workers.
_MOST_DROPPED = 3


def run_batch(
    items: Iterable[WorkItem],
    task: Task,
    out: Path,
    options: RunOptions,
    tell: Callable[[Moment], None] = lambda _moment: None,
) -> BatchReport:
    """Do `task` for every one of `items` that the ledger at `out` does not settle, and write the tables over all.

    `items` is asked for one item at a time. Shards write no tables (`write_tables` does, once they are through). What
    ends this process, or any other, at any moment, loses at most the one case that each worker has in hand.

    Raises BatchInterrupted where another driver works on the same, the scheduler stays away, or one case after the
    other fails; SettingsError where `out` holds the results of another task; InputError for a key that is none; what
    `task.ready` raises; SystemFailed, JournalDamaged and OSError of the ledger.
    """
    digest = task.digest
    with occupied(out, digest, options.shard, anew=options.anew) as batch:
        begun_s = time.monotonic()
        standings = read_standings(out, digest)
        driver = _Driver(items, _site(task, out, batch, options), options, standings, tell)
        driver.run()
        report = driver.tally.report(time.monotonic() - begun_s, standings.damaged)
        del standings
        if options.shard is None:
            write_tables(out)
        return report


def _site(task: Task, out: Path, batch: Batch, options: RunOptions) -> Site:
    return Site(
        out=out.resolve(),
        batch=batch.name,
        session=secrets.token_hex(4),
        task=task,
        digest=batch.task,
        attempts=options.attempts,
        threads=threads_of_worker(options),
        devices=options.devices if options.local else (),
    )


class _Lost(Exception):
    """The connection to the scheduler is gone."""


class _Driver:
    """One run. A window of items is with the scheduler at a time: two a worker, and two."""

    def __init__(
        self,
        items: Iterable[WorkItem],
        site: Site,
        options: RunOptions,
        standings: Standings,
        tell: Callable[[Moment], None],
    ) -> None:
        self.tally = Tally()
        self._site = site
        self._options = options
        self._tell = tell
        self._pending = Pending(items, standings, options, self.tally)
        self._writer = LedgerWriter(site.out)
        self._flying: dict[str, Try] = {}
        self._futures: dict[str, Any] = {}
        self._landed: SimpleQueue[Any] = SimpleQueue()
        #: How often Dask gave up an item.
        self._dropped: Counter[str] = Counter()
        self._failures = 0
        self._numbers = 0
        self._workerless_since_s: float | None = None

    def run(self) -> None:
        """Run until every item has ended, over as many connections as it takes."""
        first = self._pending.next()
        while first is not None:
            self._pending.give_back(first)
            # What died with the last connection died through no fault of the cases.
            self._site = replace(self._site, session=f"session-{secrets.token_hex(4)}")
            with contextlib.suppress(_Lost), connected(self._options) as client:
                try:
                    self._drive(client)
                finally:
                    self._take_back()
                client.run(release, self._site.batch, on_error="ignore")  # a worker that is gone holds nothing
            first = self._pending.next()
        self._writer.close()

    def _take_back(self) -> None:
        """Take back the items that are with a connection that ends; the scheduler drops those that none has begun."""
        flying, self._flying = self._flying, {}
        self._futures = {}
        self._landed = SimpleQueue()
        for task in flying.values():
            self._pending.give_back(task)

    def _drive(self, client: Any) -> None:
        landed = self._landed
        client.subscribe_topic(self._site.session, lambda event: landed.put(event[1]))
        looked_s = self._look(client)
        self._fill(client)
        while self._flying:
            with contextlib.suppress(Empty):
                self._land(self._landed.get(timeout=_LOOK_S))
            if time.monotonic() - looked_s > _LOOK_S:
                looked_s = self._look(client)
            self._fill(client)

    def _look(self, client: Any) -> float:
        """Count the workers; return when. Raises _Lost, or BatchInterrupted where there are none for too long."""
        if client.status != "running":
            raise _Lost
        try:
            self.tally.workers = len(client.nthreads())
        except (OSError, TimeoutError, CancelledError) as error:
            raise _Lost from error
        now_s = time.monotonic()
        if self.tally.workers:
            self._workerless_since_s = None
        elif self._workerless_since_s is None:
            self._workerless_since_s = now_s
        elif now_s - self._workerless_since_s > self._options.patience_s:
            raise BatchInterrupted("the scheduler has no workers; the same command goes on once it has some")
        return now_s

    def _fill(self, client: Any) -> None:
        """Let the scheduler have as many items as the window holds."""
        while len(self._flying) < 2 * self.tally.workers + 2 and (task := self._pending.next()) is not None:
            self._numbers += 1
            request = f"case-{self._site.session}-{self._numbers}"
            future = client.submit(run, self._site, task.item, task.attempt, request, key=request, pure=False)
            self._flying[request], self._futures[request] = task, future
            future.add_done_callback(self._landed.put)

    def _land(self, landed: Any) -> None:
        """Hear the answer about an item, an event; or that Dask is through with it, its future, after the answer."""
        if isinstance(landed, dict):
            task = self._flying.pop(landed["request"], None)
            if task is not None:
                record = Record.parse(landed["record"])
                self._hear(task, Answer(record=record, executed=landed["executed"], trouble=landed["trouble"]))
            return
        self._futures.pop(landed.key, None)
        error = _error_of(landed)
        task = self._flying.pop(landed.key, None)
        if task is None:
            return
        if isinstance(error, KilledWorker):
            self._given_up(task)
        elif error is not None:
            raise error
        else:  # the answer was lost on its way, and is asked for again
            self._pending.give_back(task)

    def _given_up(self, task: Try) -> None:
        """Run an item once more that Dask has given up; after a few times it has failed."""
        key = task.item.key
        self._dropped[key] += 1
        if self._dropped[key] < _MOST_DROPPED:
            self._pending.give_back(task)
            return
        record = Record(
            key=key,
            state=State.FAILED,
            task=self._site.digest,
            attempt=task.attempt,
            final=True,
            code=WORKER_DIED,
            reason="every worker that was given the case ended before it could begin",
            worker=self._writer.name,
            at=time.time(),
            mark=task.item.mark,
        )
        self._writer.append(record)
        self._hear(task, Answer(record=record, executed=True, trouble=True))

    def _hear(self, task: Try, answer: Answer) -> None:
        """Count an answer. Raises BatchInterrupted when one case after the other fails."""
        record = answer.record
        if answer.executed:
            self.tally.executed(record)
        if record.state is State.FAILED and not record.final:
            self._pending.give_back(replace(task, attempt=task.attempt + 1))
        else:
            self.tally.ended(record)
        self._tell(self.tally.moment(record))
        self._failures = self._failures + 1 if answer.trouble else 0
        if self._failures == _MOST_FAILURES:
            raise BatchInterrupted(
                f"{_MOST_FAILURES} runs in a row failed, so it is not the cases: {record.code}: {record.reason}"
            )


def _error_of(future: Any) -> Exception | None:
    """Return what a future has failed with: KilledWorker, or an error that is no item's fault. Raises _Lost."""
    if future.status == "finished":
        return None
    if future.status != "error":
        raise _Lost
    error: Exception = future.exception(timeout=_ANSWER_S)
    return error if isinstance(error, KilledWorker | NodeError) else unexpected(error)
