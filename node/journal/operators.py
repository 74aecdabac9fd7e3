"""What an operator does to a case: retry, hold, release, cancel, reprocess, send."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Connection, func, select

from node.domain.case import UNSETTLED, CaseState, DeliveryState, ObjectKind
from node.domain.findings import Verdict
from node.errors import IllegalTransition, UnknownCase
from node.journal import schema
from node.journal.arrivals import reopen_series
from node.journal.moves import cancel_deliveries, deliveries_of, move_case, move_delivery, read_case, settle_case
from node.journal.objects import pending_delivery
from node.journal.seals import insert_sealed, read_sealed
from node.journal.store import Store

#: States in which a case is not done with: to reprocess its series would do the work twice.
_UNDER_WAY = frozenset({CaseState.QUEUED, CaseState.RUNNING, CaseState.HELD})


#: States in which results may be sent to one destination more.
_SENDABLE = frozenset({CaseState.SENDING, CaseState.DELIVERED, CaseState.UNDELIVERED, CaseState.HELD})
#: What sending once more begins with anew.
_AGAIN: Mapping[str, Any] = {"attempts": 0, "code": None, "text": None, "sent_at": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Forms:
    """The results that one destination takes, by the names of their files: "seg", "sr-enhanced", "key" of key-1.dcm."""

    #: Of a result that can be used.
    usable: frozenset[str]
    #: Of one that cannot, or in which nothing was found.
    rejected: frozenset[str]


class OperatorSteps:
    """Steps by the number of a case; each returns the state that the case then has.

    They raise UnknownCase, and IllegalTransition where the state of the case does not allow the step.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def retry(self, case_id: int) -> CaseState:
        """Queue a quarantined case, or send again what destinations refused; attempts count from 0 again."""
        return self._store.run(self._retry, case_id)

    def hold(self, case_id: int) -> CaseState:
        """Stop a case before the worker or before the destinations; a worker that runs it has lost its claim."""
        return self._store.run(self._moved, case_id, CaseState.HELD)

    def release(self, case_id: int) -> CaseState:
        """Let a held case go on where it stood: to the destinations when it has results, else to the worker."""
        return self._store.run(self._release_held, case_id)

    def cancel(self, case_id: int) -> CaseState:
        """End a case; what has not been settled of it is not sent any more."""
        return self._store.run(self._moved, case_id, CaseState.CANCELLED, cancel_deliveries)

    def reprocess(self, case_id: int) -> CaseState:
        """Open the series of a case again, so that a new revision is made of the same instances.

        Only for the newest revision of a series that is closed and not purged, and for a case that is not under way.
        """
        return self._store.run(self._reprocess, case_id)

    def send(self, case_id: int, destination: str, forms: Forms) -> CaseState:
        """Send the results of a case to a destination, once more where it has them; those on their way go on.

        Only what `forms` names: of a result that is not to be used its report at most. A held case stays held.
        """
        return self._store.run(self._send, case_id, destination, forms)

    def _moved(
        self,
        connection: Connection,
        case_id: int,
        state: CaseState,
        then: Callable[[Store, Connection, Mapping[str, Any]], None] | None = None,
    ) -> CaseState:
        row = move_case(self._store, connection, case_id, state)
        if then is not None:
            then(self._store, connection, row)
        return state

    def _retry(self, connection: Connection, case_id: int) -> CaseState:
        case = read_case(connection, case_id)
        before = CaseState(case["state"])
        if before is CaseState.QUARANTINED and case["route"] is None:
            raise IllegalTransition(f"case {case_id} was quarantined before a route took it: reprocess judges it anew")
        if before is CaseState.QUARANTINED:
            return CaseState(move_case(self._store, connection, case_id, CaseState.QUEUED, attempts=0)["state"])
        if before is not CaseState.UNDELIVERED:
            raise IllegalTransition(
                f"case {case_id} is {before.value}: only quarantined and undelivered ones are retried"
            )
        case = move_case(self._store, connection, case_id, CaseState.SENDING)
        for row in deliveries_of(connection, case_id):
            if row["state"] == DeliveryState.REFUSED.value:
                move_delivery(self._store, connection, case, row, DeliveryState.PENDING, **_AGAIN)
        return CaseState.SENDING

    def _release_held(self, connection: Connection, case_id: int) -> CaseState:
        before = CaseState(read_case(connection, case_id)["state"])
        if before is not CaseState.HELD:
            raise IllegalTransition(f"case {case_id} is {before.value}: only held ones are released")
        objects = connection.execute(select(func.count()).where(schema.result.c.case_id == case_id)).scalar_one()
        if not objects:
            return self._moved(connection, case_id, CaseState.QUEUED)
        # what was on its way when the case was stopped may have been confirmed since
        return settle_case(self._store, connection, move_case(self._store, connection, case_id, CaseState.SENDING))

    def _reprocess(self, connection: Connection, case_id: int) -> CaseState:
        table = schema.case
        series_uid = connection.execute(select(table.c.series_uid).where(table.c.id == case_id)).scalar()
        if series_uid is None:
            raise UnknownCase(f"the journal has no case {case_id}")
        series = schema.series
        closed = connection.execute(
            select(series.c.closed).where(series.c.series_uid == series_uid).with_for_update()
        ).scalar_one()
        row = read_case(connection, case_id)
        state = CaseState(row["state"])
        newest = connection.execute(select(func.max(table.c.revision)).where(table.c.series_uid == series_uid)).scalar()
        obstacles = {
            "its series still receives": not closed,
            "there is a newer revision of its series": row["revision"] != newest,
            f"it is {state.value}": state in _UNDER_WAY,
            "what was received has been purged": row["purged"],
        }
        _refuse(case_id, "reprocessed", obstacles)
        self._store.record(connection, "reprocess asked", series_uid=series_uid, case_id=case_id)
        reopen_series(connection, self._store, series_uid)
        return state

    def _send(self, connection: Connection, case_id: int, destination: str, forms: Forms) -> CaseState:
        case = read_case(connection, case_id)
        state = CaseState(case["state"])
        made = read_sealed(connection, schema.result, schema.result.c.case_id == case_id)
        verdict = case["verdict"]
        obstacles = {
            f"it is {state.value}": state not in _SENDABLE,
            "it has no results": not made,
            "its results have been purged": case["purged"],
            "nobody knows any more whether its results can be used; reprocess tells": verdict is None,
        }
        _refuse(case_id, f"sent to {destination}", obstacles)
        found = any(row["kind"] == ObjectKind.SEGMENTATION.value for row in made)
        wanted = forms.usable if found and verdict != Verdict.REJECT.value else forms.rejected
        chosen = [row for row in made if _stem(row["path"]) in wanted]
        lacking = sorted(wanted - {_stem(row["path"]) for row in chosen})
        forms_lack = f"it has no {', '.join(lacking)} for it; a route to this destination makes that, and reprocess"
        _refuse(case_id, f"sent to {destination}", {forms_lack: bool(lacking)})
        self._store.record(
            connection, "send asked", series_uid=case["series_uid"], case_id=case_id, destination=destination
        )
        if state in {CaseState.DELIVERED, CaseState.UNDELIVERED}:
            case = move_case(self._store, connection, case_id, CaseState.SENDING)
        known = {
            row["object_id"]: row for row in deliveries_of(connection, case_id) if row["destination"] == destination
        }
        for row in chosen:
            way = known.get(row["id"])
            if way is None:
                values = pending_delivery(row["id"], destination, self._store.now())
                insert_sealed(connection, schema.delivery, values)
            elif DeliveryState(way["state"]) not in UNSETTLED:
                move_delivery(self._store, connection, case, way, DeliveryState.PENDING, **_AGAIN)
        return CaseState(case["state"])


def _refuse(case_id: int, what: str, obstacles: Mapping[str, bool]) -> None:
    """Raise IllegalTransition for the first obstacle that stands."""
    for obstacle, stands in obstacles.items():
        if stands:
            raise IllegalTransition(f"case {case_id} cannot be {what}: {obstacle}")


def _stem(path: str) -> str:
    """Return what a result file is, by its name: "key" of "results/00000001-1/key-2.dcm"."""
    stem = PurePosixPath(path).stem
    return "key" if stem.startswith("key-") else stem
