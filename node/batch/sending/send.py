"""Every case of a batch that is done and that a destination does not have is sent there."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from node.batch.runner.batch import read_batch
from node.batch.runner.folder import case_folder
from node.batch.runner.ledger import LedgerWriter, Record, State
from node.batch.runner.locks import held
from node.batch.runner.standing import Standings, read_standings
from node.batch.runner.task import Source, WorkItem
from node.batch.sending.parcels import image_parcels, result_parcels
from node.batch.sending.way import Way
from node.deliver.destination import Answer, Parcel
from node.domain.series import Series
from node.errors import BatchInterrupted, InputError, NodeError

#: Cases that are sent before the destination is asked for them; their images lie unpacked until then.
_ROUND = 16
#: Cases in a row that fail in a way that may pass: then it is not the cases.
_MOST_FAILURES = 5

#: A case by its key, and where its images come from, None where they are not sent.
Case = tuple[str, Source | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Something of a case that did not reach the destination; `name` of the file, "" for the case as a whole."""

    key: str
    name: str
    sop_instance_uid: str
    code: str
    text: str

    def line(self) -> str:
        """Return it in one line."""
        return ": ".join(filter(None, (self.key, self.name, self.code, self.text)))


@dataclass(slots=True, kw_only=True)
class SendReport:
    """What was sent: cases of this run and of earlier ones, objects, and what failed."""

    sent: int = 0
    earlier: int = 0
    failed: int = 0
    #: Cases of the batch that have no results.
    without_results: int = 0
    objects: int = 0
    confirmed: bool = False
    failures: list[Failure] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Sending:
    """A case on its way."""

    key: str
    begun_s: float
    taken: list[Answer] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    may_pass: bool = False

    def fail(self, error: NodeError, parcel: Parcel | None = None) -> None:
        """Note what became of an object, or of the case as a whole."""
        self.may_pass |= error.retryable
        self.failures.append(
            Failure(
                key=self.key,
                name="" if parcel is None else parcel.path.name,
                sop_instance_uid="" if parcel is None else parcel.sop_instance_uid,
                code=error.code,
                text=str(error),
            )
        )


def cases_of(items: Iterable[WorkItem]) -> Iterator[Case]:
    """Return the input of a batch as its cases with their images."""
    return ((item.key, item.source) for item in items)


