"""What stands now, read from the tables of the journal."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from node.domain.case import UNSETTLED, CaseState, DeliveryState
from node.errors import JournalDamaged
from node.journal import schema
from node.journal.store import Store

#: States of a case that somebody must end: the worker, a destination, or an operator.
OPEN_STATES = (
    CaseState.QUEUED,
    CaseState.RUNNING,
    CaseState.HELD,
    CaseState.SENDING,
    CaseState.UNDELIVERED,
    CaseState.QUARANTINED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Objects on their way to a destination."""

    count: int = 0
    #: Since the oldest of their cases began to be sent, in seconds.
    oldest_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The journal of one moment. Ages in seconds, 0 where there is nothing."""

    cases: Mapping[CaseState, int]
    oldest_s: Mapping[CaseState, float]
    receiving: int
    oldest_receiving_s: float
    #: Of the newest instance, be it deleted since, in seconds since the epoch; None where nothing has ever arrived.
    last_arrival_at: float | None
    quarantined: int
    promises_due: int
    #: By destination and whether the objects wait to be taken or to be confirmed.
    deliveries: Mapping[tuple[str, DeliveryState], Waiting]
    #: By destination.
    commitments: Mapping[str, int]


def seconds_of(at: str) -> float:
    """Return a stored time in seconds since the epoch. Raises JournalDamaged for what is no time."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except (TypeError, ValueError) as error:
        raise JournalDamaged("a row holds no time where it should") from error


def read_standing(store: Store) -> Standing:
    """Return what stands now. Raises JournalError."""
    series, quarantine, promise = schema.series, schema.quarantine, schema.promise
    is_open = ~series.c.closed
    arrivals = select(
        func.count().filter(is_open),
        func.min(series.c.first_arrival_at).filter(is_open),
        func.max(series.c.last_arrival_at),
    ).select_from(series)
    with store.reading() as connection:
        receiving, first, last = connection.execute(arrivals).one()
        return Standing(
            cases=_cases(connection),
            oldest_s=_oldest(store, connection),
            receiving=receiving,
            oldest_receiving_s=0.0 if first is None else store.age_s(first),
            last_arrival_at=None if last is None else seconds_of(last),
            quarantined=connection.execute(select(func.count()).select_from(quarantine)).scalar_one(),
            promises_due=connection.execute(
                select(func.count()).select_from(promise).where(~promise.c.reported)
            ).scalar_one(),
            deliveries=_deliveries(store, connection),
            commitments=_commitments(connection),
        )


def _cases(connection: Connection) -> dict[CaseState, int]:
    table = schema.case
    rows = connection.execute(select(table.c.state, func.count()).group_by(table.c.state)).all()
    counts = {CaseState(state): count for state, count in rows}
    return {state: counts.get(state, 0) for state in CaseState}


def _oldest(store: Store, connection: Connection) -> dict[CaseState, float]:
    """Return for how long the case that came into a state first has been in it."""
    table = schema.case
    rows = connection.execute(
        select(table.c.state, func.min(table.c.updated_at))
        .where(table.c.state.in_([state.value for state in OPEN_STATES]))
        .group_by(table.c.state)
    ).all()
    ages = {CaseState(state): store.age_s(at) for state, at in rows}
    return {state: ages.get(state, 0.0) for state in OPEN_STATES}


def _deliveries(store: Store, connection: Connection) -> dict[tuple[str, DeliveryState], Waiting]:
    """Return what waits, of the cases that are being sent: a held one waits for its operator only."""
    case, result, delivery = schema.case, schema.result, schema.delivery
    rows = connection.execute(
        select(delivery.c.destination, delivery.c.state, func.count(), func.min(case.c.updated_at))
        .join_from(case, result, result.c.case_id == case.c.id)
        .join(delivery, delivery.c.object_id == result.c.id)
        .where(
            case.c.state == CaseState.SENDING.value, delivery.c.state.in_(sorted(state.value for state in UNSETTLED))
        )
        .group_by(delivery.c.destination, delivery.c.state)
    ).all()
    return {
        (destination, DeliveryState(state)): Waiting(count=count, oldest_s=store.age_s(at))
        for destination, state, count, at in rows
    }


def _commitments(connection: Connection) -> dict[str, int]:
    table = schema.commitment
    rows = connection.execute(
        select(table.c.destination, func.count().label("open")).where(~table.c.closed).group_by(table.c.destination)
    ).all()
    return {row.destination: row.open for row in rows}
