"""Deliveries in the journal: what still has to go where."""

from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from node.domain.case import CaseState, DeliveryState
from node.journal import schema
from node.journal.cases import move_case
from node.journal.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One object that has not reached one destination."""

    delivery_id: int
    case_id: int
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    #: Relative to the state folder.
    path: str
    #: SHA-256 of the file when it was made.
    digest: str
    attempts: int


class DeliveryJournal:
    """Deliveries, as rows."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def pending(self, destination: str) -> tuple[Delivery, ...]:
        """Return what waits for a destination, case by case, each case's SEG before its SR."""
        delivery, result, case = schema.delivery, schema.result, schema.case
        with self._store.transaction() as connection:
            rows = connection.execute(
                select(
                    delivery.c.id,
                    delivery.c.attempts,
                    result.c.case_id,
                    result.c.sop_class_uid,
                    result.c.sop_instance_uid,
                    result.c.path,
                    result.c.digest,
                    case.c.series_uid,
                )
                .join(result, delivery.c.object_id == result.c.id)
                .join(case, result.c.case_id == case.c.id)
                .where(delivery.c.destination == destination, delivery.c.state == DeliveryState.PENDING.value)
                .order_by(result.c.case_id, result.c.id)
            ).all()
        return tuple(
            Delivery(
                delivery_id=row.id,
                case_id=row.case_id,
                series_uid=row.series_uid,
                sop_class_uid=row.sop_class_uid,
                sop_instance_uid=row.sop_instance_uid,
                path=row.path,
                digest=row.digest,
                attempts=row.attempts,
            )
            for row in rows
        )

    def destinations_pending(self) -> frozenset[str]:
        """Return the names of the destinations that something waits for."""
        table = schema.delivery
        with self._store.transaction() as connection:
            names = connection.execute(
                select(table.c.destination).where(table.c.state == DeliveryState.PENDING.value).distinct()
            ).scalars()
            return frozenset(names)

    def record_delivered(self, delivery: Delivery, note: str | None) -> None:
        """Record that the destination took the object; `note` keeps what else it said."""
        self._end(delivery, DeliveryState.DELIVERED, code=None, text=note)

    def record_refused(self, delivery: Delivery, code: str, text: str) -> None:
        """Record that the destination will never take the object."""
        self._end(delivery, DeliveryState.REFUSED, code=code, text=text)

    def record_failed(self, delivery: Delivery, code: str, text: str) -> None:
        """Record a failure that may pass; the delivery stays pending."""
        self._end(delivery, DeliveryState.PENDING, code=code, text=text)

    def _end(self, delivery: Delivery, state: DeliveryState, *, code: str | None, text: str | None) -> None:
        table = schema.delivery
        with self._store.transaction() as connection:
            changed = connection.execute(
                update(table)
                .where(table.c.id == delivery.delivery_id, table.c.state == DeliveryState.PENDING.value)
                .values(
                    state=state.value,
                    attempts=table.c.attempts + 1,
                    code=code,
                    text=text,
                    updated_at=self._store.now(),
                )
            )
            destination = connection.execute(
                select(table.c.destination).where(table.c.id == delivery.delivery_id)
            ).scalar_one()
            what = "delivery failed" if state is DeliveryState.PENDING else f"delivery {state.value}"
            self._store.record(
                connection,
                what if changed.rowcount else f"{what} after its case had ended",
                series_uid=delivery.series_uid,
                case_id=delivery.case_id,
                destination=destination,
                code=code,
                text=text,
            )
            if changed.rowcount:
                self._settle_case(connection, delivery.case_id)

    def _settle_case(self, connection: Connection, case_id: int) -> None:
        """Move the case on when none of its deliveries is pending any more."""
        delivery, result = schema.delivery, schema.result
        states = set(
            connection.execute(
                select(delivery.c.state)
                .join(result, delivery.c.object_id == result.c.id)
                .where(result.c.case_id == case_id)
            ).scalars()
        )
        case_state = connection.execute(select(schema.case.c.state).where(schema.case.c.id == case_id)).scalar_one()
        if DeliveryState.PENDING.value in states or case_state != CaseState.SENDING.value:
            return
        delivered = states == {DeliveryState.DELIVERED.value}
        move_case(self._store, connection, case_id, CaseState.DELIVERED if delivered else CaseState.UNDELIVERED)
