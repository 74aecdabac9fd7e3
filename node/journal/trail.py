"""The audit trail read from an event on, by somebody who remembers how far: what he is told he is told in order.

Numbers of events grow. On PostgreSQL a number may be missing for a moment, until the transaction of another host that
took it ends; or for ever, when it was undone. So a place in the trail names those that are missing before it, and they
are looked for again. An event that is damaged is handed over as that, and passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select

from node.domain.case import DeliveryState
from node.journal import schema
from node.journal.events import DamagedEvent, Event, read_events
from node.journal.store import Store

#: Missing numbers that lie further back than this are given up.
_LOOK_BACK = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far somebody has read: up to a sound event, which bears its time, without those that are `missing`."""

    event: int = 0
    #: UTC, ISO 8601; "" at the beginning.
    at: str = ""
    missing: tuple[int, ...] = ()
    #: The last of the damaged events that were passed over behind it; 0 where it has none behind it.
    passed: int = 0

    @property
    def end(self) -> int:
        """Return the number of the last event that was read."""
        return max(self.event, self.passed)


def newest_place(store: Store) -> Place:
    """Return the end of the trail."""
    return _behind_newest(store)


def read_on(store: Store, place: Place, most: int) -> tuple[Sequence[Event | DamagedEvent], Place]:
    """Return up to `most` events after a place, oldest first, and the place behind them.

    In a journal that is not the one of that place (it was rebuilt, or restored from a backup) reading goes on with the
    first event that is younger. Raises JournalError; JournalDamaged where more is damaged than single events.
    """
    place = _in_this_journal(store, place)
    events = read_events(store, _wanted(place), most=most, before=place.at)
    return events, _behind(place, events) if events else place


def _behind(place: Place, events: Sequence[Event | DamagedEvent]) -> Place:
    """Return the place behind some events, of which there is one at least."""
    end = max(place.end, *(event.event for event in events))
    found = {event.event for event in events}
    oldest = end - _LOOK_BACK + 1
    left_out = [*place.missing, *range(max(place.end + 1, oldest), end)]
    last = place
    for event in events:
        if isinstance(event, Event) and event.event > last.event:
            last = Place(event=event.event, at=event.at)
    return Place(
        event=last.event,
        at=last.at,
        missing=tuple(event for event in left_out if event not in found and event >= oldest),
        passed=end if end > last.event else 0,
    )


def _in_this_journal(store: Store, place: Place) -> Place:
    """Return the same place, or where it would be in a journal that does not have its event."""
    table = schema.event
    if not place.at:
        return place
    same = select(table.c.id).where(table.c.id == place.event, table.c.at == place.at)
    with store.reading() as connection:
        if connection.execute(same).scalar() is not None:
            return place
    return _behind_newest(store, table.c.at <= place.at)


def _behind_newest(store: Store, *where: ColumnElement[bool]) -> Place:
    """Return the place behind the newest of the events that fit."""
    table = schema.event
    with store.reading() as connection:
        numbers = connection.execute(select(table.c.id).where(*where).order_by(table.c.id.desc()).limit(_LOOK_BACK))
        newest_first = numbers.scalars().all()
    for number in newest_first:
        (event,) = read_events(store, table.c.id == number)
        if isinstance(event, Event):
            return Place(event=number, at=event.at, passed=newest_first[0] if newest_first[0] > number else 0)
    return Place(passed=newest_first[0]) if newest_first else Place()


def _wanted(place: Place) -> ColumnElement[bool]:
    table = schema.event
    wanted: ColumnElement[bool] = table.c.id > place.end
    return or_(wanted, table.c.id.in_(place.missing)) if place.missing else wanted


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
