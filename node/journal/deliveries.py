"""Deliveries in the journal: what still has to go where, and what has yet to be confirmed."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from node.domain.case import UNSETTLED, CaseState, DeliveryState
from node.journal import schema
from node.journal.moves import move_delivery, read_case, settle_case
from node.journal.seals import part, read_sealed
from node.journal.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One object on its way to one destination."""

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
    destination: str = ""
    study_uid: str = ""
    #: Seconds since the destination took it, by the journal's wall clock; None while it has not.
    sent_age_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """From which states a delivery may go where, and whether that was an attempt."""

    before: frozenset[DeliveryState]
    after: DeliveryState
    is_attempt: bool


_PENDING = frozenset({DeliveryState.PENDING})
_SENT = _Step(before=_PENDING, after=DeliveryState.SENT, is_attempt=True)
_DELIVERED = _Step(before=UNSETTLED, after=DeliveryState.DELIVERED, is_attempt=True)
_FAILED = _Step(before=_PENDING, after=DeliveryState.PENDING, is_attempt=True)
_REFUSED = _Step(before=UNSETTLED, after=DeliveryState.REFUSED, is_attempt=True)
_UNCONFIRMED = _Step(before=frozenset({DeliveryState.SENT}), after=DeliveryState.PENDING, is_attempt=False)


class DeliveryJournal:
    """Deliveries, as rows. A step returns False, and is told as an event only, when the delivery had ended before."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def pending(self, destination: str) -> tuple[Delivery, ...]:
        """Return what waits for a destination, case by case, in the order in which the objects were made.

        Only cases that are being sent count: a held one waits. Raises JournalDamaged.
        """
        return self._of(destination, DeliveryState.PENDING)

    def awaiting(self, destination: str) -> tuple[Delivery, ...]:
        """Return what a destination has taken and not confirmed, in the same order. Raises JournalDamaged."""
        return self._of(destination, DeliveryState.SENT)

    def destinations_pending(self) -> frozenset[str]:
        """Return the names of the destinations that something is still owed to."""
        table = schema.delivery
        unsettled = table.c.state.in_([state.value for state in UNSETTLED])
        with self._store.reading() as connection:
            return frozenset(connection.execute(select(table.c.destination).where(unsettled).distinct()).scalars())

    def record_sent(self, delivery: Delivery, note: str | None = None) -> bool:
        """Record that the destination took an object, and has yet to confirm it; `note`: a warning that it gave."""
        return self._store.run(self._step, delivery, _SENT, None, note)

    def record_delivered(self, delivery: Delivery, note: str | None = None) -> bool:
        """Record that the destination has an object: confirmed, or taken where nobody asks for more."""
        return self._store.run(self._step, delivery, _DELIVERED, None, note)

    def record_failed(self, delivery: Delivery, code: str, text: str) -> bool:
        """Record a failure that may pass: the delivery waits for its next try."""
        return self._store.run(self._step, delivery, _FAILED, code, text)

    def record_refused(self, delivery: Delivery, code: str, text: str) -> bool:
        """Record that the destination will never have the object."""
        return self._store.run(self._step, delivery, _REFUSED, code, text)

    def record_unconfirmed(self, delivery: Delivery, code: str, text: str) -> bool:
        """Record that the destination does not have what it took: it is sent again."""
        return self._store.run(self._step, delivery, _UNCONFIRMED, code, text)

    def _of(self, destination: str, state: DeliveryState) -> tuple[Delivery, ...]:
        with self._store.reading() as connection:
            return read_deliveries(
                self._store,
                connection,
                schema.delivery.c.destination == destination,
                schema.delivery.c.state == state.value,
                schema.case.c.state == CaseState.SENDING.value,
            )

    def _step(
        self, connection: Connection, delivery: Delivery, step: _Step, code: str | None, text: str | None
    ) -> bool:
        case = read_case(connection, delivery.case_id)
        (row,) = read_sealed(connection, schema.delivery, schema.delivery.c.id == delivery.delivery_id)
        if DeliveryState(row["state"]) not in step.before:
            told = {"delivery": row["id"], "destination": row["destination"], "code": code, "text": text}
            what = f"delivery {step.after.value} after it had ended"
            self._store.record(connection, what, series_uid=case["series_uid"], case_id=case["id"], **told)
            return False
        changes: dict[str, Any] = {"code": code, "text": text}
        if step.is_attempt and row["state"] == DeliveryState.PENDING.value:
            changes["attempts"] = row["attempts"] + 1
        if step.after is DeliveryState.SENT:
            changes["sent_at"] = self._store.now()
        elif step.after is DeliveryState.PENDING:
            changes["sent_at"] = None
        move_delivery(self._store, connection, case, row, step.after, **changes)
        settle_case(self._store, connection, case)
        return True


def read_deliveries(store: Store, connection: Connection, *where: ColumnElement[bool]) -> tuple[Delivery, ...]:
    """Return the deliveries that fit, by case and object, each row of them verified."""
    delivery, result, case = schema.delivery, schema.result, schema.case
    rows = connection.execute(
        select(delivery, result, case)
        .join(result, delivery.c.object_id == result.c.id)
        .join(case, result.c.case_id == case.c.id)
        .where(*where)
        .order_by(result.c.case_id, result.c.id, delivery.c.id)
    )
    found = []
    for row in rows:
        way, made, of = part(row, delivery), part(row, result), part(row, case)
        found.append(
            Delivery(
                delivery_id=way["id"],
                case_id=of["id"],
                series_uid=of["series_uid"],
                sop_class_uid=made["sop_class_uid"],
                sop_instance_uid=made["sop_instance_uid"],
                path=made["path"],
                digest=made["digest"],
                attempts=way["attempts"],
                destination=way["destination"],
                study_uid=of["study_uid"],
                sent_age_s=None if way["sent_at"] is None else store.age_s(way["sent_at"]),
            )
        )
    return tuple(found)
