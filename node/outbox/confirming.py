"""SENT objects of one destination are confirmed: by storage commitment or by a query, as its settings say."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from node.deliver.destination import Destination, Parcel
from node.deliver.encoding import read_parcel
from node.domain.commitment import CommitmentReport
from node.errors import DeliveryError, DestinationMisconfigured, NotConfirmed
from node.journal.commitments import OpenCommitment
from node.journal.deliveries import Delivery
from node.journal.journal import Journal
from node.log import get_logger
from node.outbox.sending import Sender, backoff_of
from node.settings import Delivering, DicomDestination, StowDestination

#: Key of the pause of a whole destination, beside those of its cases.
_WAY = "way"
#: Objects in one request: some archives refuse a long one.
_REFERENCES = 500


class Confirmer:
    """The confirmations of one destination."""

    def __init__(
        self,
        *,
        sender: Sender,
        journal: Journal,
        destination: Destination,
        state_dir: Path,
        knobs: Delivering,
        clock: Callable[[], float],
    ) -> None:
        self._sender = sender
        self._deliveries = journal.deliveries
        self._commitments = journal.commitments
        self._destination = destination
        self._state_dir = state_dir
        self._name = knobs.name
        self._confirm = knobs.confirm if isinstance(knobs, DicomDestination | StowDestination) else "none"
        self._timeout_s = knobs.confirm_timeout_s if isinstance(knobs, DicomDestination | StowDestination) else 0.0
        self._cap_s = knobs.retry_cap_s
        self._backoff = backoff_of(knobs, clock)
        self._ages = _Ages(clock)

    def step(self) -> float | None:
        """Ask for what awaits confirmation; return the seconds until the next look, None when nothing awaits."""
        awaiting = self._deliveries.awaiting(self._name)
        self._backoff.keep({_WAY, *(str(delivery.case_id) for delivery in awaiting)})
        if not awaiting:
            return None
        if self._confirm == "none":
            for delivery in awaiting:
                self._deliveries.record_delivered(delivery, "sent before; confirmation is not asked any more")
            return None
        if (wait_s := self._backoff.wait_s(_WAY)) > 0:
            return wait_s
        waits = self._query(awaiting) if self._confirm == "query" else self._commit(awaiting)
        return min([wait_s for wait_s in waits if wait_s > 0], default=None)

    def resume(self) -> None:
        """End every pause."""
        self._backoff.keep(())

    def told(self, report: CommitmentReport) -> bool:
        """Take a report about a question that is open here; False where none is."""
        asked = [item for item in self._commitments.open(self._name) if item.transaction_uid == report.transaction_uid]
        if not asked:
            return False
        known = self._commitments.settle(report)
        lost = {item.reference.sop_instance_uid for item in report.failed}
        lost -= {item.sop_instance_uid for item in report.committed}
        deliveries = asked[0].deliveries
        without = {delivery.case_id for delivery in deliveries if delivery.sop_instance_uid in lost}
        for case in {delivery.case_id for delivery in deliveries} - without:
            self._sender.confirmed(str(case))
        for case in without:
            self._sender.unconfirmed(str(case))
        if without:
            get_logger().warning("not committed", destination=self._name, objects=len(lost), code=NotConfirmed.code)
        return known

    def _query(self, awaiting: Sequence[Delivery]) -> list[float]:
        """Ask for each object; one that is not found within the time-out is sent again, since archives index late."""
        self._ages.keep([str(delivery.delivery_id) for delivery in awaiting])
        due = [delivery for delivery in awaiting if self._backoff.wait_s(str(delivery.case_id)) == 0]
        asked = {delivery.sop_instance_uid: delivery for delivery in due}
        missing: set[str] = set()
        try:
            for confirmation in self._destination.confirm(self._parcels(due)) if due else ():
                delivery = asked[confirmation.parcel.sop_instance_uid]
                if confirmation.found:
                    self._deliveries.record_delivered(delivery, "found by query")
                    self._sender.confirmed(str(delivery.case_id))
                elif not self._give_up_on(delivery):
                    missing.add(str(delivery.case_id))
            self._backoff.succeeded(_WAY)
        except DeliveryError as error:
            return [self._way_failed(error)]
        for case in missing:
            self._backoff.failed(case)
        if missing:  # one association a pause, however many cases an archive has yet to index
            self._backoff.hold(_WAY)
        way_s = self._backoff.wait_s(_WAY)
        return [max(way_s, self._backoff.wait_s(str(delivery.case_id))) for delivery in awaiting]

    def _give_up_on(self, delivery: Delivery) -> bool:
        """Have an object sent again that was not found in time."""
        if self._ages.age_s(str(delivery.delivery_id), delivery.sent_age_s) < self._timeout_s:
            return False
        error = NotConfirmed("the destination took it, and does not find it")
        self._deliveries.record_unconfirmed(delivery, error.code, str(error))
        self._sender.unconfirmed(str(delivery.case_id))
        return True

    def _commit(self, awaiting: Sequence[Delivery]) -> list[float]:
        """Ask for commitment of what is in no open question, and anew of what was met by silence."""
        covered: set[int] = set()
        waits: list[float] = []
        asked = self._commitments.open(self._name)
        self._ages.keep([item.transaction_uid for item in asked])
        for item in asked:
            left_s = self._timeout_s - self._ages.age_s(item.transaction_uid, item.age_s)
            if left_s <= 0:
                self._silent(item)
            else:
                covered |= {delivery.delivery_id for delivery in item.deliveries}
                waits.append(left_s)
        open_ones = [delivery for delivery in awaiting if delivery.delivery_id not in covered]
        for start in range(0, len(open_ones), _REFERENCES):
            failure_s = self._ask(open_ones[start : start + _REFERENCES])
            if failure_s is not None:
                return [*waits, failure_s]
            waits.append(self._timeout_s)
        return waits

    def _silent(self, item: OpenCommitment) -> None:
        """Wait no longer; the same objects are asked for under a new Transaction UID. A late report still counts."""
        self._commitments.abandon(item.transaction_uid)
        if item.deliveries:
            get_logger().warning(
                "no report of storage commitment", destination=self._name, objects=len(item.deliveries)
            )

    def _ask(self, deliveries: Sequence[Delivery]) -> float | None:
        """Ask for commitment of some objects; return None, or the seconds until the next try.

        The Transaction UID is on the disk before the destination hears of it: its report may be faster than its answer.
        """
        transaction_uid = f"2.25.{uuid.uuid4().int}"
        self._commitments.begin(self._name, transaction_uid, deliveries)
        try:
            report = self._destination.ask_commitment(transaction_uid, self._parcels(deliveries))
        except DeliveryError as error:
            self._commitments.abandon(transaction_uid)
            return self._way_failed(error)
        self._backoff.succeeded(_WAY)
        if report is not None:
            self.told(report)
        return None

    def _way_failed(self, error: DeliveryError) -> float:
        """Pause asking, long where an operator has to act; what was sent stays SENT. Return the pause in seconds."""
        if self._sender.halted:
            return 0.0
        get_logger().warning("cannot ask destination", destination=self._name, code=error.code, text=str(error))
        long = isinstance(error, DestinationMisconfigured) or not error.retryable
        self._backoff.failed(_WAY, at_least_s=self._cap_s if long else 0.0)
        return self._backoff.wait_s(_WAY)

    def _parcels(self, deliveries: Iterable[Delivery]) -> list[Parcel]:
        return [self._parcel(delivery) for delivery in deliveries]

    def _parcel(self, delivery: Delivery) -> Parcel:
        """Return what is asked for; where the file is gone the series is asked for as any."""
        path = self._state_dir / delivery.path
        try:
            return read_parcel(path)
        except DeliveryError:
            return Parcel(
                path=path,
                sop_class_uid=delivery.sop_class_uid,
                sop_instance_uid=delivery.sop_instance_uid,
                transfer_syntax_uid="",
                study_uid=delivery.study_uid,
            )


class _Ages:
    """Ages that no step of the wall clock can stop: by the journal, or by how long this process has seen the thing."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen_s: dict[str, float] = {}

    def keep(self, keys: Sequence[str]) -> None:
        """Begin with what is new, and forget the rest."""
        self._seen_s = {key: self._seen_s.get(key, self._clock()) for key in keys}

    def age_s(self, key: str, by_journal_s: float | None) -> float:
        """Return the larger of both ages."""
        return max(by_journal_s or 0.0, self._clock() - self._seen_s.get(key, self._clock()))
