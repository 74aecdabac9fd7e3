"""What a worker does with an item: once, however often and by whomever it is asked."""

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distributed import get_worker

from node import log
from node.batch.runner.claim import Claim
from node.batch.runner.folder import case_folder
from node.batch.runner.ledger import LedgerWriter, Record, State
from node.batch.runner.task import Task, Work, WorkerPlace, WorkItem
from node.errors import NodeError, SettingsError, SystemFailed, unexpected

WORKER_DIED = "worker-died"
INPUT_CHANGED = "input-changed"
#: Failures in a row that may pass, after which a worker makes its task ready anew.
_TROUBLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all items of a driver have in common. It is pickled to the workers."""

    out: Path
    #: `Batch.name`.
    batch: str
    #: Of the driver and its connection.
    session: str
    task: Task
    #: Of the task, as the driver has it.
    digest: str
    #: How often an item is tried whose error may pass.
    attempts: int
    #: CPU threads of a worker; 0: all that its machine has for it.
    threads: int
    #: CUDA devices, one for each worker by its number; empty where the workers' own site has shared them out.
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a worker says about an item."""

    record: Record
    #: False where an earlier run had done it.
    executed: bool
    #: Whether it failed in a way that may pass: perhaps through no fault of the item's.
    trouble: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An item, which try it is, from 1, and who asks: a word of its own for each time."""

    item: WorkItem
    attempt: int
    request: str


class _Held:
    """What this worker holds ready: one task at a time, and its file of the ledger."""

    def __init__(self, site: Site) -> None:
        self.identity = (site.out, site.batch, site.digest)
        self.writer = LedgerWriter(site.out)
        #: When the last item was answered, on the monotonic clock.
        self.free_since_s: float | None = None
        self._site = site
        self._stack = ExitStack()
        self._work: Work | None = None
        self._failures = 0

    def work(self) -> Work:
        """Return what does the items, made ready with the first one. Raises NodeError."""
        if self._work is None:
            place = _place(self._site)
            if self._site.devices:
                os.environ["CUDA_VISIBLE_DEVICES"] = self._site.devices[place.index % len(self._site.devices)]
            self._work = self._stack.enter_context(_ready(self._site, place))
        return self._work

    def note(self, *, trouble: bool) -> None:
        """Make all ready anew after several items in a row whose error may be the worker's own."""
        self._failures = self._failures + 1 if trouble else 0
        if self._failures == _TROUBLES:
            self._failures, self._work = 0, None
            self._stack.close()

    def close(self) -> None:
        self._work = None
        self._stack.close()
        self.writer.close()


