"""A journal made again from the files: what lies in the spool, and the results with their manifests.

Every step may be repeated. Arrivals come first, oldest first, then cases: whether a series needs another case follows
from its instances.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from node.domain.arrivals import Arrival, Quarantined
from node.domain.case import CaseState, ResultObject
from node.domain.findings import Verdict
from node.domain.identifiers import Digest, set_digest
from node.journal import schema
from node.journal.arrivals import insert_quarantined
from node.journal.batch import BatchWriter, Outcome, Stored
from node.journal.moves import cancel_deliveries, move_case
from node.journal.objects import insert_objects
from node.journal.seals import insert_sealed, read_sealed
from node.journal.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredCase:
    """A case with results, as its manifest tells."""

    series_uid: str
    study_uid: str
    revision: int
    set_digest: Digest
    partial: bool
    route: str
    #: When the case was opened: UTC, ISO 8601.
    created_at: str
    #: Their paths are relative to the state folder.
    objects: tuple[ResultObject, ...]
    #: The number that it had, so that no new case gets the folder of an old one; None: any.
    case_id: int | None = None
    reasons: tuple[Mapping[str, str], ...] = field(default=())
    #: Of its result; None where nobody knows any more.
    verdict: Verdict | None = None


class RestoreJournal:
    """Rows made again from files."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def arrival(self, arrival: Arrival, received_at: datetime) -> bool:
        """Record an instance that lies in the spool; False when its newest version is the same already."""
        return self._store.run(self._arrival, Stored(arrival, "", _stored(received_at)))

    def quarantined(self, quarantined: Quarantined, received_at: datetime) -> bool:
        """Record bytes that lie in quarantine; False when they are known."""
        return self._store.run(insert_quarantined, self._store, quarantined, _stored(received_at))

    def case(self, case: RestoredCase) -> int | None:
        """Record a case with its results and return its number; None when this revision is known.

        What became of it is not known: each delivery waits to be sent again, or verified. Without deliveries it is
        delivered. Of several revisions all but the newest are superseded. The series is closed when the case was made
        of just the instances that it has; without a row of its own, as after a purge, it is closed too.
        """
        return self._store.run(self._case, case)

    @functools.cached_property
    def _batch(self) -> BatchWriter:
        return BatchWriter(self._store)

    def _arrival(self, connection: Connection, stored: Stored) -> bool:
        return self._batch.write(connection, [stored]) != [Outcome.DUPLICATE]

    def _case(self, connection: Connection, restored: RestoredCase) -> int | None:
        table = schema.case
        self._series(connection, restored)
        others = read_sealed(connection, table, table.c.series_uid == restored.series_uid)
        if any(row["revision"] == restored.revision for row in others):
            return None
        is_newest = all(row["revision"] < restored.revision for row in others)
        case_id = self._insert(connection, restored)
        self._store.record(connection, "case restored", series_uid=restored.series_uid, case_id=case_id)
        if not is_newest:
            (row,) = read_sealed(connection, table, table.c.id == case_id)
            self._supersede(connection, row)
            return case_id
        for row in others:
            if row["state"] == CaseState.SENDING.value:
                self._supersede(connection, row)
        if not any(made.destinations for made in restored.objects):
            move_case(self._store, connection, case_id, CaseState.DELIVERED)
        if self._made_of_all(connection, restored):
            closed = schema.series.c.series_uid == restored.series_uid
            connection.execute(update(schema.series).where(closed).values(closed=True))
        return case_id

    def _series(self, connection: Connection, restored: RestoredCase) -> None:
        """Make the row of the series where it is missing, closed; and lock it."""
        values = {
            "series_uid": restored.series_uid,
            "study_uid": restored.study_uid,
            "arrivals": 0,
            "closed": True,
            "own_result": False,
            "first_arrival_at": restored.created_at,
            "last_arrival_at": restored.created_at,
        }
        connection.execute(self._store.insert_or_ignore(schema.series), values)
        row = select(schema.series).where(schema.series.c.series_uid == restored.series_uid).with_for_update()
        connection.execute(row)

    def _insert(self, connection: Connection, restored: RestoredCase) -> int:
        now = self._store.now()
        values: dict[str, Any] = {
            "series_uid": restored.series_uid,
            "study_uid": restored.study_uid,
            "revision": restored.revision,
            "set_digest": restored.set_digest,
            "partial": restored.partial,
            "route": restored.route,
            "state": CaseState.SENDING.value,
            "reasons": [dict(reason) for reason in restored.reasons],
            "verdict": restored.verdict.value if restored.verdict else None,
            "attempts": 0,
            "claims": 0,
            "purged": False,
            "created_at": restored.created_at,
            "updated_at": now,
        }
        case_id = insert_sealed(connection, schema.case, self._numbered(connection, values, restored.case_id))
        insert_objects(connection, case_id, restored.objects, now)
        return case_id

    def _numbered(self, connection: Connection, values: dict[str, Any], number: int | None) -> dict[str, Any]:
        """Give a case the number that it had, where that is free; those to come get higher ones."""
        table = schema.case
        if number is None or connection.execute(select(table.c.id).where(table.c.id == number)).first():
            return values
        if self._store.path is None:
            name = table.name
            sequence = func.pg_get_serial_sequence(f'"{name}"', table.c.id.name)
            highest = func.greatest(number, select(func.coalesce(func.max(table.c.id), 0)).scalar_subquery())
            connection.execute(select(func.setval(sequence, highest)))
        return {**values, "id": number}

    def _supersede(self, connection: Connection, row: Mapping[str, Any]) -> None:
        case = move_case(self._store, connection, row["id"], CaseState.SUPERSEDED)
        cancel_deliveries(self._store, connection, case)

    def _made_of_all(self, connection: Connection, restored: RestoredCase) -> bool:
        table = schema.instance
        rows = read_sealed(connection, table, table.c.series_uid == restored.series_uid)
        members = {row["sop_instance_uid"]: row["digest"] for row in rows}
        return set_digest(members) == restored.set_digest


def _stored(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
