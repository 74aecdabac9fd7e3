"""What an operator does to a case: retry, hold, release, cancel, reprocess."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from node.domain.case import CaseState, DeliveryState
from node.errors import IllegalTransition, UnknownCase
from node.journal import schema
from node.journal.arrivals import reopen_series
from node.journal.moves import cancel_deliveries, deliveries_of, move_case, move_delivery, read_case, settle_case
from node.journal.store import Store

#: States in which a case is not done with: to reprocess its series would do the work twice.
_UNDER_WAY = frozenset({CaseState.QUEUED, CaseState.RUNNING, CaseState.HELD})


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
                again = {"attempts": 0, "code": None, "text": None, "sent_at": None}
                move_delivery(self._store, connection, case, row, DeliveryState.PENDING, **again)
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
        for obstacle, stands in obstacles.items():
            if stands:
                raise IllegalTransition(f"case {case_id} cannot be reprocessed: {obstacle}")
        self._store.record(connection, "reprocess asked", series_uid=series_uid, case_id=case_id)
        reopen_series(connection, self._store, series_uid)
        return state
