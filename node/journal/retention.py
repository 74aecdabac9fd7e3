"""What may be deleted: the files of series that are done with, and the instances that nobody will ask for again."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select

from node.domain.case import UNSETTLED, CaseState
from node.journal import schema
from node.journal.arrivals import forget_instances
from node.journal.seals import change_sealed, read_sealed, verified
from node.journal.store import Store

#: While a case of the series is in one of these, nothing of the series is deleted.
_KEPT = (
    CaseState.QUEUED,
    CaseState.RUNNING,
    CaseState.HELD,
    CaseState.SENDING,
    CaseState.UNDELIVERED,
    CaseState.QUARANTINED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledSeries:
    """A series that is done with, and its files; all paths are relative to the state folder."""

    series_uid: str
    #: Of every stored version of every instance.
    paths: tuple[str, ...]
    #: Of every revision.
    result_folders: tuple[str, ...]


class RetentionJournal:
    """What is done with, by rows."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def settled(self, delivered_before: datetime | None, rejected_before: datetime | None) -> tuple[SettledSeries, ...]:
        """Return the series whose newest revision was delivered, or rejected, before a time; None: none of those.

        A series that receives, has an unsettled delivery or a case that is not at its end is never among them.
        """
        with self._store.reading() as connection:
            found = connection.execute(
                select(schema.case.c.series_uid)
                .where(_done(delivered_before, rejected_before))
                .order_by(schema.case.c.id)
            ).scalars()
            return tuple(_settled(connection, series_uid) for series_uid in found)

    def forget(self, series_uid: str) -> bool:
        """Delete the rows of the instances of a series, and mark its cases as purged.

        The same instances sent again are new. What the node made of them stays known for ever. Returns False, and
        changes nothing, when the series is not done with any more, because another instance has arrived.
        """
        return self._store.run(self._forget, series_uid)

    def _forget(self, connection: Connection, series_uid: str) -> bool:
        series, case = schema.series, schema.case
        connection.execute(select(series).where(series.c.series_uid == series_uid).with_for_update())
        ever = datetime.max.replace(tzinfo=UTC)
        still = connection.execute(select(case.c.id).where(case.c.series_uid == series_uid, _done(ever, ever))).first()
        if still is None:
            return False
        now = self._store.now()
        for row in read_sealed(connection, case, case.c.series_uid == series_uid, ~case.c.purged):
            change_sealed(connection, case, row, purged=True, updated_at=now)
        forget_instances(connection, series_uid)
        self._store.record(connection, "purged", series_uid=series_uid, case_id=still.id)
        return True


def _done(delivered_before: datetime | None, rejected_before: datetime | None) -> ColumnElement[bool]:
    """Return what is true of the newest case of a series that is done with."""
    case, series, other = schema.case, schema.series, schema.case.alias("other")
    ends = [
        and_(case.c.state == state.value, case.c.updated_at < before.astimezone(UTC).isoformat(timespec="milliseconds"))
        for state, before in ((CaseState.DELIVERED, delivered_before), (CaseState.REJECTED, rejected_before))
        if before is not None
    ]
    newest = select(func.max(other.c.revision)).where(other.c.series_uid == case.c.series_uid).scalar_subquery()
    of_series = other.c.series_uid == case.c.series_uid
    kept = exists().where(of_series, other.c.state.in_([state.value for state in _KEPT]))
    result, delivery = schema.result, schema.delivery
    owed = exists().where(
        of_series,
        result.c.case_id == other.c.id,
        delivery.c.object_id == result.c.id,
        delivery.c.state.in_([state.value for state in UNSETTLED]),
    )
    receiving = exists().where(series.c.series_uid == case.c.series_uid, ~series.c.closed)
    return and_(
        or_(*ends) if ends else case.c.id < 0, case.c.revision == newest, ~case.c.purged, ~kept, ~owed, ~receiving
    )


def _settled(connection: Connection, series_uid: str) -> SettledSeries:
    instance, case, result = schema.instance, schema.case, schema.result
    instances = connection.execute(select(instance).where(instance.c.series_uid == series_uid)).mappings()
    cases = select(case.c.id).where(case.c.series_uid == series_uid, ~case.c.purged)
    objects = connection.execute(select(result).where(result.c.case_id.in_(cases))).mappings()
    paths = {verified(instance, row)["path"] for row in instances}
    folders = {str(PurePath(verified(result, row)["path"]).parent) for row in objects}
    return SettledSeries(series_uid=series_uid, paths=tuple(sorted(paths)), result_folders=tuple(sorted(folders)))
