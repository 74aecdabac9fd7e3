"""Arrivals written together: few statements a batch, whatever its size.

The rows of the series are locked first, so that two hosts never write the instances of one series at once.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import BindParameter, Column, Connection, Select, bindparam, delete, insert, select, update

from node.domain.arrivals import Arrival
from node.journal import schema
from node.journal.prepared import Prepared
from node.journal.seals import sealed
from node.journal.store import Store


class Outcome(Enum):
    """What an arrival was."""

    NEW = "new"
    #: Known UID, other content: a new version, the old one stays.
    CHANGED = "changed"
    #: Known UID, same content: nothing to do.
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Stored:
    """An arrival, the association that brought it and when."""

    arrival: Arrival
    association: str
    at: str


_instance, _series, _result = schema.instance, schema.series, schema.result

_KNOWN = select(_instance.c.sop_instance_uid, _instance.c.series_uid, _instance.c.digest).order_by(_instance.c.id)
_OWN = select(_result.c.sop_instance_uid)
_LOCKED = select(_series.c.series_uid, _series.c.closed).order_by(_series.c.series_uid).with_for_update()
_INSERT = insert(_instance).values(
    {column.name: bindparam(column.name) for column in _instance.c if column.name != "id"}
)
_DROP = delete(_instance).where(
    _instance.c.sop_instance_uid == bindparam("uid"),
    _instance.c.series_uid == bindparam("series"),
    _instance.c.digest == bindparam("old"),
)
_COUNT = (
    update(_series)
    .where(_series.c.series_uid == bindparam("series"))
    .values(
        arrivals=_series.c.arrivals + bindparam("more"),
        instances=_series.c.instances + bindparam("distinct"),
        calling_ae=bindparam("sender"),
        last_arrival_at=bindparam("at"),
    )
)
_OPEN = (
    update(_series)
    .where(_series.c.series_uid == bindparam("series"))
    .values(closed=bindparam("shut"), first_arrival_at=bindparam("at"))
)

#: Instance and series; and one version of that.
_Key = tuple[str, str]
_Version = tuple[str, str, str]


class BatchWriter:
    """Writes arrivals within a transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        dialect = store.dialect
        self._insert, self._drop = Prepared(_INSERT, dialect), Prepared(_DROP, dialect)
        self._count, self._open = Prepared(_COUNT, dialect), Prepared(_OPEN, dialect)
        self._among = functools.cache(lambda statement, column, size: _among(statement, column, size, store))

    def write(self, connection: Connection, batch: Sequence[Stored]) -> list[Outcome]:
        """Write arrivals in their order; return what each of them was.

        A duplicate changes nothing. A version that was seen before moves to the front, so that the newest row is what
        the sender has. A series that is new, or was closed, receives from now on.
        """
        if not batch:
            return []
        closed = self._lock(connection, batch)
        versions = self._versions(connection, batch)
        outcomes: list[Outcome] = []
        fresh: dict[_Version, Stored] = {}
        moved: list[_Version] = []
        for stored in batch:
            arrival = stored.arrival
            version = (arrival.sop_instance_uid, arrival.series_uid, arrival.digest)
            seen = versions.setdefault(version[:2], [])
            outcomes.append(_outcome(seen, arrival))
            if outcomes[-1] is Outcome.DUPLICATE:
                continue
            if arrival.digest in seen:
                seen.remove(arrival.digest)
                if fresh.pop(version, None) is None:
                    moved.append(version)
            seen.append(arrival.digest)
            fresh[version] = stored
        if fresh:
            self._write(connection, moved, fresh.values())
            self._count_all(connection, closed, list(zip(batch, outcomes, strict=True)))
        return outcomes

    def _versions(self, connection: Connection, batch: Sequence[Stored]) -> dict[_Key, list[str]]:
        """Return the digests of the versions that are stored, oldest first, by instance and series."""
        uids = [stored.arrival.sop_instance_uid for stored in batch]
        versions: dict[_Key, list[str]] = {}
        for uid, series_uid, digest in self._find(connection, _KNOWN, _instance.c.sop_instance_uid, uids):
            versions.setdefault((uid, series_uid), []).append(digest)
        return versions

    def _lock(self, connection: Connection, batch: Sequence[Stored]) -> dict[str, bool]:
        """Return whether each series is closed, after making the rows that lack; on PostgreSQL they are locked."""
        uids = sorted({stored.arrival.series_uid for stored in batch})
        rows = self._find(connection, _LOCKED, _series.c.series_uid, uids)
        if len(rows) < len(uids):
            own = self._own(connection, batch)
            firsts = {stored.arrival.series_uid: stored for stored in reversed(batch)}
            known = {uid for uid, _ in rows}
            new = [_series_row(firsts[uid], own=uid in own) for uid in uids if uid not in known]
            connection.execute(self._store.insert_or_ignore(_series), new)
            rows = self._find(connection, _LOCKED, _series.c.series_uid, uids)
        return {uid: bool(closed) for uid, closed in rows}

    def _own(self, connection: Connection, batch: Sequence[Stored]) -> set[str]:
        """Return the series that hold an object which the node itself has made."""
        uids = [stored.arrival.sop_instance_uid for stored in batch]
        made = {uid for (uid,) in self._find(connection, _OWN, _result.c.sop_instance_uid, uids)}
        return {
            stored.arrival.series_uid
            for stored in batch
            if stored.arrival.own_result or stored.arrival.sop_instance_uid in made
        }

    def _find(
        self, connection: Connection, statement: Select[Any], column: Column[str], values: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        prepared: Prepared = self._among(statement, column, len(values))
        return prepared.rows(connection, {f"value_{number}": value for number, value in enumerate(values)})

    def _write(self, connection: Connection, moved: Sequence[_Version], fresh: Iterable[Stored]) -> None:
        if moved:
            rows = [{"uid": uid, "series": series_uid, "old": digest} for uid, series_uid, digest in moved]
            self._drop.run(connection, rows)
        self._insert.run(connection, [sealed(_instance, _instance_row(stored)) for stored in fresh])

    def _count_all(
        self, connection: Connection, closed: Mapping[str, bool], done: Sequence[tuple[Stored, Outcome]]
    ) -> None:
        """Count what is new or changed, by series, and open those that were closed."""
        counts: dict[str, dict[str, Any]] = {}
        events: list[dict[str, Any]] = []
        for stored, outcome in done:
            if outcome is Outcome.DUPLICATE:
                continue
            series_uid, sender = stored.arrival.series_uid, stored.arrival.calling_ae
            count = counts.setdefault(series_uid, {"series": series_uid, "more": 0, "distinct": 0})
            if not count["more"] and closed[series_uid]:
                self._open.run(connection, [{"series": series_uid, "at": stored.at, "shut": False}])
                events.append(self._store.event("series receiving", series_uid=series_uid, calling_ae=sender))
            count["more"] += 1
            count["distinct"] += outcome is Outcome.NEW
            count |= {"sender": sender, "at": stored.at}
            if outcome is Outcome.CHANGED:
                events.append(self._store.event("instance changed", series_uid=series_uid))
        self._count.run(connection, list(counts.values()))
        if events:
            connection.execute(insert(schema.event), events)


def _among(statement: Select[Any], column: Column[str], size: int, store: Store) -> Prepared:
    """Return the statement for rows whose column has one of `size` values."""
    values: list[BindParameter[str]] = [bindparam(f"value_{number}") for number in range(size)]
    return Prepared(statement.where(column.in_(values)), store.dialect)


def _outcome(seen: Sequence[str], arrival: Arrival) -> Outcome:
    if not seen:
        return Outcome.NEW
    return Outcome.DUPLICATE if seen[-1] == arrival.digest else Outcome.CHANGED


def _series_row(stored: Stored, *, own: bool) -> dict[str, Any]:
    """Return the row of a series that nothing has been counted of: closed, to be opened with the first count."""
    return {
        "series_uid": stored.arrival.series_uid,
        "study_uid": stored.arrival.study_uid,
        "arrivals": 0,
        "instances": 0,
        "closed": True,
        "own_result": own,
        "calling_ae": stored.arrival.calling_ae,
        "first_arrival_at": stored.at,
        "last_arrival_at": stored.at,
    }


def _instance_row(stored: Stored) -> dict[str, Any]:
    arrival = stored.arrival
    return {
        "sop_instance_uid": arrival.sop_instance_uid,
        "sop_class_uid": arrival.sop_class_uid,
        "series_uid": arrival.series_uid,
        "study_uid": arrival.study_uid,
        "digest": arrival.digest,
        "path": arrival.path,
        "calling_ae": arrival.calling_ae,
        "association": stored.association,
        "received_at": stored.at,
    }
