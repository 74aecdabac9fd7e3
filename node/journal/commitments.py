"""Storage commitment in the journal: what the node has asked of destinations, and what others have asked of it.

A Transaction UID is on the disk before the N-ACTION leaves (PS3.4 J.3.2); the report may come late, twice, in parts or
never.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from node.domain.case import UNSETTLED, CaseState, DeliveryState
from node.domain.commitment import CommitmentReport, CommitmentRequest, Failure, Reference
from node.journal import schema
from node.journal.deliveries import Delivery, read_deliveries
from node.journal.moves import move_delivery, read_case, settle_case
from node.journal.seals import change_sealed, insert_sealed, read_sealed, verified
from node.journal.store import Store

#: Stands with a delivery whose object the destination says it does not keep.
_NOT_CONFIRMED = "not-confirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCommitment:
    """A commitment that was asked for and not answered in full."""

    transaction_uid: str
    #: Seconds since it was asked, by the journal's wall clock.
    age_s: float
    #: Those not answered and still SENT; empty when all have been settled in another way.
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReport:
    """A commitment that the node was asked for and has not reported on."""

    request: CommitmentRequest
    #: Reports that did not arrive.
    attempts: int
    #: Seconds since it was asked, by the journal's wall clock.
    age_s: float


class CommitmentJournal:
    """Commitments, as rows."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, destination: str, transaction_uid: str, deliveries: Sequence[Delivery]) -> None:
        """Record what a destination is about to be asked; on return it is on the disk. Again changes nothing."""
        self._store.run(self._begin, destination, transaction_uid, deliveries)

    def settle(self, report: CommitmentReport) -> bool:
        """Record a report: committed is DELIVERED, failed is sent again. False for an unknown transaction.

        That an object is kept is believed at any time; that it is not, only from the first answer about it, to a
        question that has not been abandoned: it may have been sent again since.
        """
        return self._store.run(self._settle, report)

    def open(self, destination: str) -> tuple[OpenCommitment, ...]:
        """Return what a destination has yet to answer, oldest first. Raises JournalDamaged."""
        table, link = schema.commitment, schema.commitment_delivery
        with self._store.reading() as connection:
            rows = connection.execute(
                select(table).where(table.c.destination == destination, ~table.c.closed).order_by(table.c.id)
            ).mappings()
            return tuple(
                OpenCommitment(
                    transaction_uid=row["transaction_uid"],
                    age_s=self._store.age_s(row["asked_at"]),
                    deliveries=read_deliveries(
                        self._store,
                        connection,
                        schema.delivery.c.state == DeliveryState.SENT.value,
                        schema.delivery.c.id.in_(
                            select(link.c.delivery_id).where(link.c.commitment_id == row["id"], ~link.c.answered)
                        ),
                    ),
                )
                for row in [verified(table, row) for row in rows]
            )

    def abandon(self, transaction_uid: str) -> None:
        """Wait no longer for an answer; the deliveries stay SENT. What is still said to be kept is believed."""
        self._store.run(self._abandon, transaction_uid)

    def ask(self, request: CommitmentRequest) -> None:
        """Record what the node is asked; on return it is on the disk.

        The same question again changes nothing while its report is due, and makes it due again after.
        """
        self._store.run(self._ask, request)

    def due(self) -> tuple[DueReport, ...]:
        """Return what the node has yet to report on, oldest first. Raises JournalDamaged."""
        table = schema.promise
        with self._store.reading() as connection:
            rows = connection.execute(select(table).where(~table.c.reported).order_by(table.c.id)).mappings()
            return tuple(
                DueReport(request=_request(row), attempts=row["attempts"], age_s=self._store.age_s(row["asked_at"]))
                for row in [verified(table, row) for row in rows]
            )

    def record_reported(self, request: CommitmentRequest, failed: int) -> None:
        """Record that a report has arrived; `failed`: how many instances the node does not keep."""
        self._store.run(self._reported, request, "commitment reported", reported=True, failed=failed, code=None)

    def record_report_failed(self, request: CommitmentRequest, code: str) -> None:
        """Record that a report did not arrive, and the code of the error; it stays due."""
        self._store.run(self._reported, request, "commitment report failed", code=code)

    def _begin(
        self, connection: Connection, destination: str, transaction_uid: str, deliveries: Sequence[Delivery]
    ) -> None:
        table = schema.commitment
        if read_sealed(connection, table, table.c.transaction_uid == transaction_uid):
            return
        now = self._store.now()
        values = {
            "transaction_uid": transaction_uid,
            "destination": destination,
            "closed": False,
            "asked_at": now,
            "updated_at": now,
        }
        number = insert_sealed(connection, table, values)
        for delivery in deliveries:
            link = {"commitment_id": number, "delivery_id": delivery.delivery_id, "answered": False}
            connection.execute(insert(schema.commitment_delivery), link)
            self._store.record(
                connection,
                "commitment asked",
                series_uid=delivery.series_uid,
                case_id=delivery.case_id,
                destination=destination,
                delivery=delivery.delivery_id,
                transaction_uid=transaction_uid,
            )

    def _settle(self, connection: Connection, report: CommitmentReport) -> bool:
        table, link = schema.commitment, schema.commitment_delivery
        found = connection.execute(select(table.c.id).where(table.c.transaction_uid == report.transaction_uid)).scalar()
        if found is None:
            return False
        asked = select(link.c.delivery_id).where(link.c.commitment_id == found)
        deliveries = read_deliveries(self._store, connection, schema.delivery.c.id.in_(asked))
        cases = {number: read_case(connection, number) for number in sorted({item.case_id for item in deliveries})}
        (row,) = read_sealed(connection, table, table.c.id == found)
        waiting = set(
            connection.execute(
                select(link.c.delivery_id).where(link.c.commitment_id == found, ~link.c.answered)
            ).scalars()
        )
        committed = {item.sop_instance_uid for item in report.committed}
        failed = {item.reference.sop_instance_uid: item for item in report.failed}
        answered = set()
        for delivery in deliveries:
            uid = delivery.sop_instance_uid
            failure = None if uid in committed else failed.get(uid)
            if uid not in committed and failure is None:
                continue
            answered.add(delivery.delivery_id)
            if failure is None or (delivery.delivery_id in waiting and not row["closed"]):
                self._answered(connection, cases[delivery.case_id], delivery, failure)
        self._close_answered(connection, row, answered, waiting)
        return True

    def _answered(
        self, connection: Connection, case: Mapping[str, Any], delivery: Delivery, failure: Failure | None
    ) -> None:
        """Settle one delivery by what the report says of it, and its case with the last one."""
        (way,) = read_sealed(connection, schema.delivery, schema.delivery.c.id == delivery.delivery_id)
        before = DeliveryState(way["state"])
        if failure is None and before in UNSETTLED:
            move_delivery(self._store, connection, case, way, DeliveryState.DELIVERED, code=None)
        elif failure is not None and before is DeliveryState.SENT:
            why = {"code": _NOT_CONFIRMED, "text": f"not committed: 0x{failure.reason:04X}", "sent_at": None}
            move_delivery(self._store, connection, case, way, DeliveryState.PENDING, **why)
        if CaseState(read_case(connection, case["id"])["state"]) is CaseState.SENDING:
            settle_case(self._store, connection, case)

    def _close_answered(
        self, connection: Connection, row: Mapping[str, Any], answered: set[int], waiting: set[int]
    ) -> None:
        """Note which deliveries were spoken of; the commitment is closed with the last one."""
        link = schema.commitment_delivery
        if answered:
            of = (link.c.commitment_id == row["id"], link.c.delivery_id.in_(sorted(answered)))
            connection.execute(update(link).where(*of).values(answered=True))
        if not row["closed"] and waiting <= answered:
            change_sealed(connection, schema.commitment, row, closed=True, updated_at=self._store.now())

    def _abandon(self, connection: Connection, transaction_uid: str) -> None:
        table = schema.commitment
        for row in read_sealed(connection, table, table.c.transaction_uid == transaction_uid, ~table.c.closed):
            change_sealed(connection, table, row, closed=True, updated_at=self._store.now())
            told = {"transaction_uid": transaction_uid, "destination": row["destination"]}
            self._store.record(connection, "commitment abandoned", **told)

    def _ask(self, connection: Connection, request: CommitmentRequest) -> None:
        now = self._store.now()
        for row in self._promises(connection, request):
            if row["reported"]:
                again = {"reported": False, "attempts": 0, "asked_at": now, "updated_at": now}
                change_sealed(connection, schema.promise, row, **again)
                self._tell(connection, "commitment requested again", request)
            return
        values = {
            "transaction_uid": request.transaction_uid,
            "asked_by": request.asked_by,
            "references": [[item.sop_class_uid, item.sop_instance_uid] for item in request.references],
            "reported": False,
            "attempts": 0,
            "asked_at": now,
            "updated_at": now,
        }
        insert_sealed(connection, schema.promise, values)
        self._tell(connection, "commitment requested", request, instances=len(request.references))

    def _reported(self, connection: Connection, /, request: CommitmentRequest, what: str, **changes: Any) -> None:
        for row in self._promises(connection, request):
            attempts = row["attempts"] + ("reported" not in changes)
            now = self._store.now()
            change_sealed(connection, schema.promise, row, attempts=attempts, updated_at=now, **changes)
            told = {name: changes[name] for name in ("failed", "code") if changes.get(name) is not None}
            self._tell(connection, what, request, **told)

    @staticmethod
    def _promises(connection: Connection, request: CommitmentRequest) -> list[Mapping[str, Any]]:
        table = schema.promise
        same = (table.c.asked_by == request.asked_by, table.c.transaction_uid == request.transaction_uid)
        return read_sealed(connection, table, *same)

    def _tell(self, connection: Connection, what: str, request: CommitmentRequest, **detail: Any) -> None:
        told: dict[str, Any] = {"transaction_uid": request.transaction_uid, "asked_by": request.asked_by}
        self._store.record(connection, what, **told, **detail)


def _request(row: Mapping[str, Any]) -> CommitmentRequest:
    return CommitmentRequest(
        transaction_uid=row["transaction_uid"],
        asked_by=row["asked_by"],
        references=tuple(
            Reference(sop_class_uid=sop_class, sop_instance_uid=uid) for sop_class, uid in row["references"]
        ),
    )
