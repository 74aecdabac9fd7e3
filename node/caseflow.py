"""The live way of a case. Each method is one step, safe to repeat after a crash at any point.

take()      an instance was spooled     -> journal
close()     a series is complete        -> verdict -> case
work()      a case is queued            -> pipeline -> result files -> outbox (see `node.outbox`)
renew()     cases are being worked on   -> their leases run on

`resume()` comes first: it takes up the series that a dead process left open.
"""

import os
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from node.assemble.completeness import completeness
from node.domain.arrivals import Arrival, Arrivals, Complete, Expectation, ExpectedBy, Quarantined
from node.domain.case import Reason
from node.domain.identifiers import Digest, set_digest
from node.errors import JournalError, NodeError, SettingsError, unexpected
from node.journal.arrivals import OpenSeries, Outcome, StoredInstance
from node.journal.cases import Account, Claim, NewCase
from node.journal.journal import Journal
from node.log import get_logger
from node.pipeline import CaseResult, Segmenter, run_case
from node.recall import Recall
from node.receive.traffic import Traffic
from node.results import Results, doubts
from node.settings import RouteSettings, Settings
from node.verdict import OWN_RESULT, Judgement, damaged, is_shortage, judge, read_back, unread

#: Storage classes of which one object mostly is a whole series: Enhanced MR and Legacy Converted Enhanced MR. A hint
#: only: one that was split into a concatenation (PS3.3 C.7.6.16.1.1) exceeds it, and then it counts for nothing.
_WHOLE = frozenset({"1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4"})
_WHOLE_HINT = Expectation(instances=1, by=ExpectedBy.HEADER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """What closing came to: new cases, and the seconds until the next series may be complete, None without one."""

    cases: int
    wait_s: float | None


class Caseflow:
    """The steps, over one journal. `close` is for one thread, `work` for as many as the engine can use."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        traffic: Traffic,
        segmenter: Callable[[], Segmenter],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._traffic = traffic
        self._segmenter = segmenter
        self._clock = clock
        self._results = Results(settings)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._claiming = threading.Lock()
        #: (case id, number of the claim) of what a thread works on.
        self._running: set[tuple[int, int]] = set()
        #: Those among them whose case the journal has ended, or given to another worker.
        self._lost: set[tuple[int, int]] = set()
        #: How often the files of a complete series could not be read.
        self._unread: Counter[str] = Counter()
        self._routes = {route.name: route for route in settings.route}

    @property
    def longest_work_s(self) -> float:
        """The longest that `work` may take: the engine's part, and as much again for reading and writing."""
        return 2 * self._settings.model.longest_s

    def resume(self) -> None:
        """Arm the timers of the series that were open when the process started; to be called before anything arrives.

        However old they are by the wall clock, which may have been set meanwhile, none is complete at once: their
        senders had no chance to go on.
        """
        policy = self._settings.completeness
        oldest_s = max(0.0, policy.hard_cap_s - policy.quiet_after_abort_s)
        for series in self._journal.arrivals.open_series():
            self._traffic.rearm(series.series_uid, min(series.first_age_s, oldest_s), series.revisions)

    def take(self, taken: Arrival | Quarantined) -> bool:
        """Record what was spooled; return whether it was anything new. Safe from many threads. Raises JournalError."""
        arrivals = self._journal.arrivals
        if isinstance(taken, Quarantined):
            return arrivals.record_quarantined(taken)
        if arrivals.record(taken) is Outcome.DUPLICATE:
            return False
        if taken.sop_class_uid in _WHOLE:
            arrivals.expect(taken.series_uid, _WHOLE_HINT)
        return True

    def close(self) -> Closing:
        """Open a case for every series that is complete. Raises OSError when the files of one cannot be read now."""
        closed, waits_s = 0, []
        failed: OSError | None = None
        now_s = self._clock()
        open_series = self._journal.arrivals.open_series()
        self._traffic.retain({series.series_uid for series in open_series}, now_s)
        for series in open_series:
            state = completeness(self._arrivals(series), self._clock(), self._settings.completeness)
            if isinstance(state, Complete):
                try:
                    closed += self._close_one(series, partial=state.partial)
                except OSError as error:
                    failed = error  # the others are closed, this one is judged again
            else:
                waits_s.append(state.seconds)
        if failed is not None:
            raise failed
        return Closing(cases=closed, wait_s=min(waits_s, default=None))

    def renew(self) -> None:
        """Extend the leases of the cases that are being worked on; to be called a few times within a lease.

        A case that was cancelled, or that another worker has now, is noted: its results will not be kept.
        """
        with self._claiming:
            running = frozenset(self._running)
        if running:
            cases = frozenset(case_id for case_id, _ in running)
            held = self._journal.cases.renew(self._owner, cases, self._settings.work.lease_s)
            with self._claiming:
                self._lost |= {key for key in running & self._running if key[0] not in held}

    def work(self) -> bool:
        """Run the oldest queued case; return False when none waits. What the case did wrong is recorded, not raised.

        Raises what keeps the engine from answering any case, and OSError or JournalError when the machine failed; the
        case then waits as if it had not been tried.
        """
        segmenter = self._segmenter()
        claim = self._claim()
        if claim is None:
            return False
        try:
            self._run(claim, segmenter)
        except (OSError, JournalError):
            self._journal.cases.put_back(claim)
            raise
        except NodeError as error:
            self._fail(claim, error)
        except Exception as error:  # noqa: BLE001 - whatever a case does, the next one runs
            self._fail(claim, unexpected(error))
        finally:
            with self._claiming:
                self._running.discard(_key(claim))
                self._lost.discard(_key(claim))
        return True

    def _claim(self) -> Claim | None:
        """Claim the oldest queued case, after those whose worker has not been heard of within its lease were queued."""
        with self._claiming:
            released = self._journal.cases.release_expired(self._settings.work.restarts)
            claim = self._journal.cases.claim(self._owner, self._settings.work.lease_s)
            if claim is not None:
                self._running.add(_key(claim))
        if released:
            get_logger().warning("leases ran out", cases=released)
        return claim

    def _arrivals(self, series: OpenSeries) -> Arrivals:
        """Return what the journal and the traffic know of a series. Its times are the traffic's: monotonic."""
        return replace(
            self._traffic.of(series.series_uid, series.revisions),
            instances=series.instances,
            expected=series.expected,
            revisions=series.revisions,
        )

    def _close_one(self, series: OpenSeries, *, partial: bool) -> bool:
        instances = self._journal.arrivals.instances(series.series_uid)
        judged = OWN_RESULT if series.own_result else self._judged(series.series_uid, self._paths(instances))
        case_id = self._journal.cases.open(
            NewCase(
                series=series,
                set_digest=_digest_of(instances),
                partial=partial,
                route=judged.route,
                state=judged.state,
                reasons=judged.reasons,
            )
        )
        if case_id is None:
            return False
        get_logger().info(
            f"case {judged.state.value}",
            case=case_id,
            series_uid=series.series_uid,
            instances=len(instances),
            partial=partial,
            route=judged.route,
            reasons=[reason.code for reason in judged.reasons],
        )
        return True

    def _judged(self, series_uid: str, paths: Sequence[Path]) -> Judgement:
        """Return the judgement on a series. Raises OSError the first times that the machine cannot read its files."""
        try:
            judged = judge(paths, self._settings.route)
        except OSError as error:
            if is_shortage(error):
                raise
            self._unread[series_uid] += 1
            if self._unread[series_uid] < self._settings.work.attempts:
                raise
            judged = unread(error)
        self._unread.pop(series_uid, None)
        return judged

    def _run(self, claim: Claim, segmenter: Segmenter) -> None:
        begun = self._clock()
        instances = self._journal.arrivals.instances(claim.series_uid)
        if _digest_of(instances) != claim.set_digest:
            self._journal.cases.give_up(claim)
            return
        route = self._routes.get(claim.route)
        if route is None:
            raise SettingsError(f"route {claim.route!r} is not configured any more")
        recall = Recall(segmenter, self._settings.node.state_dir, claim.series_uid, claim.revision)
        try:
            series = read_back(self._paths(instances))
            result = run_case(series, claim.set_digest, recall, self._settings.order(route))
        except OSError as error:
            if is_shortage(error):
                raise
            raise damaged(error) from error
        quality = result.findings.quality
        if not self._keep(claim, result, route, begun):
            get_logger().warning(
                "case lost", case=claim.case_id, series_uid=claim.series_uid, attempt=claim.attempt, code="claim-lost"
            )
            return
        get_logger().info(
            "case segmented",
            case=claim.case_id,
            series_uid=claim.series_uid,
            attempt=claim.attempt,
            structures=len(result.findings.structures),
            verdict=quality.verdict.value,
            seconds=round(self._clock() - begun, 2),
            stages={stage: round(seconds, 2) for stage, seconds in result.timings_s.items()},
        )
        recall.keep()

    def _keep(self, claim: Claim, result: CaseResult, route: RouteSettings, begun: float) -> bool:
        """Put the results on the disk, then into the journal; return False, and leave nothing, for a lost claim."""
        if _key(claim) in self._lost:
            return False
        objects = self._results.keep(claim, result, route)
        quality = result.findings.quality
        account = Account(
            reasons=doubts(quality, route.on_reject),
            verdict=quality.verdict,
            timings_s={stage: round(seconds, 3) for stage, seconds in result.timings_s.items()},
            seconds=round(self._clock() - begun, 3),
        )
        kept = self._journal.cases.finish(claim, objects, account)
        if not kept:
            self._results.drop(claim)
        return kept

    def _fail(self, claim: Claim, error: NodeError) -> None:
        retry = error.retryable and claim.attempt < self._settings.work.attempts
        state = self._journal.cases.fail(claim, Reason.of(error), retry=retry)
        get_logger().warning(
            f"case {state.value if state else 'lost'}",
            case=claim.case_id,
            series_uid=claim.series_uid,
            attempt=claim.attempt,
            code=error.code,
            text=str(error),
        )

    def _paths(self, instances: Sequence[StoredInstance]) -> list[Path]:
        return [self._settings.node.state_dir / instance.path for instance in instances]


def _key(claim: Claim) -> tuple[int, int]:
    return claim.case_id, claim.number


def _digest_of(instances: Sequence[StoredInstance]) -> Digest:
    return set_digest({instance.sop_instance_uid: instance.digest for instance in instances})
