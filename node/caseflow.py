"""The live way of a case. Each method is one step, safe to repeat after a crash at any point.

take()      an instance was spooled     -> journal
close()     a series is complete        -> verdict -> case
work()      a case is queued            -> pipeline -> result files -> outbox (see `node.outbox`)
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
from node.assemble.headers import Unreadable, gather
from node.deliver.folder import write_case
from node.domain.arrivals import Arrival, Complete, Quarantined
from node.domain.case import CaseState, EncodedObject, ObjectKind, OnReject, Reason, ResultObject
from node.domain.findings import Quality, Verdict
from node.domain.identifiers import Digest, set_digest
from node.errors import JournalError, NodeError, NotAnImage, SettingsError, SystemFailed, unexpected
from node.journal.arrivals import OpenSeries, Outcome, StoredInstance
from node.journal.cases import Claim, NewCase
from node.journal.journal import Journal
from node.log import get_logger
from node.pipeline import CaseResult, Segmenter, run_case
from node.receive.traffic import Traffic
from node.select import Accepted, select
from node.settings import RouteSettings, Settings

_RESULTS = "results"

#: What is sent first stands first.
_SENT = (ObjectKind.SEGMENTATION, ObjectKind.REPORT, ObjectKind.KEY_IMAGE)

_Verdict = tuple[str | None, CaseState, tuple[Reason, ...]]


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
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._claiming = threading.Lock()
        #: Ids of the cases that a thread works on.
        self._running: set[int] = set()
        self._routes = {route.name: route for route in settings.route}

    def take(self, taken: Arrival | Quarantined) -> bool:
        """Record what was spooled; return whether it was anything new. Raises JournalError."""
        arrivals = self._journal.arrivals
        if isinstance(taken, Quarantined):
            return arrivals.record_quarantined(taken)
        own_result = taken.own_result or arrivals.is_known_result(taken.sop_instance_uid)
        return arrivals.record(replace(taken, own_result=own_result)) is not Outcome.DUPLICATE

    def close(self) -> Closing:
        """Open a case for every series that is complete."""
        closed, waits_s = 0, []
        now_s = self._clock()
        open_series = self._journal.arrivals.open_series()
        self._traffic.retain({series.series_uid for series in open_series}, now_s)
        for series in open_series:
            state = completeness(self._traffic.of(series.series_uid), self._clock(), self._settings.completeness)
            if isinstance(state, Complete):
                closed += self._close_one(series, partial=state.partial)
            else:
                waits_s.append(state.seconds)
        return Closing(cases=closed, wait_s=min(waits_s, default=None))

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
                self._running.discard(claim.case_id)
        return True

    def _claim(self) -> Claim | None:
        """Claim the oldest queued case. What is claimed and in no thread's hands was left when the journal failed."""
        with self._claiming:
            self._journal.cases.release_claims(self._settings.work.restarts, but=self._running)
            claim = self._journal.cases.claim(self._owner)
            if claim is not None:
                self._running.add(claim.case_id)
            return claim

    def _close_one(self, series: OpenSeries, *, partial: bool) -> bool:
        instances = self._journal.arrivals.instances(series.series_uid)
        route, state, reasons = self._judge(series, instances)
        case_id = self._journal.cases.open(
            NewCase(
                series=series,
                set_digest=_digest_of(instances),
                partial=partial,
                route=route,
                state=state,
                reasons=reasons,
            )
        )
        if case_id is None:
            return False
        get_logger().info(
            f"case {state.value}",
            case=case_id,
            series_uid=series.series_uid,
            instances=len(instances),
            partial=partial,
            route=route,
            reasons=[reason.code for reason in reasons],
        )
        return True

    def _judge(self, series: OpenSeries, instances: Sequence[StoredInstance]) -> _Verdict:
        """Return route, state and reasons of the case of a complete series. Never raises: a series that cannot be
        judged must not hold up the next one.
        """
        if series.own_result:
            reason = Reason(code="own-result", text="this software made the object itself; it is not segmented again")
            return None, CaseState.REJECTED, (reason,)
        try:
            return self._verdict(instances)
        except OSError as error:
            damaged: NodeError = _damaged(error)
        except Exception as error:  # noqa: BLE001 - as in `work`
            damaged = unexpected(error)
        return None, CaseState.QUARANTINED, (Reason.of(damaged),)

    def _verdict(self, instances: Sequence[StoredInstance]) -> _Verdict:
        found, unreadable = gather(self._paths(instances))
        if unreadable:
            sound = all(isinstance(item.error, NotAnImage) for item in unreadable)
            state = CaseState.REJECTED if sound else CaseState.QUARANTINED
            return None, state, _reasons(unreadable)
        verdict = select(found[0].header, self._settings.route)
        if isinstance(verdict, Accepted):
            return verdict.route.name, CaseState.QUEUED, ()
        return None, CaseState.REJECTED, verdict.reasons

    def _run(self, claim: Claim, segmenter: Segmenter) -> None:
        begun = self._clock()
        instances = self._journal.arrivals.instances(claim.series_uid)
        if _digest_of(instances) != claim.set_digest:
            self._journal.cases.give_up(claim)
            return
        route = self._routes.get(claim.route)
        if route is None:
            raise SettingsError(f"route {claim.route!r} is not configured any more")
        try:
            found, unreadable = gather(self._paths(instances))
            if unreadable:
                raise unreadable[0].error
            result = run_case(found[0], claim.set_digest, segmenter, self._settings.order(route))
        except OSError as error:
            raise _damaged(error) from error
        objects = self._persist(claim, result, route)
        quality = result.findings.quality
        if self._journal.cases.finish(claim, objects, _doubts(quality, route.on_reject)):
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

    def _persist(self, claim: Claim, result: CaseResult, route: RouteSettings) -> tuple[ResultObject, ...]:
        """Put the results on the disk before anything is told of them; the paths are relative to the state folder.

        In the order in which they are sent: pictures after what they show.
        """
        folder = Path(_RESULTS) / f"{claim.case_id:08d}-{claim.attempt}"
        write_case(
            self._settings.node.state_dir / folder,
            objects=result.contents(),
            document=result.document,
            measurements=result.measurements,
            overlay=result.overlay,
        )
        return tuple(
            ResultObject(
                kind=made.kind,
                sop_class_uid=made.sop_class_uid,
                sop_instance_uid=made.sop_instance_uid,
                path=folder / made.name,
                digest=made.digest,
                destinations=self._takers(made, route),
            )
            for made in sorted(result.objects, key=lambda made: _SENT.index(made.kind))
        )

    def _takers(self, made: EncodedObject, route: RouteSettings) -> tuple[str, ...]:
        """Return the destinations of the route that take an object of this form."""
        taking = {peer.name for peer in self._settings.destination if peer.wanted in made.wanted}
        return tuple(name for name in route.destinations if name in taking)

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


def _digest_of(instances: Sequence[StoredInstance]) -> Digest:
    return set_digest({instance.sop_instance_uid: instance.digest for instance in instances})


def _reasons(unreadable: Sequence[Unreadable]) -> tuple[Reason, ...]:
    """Return one reason for each kind of fault, with the number of instances that have it."""
    counts = Counter((item.error.code, str(item.error)) for item in unreadable)
    return tuple(Reason(code=code, text=f"{count} x {text}") for (code, text), count in counts.items())


def _doubts(quality: Quality, on_reject: OnReject) -> tuple[Reason, ...]:
    """Return what speaks against using a result, as it stands in the journal; nothing of a good one."""
    withheld = Reason(code="withheld", text="the route sends nothing of a result that is not to be used")
    told = (withheld,) if quality.verdict is Verdict.REJECT and on_reject is OnReject.NOTHING else ()
    doubts = (
        Reason(code=objection.doubt.value, text=f"{objection.verdict.value}: {objection.text}")
        for objection in quality.objections
        if objection.verdict is not Verdict.GOOD
    )
    return (*told, *doubts)


def _damaged(error: OSError) -> SystemFailed:
    return SystemFailed(f"a received file cannot be read back: {error.strerror}")
