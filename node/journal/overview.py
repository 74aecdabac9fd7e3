"""What `status` tells: counts and the latest cases, read without disturbing the writer."""

from typing import Any

from sqlalchemy import func, select

from node.journal import schema
from node.journal.store import Store


def overview(store: Store, *, latest: int) -> dict[str, Any]:
    """Return counts by state, open series, quarantined bytes and the `latest` cases with objects and deliveries."""
    case, delivery, series = schema.case, schema.delivery, schema.series
    with store.transaction() as connection:
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
        rows = connection.execute(select(case).order_by(case.c.id.desc()).limit(latest)).mappings().all()
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
                .where(schema.result.c.case_id.in_([row["id"] for row in rows]))
                .order_by(schema.result.c.id, delivery.c.id)
            )
            .mappings()
            .all()
        )
    return {
        "receiving": receiving,
        "cases": {row.state: row.cases for row in cases},
        "deliveries": [{"destination": name, "state": state, "count": count} for name, state, count in deliveries],
        "latest_cases": [
            {**row, "objects": [dict(item) for item in objects if item["case_id"] == row["id"]]} for row in rows
        ],
        "latest_quarantined": [dict(row) for row in quarantined],
    }


def events(store: Store, *, series_uid: str) -> list[dict[str, Any]]:
    """Return the audit trail of one series, oldest first."""
    table = schema.event
    with store.transaction() as connection:
        rows = (
            connection.execute(select(table).where(table.c.series_uid == series_uid).order_by(table.c.id))
            .mappings()
            .all()
        )
    return [dict(row) for row in rows]
