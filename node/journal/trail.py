"""The audit trail read from an event on, by somebody who remembers how far: what he is told he is told in order.

Numbers of events grow. On PostgreSQL a number may be missing for a moment, until the transaction of another host that
took it ends; or for ever, when it was undone. So a place in the trail names those that are missing before it, and they
are looked for again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select

from node.domain.case import DeliveryState
from node.journal import schema
from node.journal.store import Store

#: Missing numbers that lie further back than this are given up.
_LOOK_BACK = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far somebody has read: up to an event, which bears its time, without those that are `missing`."""

    event: int = 0
    #: UTC, ISO 8601; "" at the beginning.
    at: str = ""
    missing: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A row of the trail."""

    event: int
    at: str
    series_uid: str | None
    case: int | None
    what: str
    detail: Mapping[str, Any]


def newest_place(store: Store) -> Place:
    """Return the end of the trail."""
    table = schema.event
    with store.reading() as connection:
        row = connection.execute(select(table.c.id, table.c.at).order_by(table.c.id.desc()).limit(1)).first()
    return Place() if row is None else Place(event=row.id, at=row.at)


def read_on(store: Store, place: Place, most: int) -> tuple[Sequence[Event], Place]:
    """Return up to `most` events after a place, oldest first, and the place behind them.

    In a journal that is not the one of that place (it was rebuilt, or restored from a backup) reading goes on with the
    first event that is younger.
    """
    with store.reading() as connection:
        place = _in_this_journal(connection, place)
        events = _events(connection, place, most)
    if not events:
        return (), place
    last = max(events, key=lambda event: event.event)
    if last.event <= place.event:
        last = Event(event=place.event, at=place.at, series_uid=None, case=None, what="", detail={})
    found = {event.event for event in events}
    oldest = last.event - _LOOK_BACK + 1
    passed = [*place.missing, *range(max(place.event + 1, oldest), last.event)]
    missing = tuple(event for event in passed if event not in found and event >= oldest)
    return events, Place(event=last.event, at=last.at, missing=missing)


def ended_badly_before(store: Store, event: Event, bad: Sequence[str], good: str) -> bool:
    """Return whether the series of an event had last been told to have ended as one of `bad`, and not as `good`."""
    table = schema.event
    statement = (
        select(table.c.what)
        .where(table.c.series_uid == event.series_uid, table.c.id < event.event, table.c.what.in_([*bad, good]))
        .order_by(table.c.id.desc())
        .limit(1)
    )
    with store.reading() as connection:
        return connection.execute(statement).scalar() in bad


def _in_this_journal(connection: Connection, place: Place) -> Place:
    """Return the same place, or where it would be in a journal that does not have its event."""
    table = schema.event
    if not place.at or connection.execute(select(table.c.at).where(table.c.id == place.event)).scalar() == place.at:
        return place
    older = select(table.c.id, table.c.at).where(table.c.at <= place.at).order_by(table.c.id.desc()).limit(1)
    row = connection.execute(older).first()
    return Place() if row is None else Place(event=row.id, at=row.at)


def _events(connection: Connection, place: Place, most: int) -> list[Event]:
    table = schema.event
    wanted: ColumnElement[bool] = table.c.id > place.event
    if place.missing:
        wanted = or_(wanted, table.c.id.in_(place.missing))
    rows = connection.execute(select(table).where(wanted).order_by(table.c.id).limit(most)).all()
    return [
        Event(event=row.id, at=row.at, series_uid=row.series_uid, case=row.case_id, what=row.what, detail=row.detail)
        for row in rows
    ]


def refusals_of(store: Store, case_id: int) -> tuple[tuple[str, str], ...]:
    """Return (destination, code of its last error) of every destination that refused an object of a case, once each."""
    delivery, result = schema.delivery, schema.result
    statement = (
        select(delivery.c.destination, delivery.c.code)
        .join(result, delivery.c.object_id == result.c.id)
        .where(result.c.case_id == case_id, delivery.c.state == DeliveryState.REFUSED.value)
        .order_by(delivery.c.destination, delivery.c.code)
        .distinct()
    )
    with store.reading() as connection:
        return tuple((row.destination, row.code or "") for row in connection.execute(statement))
