"""Arrivals in the journal: which instances are stored, which series still receive, how much is expected of them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, update

from node.domain.arrivals import Arrival, Expectation, ExpectedBy, Quarantined
from node.domain.identifiers import Digest
from node.journal import schema
from node.journal.batch import BatchWriter, Outcome, Stored
from node.journal.gathering import Gathering
from node.journal.seals import verified
from node.journal.store import Store

__all__ = ["ArrivalJournal", "HeldInstance", "OpenSeries", "Outcome", "StoredInstance"]

#: Values that one statement may hold.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSeries:
    """A series that still receives."""

    series_uid: str
    study_uid: str
    #: Counts new and changed instances, so that closing notices a late one.
    arrivals: int
    #: Distinct instances that are stored.
    instances: int = 0
    own_result: bool = False
    #: Of who sent the latest instance.
    calling_ae: str = ""
    #: Seconds since the first arrival of this revision, by the journal's wall clock, never less than 0.
    first_age_s: float = 0.0
    #: What the best source says; None while nobody has said anything.
    expected: Expectation | None = None
    #: How many revisions have been closed before.
    revisions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInstance:
    """The newest version of an instance."""

    sop_instance_uid: str
    digest: Digest
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldInstance:
    """The newest version of an instance, with its class and series."""

    sop_instance_uid: str
    sop_class_uid: str
    series_uid: str
    digest: Digest
    path: str


class ArrivalJournal:
    """Arrivals, as rows."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._batch = BatchWriter(store)
        self._gathering = Gathering[Stored, Outcome](self._write)

    def record(self, arrival: Arrival, *, association: str = "") -> Outcome:
        """Record an instance; on return it is on the disk. A changed or new one opens its series again.

        May be called from many threads: all that wait are written in one transaction, whose error each of them raises.
        An object that the node itself has made marks its series as its own result.
        """
        return self._gathering.submit(Stored(arrival, association, self._store.now()))

    def record_quarantined(self, quarantined: Quarantined) -> bool:
        """Record bytes in quarantine and return True; the same bytes again change nothing and return False."""
        return self._store.run(insert_quarantined, self._store, quarantined, self._store.now())

    def open_series(self) -> tuple[OpenSeries, ...]:
        """Return the series that still receive, oldest first."""
        table, case = schema.series, schema.case
        revisions = (
            select(func.count()).where(case.c.series_uid == table.c.series_uid).correlate(table).scalar_subquery()
        )
        statement = (
            select(table, revisions.label("revisions"))
            .where(~table.c.closed)
            .order_by(table.c.first_arrival_at, table.c.series_uid)
        )
        with self._store.reading() as connection:
            rows = connection.execute(statement).all()
            expected = _expected(connection) if rows else {}
        return tuple(
            OpenSeries(
                series_uid=row.series_uid,
                study_uid=row.study_uid,
                arrivals=row.arrivals,
                instances=row.instances,
                own_result=row.own_result,
                calling_ae=row.calling_ae,
                first_age_s=self._store.age_s(row.first_arrival_at),
                expected=expected.get(row.series_uid),
                revisions=row.revisions,
            )
            for row in rows
        )

    def expect(self, series_uid: str, expectation: Expectation) -> None:
        """Note how many instances a series has, by who says so; the same source replaces what it said before.

        The series need not have arrived yet. Of several sources the first in the order of `ExpectedBy` is believed.
        """
        self._store.run(self._expect, series_uid, expectation)

    def instances(self, series_uid: str) -> tuple[StoredInstance, ...]:
        """Return the newest version of every instance of a series, by UID. Raises JournalDamaged."""
        table = schema.instance
        with self._store.reading() as connection:
            rows = connection.execute(
                select(table).where(table.c.series_uid == series_uid).order_by(table.c.sop_instance_uid, table.c.id)
            ).mappings()
            newest = {row["sop_instance_uid"]: verified(table, row) for row in rows}
        return tuple(
            StoredInstance(sop_instance_uid=uid, digest=row["digest"], path=row["path"]) for uid, row in newest.items()
        )

    def held(self, sop_instance_uids: Collection[str]) -> tuple[HeldInstance, ...]:
        """Return the newest versions of those of the instances that are stored, by UID. Raises JournalDamaged.

        An instance that lies in two series is told twice; what was purged is not held any more.
        """
        table = schema.instance
        uids = sorted(set(sop_instance_uids))
        newest = {}
        with self._store.reading() as connection:
            for first in range(0, len(uids), _AT_ONCE):
                statement = (
                    select(table)
                    .where(table.c.sop_instance_uid.in_(uids[first : first + _AT_ONCE]))
                    .order_by(table.c.sop_instance_uid, table.c.id)
                )
                for row in connection.execute(statement).mappings():
                    newest[row["sop_instance_uid"], row["series_uid"]] = verified(table, row)
        return tuple(
            HeldInstance(
                sop_instance_uid=row["sop_instance_uid"],
                sop_class_uid=row["sop_class_uid"],
                series_uid=row["series_uid"],
                digest=row["digest"],
                path=row["path"],
            )
            for row in newest.values()
        )

    def _write(self, take: Callable[[], Sequence[Stored]]) -> list[Outcome]:
        return self._store.run(lambda connection: self._batch.write(connection, take()))

    def _expect(self, connection: Connection, series_uid: str, expectation: Expectation) -> None:
        table = schema.expectation
        said = {"instances": expectation.instances, "updated_at": self._store.now()}
        of_source = (table.c.series_uid == series_uid, table.c.by == expectation.by.value)
        if connection.execute(update(table).where(*of_source).values(said)).rowcount == 0:
            connection.execute(
                self._store.insert_or_ignore(table),
                {"series_uid": series_uid, "by": expectation.by.value, **said},
            )
        told, by = expectation.instances, expectation.by.value
        self._store.record(connection, "instances expected", series_uid=series_uid, instances=told, by=by)


