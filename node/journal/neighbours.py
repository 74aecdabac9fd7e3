"""Those around the node, by what the journal knows of them: who sends, and how it goes with each destination."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import func, select

from node.domain.case import DeliveryState
from node.journal import schema
from node.journal.store import Store

_TAKEN = (DeliveryState.SENT.value, DeliveryState.DELIVERED.value)
_NOT_TAKEN = (DeliveryState.PENDING.value, DeliveryState.REFUSED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why an object is not where it should be. `at`: UTC, ISO 8601, of the last try."""

    at: str
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How it goes with a destination."""

    #: How many objects are in each state that any is in.
    counts: Mapping[DeliveryState, int] = field(default_factory=dict)
    #: When it last took something; None: never.
    last_success_at: str | None = None
    #: Of the object that failed last, among those that it does not have yet.
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Somebody who has sent. `last_arrival_at`: UTC, ISO 8601."""

    calling_ae: str
    series: int
    last_arrival_at: str


def ways(store: Store) -> Mapping[str, Way]:
    """Return how it goes with every destination that anything was ever meant for, by its name. Raises JournalError."""
    table = schema.delivery
    grouped = select(table.c.destination, table.c.state, func.count().label("objects"), func.max(table.c.updated_at))
    failed = (
        select(table.c.destination, table.c.code, table.c.text, table.c.updated_at)
        .where(table.c.state.in_(_NOT_TAKEN), table.c.code.is_not(None))
        .order_by(table.c.updated_at)
    )
    with store.reading() as connection:
        rows = connection.execute(grouped.group_by(table.c.destination, table.c.state)).all()
        faults = {
            row.destination: Fault(at=row.updated_at, code=row.code, text=row.text or "")
            for row in connection.execute(failed)
        }
    found = {}
    for name in {destination for destination, *_ in rows}:
        own = [(state, count, at) for destination, state, count, at in rows if destination == name]
        found[name] = Way(
            counts={DeliveryState(state): count for state, count, _ in own},
            last_success_at=max((at for state, _, at in own if state in _TAKEN), default=None),
            fault=faults.get(name),
        )
    return found


def senders(store: Store) -> tuple[Sender, ...]:
    """Return who has sent series that are known, by the last sender of each; the newest first. Raises JournalError."""
    table = schema.series
    last = func.max(table.c.last_arrival_at).label("last")
    statement = select(table.c.calling_ae, func.count().label("series"), last).group_by(table.c.calling_ae)
    with store.reading() as connection:
        rows = connection.execute(statement.order_by(last.desc(), table.c.calling_ae)).all()
    return tuple(
        Sender(calling_ae=row.calling_ae, series=row.series, last_arrival_at=row.last) for row in rows if row.calling_ae
    )
