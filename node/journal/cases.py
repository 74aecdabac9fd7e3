"""Cases in the journal: opened when a series closes, claimed by a worker, ended with results or a reason."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from node.domain.case import TRANSITIONS, CaseState, Reason, ResultObject
from node.domain.findings import Verdict
from node.domain.identifiers import Digest
from node.journal import schema
from node.journal.arrivals import OpenSeries
from node.journal.moves import cancel_deliveries, move_case
from node.journal.objects import insert_objects
from node.journal.operators import OperatorSteps
from node.journal.seals import insert_sealed, read_sealed, verified

__all__ = ["Account", "CaseJournal", "Claim", "NewCase", "move_case"]

#: How long a claim is held without being renewed, where the worker does not say.
_LEASE_S = 600.0


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
    """A case in the hands of a worker, fenced by (owner, attempt, number)."""

    case_id: int
    series_uid: str
    set_digest: Digest
    route: str
    owner: str
    attempt: int
    study_uid: str = ""
    revision: int = 1
    partial: bool = False
    #: Counts the claims of this case and never goes back, as `attempt` does when an operator retries.
    number: int = 0
    #: When the case was opened: UTC, ISO 8601.
    created_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a worker tells of a claim that came to results."""

    #: What speaks against using the results, or why they go nowhere.
    reasons: Sequence[Reason] = ()
    verdict: Verdict | None = None
    #: Seconds by stage.
    timings_s: Mapping[str, float] = field(default_factory=dict)
    #: From the claim to here.
    seconds: float | None = None


_NO_ACCOUNT = Account()