def send_batch(
    out: Path,
    way: Way,
    with_images: Iterable[Case] | None = None,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> SendReport:
    """Send the results of every case of the batch at `out` that is done, and that `way` does not have by its ledger.

    `with_images`: the input of the batch, whose images go before the results; None where the archive has them. `tell`
    is told how many cases of how many are through. A case that fails does not stop the others, and the next run sends
    it again; the same run again sends only what is not there.

    Raises InputError where there is no batch; BatchInterrupted where another process sends there, the destination
    cannot be reached or one case after the other fails; DestinationMisconfigured, JournalDamaged, SystemFailed, OSError
    of the ledgers.
    """
    batch = read_batch(out)
    done = read_standings(out, batch.task)
    folder = out / "sending" / way.name
    task = hashlib.sha256(f"{batch.name} {way.name} images {with_images is not None}".encode()).hexdigest()
    with held(folder, "sending"), ExitStack() as stack:
        writer = LedgerWriter(folder)
        stack.callback(writer.close)
        marks = {key: standing.mark for key, standing in done.by_key.items()}
        sender = _Sender(out, way, task, writer, _Ledgers(sent=read_standings(folder, task), marks=marks))
        keys = [key for key, standing in done.by_key.items() if standing.state is State.DONE]
        sender.report.without_results = len(done.by_key) - len(keys)
        waiting = set(sender.unsent(keys))
        cases = _in_turn(waiting, with_images)
        while several := list(islice(cases, _ROUND)):
            sender.send(several)
            tell(sender.through(), len(keys))
        sender.note_without_images(waiting if with_images is not None else ())
    return sender.report


def _in_turn(waiting: set[str], with_images: Iterable[Case] | None) -> Iterator[Case]:
    """Yield the cases that wait, each once, and take those that have images out of `waiting`."""
    if with_images is None:
        yield from ((key, None) for key in sorted(waiting))
        return
    for key, source in with_images:
        if key in waiting:
            waiting.discard(key)
            yield key, source


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ledgers:
    """What was sent, and the mark of the input that each case of the batch was made of."""

    sent: Standings
    marks: Mapping[str, str]

    def has(self, key: str) -> bool:
        """Return whether the results of case `key`, as they are, were sent."""
        standing = self.sent.by_key.get(key)
        return standing is not None and standing.state is State.DONE and standing.mark == self.marks[key]


class _Sender:
    """One run over one destination."""

    def __init__(self, out: Path, way: Way, task: str, writer: LedgerWriter, ledgers: _Ledgers) -> None:
        self.report = SendReport(confirmed=way.confirmed)
        self._out, self._way, self._task, self._writer, self._ledgers = out, way, task, writer, ledgers
        self._failing = 0

    def unsent(self, keys: Iterable[str]) -> Iterator[str]:
        """Yield the cases that the ledger does not call sent, and count the others."""
        for key in keys:
            if self._ledgers.has(key):
                self.report.earlier += 1
            else:
                yield key

    def through(self) -> int:
        """Return how many cases this run and earlier ones are through with."""
        return self.report.earlier + self.report.sent + self.report.failed

    def send(self, cases: Sequence[Case]) -> None:
        """Send some cases, then ask for all their objects, then write down what became of each."""
        with tempfile.TemporaryDirectory(prefix="cspine-node-") as scratch:
            sendings = [self._send(key, source, Path(scratch) / str(n)) for n, (key, source) in enumerate(cases)]
            missing = self._way.missing([answer for sending in sendings for answer in sending.taken])
        for sending in sendings:
            for answer in sending.taken:
                if lost := missing.get(answer.parcel.sop_instance_uid):
                    sending.fail(lost, answer.parcel)
            self._write_down(sending)

    def note_without_images(self, keys: Iterable[str]) -> None:
        """Note the cases whose images are not in the input."""
        for key in sorted(keys):
            sending = _Sending(key=key, begun_s=time.monotonic())
            sending.fail(InputError("its images are not in the input; nothing of it is sent"))
            self._write_down(sending)

    def _send(self, key: str, source: Source | None, scratch: Path) -> _Sending:
        sending = _Sending(key=key, begun_s=time.monotonic())
        try:
            parcels = [
                *(self._images(source, scratch) if source is not None else ()),
                *result_parcels(case_folder(self._out, key), self._way.wanted),
            ]
        except NodeError as error:
            sending.fail(error)
            return sending
        sent = self._way.send(parcels)
        sending.taken = sent.taken
        for parcel, refusal in sent.failed:
            sending.fail(refusal, parcel)
        return sending

    def _images(self, source: Source, scratch: Path) -> list[Parcel]:
        scratch.mkdir()
        series = source.load(scratch)
        if not isinstance(series, Series):
            raise InputError("its input is a NIfTI image, which is not sent")
        return image_parcels(series)

    def _write_down(self, sending: _Sending) -> None:
        failures = sending.failures
        self._writer.append(
            Record(
                key=sending.key,
                state=State.FAILED if failures else State.DONE,
                task=self._task,
                attempt=1,
                final=not sending.may_pass,
                code=failures[0].code if failures else "",
                reason="; ".join(failure.line() for failure in failures),
                worker=self._writer.name,
                at=time.time(),
                mark=self._ledgers.marks[sending.key],
                seconds=round(time.monotonic() - sending.begun_s, 3),
                returned=_returned(sending),
            )
        )
        self.report.failures += failures
        self.report.failed += bool(failures)
        self.report.sent += not failures
        self.report.objects += len(sending.taken)
        self._failing = self._failing + 1 if failures and sending.may_pass else 0
        if self._failing >= _MOST_FAILURES:
            raise BatchInterrupted(
                f"{self._way.name}: {_MOST_FAILURES} cases in a row failed, at last {failures[-1].line()}; "
                "the same command goes on from here"
            )


def _returned(sending: _Sending) -> dict[str, Any]:
    return {"objects": [answer.parcel.sop_instance_uid for answer in sending.taken]}
