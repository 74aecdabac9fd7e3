"""The cases as somebody looks for them: filtered, newest first, a page at a time.

Pages are told apart by numbers of cases, not by how many lie before: a page costs the same however far down it is, and
no case is shown twice or missed because another one came meanwhile.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, false, func, or_, select

from node.domain.case import CaseState
from node.domain.findings import Verdict
from node.journal import schema
from node.journal.store import Store

#: The largest number that SQLite and PostgreSQL both hold in an INTEGER.
LARGEST = 2**31 - 1
_MOST_DIGITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for; what is empty or None asks nothing."""

    states: Collection[CaseState] = ()
    routes: Collection[str] = ()
    verdicts: Collection[Verdict] = ()
    #: Opened at this time or later; before that one.
    since: datetime | None = None
    until: datetime | None = None
    #: The number of a case, part of the AE title of a sender, or a whole UID: of a study, a series, a received instance
    #: or a result.
    text: str = ""
    #: Whether UIDs may be looked for: who may not see them learns nothing by asking for one.
    by_uid: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How far the objects of a case are on their way to one destination: how many are in each state."""

    destination: str
    states: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A case in a list. Times are UTC, ISO 8601."""

    case_id: int
    study_uid: str
    series_uid: str
    revision: int
    state: CaseState
    #: None where no route took the series.
    route: str | None
    #: None while there is no result.
    verdict: Verdict | None
    #: Each with code and text.
    reasons: Sequence[Mapping[str, str]]
    attempts: int
    partial: bool
    purged: bool
    calling_ae: str
    instances: int
    created_at: str
    updated_at: str
    sent: tuple[Sent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of a list, newest first. `newer`, `older`: the case that the neighbouring page goes on from, or None."""

    cases: tuple[Listed, ...]
    newer: int | None = field(default=None)
    older: int | None = field(default=None)


def search(store: Store, wanted: Search, *, size: int, before: int | None = None, after: int | None = None) -> Page:
    """Return up to `size` cases that fit: the newest, or those next `before` a case, or next `after` one.

    Raises JournalError.
    """
    case = schema.case
    order = case.c.id.asc() if after is not None else case.c.id.desc()
    statement = _found(wanted).order_by(order).limit(size + 1)
    if after is not None:
        statement = statement.where(case.c.id > after)
    elif before is not None:
        statement = statement.where(case.c.id < before)
    with store.reading() as connection:
        rows = connection.execute(statement).mappings().all()
        more = len(rows) > size
        shown = sorted(rows[:size], key=lambda row: -int(row["id"]))
        sent = _sent(connection, [row["id"] for row in shown])
    cases = tuple(_listed(row, sent.get(row["id"], ())) for row in shown)
    if not cases:
        return Page(cases=(), newer=before - 1 if before else None, older=after + 1 if after is not None else None)
    has_newer = more if after is not None else before is not None
    has_older = more if after is None else True
    return Page(
        cases=cases,
        newer=cases[0].case_id if has_newer else None,
        older=cases[-1].case_id if has_older else None,
    )


def listed(store: Store, case_id: int) -> Listed | None:
    """Return one case as it stands in a list; None where the journal has none of this number. Raises JournalError."""
    with store.reading() as connection:
        row = connection.execute(_found(Search()).where(schema.case.c.id == case_id)).mappings().first()
        return None if row is None else _listed(row, _sent(connection, [case_id]).get(case_id, ()))


def count_by_state(store: Store) -> Mapping[CaseState, int]:
    """Return how many cases there are in each state that has any. Raises JournalError."""
    table = schema.case
    with store.reading() as connection:
        rows = connection.execute(select(table.c.state, func.count()).group_by(table.c.state)).all()
    return {CaseState(state): count for state, count in rows}


def receiving(store: Store) -> int:
    """Return how many series still receive, and so have no case yet. Raises JournalError."""
    with store.reading() as connection:
        return int(connection.execute(select(func.count()).where(~schema.series.c.closed)).scalar_one())


def routes_of_cases(store: Store) -> tuple[str, ...]:
    """Return the names of the routes that have taken a case, in alphabetical order. Raises JournalError."""
    table = schema.case
    statement = select(table.c.route).where(table.c.route.is_not(None)).distinct().order_by(table.c.route)
    with store.reading() as connection:
        return tuple(connection.execute(statement).scalars())


def _found(wanted: Search) -> Any:
    case, series = schema.case, schema.series
    columns = [column for column in case.c if column.name not in {"seal", "owner", "lease_until", "claims"}]
    statement = (
        select(*columns, series.c.calling_ae, series.c.instances)
        .join(series, series.c.series_uid == case.c.series_uid)
        .where(*_filters(wanted))
    )
    return statement.where(_named(wanted.text, by_uid=wanted.by_uid)) if wanted.text else statement


def _filters(wanted: Search) -> list[ColumnElement[bool]]:
    case = schema.case
    filters: list[ColumnElement[bool]] = []
    if wanted.states:
        filters.append(case.c.state.in_([state.value for state in wanted.states]))
    if wanted.routes:
        filters.append(case.c.route.in_(list(wanted.routes)))
    if wanted.verdicts:
        filters.append(case.c.verdict.in_([verdict.value for verdict in wanted.verdicts]))
    if wanted.since is not None:
        filters.append(case.c.created_at >= _stored(wanted.since))
    if wanted.until is not None:
        filters.append(case.c.created_at < _stored(wanted.until))
    return filters


def _named(text: str, *, by_uid: bool) -> ColumnElement[bool]:
    """Return what is true of the cases that a text means."""
    case, instance, result = schema.case, schema.instance, schema.result
    meanings: list[ColumnElement[bool]] = [schema.series.c.calling_ae.icontains(text, autoescape=True)]
    if text.isascii() and text.isdecimal():
        digits = text.lstrip("0")[: _MOST_DIGITS + 1]  # Python turns no text of thousands of digits into a number
        meanings.append(case.c.id == int(digits or "0") if int(digits or "0") <= LARGEST else false())
    if by_uid and "." in text:
        meanings += [
            case.c.study_uid == text,
            case.c.series_uid == text,
            case.c.series_uid.in_(select(instance.c.series_uid).where(instance.c.sop_instance_uid == text)),
            case.c.id.in_(select(result.c.case_id).where(result.c.sop_instance_uid == text)),
        ]
    return or_(*meanings)


def _sent(connection: Connection, cases: Sequence[int]) -> dict[int, tuple[Sent, ...]]:
    """Return what is on its way of each case, by destination."""
    delivery, result = schema.delivery, schema.result
    rows = connection.execute(
        select(result.c.case_id, delivery.c.destination, delivery.c.state, func.count())
        .join(delivery, delivery.c.object_id == result.c.id)
        .where(result.c.case_id.in_(cases))
        .group_by(result.c.case_id, delivery.c.destination, delivery.c.state)
        .order_by(result.c.case_id, delivery.c.destination, delivery.c.state)
    ).all()
    counts: dict[int, dict[str, dict[str, int]]] = {}
    for case_id, destination, state, count in rows:
        counts.setdefault(case_id, {}).setdefault(destination, {})[state] = count
    return {
        case_id: tuple(Sent(destination=name, states=states) for name, states in found.items())
        for case_id, found in counts.items()
    }


def _listed(row: RowMapping, sent: tuple[Sent, ...]) -> Listed:
    kept: dict[str, Any] = {name: row[name] for name in row if name not in {"id", "state", "verdict", "set_digest"}}
    verdict = Verdict(row["verdict"]) if row["verdict"] else None
    return Listed(case_id=row["id"], state=CaseState(row["state"]), verdict=verdict, sent=sent, **kept)


def _stored(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
