"""A journal as after months of work, written in one go: cases in every state, objects, deliveries, events."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, insert

from node.domain.case import CaseState, DeliveryState, ObjectKind
from node.domain.findings import Verdict
from node.journal import schema
from node.journal.seals import SEALED, sealed
from node.journal.store import Store

#: A case in hundred is ...
_STATES: Mapping[int, CaseState] = {
    3: CaseState.QUARANTINED,
    17: CaseState.UNDELIVERED,
    31: CaseState.SENDING,
    43: CaseState.CANCELLED,
    59: CaseState.HELD,
    71: CaseState.QUEUED,
}
_WITH_RESULTS = frozenset({CaseState.DELIVERED, CaseState.UNDELIVERED, CaseState.SENDING, CaseState.CANCELLED})
_DELIVERIES: Mapping[CaseState, DeliveryState] = {
    CaseState.DELIVERED: DeliveryState.DELIVERED,
    CaseState.UNDELIVERED: DeliveryState.REFUSED,
    CaseState.SENDING: DeliveryState.PENDING,
    CaseState.CANCELLED: DeliveryState.CANCELLED,
}
_VERDICTS = (Verdict.GOOD, Verdict.GOOD, Verdict.GOOD, Verdict.REVIEW, Verdict.REJECT)
_INSTANCES = 15
_APART = timedelta(minutes=4)
_MOST_ROWS = 5000


def fill(path: Path, cases: int, *, until: datetime) -> None:
    """Write a journal of so many cases, the newest of them from `until`. Every third series was refused.

    Raises JournalError.
    """
    store = Store(path, clock=lambda: until)
    begin = until.astimezone(UTC) - _APART * cases
    try:
        for table, rows in _tables(cases, begin).items():
            store.run(_insert_all, table, rows)
    finally:
        store.close()


def _insert_all(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), _MOST_ROWS):
        part = rows[start : start + _MOST_ROWS]
        connection.execute(insert(table), [sealed(table, row) for row in part] if table in SEALED else part)


def _tables(cases: int, begin: datetime) -> Mapping[Table, list[dict[str, Any]]]:
    tables: dict[Table, list[dict[str, Any]]] = {
        schema.series: [],
        schema.instance: [],
        schema.case: [],
        schema.result: [],
        schema.delivery: [],
        schema.event: [],
    }
    for number in range(1, cases + 1):
        for table, row in _rows(number, begin + _APART * number):
            tables[table].append(row)
    return tables


def _rows(number: int, at: datetime) -> Iterator[tuple[Table, dict[str, Any]]]:
    state = CaseState.REJECTED if number % 3 == 0 else _STATES.get(number % 100, CaseState.DELIVERED)
    verdict = _VERDICTS[number % len(_VERDICTS)].value if state in _WITH_RESULTS else None
    series_uid, study_uid = f"1.2.826.0.1.3680043.10.1.{number}.1", f"1.2.826.0.1.3680043.10.1.{number}"
    calling_ae, received, opened = f"SCANNER{number % 7}", _text(at), _text(at + timedelta(seconds=8))
    yield (
        schema.series,
        {
            "series_uid": series_uid,
            "study_uid": study_uid,
            "arrivals": _INSTANCES,
            "instances": _INSTANCES,
            "closed": True,
            "own_result": False,
            "calling_ae": calling_ae,
            "first_arrival_at": received,
            "last_arrival_at": received,
        },
    )
    for slice_number in range(_INSTANCES):
        yield (
            schema.instance,
            {
                "sop_instance_uid": f"{series_uid}.{slice_number}",
                "sop_class_uid": "1.2.840.10008.5.1.4.1.1.4",
                "series_uid": series_uid,
                "study_uid": study_uid,
                "digest": _digest(series_uid, slice_number),
                "path": f"spool/{_digest(series_uid)[:32]}/{_digest(series_uid, slice_number)}.dcm",
                "calling_ae": calling_ae,
                "association": "",
                "received_at": received,
            },
        )
    refused = [{"code": "region", "text": "neck: neither descriptions nor BodyPartExamined name the region asked for"}]
    reasons = refused if state is CaseState.REJECTED else []
    yield (
        schema.case,
        {
            "id": number,
            "series_uid": series_uid,
            "study_uid": study_uid,
            "revision": 1,
            "set_digest": _digest(series_uid),
            "partial": False,
            "route": None if state is CaseState.REJECTED else "neck",
            "state": state.value,
            "reasons": reasons,
            "verdict": verdict,
            "attempts": 0 if state is CaseState.REJECTED else 1,
            "claims": 0 if state is CaseState.REJECTED else 1,
            "purged": False,
            "created_at": opened,
            "updated_at": opened,
        },
    )
    yield from _results(number, state, opened)
    yield from _events(number, series_uid, state, verdict, at)


def _results(number: int, state: CaseState, at: str) -> Iterator[tuple[Table, dict[str, Any]]]:
    if state not in _WITH_RESULTS:
        return
    for offset, kind in enumerate((ObjectKind.SEGMENTATION, ObjectKind.REPORT)):
        object_id = 2 * number + offset
        yield (
            schema.result,
            {
                "id": object_id,
                "case_id": number,
                "kind": kind.value,
                "sop_class_uid": "1.2.840.10008.5.1.4.1.1.66.4",
                "sop_instance_uid": f"2.25.{object_id}",
                "path": f"results/{number:08d}-1/{kind.value.lower()}.dcm",
                "digest": _digest("result", object_id),
            },
        )
        yield (
            schema.delivery,
            {
                "object_id": object_id,
                "destination": "archive",
                "state": _DELIVERIES[state].value,
                "attempts": 1,
                "code": None,
                "text": None,
                "sent_at": at,
                "updated_at": at,
            },
        )


def _events(
    number: int, series_uid: str, state: CaseState, verdict: str | None, at: datetime
) -> Iterator[tuple[Table, dict[str, Any]]]:
    stages = {"volume": 0.3, "segment": 4.0 + number % 5, "measure": 1.1, "draw": 0.4, "encode": 0.6}
    told: list[tuple[str, dict[str, Any]]] = [("series receiving", {"calling_ae": "SCANNER"})]
    if state is CaseState.REJECTED:
        told.append(("case rejected", {"revision": 1, "route": None, "partial": False, "reasons": []}))
    else:
        told += [
            ("case queued", {"revision": 1, "route": "neck", "partial": False, "reasons": []}),
            ("case running", {}),
        ]
    if state in _WITH_RESULTS:
        said = {"verdict": verdict, "timings_s": stages, "seconds": sum(stages.values())}
        told.append(("case sending", {"reasons": [], **said}))
        told += [("delivery delivered", {"destination": "archive", "code": None, "text": None})] * 2
        told.append((f"case {state.value}", {}))
    for step, (what, detail) in enumerate(told):
        yield (
            schema.event,
            {
                "at": _text(at + timedelta(seconds=4 * step)),
                "series_uid": series_uid,
                "case_id": None if what == "series receiving" else number,
                "what": what,
                "detail": detail,
            },
        )


def _digest(*of: object) -> str:
    return hashlib.sha256(repr(of).encode()).hexdigest()


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
