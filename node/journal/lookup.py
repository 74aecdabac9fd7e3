"""Short questions about one case, and who asked for something."""

from sqlalchemy import func, select

from node.domain.case import UNSETTLED, CaseState
from node.errors import UnknownCase
from node.journal import schema
from node.journal.store import Store


def newest_case(store: Store, series_uid: str) -> int | None:
    """Return the number of the newest case of a series."""
    table = schema.case
    with store.reading() as connection:
        return connection.execute(select(func.max(table.c.id)).where(table.c.series_uid == series_uid)).scalar()


def state_of(store: Store, case_id: int) -> CaseState:
    """Return the state of a case. Raises UnknownCase."""
    with store.reading() as connection:
        state = connection.execute(select(schema.case.c.state).where(schema.case.c.id == case_id)).scalar()
    if state is None:
        raise UnknownCase(f"the journal has no case {case_id}")
    return CaseState(state)


def destinations_of(store: Store, case_id: int) -> tuple[str, ...]:
    """Return the names of the destinations that still wait for an object of a case, in alphabetical order."""
    delivery, result = schema.delivery, schema.result
    statement = (
        select(delivery.c.destination)
        .join(result, delivery.c.object_id == result.c.id)
        .where(result.c.case_id == case_id, delivery.c.state.in_([state.value for state in UNSETTLED]))
        .distinct()
        .order_by(delivery.c.destination)
    )
    with store.reading() as connection:
        return tuple(connection.execute(statement).scalars())


def record_request(store: Store, case_id: int, action: str, by: str) -> None:
    """Record who asks for an action on a case, before it is tried. Raises JournalError."""
    with store.transaction() as connection:
        series_uid = connection.execute(select(schema.case.c.series_uid).where(schema.case.c.id == case_id)).scalar()
        store.record(connection, "operator asked", series_uid=series_uid, case_id=case_id, action=action, by=by)