def insert_quarantined(connection: Connection, store: Store, quarantined: Quarantined, at: str) -> bool:
    """Insert bytes in quarantine within a transaction; False when they are there already."""
    values = {
        "digest": quarantined.digest,
        "path": quarantined.path,
        "code": quarantined.code,
        "text": quarantined.text,
        "calling_ae": quarantined.calling_ae,
        "received_at": at,
    }
    made = store.insert_or_ignore(schema.quarantine).returning(schema.quarantine.c.id)
    if connection.execute(made, values).scalar() is None:
        return False
    store.record(connection, "bytes quarantined", code=quarantined.code)
    return True


def reopen_series(connection: Connection, store: Store, series_uid: str) -> bool:
    """Open a closed series within a transaction; False when it is open or unknown."""
    table = schema.series
    opened = connection.execute(
        update(table)
        .where(table.c.series_uid == series_uid, table.c.closed)
        .values(closed=False, first_arrival_at=store.now())
    )
    if opened.rowcount:
        store.record(connection, "series receiving", series_uid=series_uid)
    return bool(opened.rowcount)


def forget_instances(connection: Connection, series_uid: str) -> None:
    """Delete the instances of a series, and what was expected of it, within a transaction."""
    connection.execute(delete(schema.instance).where(schema.instance.c.series_uid == series_uid))
    connection.execute(delete(schema.expectation).where(schema.expectation.c.series_uid == series_uid))
    connection.execute(update(schema.series).where(schema.series.c.series_uid == series_uid).values(instances=0))


def _expected(connection: Connection) -> dict[str, Expectation]:
    """Return what the best source says of each series that still receives."""
    table = schema.expectation
    receiving = select(schema.series.c.series_uid).where(~schema.series.c.closed)
    rows = connection.execute(select(table).where(table.c.series_uid.in_(receiving))).all()
    ranks = {source.value: rank for rank, source in enumerate(ExpectedBy)}
    best = sorted((row for row in rows if row.by in ranks), key=lambda row: -ranks[row.by])
    return {row.series_uid: Expectation(instances=row.instances, by=ExpectedBy(row.by)) for row in best}