class CaseJournal(OperatorSteps):
    """Cases, as rows."""

    def open(self, new: NewCase) -> int | None:
        """Close the series and open its case; None when another instance arrived meanwhile and it must wait again.

        Earlier revisions that have not reached every destination are superseded.
        """
        return self._store.run(self._open, new)

    def claim(self, owner: str, lease_s: float = _LEASE_S) -> Claim | None:
        """Hand the oldest queued case to `owner`, counting the attempt; None when nothing waits.

        The claim is lost when `lease_s` pass without `renew` and somebody calls `release_expired`.
        """
        return self._store.run(self._claim, owner, lease_s)

    def renew(self, owner: str, case_ids: Collection[int], lease_s: float = _LEASE_S) -> frozenset[int]:
        """Let the leases of `owner` run for `lease_s` from now; return which of the cases it still holds."""
        return self._store.run(self._renew, owner, case_ids, lease_s)

    def finish(self, claim: Claim, objects: Sequence[ResultObject], account: Account = _NO_ACCOUNT) -> bool:
        """Record the results of a claim and queue their deliveries; False when the claim is no longer valid.

        With nothing to deliver the case ends here, as delivered: no destination is owed anything. Its objects stay in
        the state folder.
        """
        return self._store.run(self._finish, claim, objects, account)

    def fail(self, claim: Claim, reason: Reason, *, retry: bool) -> CaseState | None:
        """Record the failure of a claim and return the new state; None when the claim is no longer valid."""
        state = CaseState.QUEUED if retry else CaseState.QUARANTINED
        return state if self._store.run(self._end, claim, state, reasons=[asdict(reason)]) else None

    def put_back(self, claim: Claim) -> bool:
        """Queue a claim again as if it had not been tried: the machine failed, not the case. False for a lost one."""
        return self._store.run(self._end, claim, CaseState.QUEUED, attempts=claim.attempt - 1)

    def give_up(self, claim: Claim) -> bool:
        """Supersede a claim whose series has changed since its case was opened; a new revision is on its way."""
        return self._store.run(self._end, claim, CaseState.SUPERSEDED)

    def release_claims(self, attempts: int, *, but: Collection[int] = (), owner_prefix: str = "") -> int:
        """Put back what nobody works on: queued again, or quarantined after `attempts`. Returns how many.

        `but`: the ids of the cases that somebody does work on; none when the process has just started. Other hosts may
        work on a PostgreSQL journal: there only leases that ran out are put back, and the claims of owners whose name
        starts with `owner_prefix`.
        """
        table = schema.case
        nobody: ColumnElement[bool] = table.c.id.not_in(but)
        if self._store.path is None:
            own = table.c.owner.startswith(owner_prefix, autoescape=True)
            nobody &= or_(self._expired(), own) if owner_prefix else self._expired()
        return self._store.run(self._release, nobody, attempts)

    def release_expired(self, attempts: int) -> int:
        """Put back the cases whose lease ran out: queued again, or quarantined after `attempts`. Returns how many."""
        return self._store.run(self._release, self._expired(), attempts)

    def queued(self) -> int:
        """Return how many cases wait for a worker."""
        with self._store.reading() as connection:
            waiting = select(func.count()).where(schema.case.c.state == CaseState.QUEUED.value)
            return int(connection.execute(waiting).scalar_one())

    def _open(self, connection: Connection, new: NewCase) -> int | None:
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
            "verdict": None,
            "attempts": 0,
            "claims": 0,
            "purged": False,
            "created_at": now,
            "updated_at": now,
        }
        case_id = insert_sealed(connection, schema.case, values)
        told = {name: values[name] for name in ("revision", "route", "partial", "reasons")}
        series_uid = new.series.series_uid
        self._store.record(connection, f"case {new.state.value}", series_uid=series_uid, case_id=case_id, **told)
        return case_id

    def _supersede(self, connection: Connection, series_uid: str) -> int:
        """Supersede what a new revision makes void; return the number of the newest revision so far."""
        rows = read_sealed(connection, schema.case, schema.case.c.series_uid == series_uid)
        for row in rows:
            if CaseState.SUPERSEDED in TRANSITIONS[CaseState(row["state"])]:
                move_case(self._store, connection, row["id"], CaseState.SUPERSEDED)
                cancel_deliveries(self._store, connection, row)
        return max((row["revision"] for row in rows), default=0)

    def _claim(self, connection: Connection, owner: str, lease_s: float) -> Claim | None:
        table = schema.case
        row = (
            connection.execute(
                select(table)
                .where(table.c.state == CaseState.QUEUED.value)
                .order_by(table.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            .mappings()
            .first()
        )
        if row is None:
            return None
        verified(table, row)
        now = move_case(
            self._store,
            connection,
            row["id"],
            CaseState.RUNNING,
            owner=owner,
            attempts=row["attempts"] + 1,
            claims=row["claims"] + 1,
            lease_until=self._store.lease_clock() + lease_s,
        )
        return Claim(
            case_id=now["id"],
            series_uid=now["series_uid"],
            set_digest=now["set_digest"],
            route=now["route"],
            owner=owner,
            attempt=now["attempts"],
            study_uid=now["study_uid"],
            revision=now["revision"],
            partial=now["partial"],
            number=now["claims"],
            created_at=now["created_at"],
        )

    def _renew(self, connection: Connection, owner: str, case_ids: Collection[int], lease_s: float) -> frozenset[int]:
        table = schema.case
        renewed = connection.execute(
            update(table)
            .where(table.c.id.in_(case_ids), table.c.owner == owner, table.c.state == CaseState.RUNNING.value)
            .values(lease_until=self._store.lease_clock() + lease_s)
            .returning(table.c.id)
        )
        return frozenset(renewed.scalars())

    def _finish(self, connection: Connection, claim: Claim, objects: Sequence[ResultObject], account: Account) -> bool:
        if not self._is_held(connection, claim):
            return False
        insert_objects(connection, claim.case_id, objects, self._store.now())
        verdict = account.verdict.value if account.verdict else None
        move_case(
            self._store,
            connection,
            claim.case_id,
            CaseState.SENDING,
            told={"verdict": verdict, "timings_s": dict(account.timings_s), "seconds": account.seconds},
            reasons=[asdict(reason) for reason in account.reasons],
            verdict=verdict,
        )
        if not any(made.destinations for made in objects):
            move_case(self._store, connection, claim.case_id, CaseState.DELIVERED)
        return True

    def _end(self, connection: Connection, /, claim: Claim, state: CaseState, **changes: Any) -> bool:
        if not self._is_held(connection, claim):
            return False
        move_case(self._store, connection, claim.case_id, state, **changes)
        return True

    def _release(self, connection: Connection, which: ColumnElement[bool], attempts: int) -> int:
        table = schema.case
        running = table.c.state == CaseState.RUNNING.value
        rows = connection.execute(
            select(table.c.id, table.c.attempts)
            .where(running, which)
            .order_by(table.c.id)
            .with_for_update(skip_locked=True)
        ).all()
        spent = Reason(code="attempts-spent", text=f"the process died {attempts} times while it held this case")
        for row in rows:
            if row.attempts < attempts:
                move_case(self._store, connection, row.id, CaseState.QUEUED)
            else:
                move_case(self._store, connection, row.id, CaseState.QUARANTINED, reasons=[asdict(spent)])
        return len(rows)

    def _expired(self) -> ColumnElement[bool]:
        lease_until = schema.case.c.lease_until
        return or_(lease_until.is_(None), lease_until < self._store.lease_clock())

    @staticmethod
    def _is_held(connection: Connection, claim: Claim) -> bool:
        """Return whether the claim is valid, and lock its case."""
        held: Mapping[str, Any] = {
            "id": claim.case_id,
            "state": CaseState.RUNNING.value,
            "owner": claim.owner,
            "attempts": claim.attempt,
            "claims": claim.number,
        }
        rows = read_sealed(connection, schema.case, schema.case.c.id == claim.case_id)
        return bool(rows) and all(rows[0][name] == value for name, value in held.items())
