"""What the journal says when an archive is compared with it: which series are here, and which were asked for before.
And what its events tell of pulls that have ended.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import exists, select

from node.errors import (
    AssociationRefused,
    ContextsRefused,
    DestinationMisconfigured,
    PeerUnreachable,
)
from node.journal import schema
from node.journal.events import Event, read_events
from node.journal.store import Store

#: Values that one statement may hold.
_AT_ONCE = 500
_ASKED, _ENDED, _FAILED = "series asked for", "pull ended", "pull failed"
#: After these the other series are left to the next pull: the archive is away, or nothing can be had of it.
AWAY = (PeerUnreachable, AssociationRefused, DestinationMisconfigured, ContextsRefused)
_AWAY_CODES = frozenset(kind.code for kind in AWAY)


class PullEnd(Enum):
    """How a pull ended."""

    #: It asked, and had what it could; what it left, such as at its limit, the next one takes.
    ENDED = "ended"
    #: Somebody has stopped it, or the node ended: that says nothing of the archive.
    STOPPED = "stopped"
    #: The archive could not be asked, or was away in the middle; or the node itself failed.
    FAILED = "failed"


def end_of(event: Event) -> tuple[PullEnd, str]:
    """Return how a pull ended, and the code of the error that it failed at, by an event "pull ended" or "pull failed".

    An archive that is away when a series is fetched ends a pull by its code: what has arrived before counts.
    """
    if event.what == _FAILED:
        return PullEnd.FAILED, str(event.detail.get("code") or "")
    stopped = event.detail.get("stopped")
    if stopped in _AWAY_CODES:
        return PullEnd.FAILED, str(stopped)
    return (PullEnd.STOPPED if stopped == "stopped" else PullEnd.ENDED), ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldSeries:
    """A series of which something has arrived at some time."""

    series_uid: str
    #: Distinct instances that are stored now.
    instances: int
    #: It has not been closed yet.
    receiving: bool
    own_result: bool
    #: What was received of it has been deleted, as retention says.
    purged: bool


def last_ends(store: Store) -> list[dict[str, Any]]:
    """Return how each pull has ended last, by name: pull, at, end, code, fetched, failed. Raises JournalError.

    Of the last 500 ends of all pulls; a damaged event counts as none.
    """
    table = schema.event
    newest = select(table.c.id).where(table.c.what.in_((_ENDED, _FAILED))).order_by(table.c.id.desc()).limit(_AT_ONCE)
    found: dict[str, dict[str, Any]] = {}
    for event in read_events(store, table.c.id.in_(newest)):
        if isinstance(event, Event):
            (end, code), name = end_of(event), event.detail["pull"]
            sums = {fate: event.detail.get(fate, 0) for fate in ("fetched", "failed")}
            found[name] = {"pull": name, "at": event.at, "end": end.value, "code": code, **sums}
    return [found[name] for name in sorted(found)]


class PullJournal:
    """The journal beside an archive's catalogue. What only reads works on a journal that is read only."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def held(self, series_uids: Collection[str]) -> dict[str, HeldSeries]:
        """Return those of the series that are known, by UID."""
        series, case = schema.series, schema.case
        purged = exists().where(case.c.series_uid == series.c.series_uid, case.c.purged).label("purged")
        columns = (series.c.series_uid, series.c.instances, series.c.closed, series.c.own_result, purged)
        return {
            row.series_uid: HeldSeries(
                series_uid=row.series_uid,
                instances=row.instances,
                receiving=not row.closed,
                own_result=row.own_result,
                purged=bool(row.purged) and row.instances == 0,
            )
            for row in self._rows(columns, series.c.series_uid, series_uids)
        }

    def stored(self, series_uid: str) -> frozenset[str]:
        """Return the SOP Instance UIDs that are stored of a series."""
        table = schema.instance
        rows = self._rows((table.c.sop_instance_uid,), table.c.series_uid, [series_uid])
        return frozenset(row.sop_instance_uid for row in rows)

    def made_here(self, sop_instance_uids: Collection[str]) -> bool:
        """Say whether the node itself made any of the instances."""
        table = schema.result
        return bool(self._rows((table.c.id,), table.c.sop_instance_uid, sop_instance_uids))

    def in_vain(self, series_uid: str, instances: int) -> tuple[int, float]:
        """Return how often a series did not come as a whole while its archive had so many instances of it, and how
        many seconds ago it was asked for last. A damaged event counts as none: the series is asked for once more.
        """
        ages_s = [
            self._store.age_s(event.at)
            for event in read_events(self._store, schema.event.c.series_uid == series_uid)
            if isinstance(event, Event)
            and event.what == _ASKED
            and event.detail["instances"] == instances
            and event.detail["arrived"] < event.detail["wanted"]
        ]
        return len(ages_s), min(ages_s, default=0.0)

    def note_asked(self, series_uid: str, **detail: Any) -> None:
        """Record that a series was asked for: pull, instances that its archive has, wanted, arrived, code."""
        self._record(_ASKED, series_uid=series_uid, **detail)

    def note_ended(self, pull: str, **detail: Any) -> None:
        """Record what came of a pull."""
        self._record(_ENDED, pull=pull, **detail)

    def note_failed(self, pull: str, *, code: str, text: str) -> None:
        """Record why a pull could not be done."""
        self._record(_FAILED, pull=pull, code=code, text=text)

    def _record(self, what: str, *, series_uid: str | None = None, **detail: Any) -> None:
        self._store.run(lambda connection: self._store.record(connection, what, series_uid=series_uid, **detail))

    def _rows(self, columns: Sequence[Any], key: Any, values: Collection[str]) -> list[Any]:
        uids = sorted(set(values))
        rows: list[Any] = []
        with self._store.reading() as connection:
            for first in range(0, len(uids), _AT_ONCE):
                statement = select(*columns).where(key.in_(uids[first : first + _AT_ONCE]))
                rows += connection.execute(statement).all()
        return rows
