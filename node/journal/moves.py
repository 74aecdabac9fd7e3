"""One step of a case or of its deliveries, within a transaction of the caller; each is an event.

Rows are locked in one order everywhere: series, case, delivery.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, select

from node.domain.case import TRANSITIONS, UNSETTLED, CaseState, DeliveryState
from node.errors import IllegalTransition, UnknownCase
from node.journal import schema
from node.journal.seals import change_sealed, read_sealed, verified
from node.journal.store import Store

#: What it is called that a delivery waits again.
_BACK = {
    DeliveryState.PENDING.value: "delivery failed",
    DeliveryState.SENT.value: "delivery unconfirmed",
    DeliveryState.REFUSED.value: "delivery retried",
    DeliveryState.DELIVERED.value: "delivery repeated",
    DeliveryState.CANCELLED.value: "delivery repeated",
}


def read_case(connection: Connection, case_id: int) -> Mapping[str, Any]:
    """Return the row of a case, locked. Raises UnknownCase, JournalDamaged."""
    rows = read_sealed(connection, schema.case, schema.case.c.id == case_id)
    if not rows:
        raise UnknownCase(f"the journal has no case {case_id}")
    return rows[0]


def move_case(
    store: Store,
    connection: Connection,
    case_id: int,
    state: CaseState,
    *,
    told: Mapping[str, Any] = MappingProxyType({}),
    **changes: Any,
) -> Mapping[str, Any]:
    """Move a case to `state` and return its row as it is then; `told`: what else the event says of it.

    Raises UnknownCase, IllegalTransition.
    """
    row = read_case(connection, case_id)
    if state not in TRANSITIONS[CaseState(row["state"])]:
        raise IllegalTransition(f"case {case_id} cannot go from {row['state']} to {state.value}")
    if state is not CaseState.RUNNING:
        changes |= {"owner": None, "lease_until": None}
    changes |= {"state": state.value, "updated_at": store.now()}
    change_sealed(connection, schema.case, row, **changes)
    reasons = {"reasons": changes["reasons"]} if "reasons" in changes else {}
    store.record(connection, f"case {state.value}", series_uid=row["series_uid"], case_id=case_id, **reasons, **told)
    return {**row, **changes}


def deliveries_of(connection: Connection, case_id: int) -> list[Mapping[str, Any]]:
    """Return the rows of the deliveries of a case, whose row is locked already."""
    delivery, result = schema.delivery, schema.result
    objects = select(result.c.id).where(result.c.case_id == case_id)
    statement = select(delivery).where(delivery.c.object_id.in_(objects)).order_by(delivery.c.id)
    return [verified(delivery, row) for row in connection.execute(statement).mappings()]


def cancel_deliveries(store: Store, connection: Connection, case: Mapping[str, Any]) -> None:
    """Cancel what has not been settled of a case."""
    unsettled = {state.value for state in UNSETTLED}
    for row in deliveries_of(connection, case["id"]):
        if row["state"] in unsettled:
            move_delivery(store, connection, case, row, DeliveryState.CANCELLED)


def move_delivery(
    store: Store,
    connection: Connection,
    case: Mapping[str, Any],
    row: Mapping[str, Any],
    state: DeliveryState,
    **changes: Any,
) -> None:
    """Move a delivery to `state`; which states may follow which is for the caller to know."""
    change_sealed(connection, schema.delivery, row, state=state.value, updated_at=store.now(), **changes)
    store.record(
        connection,
        _BACK[row["state"]] if state is DeliveryState.PENDING else f"delivery {state.value}",
        series_uid=case["series_uid"],
        case_id=case["id"],
        delivery=row["id"],
        destination=row["destination"],
        **{name: changes[name] for name in ("code", "text") if name in changes},
    )


def settle_case(store: Store, connection: Connection, case: Mapping[str, Any]) -> CaseState:
    """Move a case in SENDING on when none of its deliveries waits any more; return the state it then has."""
    before = CaseState(case["state"])
    states = {DeliveryState(row["state"]) for row in deliveries_of(connection, case["id"])}
    if before is not CaseState.SENDING or states & UNSETTLED:
        return before
    after = CaseState.DELIVERED if states <= {DeliveryState.DELIVERED} else CaseState.UNDELIVERED
    move_case(store, connection, case["id"], after)
    return after
