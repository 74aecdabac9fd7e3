"""Steps of making a journal anew that concern many rows."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, update

from node.domain.arrivals import Arrival
from node.journal import schema
from node.journal.batch import BatchWriter, Stored
from node.journal.store import Store


def restore_arrivals(store: Store, arrivals: Sequence[tuple[Arrival, datetime]]) -> None:
    """Record instances that lie in the spool and when they were received, in their order and in one transaction."""
    batch = [Stored(arrival, "", at.astimezone(UTC).isoformat(timespec="milliseconds")) for arrival, at in arrivals]
    store.run(BatchWriter(store).write, batch)


def begin_again(store: Store, told: Mapping[str, Any]) -> int:
    """Let the series that receive wait from now on, not since they came; tell of the rebuild. Returns their number."""
    return store.run(_begin_again, store, told)


def _begin_again(connection: Connection, store: Store, told: Mapping[str, Any]) -> int:
    table = schema.series
    waiting = connection.execute(update(table).where(~table.c.closed).values(first_arrival_at=store.now())).rowcount
    store.record(connection, "journal rebuilt", **{**told, "receiving": waiting})
    return waiting
