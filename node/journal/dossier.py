"""Everything that the journal has on one case, for a page about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from node.domain.case import CaseState, DeliveryState, ObjectKind
from node.errors import UnknownCase
from node.journal import schema
from node.journal.events import DamagedEvent, Event, read_events
from node.journal.store import Store
from node.journal.worklist import Listed, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """An object on its way to a destination."""

    destination: str
    state: DeliveryState
    attempts: int
    #: Of the last error, or None and what the destination noted.
    code: str | None
    text: str | None
    sent_at: str | None
    updated_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A result object."""

    kind: ObjectKind
    sop_class_uid: str
    sop_instance_uid: str
    #: Relative to the state folder.
    path: str
    #: SHA-256 of the file when it was made.
    digest: str
    ways: tuple[Way, ...]

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something that happened to the case, or to its series before."""

    at: str
    what: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """A case, its objects in the order in which they are sent, what happened, and the other revisions of its series."""

    case: Listed
    objects: tuple[Kept, ...]
    events: tuple[Told, ...]
    #: (number, revision, state), oldest first.
    revisions: tuple[tuple[int, int, CaseState], ...]
    #: Stored instances of its series by path relative to the state folder, oldest first; empty after a purge.
    received: tuple[str, ...]

    @property
    def folder(self) -> str | None:
        """The folder of its results, relative to the state folder; None where it has none."""
        return self.objects[0].path.rpartition("/")[0] if self.objects else None

    @property
    def account(self) -> Mapping[str, Any]:
        """What the worker told of its last result: verdict, timings_s, seconds; empty where there is none."""
        said = [event.detail for event in self.events if event.what == "case sending" and "timings_s" in event.detail]
        return said[-1] if said else {}


def dossier(store: Store, case_id: int) -> Dossier:
    """Return what the journal has on a case. Raises UnknownCase, JournalError."""
    case, table, instance = listed(store, case_id), schema.case, schema.instance
    if case is None:
        raise UnknownCase(f"the journal has no case {case_id}")
    with store.reading() as connection:
        revisions = connection.execute(
            select(table.c.id, table.c.revision, table.c.state)
            .where(table.c.series_uid == case.series_uid)
            .order_by(table.c.revision)
        ).all()
        paths = select(instance.c.path).where(instance.c.series_uid == case.series_uid).order_by(instance.c.id)
        return Dossier(
            case=case,
            objects=_objects(connection, case_id),
            events=_told(store, case, _begin(connection, [row.id for row in revisions if row.id < case_id])),
            revisions=tuple((row.id, row.revision, CaseState(row.state)) for row in revisions),
            received=tuple(connection.execute(paths).scalars()),
        )


def newest_event(store: Store, case_id: int) -> int:
    """Return the number of the newest event of the series of a case, 0 without one: it grows when the case changes."""
    table, case = schema.event, schema.case
    series_uid = select(case.c.series_uid).where(case.c.id == case_id).scalar_subquery()
    newest = select(table.c.id).where(table.c.series_uid == series_uid).order_by(table.c.id.desc()).limit(1)
    with store.reading() as connection:
        return int(connection.execute(newest).scalar() or 0)


def _objects(connection: Connection, case_id: int) -> tuple[Kept, ...]:
    delivery, result = schema.delivery, schema.result
    rows = connection.execute(select(result).where(result.c.case_id == case_id).order_by(result.c.id)).all()
    found = connection.execute(
        select(delivery)
        .where(delivery.c.object_id.in_([row.id for row in rows]))
        .order_by(delivery.c.destination, delivery.c.id)
    ).all()
    ways: dict[int, list[Way]] = {}
    for row in found:
        way = Way(
            destination=row.destination,
            state=DeliveryState(row.state),
            attempts=row.attempts,
            code=row.code,
            text=row.text,
            sent_at=row.sent_at,
            updated_at=row.updated_at,
        )
        ways.setdefault(row.object_id, []).append(way)
    return tuple(
        Kept(
            kind=ObjectKind(row.kind),
            sop_class_uid=row.sop_class_uid,
            sop_instance_uid=row.sop_instance_uid,
            path=row.path,
            digest=row.digest,
            ways=tuple(ways.get(row.id, ())),
        )
        for row in rows
    )


def _begin(connection: Connection, earlier: Sequence[int]) -> int:
    """Return the number of the first event of the newest of the earlier cases, 0 without one."""
    table = schema.event
    if not earlier:
        return 0
    opened = select(table.c.id).where(table.c.case_id == max(earlier)).order_by(table.c.id).limit(1)
    return int(connection.execute(opened).scalar() or 0)


def _told(store: Store, case: Listed, begin: int) -> tuple[Told, ...]:
    """Return the events of a case, and those of its series that belong to no case, from the event `begin` on."""
    table = schema.event
    newest = select(func.max(table.c.id)).where(table.c.case_id == case.case_id).scalar_subquery()
    of_series = and_(
        table.c.series_uid == case.series_uid, table.c.case_id.is_(None), table.c.id > begin, table.c.id < newest
    )
    found = read_events(store, or_(table.c.case_id == case.case_id, of_series), before=case.created_at)
    return tuple(_of_event(event) for event in found)


def _of_event(event: Event | DamagedEvent) -> Told:
    if isinstance(event, DamagedEvent):
        return Told(at=event.at, what="event damaged", detail={"text": f"event {event.event} is not what was written"})
    return Told(at=event.at, what=event.what, detail=event.detail)
