"""The node as SCP of storage commitment (PS3.4 J): a sender asks whether what it sent is kept, and is told later.

What the node promises: an object that it reports as committed lies in its spool, whole, with its row in the journal;
both are on the disk. It is kept there until its series has been worked on and every destination has confirmed the
results, and then for as long as `[retention]` says. The node is no archive: after that it is deleted. A sender that
deletes its own copy on this word must have another place that keeps the images.

The request is in the journal before it is answered, and the report is tried until the sender has answered it, over a
restart and whatever the wall clock does meanwhile.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from node.deliver.backoff import Backoff
from node.deliver.build import peer_of
from node.domain.arrivals import Expectation, ExpectedBy
from node.domain.commitment import (
    CLASS_INSTANCE_CONFLICT,
    NO_SUCH_OBJECT,
    CommitmentReport,
    CommitmentRequest,
    Failure,
    Reference,
)
from node.errors import DeliveryError, InputError, SettingsError
from node.journal.arrivals import HeldInstance
from node.journal.commitments import DueReport
from node.journal.journal import Journal
from node.log import get_logger
from node.receive.kept import verify_arrival
from node.scu.association import Calls, Peer
from node.scu.source import report_commitment
from node.settings import Settings

#: Objects that have not arrived yet are waited for: the request may overtake them on another association.
_PATIENCE_S = 60.0
#: How often they are looked for meanwhile.
_LOOK_S = 2.0
_RETRY_DELAY_S, _RETRY_CAP_S = 5.0, 900.0


class Report(Protocol):
    """Tells a peer what is kept. Raises DeliveryError when it should be tried again."""

    def __call__(self, peer: Peer, report: CommitmentReport, /) -> None:
        """Send one N-EVENT-REPORT."""


class Promises:
    """Commitments that others ask of the node. `asked` is for the listener's threads, `report` for one of its own."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        call: Report = report_commitment,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state_dir = settings.node.state_dir
        self._journal = journal
        self._call = call
        self._clock = clock
        self._calls = Calls()
        self._peers = {
            peer.ae_title: replace(peer_of(peer, settings.node), calls=self._calls)
            for peer in settings.peer
            if peer.host and peer.port
        }
        self._backoff = Backoff(delay_s=_RETRY_DELAY_S, cap_s=_RETRY_CAP_S, clock=clock)
        #: When this process first saw a request, by who asks and its transaction.
        self._seen_s: dict[tuple[str, str], float] = {}

    def asked(self, request: CommitmentRequest) -> None:
        """Keep a request; on return it is on the disk. Raises JournalError.

        Where all its objects are here, it also says how many instances their series have.
        """
        self._journal.commitments.ask(request)
        self._expect(request)

    def report(self) -> float | None:
        """Report on every request that is due; return the seconds until the next try, None when none waits."""
        due = self._journal.commitments.due()
        now_s = self._clock()
        self._seen_s = {key: self._seen_s.get(key, now_s) for key in map(_key, due)}
        self._backoff.keep({item.request.asked_by for item in due})
        waits_s = [self._report(item) for item in due]
        return min((wait_s for wait_s in waits_s if wait_s is not None), default=None)

    def halt(self) -> None:
        """Break off what is being reported, from another thread: it is reported after the next start."""
        self._calls.end()

    def _report(self, due: DueReport) -> float | None:
        """Report on one request; return the seconds to wait before trying it again, None when it is done."""
        request, who = due.request, due.request.asked_by
        if (wait_s := self._backoff.wait_s(who)) > 0:
            return wait_s
        held = self._held(request)
        # Whichever clock says that it was long ago: the wall clock may have been set back.
        waited_s = max(due.age_s, self._clock() - self._seen_s[_key(due)])
        if waited_s < _PATIENCE_S and any(item.sop_instance_uid not in held for item in request.references):
            return min(_LOOK_S, _PATIENCE_S - waited_s)
        report = self._decide(request, held)
        try:
            self._call(self._peer(who), report)
        except (DeliveryError, SettingsError) as error:
            if self._calls.ended:
                return None
            self._backoff.failed(who)
            self._journal.commitments.record_report_failed(request, error.code)
            get_logger().warning("commitment not reported", asked_by=who, code=error.code, attempts=due.attempts + 1)
            return self._backoff.wait_s(who)
        self._backoff.succeeded(who)
        self._journal.commitments.record_reported(request, len(report.failed))
        get_logger().info(
            "commitment reported", asked_by=who, committed=len(report.committed), failed=len(report.failed)
        )
        self._expect(request)
        return None

    def _decide(self, request: CommitmentRequest, held: dict[str, HeldInstance]) -> CommitmentReport:
        """Return what is kept and what is not (PS3.3 C.14.1.1)."""
        committed: list[Reference] = []
        failed: list[Failure] = []
        for reference in request.references:
            found = held.get(reference.sop_instance_uid)
            if found is None or not _is_intact(self._state_dir / found.path, found.digest):
                failed.append(Failure(reference=reference, reason=NO_SUCH_OBJECT))
            elif found.sop_class_uid != reference.sop_class_uid:
                failed.append(Failure(reference=reference, reason=CLASS_INSTANCE_CONFLICT))
            else:
                committed.append(reference)
        return CommitmentReport(
            transaction_uid=request.transaction_uid, committed=tuple(committed), failed=tuple(failed)
        )

    def _held(self, request: CommitmentRequest) -> dict[str, HeldInstance]:
        uids = [reference.sop_instance_uid for reference in request.references]
        return {found.sop_instance_uid: found for found in self._journal.arrivals.held(uids)}

    def _expect(self, request: CommitmentRequest) -> None:
        """Take the list of references as the count of each series, where none of them is unknown.

        A list names no series: of an object that has not arrived nobody knows which series lacks it. A single object is
        no list: some senders ask for each object as soon as it is sent.
        """
        held = self._held(request)
        if not held.keys() >= {reference.sop_instance_uid for reference in request.references}:
            return
        for series_uid, instances in Counter(found.series_uid for found in held.values()).items():
            if instances > 1:
                told = Expectation(instances=instances, by=ExpectedBy.COMMITMENT)
                self._journal.arrivals.expect(series_uid, told)

    def _peer(self, ae_title: str) -> Peer:
        if ae_title not in self._peers:
            raise SettingsError(f"peer: nobody says where {ae_title} listens, for reports of storage commitment")
        return self._peers[ae_title]


def _is_intact(path: Path, digest: str) -> bool:
    """Return whether a file of the spool is there and holds what it held when it arrived. Raises OSError."""
    try:
        verify_arrival(path)
    except (FileNotFoundError, InputError):
        return False
    return path.stem == digest


def _key(due: DueReport) -> tuple[str, str]:
    return due.request.asked_by, due.request.transaction_uid
