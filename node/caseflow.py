"""The live way of a case. Each method is one step, safe to repeat after a crash at any point.

take()      an instance was spooled     -> journal
close()     a series is complete        -> verdict -> case
work()      a case is queued            -> pipeline -> result files -> outbox
deliver()   an object waits             -> destination
"""

import os
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from node.assemble.completeness import completeness
from node.assemble.headers import Unreadable, gather
from node.deliver.backoff import Backoff
from node.deliver.destination import Answer, Destination, Parcel
from node.deliver.folder import OBJECT_NAMES, write_case
from node.domain.arrivals import Arrival, Complete, Quarantined
from node.domain.case import RESULT_TRANSFER_SYNTAX, CaseState, Reason, ResultObject
from node.domain.identifiers import Digest, set_digest
from node.errors import DeliveryError, NodeError, NotAnImage
from node.journal.arrivals import OpenSeries, Outcome, StoredInstance
from node.journal.cases import Claim, NewCase
from node.journal.deliveries import Delivery
from node.journal.journal import Journal
from node.log import get_logger
from node.pipeline import CaseResult, Segmenter, run_case
from node.receive.traffic import Traffic
from node.select import Accepted, select
from node.settings import RouteSettings, Settings

_RESULTS = "results"
#: Key of the pause of a whole destination, beside those of its cases.
_WAY = "way"


