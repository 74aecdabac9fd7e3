"""Short questions about one case, and who asked for something."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from node.domain.case import UNSETTLED, CaseState
from node.errors import UnknownCase
from node.journal import schema
from node.journal.store import Store

_ASKED = "operator asked"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody asks for."""

    action: str
    #: Where to, of what is sent.
    destination: str | None
    by: str
    #: Number of the newest event that he knew of; None: nobody says.
    since: int | None


def record_request(store: Store, case_id: int, asked: Asked) -> bool:
    """Record who asks for an action on a case, before it is tried; False where it has been asked for since `since`.

    Raises JournalError.
    """
    return store.run(_record_request, store, case_id, asked)


def _record_request(connection: Connection, store: Store, case_id: int, asked: Asked) -> bool:
    case = schema.case
    locked = select(case.c.series_uid).where(case.c.id == case_id).with_for_update()
    series_uid = connection.execute(locked).scalar()
    if asked.since is not None and _is_asked(connection, case_id, asked, asked.since):
        return False
    told = {"action": asked.action, "by": asked.by}
    if asked.destination is not None:
        told["destination"] = asked.destination
    store.record(connection, _ASKED, series_uid=series_uid, case_id=case_id, **told)
    return True


def _is_asked(connection: Connection, case_id: int, asked: Asked, since: int) -> bool:
    table = schema.event
    later = select(table.c.detail).where(table.c.case_id == case_id, table.c.what == _ASKED, table.c.id > since)
    return any(
        (detail.get("action"), detail.get("destination")) == (asked.action, asked.destination)
        for detail in connection.execute(later).scalars()
    )
