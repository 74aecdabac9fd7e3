"""Cases in the journal: opened when a series closes, claimed by the worker, ended with results or a reason."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, func, insert, select, update

from node.domain.case import TRANSITIONS, CaseState, DeliveryState, Reason, ResultObject
from node.domain.identifiers import Digest
from node.errors import IllegalTransition
from node.journal import schema
from node.journal.arrivals import OpenSeries
from node.journal.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCase:
    """A verdict on one revision of a series: a route that takes it, or the reasons why none does."""

    series: OpenSeries
    set_digest: Digest
    partial: bool
    route: str | None
    state: CaseState
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A case in the hands of a worker, fenced by (owner, attempt)."""

    case_id: int
    series_uid: str
    set_digest: Digest
    route: str
    owner: str
    attempt: int


class CaseJournal:
    """Cases, as rows."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open(self, new: NewCase) -> int | None:
        """Close the series and open its case; None when another instance arrived meanwhile and it must wait again.

        Earlier revisions that have not reached every destination are superseded.
        """
        with self._store.transaction() as connection:
            closed = connection.execute(
                update(schema.series)
                .where(
                    schema.series.c.series_uid == new.series.series_uid,
                    schema.series.c.arrivals == new.series.arrivals,
                    ~schema.series.c.closed,
                )
                .values(closed=True)
            )
            if closed.rowcount == 0:
                return None
            revision = self._supersede(connection, new.series.series_uid) + 1
            case_id = self._insert(connection, new, revision)
            reasons = [asdict(reason) for reason in new.reasons]
            self._store.record(
                connection,
                f"case {new.state.value}",
                series_uid=new.series.series_uid,
                case_id=case_id,
                revision=revision,
                route=new.route,
                partial=new.partial,
                reasons=reasons,
            )
        return case_id

    def claim(self, owner: str) -> Claim | None:
        """Hand the oldest queued case to `owner`, counting the attempt; None when nothing waits."""
        table = schema.case
        with self._store.transaction() as connection:
            row = connection.execute(
                select(table).where(table.c.state == CaseState.QUEUED.value).order_by(table.c.id).limit(1)
            ).first()
            if row is None:
                return None
            self._move(connection, row.id, CaseState.RUNNING, owner=owner, attempts=row.attempts + 1)
            return Claim(
                case_id=row.id,
                series_uid=row.series_uid,
                set_digest=row.set_digest,
                route=row.route,
                owner=owner,
                attempt=row.attempts + 1,
            )

    def finish(self, claim: Claim, objects: Sequence[ResultObject], reasons: Sequence[Reason] = ()) -> bool:
        """Record the results of a claim and queue their deliveries; False when the claim is no longer valid.

        `reasons`: what speaks against using the results, or why they go nowhere. With nothing to deliver the case ends
        here, as delivered: no destination is owed anything. Its objects stay in the state folder.
        """
        with self._store.transaction() as connection:
            if not self._is_held(connection, claim):
                return False
            for made in objects:
                values = {
                    "case_id": claim.case_id,
                    "kind": made.kind.value,
                    "sop_class_uid": made.sop_class_uid,
                    "sop_instance_uid": made.sop_instance_uid,
                    "path": str(made.path),
                    "digest": made.digest,
                }
                object_id = connection.execute(
                    insert(schema.result).values(values).returning(schema.result.c.id)
                ).scalar_one()
                for destination in made.destinations:
                    connection.execute(insert(schema.delivery).values(self._delivery(object_id, destination)))
            told = [asdict(reason) for reason in reasons]
            self._move(connection, claim.case_id, CaseState.SENDING, owner=None, reasons=told)
            if not any(made.destinations for made in objects):
                self._move(connection, claim.case_id, CaseState.DELIVERED)
        return True

    def fail(self, claim: Claim, reason: Reason, *, retry: bool) -> CaseState | None:
        """Record the failure of a claim and return the new state; None when the claim is no longer valid."""
        state = CaseState.QUEUED if retry else CaseState.QUARANTINED
        with self._store.transaction() as connection:
            if not self._is_held(connection, claim):
                return None
            self._move(connection, claim.case_id, state, owner=None, reasons=[asdict(reason)])
        return state

    def put_back(self, claim: Claim) -> None:
        """Queue a claim again as if it had not been tried: the machine failed, not the case."""
        with self._store.transaction() as connection:
            if self._is_held(connection, claim):
                self._move(connection, claim.case_id, CaseState.QUEUED, owner=None, attempts=claim.attempt - 1)

    def give_up(self, claim: Claim) -> None:
        """Supersede a claim whose series has changed since its case was opened; a new revision is on its way."""
        with self._store.transaction() as connection:
            if self._is_held(connection, claim):
                self._move(connection, claim.case_id, CaseState.SUPERSEDED, owner=None)

    def release_claims(self, attempts: int, *, but: Collection[int] = ()) -> int:
        """Put back what nobody works on: queued again, or quarantined after `attempts`. Returns how many.

        `but`: the ids of the cases that somebody does work on; none when the process has just started.
        """
        table = schema.case
        spent = Reason(code="attempts-spent", text=f"the process died {attempts} times while it held this case")
        with self._store.transaction() as connection:
            rows = connection.execute(
                select(table).where(table.c.state == CaseState.RUNNING.value, table.c.id.not_in(but))
            ).all()
            for row in rows:
                if row.attempts < attempts:
                    self._move(connection, row.id, CaseState.QUEUED, owner=None)
                else:
                    self._move(connection, row.id, CaseState.QUARANTINED, owner=None, reasons=[asdict(spent)])
        return len(rows)

    def _supersede(self, connection: Connection, series_uid: str) -> int:
        """Supersede what a new revision makes void; return the number of revisions so far."""
        table = schema.case
        rows = connection.execute(select(table.c.id, table.c.state).where(table.c.series_uid == series_uid)).all()
        for row in rows:
            if CaseState.SUPERSEDED in TRANSITIONS[CaseState(row.state)]:
                self._move(connection, row.id, CaseState.SUPERSEDED, owner=None)
                objects = select(schema.result.c.id).where(schema.result.c.case_id == row.id)
                connection.execute(
                    update(schema.delivery)
                    .where(
                        schema.delivery.c.object_id.in_(objects),
                        schema.delivery.c.state == DeliveryState.PENDING.value,
                    )
                    .values(state=DeliveryState.CANCELLED.value, updated_at=self._store.now())
                )
        newest = connection.execute(select(func.max(table.c.revision)).where(table.c.series_uid == series_uid)).scalar()
        return newest or 0

    def _insert(self, connection: Connection, new: NewCase, revision: int) -> int:
        now = self._store.now()
        values = {
            "series_uid": new.series.series_uid,
            "study_uid": new.series.study_uid,
            "revision": revision,
            "set_digest": new.set_digest,
            "partial": new.partial,
            "route": new.route,
            "state": new.state.value,
            "reasons": [asdict(reason) for reason in new.reasons],
            "attempts": 0,
            "created_at": now,
            "updated_at": now,
        }
        return int(connection.execute(insert(schema.case).values(values).returning(schema.case.c.id)).scalar_one())

    def _move(self, connection: Connection, case_id: int, state: CaseState, **changes: object) -> None:
        move_case(self._store, connection, case_id, state, **changes)

    def _delivery(self, object_id: int, destination: str) -> dict[str, object]:
        return {
            "object_id": object_id,
            "destination": destination,
            "state": DeliveryState.PENDING.value,
            "attempts": 0,
            "updated_at": self._store.now(),
        }

    @staticmethod
    def _is_held(connection: Connection, claim: Claim) -> bool:
        table = schema.case
        row = connection.execute(
            select(table.c.id).where(
                table.c.id == claim.case_id,
                table.c.state == CaseState.RUNNING.value,
                table.c.owner == claim.owner,
                table.c.attempts == claim.attempt,
            )
        ).first()
        return row is not None


def move_case(store: Store, connection: Connection, case_id: int, state: CaseState, **changes: object) -> None:
    """Move a case to `state` within a transaction, as an event. Raises IllegalTransition."""
    table = schema.case
    row = connection.execute(select(table.c.state, table.c.series_uid).where(table.c.id == case_id)).one()
    if state not in TRANSITIONS[CaseState(row.state)]:
        raise IllegalTransition(f"case {case_id} cannot go from {row.state} to {state.value}")
    connection.execute(
        update(table).where(table.c.id == case_id).values(state=state.value, updated_at=store.now(), **changes)
    )
    reasons = {"reasons": changes["reasons"]} if "reasons" in changes else {}
    store.record(connection, f"case {state.value}", series_uid=row.series_uid, case_id=case_id, **reasons)