class Caseflow:
    """The steps, over one journal. `close` and `work` are for one thread each, `deliver` for one per destination."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        traffic: Traffic,
        segmenter: Callable[[], Segmenter],
        destinations: Mapping[str, Destination],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._traffic = traffic
        self._segmenter = segmenter
        self._destinations = destinations
        self._clock = clock
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._routes = {route.name: route for route in settings.route}
        self._backoffs = {
            peer.name: Backoff(delay_s=peer.retry_delay_s, cap_s=peer.retry_cap_s, clock=clock)
            for peer in settings.destination
        }

    def take(self, taken: Arrival | Quarantined) -> bool:
        """Record what was spooled; return whether it was anything new. Raises JournalError."""
        arrivals = self._journal.arrivals
        if isinstance(taken, Quarantined):
            return arrivals.record_quarantined(taken)
        own_result = taken.own_result or arrivals.is_known_result(taken.sop_instance_uid)
        return arrivals.record(replace(taken, own_result=own_result)) is not Outcome.DUPLICATE

    def close(self) -> int:
        """Open a case for every series that is complete; return how many."""
        closed = 0
        now_s = self._clock()
        open_series = self._journal.arrivals.open_series()
        self._traffic.retain({series.series_uid for series in open_series}, now_s)
        for series in open_series:
            state = completeness(self._traffic.of(series.series_uid), self._clock(), self._settings.completeness)
            if isinstance(state, Complete):
                closed += self._close_one(series, partial=state.partial)
        return closed

    def work(self) -> bool:
        """Run the oldest queued case; return False when none waits. A failure is recorded, never raised."""
        claim = self._journal.cases.claim(self._owner)
        if claim is None:
            return False
        try:
            self._run(claim)
        except NodeError as error:
            self._fail(claim, Reason(code=error.code, text=str(error)), retry=error.retryable)
        except Exception as error:  # noqa: BLE001 - the one broad except: whatever a case does, the next one runs
            self._fail(claim, Reason(code="unexpected", text=_where(error)), retry=True)
        return True

    def deliver(self, destination: str) -> float | None:
        """Deliver what waits for a destination; return the seconds until its next try, None when nothing waits."""
        backoff = self._backoffs[destination]
        if (wait_s := backoff.wait_s(_WAY)) > 0:
            return wait_s
        waits: list[float] = []
        pending = self._journal.deliveries.pending(destination)
        for case_id, group in groupby(pending, key=lambda delivery: delivery.case_id):
            if backoff.wait_s(str(case_id)) == 0:
                self._deliver_case(destination, tuple(group), backoff)
            if (wait_s := backoff.wait_s(_WAY)) > 0:
                return wait_s
            waits.append(backoff.wait_s(str(case_id)))
        return min((wait_s for wait_s in waits if wait_s > 0), default=None)

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

    def _judge(
        self, series: OpenSeries, instances: Sequence[StoredInstance]
    ) -> tuple[str | None, CaseState, tuple[Reason, ...]]:
        """Return route, state and reasons of the case of a complete series."""
        if series.own_result:
            reason = Reason(code="own-result", text="this software made the object itself; it is not segmented again")
            return None, CaseState.REJECTED, (reason,)
        found, unreadable = gather(self._paths(instances))
        if unreadable:
            sound = all(isinstance(item.error, NotAnImage) for item in unreadable)
            state = CaseState.REJECTED if sound else CaseState.QUARANTINED
            return None, state, _reasons(unreadable)
        verdict = select(found[0].header, self._settings.route)
        if isinstance(verdict, Accepted):
            return verdict.route.name, CaseState.QUEUED, ()
        return None, CaseState.REJECTED, verdict.reasons

    def _run(self, claim: Claim) -> None:
        begun = self._clock()
        instances = self._journal.arrivals.instances(claim.series_uid)
        if _digest_of(instances) != claim.set_digest:
            self._journal.cases.give_up(claim)
            return
        found, unreadable = gather(self._paths(instances))
        if unreadable:
            raise unreadable[0].error
        result = run_case(found[0], claim.set_digest, self._segmenter(), self._settings.model)
        objects = self._persist(claim, result)
        route = self._routes.get(claim.route, RouteSettings(name=claim.route))
        if self._journal.cases.finish(claim, objects, route.destinations):
            get_logger().info(
                "case segmented",
                case=claim.case_id,
                series_uid=claim.series_uid,
                attempt=claim.attempt,
                structures=len(result.findings.structures),
                seconds=round(self._clock() - begun, 2),
                stages={stage: round(seconds, 2) for stage, seconds in result.timings_s.items()},
            )

    def _persist(self, claim: Claim, result: CaseResult) -> tuple[ResultObject, ...]:
        """Put the results on the disk before anything is told of them; the paths are relative to the state folder."""
        folder = Path(_RESULTS) / f"{claim.case_id:08d}-{claim.attempt}"
        write_case(
            self._settings.node.state_dir / folder,
            objects=result.contents(),
            document=result.document,
            overlay=result.overlay,
        )
        return tuple(
            ResultObject(
                kind=made.kind,
                sop_class_uid=made.sop_class_uid,
                sop_instance_uid=made.sop_instance_uid,
                path=folder / OBJECT_NAMES[made.kind],
                digest=made.digest,
            )
            for made in result.objects
        )

    def _fail(self, claim: Claim, reason: Reason, *, retry: bool) -> None:
        retry = retry and claim.attempt < self._settings.work.attempts
        state = self._journal.cases.fail(claim, reason, retry=retry)
        get_logger().warning(
            f"case {state.value if state else 'lost'}",
            case=claim.case_id,
            series_uid=claim.series_uid,
            attempt=claim.attempt,
            code=reason.code,
        )

    def _deliver_case(self, name: str, deliveries: tuple[Delivery, ...], backoff: Backoff) -> None:
        """Deliver the objects of one case in order; what fails stays in the outbox for its next try."""
        open_deliveries = {delivery.sop_instance_uid: delivery for delivery in deliveries}
        parcels = [
            Parcel(
                path=self._settings.node.state_dir / delivery.path,
                sop_class_uid=delivery.sop_class_uid,
                sop_instance_uid=delivery.sop_instance_uid,
                transfer_syntax_uid=RESULT_TRANSFER_SYNTAX,
            )
            for delivery in deliveries
        ]
        case = str(deliveries[0].case_id)
        try:
            for answer in self._destinations[name].deliver(parcels):
                delivery = open_deliveries.pop(answer.parcel.sop_instance_uid)
                self._record(delivery, answer)
                (backoff.failed if answer.error and answer.error.retryable else backoff.succeeded)(case)
            backoff.succeeded(_WAY)
        except DeliveryError as error:
            if error.retryable:
                backoff.failed(_WAY)
            for delivery in open_deliveries.values():
                self._record_error(delivery, error)
            get_logger().warning("destination failed", destination=name, code=error.code)

    def _record(self, delivery: Delivery, answer: Answer) -> None:
        if answer.error is None:
            self._journal.deliveries.record_delivered(delivery, answer.note)
        else:
            self._record_error(delivery, answer.error)

    def _record_error(self, delivery: Delivery, error: DeliveryError) -> None:
        journal = self._journal.deliveries
        record = journal.record_failed if error.retryable else journal.record_refused
        record(delivery, error.code, str(error))

    def _paths(self, instances: Sequence[StoredInstance]) -> list[Path]:
        return [self._settings.node.state_dir / instance.path for instance in instances]


def _digest_of(instances: Sequence[StoredInstance]) -> Digest:
    return set_digest({instance.sop_instance_uid: instance.digest for instance in instances})


def _reasons(unreadable: Sequence[Unreadable]) -> tuple[Reason, ...]:
    """Return one reason for each kind of fault, with the number of instances that have it."""
    counts = Counter((item.error.code, str(item.error)) for item in unreadable)
    return tuple(Reason(code=code, text=f"{count} x {text}") for (code, text), count in counts.items())


def _where(error: Exception) -> str:
    """Name an unforeseen error by its type and place; its message may quote a patient."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{place}"
