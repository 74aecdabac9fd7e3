"""Rows of the audit trail, as those read them who cannot do without the rows that come after.

Events are not sealed: nothing of the work stands on one. But a row can be damaged like any other, and one that is must
not keep its readers from all that was written since. So it is handed over as what it is, and they pass it over.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, select

from node.errors import JournalDamaged
from node.journal import schema
from node.journal.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A row of the trail."""

    event: int
    #: UTC, ISO 8601.
    at: str
    series_uid: str | None
    case: int | None
    what: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedEvent:
    """A row of the trail that is not what was written."""

    event: int
    #: Its time; that of the event before it where its own is damaged, "" where there is none before it.
    at: str


def read_events(
    store: Store, *where: ColumnElement[bool], most: int | None = None, before: str = ""
) -> Sequence[Event | DamagedEvent]:
    """Return the events that fit, oldest first, up to `most`. `before`: the time of the event in front of them.

    Raises JournalError; JournalDamaged where not even the numbers of the events can be read.
    """
    table = schema.event
    statement = select(table).where(*where).order_by(table.c.id).limit(most)
    try:
        with store.reading() as connection:
            found = [_event(row) for row in connection.execute(statement)]
    except JournalDamaged:
        found = _one_by_one(store, where, most)
    for place, event in enumerate(found):
        if not event.at:
            found[place] = replace(event, at=found[place - 1].at if place else before)
    return tuple(found)


def _one_by_one(store: Store, where: Sequence[ColumnElement[bool]], most: int | None) -> list[Event | DamagedEvent]:
    table = schema.event
    with store.reading() as connection:
        numbers = connection.execute(select(table.c.id).where(*where).order_by(table.c.id).limit(most)).scalars().all()
    return [_alone(store, number) for number in numbers]


def _alone(store: Store, number: int) -> Event | DamagedEvent:
    """Return one event, or what can still be told of it."""
    table = schema.event
    try:
        with store.reading() as connection:
            return _event(connection.execute(select(table).where(table.c.id == number)).one())
    except JournalDamaged:
        pass
    try:
        with store.reading() as connection:
            return _damaged(number, connection.execute(select(table.c.at).where(table.c.id == number)).scalar())
    except JournalDamaged:
        return DamagedEvent(event=number, at="")


def _event(row: Row[Any]) -> Event | DamagedEvent:
    if not _is_sound(row):
        return _damaged(row.id, row.at)
    return Event(event=row.id, at=row.at, series_uid=row.series_uid, case=row.case_id, what=row.what, detail=row.detail)


def _damaged(number: int, at: Any) -> DamagedEvent:
    return DamagedEvent(event=number, at=at if _is_time(at) else "")


def _is_sound(row: Row[Any]) -> bool:
    """Return whether a row has the form of an event: what its readers rely on is there, and of its type."""
    if not (isinstance(row.what, str) and isinstance(row.detail, dict) and _is_time(row.at)):
        return False
    if not (isinstance(row.case_id, int | None) and isinstance(row.series_uid, str | None)):
        return False
    subject = row.what.partition(" ")[0]
    needed = _NEEDED.get(row.what) or _NEEDED.get(subject, frozenset())
    fitting = _FITS | _FITS_ALSO.get(subject, {})
    return needed <= row.detail.keys() and all(
        fits(row.detail[name]) for name, fits in fitting.items() if name in row.detail
    )


def _is_time(at: Any) -> bool:
    try:
        return datetime.fromisoformat(at).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _is_text(value: Any) -> bool:
    return isinstance(value, str | None)


def _are_reasons(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(reason, dict) and isinstance(reason.get("code"), str) and isinstance(reason.get("text"), str)
        for reason in value
    )


def _are_numbers(value: Any) -> bool:
    """Return whether a value holds numbers by name: seconds by stage, series by reason."""
    return isinstance(value, dict) and all(map(_is_number, value.values()))


#: What an event must say, by what happened or by its first word.
_NEEDED: Mapping[str, frozenset[str]] = {
    "bytes": frozenset({"code"}),
    "delivery": frozenset({"destination"}),
    "pull": frozenset({"pull"}),
    "series asked for": frozenset({"instances", "arrived", "wanted"}),
}
#: What must fit where an event says it.
_FITS: dict[str, Callable[[Any], bool]] = {
    "code": _is_text,
    "text": _is_text,
    "destination": lambda value: isinstance(value, str),
    "reasons": _are_reasons,
    "timings_s": _are_numbers,
    "seconds": lambda value: value is None or _is_number(value),
    "instances": _is_number,
    "arrived": _is_number,
    "wanted": _is_number,
}
#: The same, by the first word of what happened: a pull counts its reasons.
_FITS_ALSO: Mapping[str, dict[str, Callable[[Any], bool]]] = {
    "pull": {"pull": lambda value: isinstance(value, str), "stopped": _is_text, "reasons": _are_numbers},
}
