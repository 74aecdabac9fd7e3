"""Arrivals in the journal: which instances are stored, which series still receive."""

from dataclasses import dataclass
from enum import Enum

from sqlalchemy import Connection, func, insert, select, update

from node.domain.arrivals import Arrival, Quarantined
from node.domain.identifiers import Digest
from node.journal import schema
from node.journal.store import Store


class Outcome(Enum):
    """What an arrival was."""

    NEW = "new"
    #: Known UID, other content: a new version, the old one stays.
    CHANGED = "changed"
    #: Known UID, same content: nothing to do.
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSeries:
    """A series that still receives."""

    series_uid: str
    study_uid: str
    arrivals: int
    own_result: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInstance:
    """The newest version of an instance."""

    sop_instance_uid: str
    digest: Digest
    path: str


class ArrivalJournal:
    """Arrivals, as rows."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, arrival: Arrival) -> Outcome:
        """Record an instance; on return it is on the disk. A changed or new one opens its series again."""
        table = schema.instance
        with self._store.transaction() as connection:
            known = connection.execute(
                select(table.c.digest, table.c.id)
                .where(table.c.sop_instance_uid == arrival.sop_instance_uid, table.c.series_uid == arrival.series_uid)
                .order_by(table.c.id.desc())
            ).first()
            if known is not None and known.digest == arrival.digest:
                return Outcome.DUPLICATE
            outcome = Outcome.NEW if known is None else Outcome.CHANGED
            now = self._store.now()
            self._insert_newest(connection, arrival, now)
            self._open_series(connection, arrival, now)
            if outcome is Outcome.CHANGED:
                self._store.record(connection, "instance changed", series_uid=arrival.series_uid)
        return outcome

    def record_quarantined(self, quarantined: Quarantined) -> bool:
        """Record bytes in quarantine and return True; the same bytes again change nothing and return False."""
        table = schema.quarantine
        with self._store.transaction() as connection:
            if connection.execute(select(table.c.id).where(table.c.digest == quarantined.digest)).first():
                return False
            values = {
                "digest": quarantined.digest,
                "path": quarantined.path,
                "code": quarantined.code,
                "text": quarantined.text,
                "calling_ae": quarantined.calling_ae,
                "received_at": self._store.now(),
            }
            connection.execute(insert(table).values(values))
            self._store.record(connection, "bytes quarantined", code=quarantined.code)
        return True

    def open_series(self) -> tuple[OpenSeries, ...]:
        """Return the series that still receive, oldest first."""
        table = schema.series
        with self._store.transaction() as connection:
            rows = connection.execute(
                select(table.c.series_uid, table.c.study_uid, table.c.arrivals, table.c.own_result)
                .where(~table.c.closed)
                .order_by(table.c.first_arrival_at)
            ).all()
        return tuple(
            OpenSeries(series_uid=uid, study_uid=study, arrivals=arrivals, own_result=own)
            for uid, study, arrivals, own in rows
        )

    def instances(self, series_uid: str) -> tuple[StoredInstance, ...]:
        """Return the newest version of every instance of a series, by UID."""
        table = schema.instance
        newest = select(func.max(table.c.id)).where(table.c.series_uid == series_uid).group_by(table.c.sop_instance_uid)
        with self._store.transaction() as connection:
            rows = connection.execute(
                select(table.c.sop_instance_uid, table.c.digest, table.c.path)
                .where(table.c.id.in_(newest))
                .order_by(table.c.sop_instance_uid)
            ).all()
        return tuple(StoredInstance(sop_instance_uid=uid, digest=digest, path=path) for uid, digest, path in rows)

    def is_known_result(self, sop_instance_uid: str) -> bool:
        """Return whether the node itself made the object of this UID."""
        table = schema.result
        with self._store.transaction() as connection:
            found = connection.execute(select(table.c.id).where(table.c.sop_instance_uid == sop_instance_uid)).first()
        return found is not None

    @staticmethod
    def _insert_newest(connection: Connection, arrival: Arrival, now: str) -> None:
        """Insert the row; a version seen before moves to the front, so that the newest row is what the sender has."""
        table = schema.instance
        connection.execute(
            table.delete().where(
                table.c.sop_instance_uid == arrival.sop_instance_uid,
                table.c.series_uid == arrival.series_uid,
                table.c.digest == arrival.digest,
            )
        )
        values = {
            "sop_instance_uid": arrival.sop_instance_uid,
            "sop_class_uid": arrival.sop_class_uid,
            "series_uid": arrival.series_uid,
            "study_uid": arrival.study_uid,
            "digest": arrival.digest,
            "path": arrival.path,
            "calling_ae": arrival.calling_ae,
            "received_at": now,
        }
        connection.execute(insert(table).values(values))

    def _open_series(self, connection: Connection, arrival: Arrival, now: str) -> None:
        """Count the arrival; a series that is new, or was closed, receives from now on."""
        table = schema.series
        closed = connection.execute(select(table.c.closed).where(table.c.series_uid == arrival.series_uid)).scalar()
        if closed is not False:
            self._store.record(
                connection, "series receiving", series_uid=arrival.series_uid, calling_ae=arrival.calling_ae
            )
        changed = connection.execute(
            update(table)
            .where(table.c.series_uid == arrival.series_uid)
            .values(arrivals=table.c.arrivals + 1, closed=False, last_arrival_at=now)
        )
        if changed.rowcount == 0:
            values = {
                "series_uid": arrival.series_uid,
                "study_uid": arrival.study_uid,
                "arrivals": 1,
                "closed": False,
                "own_result": arrival.own_result,
                "first_arrival_at": now,
                "last_arrival_at": now,
            }
            connection.execute(insert(table).values(values))