class _Bench:
    """The one thing held in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held: _Held | None = None

    def held_for(self, site: Site) -> _Held:
        if self.held is not None and self.held.identity != (site.out, site.batch, site.digest):
            self.clear()
        if self.held is None:
            self.held = _Held(site)
        return self.held

    def clear(self) -> None:
        if self.held is not None:
            held, self.held = self.held, None
            held.close()


_BENCH = _Bench()


def run(site: Site, item: WorkItem, attempt: int, request: str) -> None:
    """Do one item and tell the driver, as the task that Dask runs.

    The answer goes as an event, through the scheduler: a result would wait for its driver in the memory of a worker
    that may die. Raises what `do` raises.
    """
    log.configure(level="warning", key=None)  # to standard error, as the driver's
    answer = do(site, item, attempt, request)
    told = {"request": request, "record": answer.record.json(), "executed": answer.executed, "trouble": answer.trouble}
    get_worker().log_event(site.session, told)


def do(site: Site, item: WorkItem, attempt: int, request: str) -> Answer:
    """Do one item and write into the ledger what became of it, results first.

    The same `request` is answered once, with the same record; so is every one for an item that is done.

    What it raises is not the item's fault: NodeError of a task that cannot be made ready here, SystemFailed where the
    ledger or the folder of the case cannot be written.
    """
    with _BENCH.lock:
        held = _BENCH.held_for(site)
        try:
            with Claim(case_folder(site.out, item.key), site.session) as claim:
                return _claimed(site, held, Asked(item=item, attempt=attempt, request=request), claim)
        except OSError as error:
            raise SystemFailed(f"{site.out}: {error.strerror or type(error).__name__}") from error
        finally:
            held.free_since_s = time.monotonic()


def release(batch: str) -> None:
    """Let go of what is held for a batch, unless an item is being done. Runs on the worker."""
    if _BENCH.lock.acquire(blocking=False):
        try:
            if _BENCH.held is not None and _BENCH.held.identity[1] == batch:
                _BENCH.clear()
        finally:
            _BENCH.lock.release()


def _claimed(site: Site, held: _Held, asked: Asked, claim: Claim) -> Answer:
    item = asked.item
    record = claim.done(site.out, site.digest, item.mark) or claim.answered(site.out, asked.request)
    if record is not None:
        return Answer(record=record, executed=False, trouble=False)
    begun_s = time.monotonic()
    record = Record(
        key=item.key, state=State.FAILED, task=site.digest, attempt=asked.attempt, final=True, mark=item.mark
    )
    trouble = claim.kills()
    if trouble:
        record = replace(record, code=WORKER_DIED, reason="the worker's process ended each time while it held the case")
    else:
        claim.begin(f"{held.writer.name}.jsonl")
        work = held.work()
        _begin_anew(site, held, record, claim)
        ready_s = time.monotonic()
        idle_s = None if held.free_since_s is None else begun_s - held.free_since_s
        ended, trouble = _outcome(site, work, item, record)
        record = replace(ended, idle_s=idle_s, seconds=time.monotonic() - ready_s)
        held.note(trouble=trouble)
    record = replace(record, worker=held.writer.name, at=time.time())
    spot = held.writer.append(record)
    claim.end(spot, failed=asked.request if record.state is State.FAILED else None)
    return Answer(record=record, executed=True, trouble=trouble)


def _begin_anew(site: Site, held: _Held, record: Record, claim: Claim) -> None:
    """Delete what an earlier run left: of another model or another input, or half of it. A case that fails has none.

    What is done of another input is taken back first, so that nobody counts on what is no longer there.
    """
    if claim.done(site.out, site.digest, "") is not None:
        reason = "its input has changed; what was made of the one before is deleted"
        back = replace(record, final=False, code=INPUT_CHANGED, reason=reason, worker=held.writer.name, at=time.time())
        claim.end(held.writer.append(back), failed=INPUT_CHANGED)
        claim.begin(f"{held.writer.name}.jsonl")
    for path in case_folder(site.out, record.key).iterdir():
        if path.is_file() and not path.name.startswith("."):
            path.unlink()


def _outcome(site: Site, work: Work, item: WorkItem, record: Record) -> tuple[Record, bool]:
    """Return the record of a run, and whether it failed in a way that may pass."""
    try:
        with tempfile.TemporaryDirectory(prefix="case-", dir=_scratch()) as scratch:
            returned = work(item, Path(scratch), case_folder(site.out, item.key))
    except NodeError as error:
        failure = error
    except OSError as error:
        failure = SystemFailed(error.strerror or type(error).__name__)
    except Exception as error:  # noqa: BLE001 - one item that fails does not stop the others
        failure = unexpected(error)
    else:
        return _success(record, returned), False
    final = not failure.retryable or record.attempt >= site.attempts
    return replace(record, final=final, code=failure.code, reason=str(failure)), failure.retryable


def _success(record: Record, returned: Mapping[str, Any]) -> Record:
    reasons = returned.get("refused", ())
    if not reasons:
        return replace(record, state=State.DONE, returned=dict(returned))
    return replace(
        record,
        state=State.REFUSED,
        code=reasons[0]["code"],
        reason="; ".join(reason["text"] for reason in reasons),
        returned=dict(returned),
    )


@contextlib.contextmanager
def _ready(site: Site, place: WorkerPlace) -> Iterator[Work]:
    """Make the task ready. Raises SettingsError where this worker's software is another than the driver's."""
    if _own("name") is not None:  # a process of Dask's, which nobody has told how to log
        log.configure(level="warning", key=None)
    if site.task.digest != site.digest:
        raise SettingsError("a worker has another version of this software, or another bundle, than the driver")
    ready: AbstractContextManager[Work] = site.task.ready(place)
    with ready as work:
        yield work


def _place(site: Site) -> WorkerPlace:
    name = _own("name")
    from dask.system import cpu_count  # noqa: PLC0415 - counts what the control group leaves

    return WorkerPlace(index=name if isinstance(name, int) else 0, threads=site.threads or cpu_count())


def _scratch() -> str | None:
    """Return the worker's own scratch folder, which Dask clears after a worker that died."""
    folder = _own("local_directory")
    return folder if isinstance(folder, str) else None


def _own(attribute: str) -> object:
    """Return something of the Dask worker that we are, None outside of one."""
    try:
        return getattr(get_worker(), attribute)
    except ValueError:
        return None
