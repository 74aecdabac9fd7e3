"""What `status` tells: counts and the latest cases, read without disturbing the writer."""

from typing import Any

from sqlalchemy import RowMapping, func, select

from node.journal import schema
from node.journal.events import DamagedEvent, Event, read_events
from node.journal.pulls import last_ends
from node.journal.store import Store

#: Columns of a case that say nothing to people.
_INTERNAL = frozenset({"seal", "lease_until", "claims"})


def overview(store: Store, *, latest: int) -> dict[str, Any]:
    """Return counts by state, open series, quarantined bytes and the `latest` cases with objects and deliveries.

    `commitments`: "asked" of each destination and not answered, "due" to be reported to others; `pulls`: how each
    has ended last.
    """
    case, delivery, series = schema.case, schema.delivery, schema.series
    with store.reading() as connection:
        cases = connection.execute(select(case.c.state, func.count().label("cases")).group_by(case.c.state)).all()
        deliveries = connection.execute(
            select(delivery.c.destination, delivery.c.state, func.count()).group_by(
                delivery.c.destination, delivery.c.state
            )
        ).all()
        receiving = connection.execute(select(func.count()).where(~series.c.closed)).scalar_one()
        quarantined = (
            connection.execute(select(schema.quarantine).order_by(schema.quarantine.c.id.desc()).limit(latest))
            .mappings()
            .all()
        )
        asked = connection.execute(
            select(schema.commitment.c.destination, func.count().label("commitments"))
            .where(~schema.commitment.c.closed)
            .group_by(schema.commitment.c.destination)
        ).all()
        due = connection.execute(select(func.count()).where(~schema.promise.c.reported)).scalar_one()
        rows = connection.execute(select(case).order_by(case.c.id.desc()).limit(latest)).mappings().all()
        shown = select(case.c.id).order_by(case.c.id.desc()).limit(latest)
        objects = (
            connection.execute(
                select(
                    schema.result.c.case_id,
                    schema.result.c.kind,
                    schema.result.c.sop_instance_uid,
                    schema.result.c.path,
                    delivery.c.destination,
                    delivery.c.state,
                    delivery.c.attempts,
                    delivery.c.code,
                    delivery.c.text,
                )
                .outerjoin(delivery, delivery.c.object_id == schema.result.c.id)
                .where(schema.result.c.case_id.in_(shown))
                .order_by(schema.result.c.id, delivery.c.id)
            )
            .mappings()
            .all()
        )
    of_case: dict[int, list[dict[str, Any]]] = {}
    for item in objects:
        of_case.setdefault(item["case_id"], []).append(dict(item))
    return {
        "receiving": receiving,
        "cases": {row.state: row.cases for row in cases},
        "deliveries": [{"destination": name, "state": state, "count": count} for name, state, count in deliveries],
        "commitments": {"asked": {row.destination: row.commitments for row in asked}, "due": due},
        "pulls": last_ends(store),
        "latest_cases": [{**_told(row), "objects": of_case.get(row["id"], [])} for row in rows],
        "latest_quarantined": [dict(row) for row in quarantined],
    }


def _told(row: RowMapping) -> dict[str, Any]:
    """Return a case without what only the journal itself needs."""
    return {name: value for name, value in row.items() if name not in _INTERNAL}


def events(store: Store, *, series_uid: str) -> list[dict[str, Any]]:
    """Return the audit trail of one series, oldest first; of an event that is damaged its number and time."""
    return [_row(event) for event in read_events(store, schema.event.c.series_uid == series_uid)]


def _row(event: Event | DamagedEvent) -> dict[str, Any]:
    if isinstance(event, DamagedEvent):
        event = Event(event=event.event, at=event.at, series_uid=None, case=None, what="event damaged", detail={})
    return {
        "id": event.event,
        "at": event.at,
        "series_uid": event.series_uid,
        "case_id": event.case,
        "what": event.what,
        "detail": event.detail,
    }
