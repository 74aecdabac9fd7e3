"""What has come in and is no case: series that still receive, and bytes that are no usable instance."""

from dataclasses import dataclass

from sqlalchemy import select

from node.domain.arrivals import ExpectedBy
from node.journal import schema
from node.journal.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiving:
    """A series that still receives. Ages in seconds by the journal's wall clock."""

    series_uid: str
    calling_ae: str
    instances: int
    #: How many it has, by the best source; None where nobody has said anything.
    expected: int | None
    first_age_s: float
    last_age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """Received bytes that are no usable instance. `received_at`: UTC, ISO 8601."""

    number: int
    code: str
    text: str
    calling_ae: str
    received_at: str


def receiving_now(store: Store, *, most: int) -> tuple[Receiving, ...]:
    """Return the series that still receive, the oldest first. Raises JournalError."""
    table, said = schema.series, schema.expectation
    ranks = {source.value: rank for rank, source in enumerate(ExpectedBy)}
    statement = select(table).where(~table.c.closed).order_by(table.c.first_arrival_at, table.c.series_uid).limit(most)
    with store.reading() as connection:
        rows = connection.execute(statement).all()
        uids = [row.series_uid for row in rows]
        told = connection.execute(select(said).where(said.c.series_uid.in_(uids))).all()
    best: dict[str, int] = {}
    for one in sorted(told, key=lambda row: -ranks.get(row.by, len(ranks))):
        best[one.series_uid] = one.instances
    return tuple(
        Receiving(
            series_uid=row.series_uid,
            calling_ae=row.calling_ae,
            instances=row.instances,
            expected=best.get(row.series_uid),
            first_age_s=store.age_s(row.first_arrival_at),
            last_age_s=store.age_s(row.last_arrival_at),
        )
        for row in rows
    )


def unusable(store: Store, *, most: int) -> tuple[Unusable, ...]:
    """Return what lies in quarantine, the newest first. Raises JournalError."""
    table = schema.quarantine
    with store.reading() as connection:
        rows = connection.execute(select(table).order_by(table.c.id.desc()).limit(most)).all()
    return tuple(
        Unusable(number=row.id, code=row.code, text=row.text, calling_ae=row.calling_ae, received_at=row.received_at)
        for row in rows
    )
