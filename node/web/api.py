"""The worklist and the cases for programs: `/api/v1`, described by `/api/openapi.json`.

A program signs in by a bearer token of the settings ("Authorization: Bearer ..."). UIDs are told to those who may see
identifiers; to others the keyed hash that stands for each in the log. An error is a document as commands print it with
`--json`: error with code, message and retryable.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, HTTPException, Query
from pydantic import BaseModel, Field

from node.domain.case import CaseState, DeliveryState, ObjectKind
from node.domain.findings import Verdict
from node.errors import InputError
from node.journal.dossier import Dossier, dossier, newest_event
from node.journal.worklist import Listed, count_by_state, receiving, search
from node.output.document import read_findings
from node.web.access import Operator, User, Viewer, shown_uid
from node.web.asked import CaseNumber, Cursor, TheSearch
from node.web.asking import SEND, act_on, possible
from node.web.site import TheSite
from node.web.telling import told

router = APIRouter(prefix="/api/v1", tags=["cases"])

_LARGEST_PAGE = 500
Action = Literal["retry", "hold", "release", "reprocess", "cancel", "send"]


class Failure(BaseModel):
    """Why a request failed."""

    code: str
    message: str
    #: Whether the same may succeed later.
    retryable: bool


class Failed(BaseModel):
    """The answer to a request that failed."""

    error: Failure


class ReasonShown(BaseModel):
    """Why a series was refused, or what speaks against a result."""

    code: str
    text: str


class SentShown(BaseModel):
    """How many objects of a case are in which state on their way to a destination."""

    destination: str
    states: Mapping[str, int]


class CaseShown(BaseModel):
    """A case. Times are UTC, ISO 8601."""

    case: int
    state: CaseState
    verdict: Verdict | None
    route: str | None
    reasons: list[ReasonShown]
    study_uid: str
    series_uid: str
    revision: int
    attempts: int
    #: Whether the wait for more instances was ended by the hard cap.
    partial: bool
    #: Whether its files have been deleted.
    purged: bool
    calling_ae: str
    instances: int
    created_at: str
    updated_at: str
    sent: list[SentShown]


class CasesShown(BaseModel):
    """Cases, newest first. `older` is the `before` of the next page, `newer` the `after` of the one before."""

    cases: list[CaseShown]
    newer: int | None
    older: int | None


class WayShown(BaseModel):
    """An object on its way to a destination. `code` and `text`: its last error, or what the destination noted."""

    destination: str
    state: DeliveryState
    attempts: int
    code: str | None
    text: str | None
    sent_at: str | None
    updated_at: str


class ObjectShown(BaseModel):
    """A result object; its file is at /cases/{case}/files/{name}."""

    kind: ObjectKind
    name: str
    sop_class_uid: str
    sop_instance_uid: str
    #: SHA-256 of the file.
    digest: str
    deliveries: list[WayShown]


class EventShown(BaseModel):
    """Something that happened."""

    at: str
    what: str
    text: str


class WholeCase(CaseShown):
    """A case with its objects and what happened to it."""

    objects: list[ObjectShown]
    events: list[EventShown]
    #: Seconds by stage of the work on its result.
    timings_s: Mapping[str, float]
    #: What can be asked for now.
    actions: list[str]
    #: Number of the newest event of its series: `since` of an action.
    newest_event: int


class Summary(BaseModel):
    """How many cases are in each state, and how many series still receive."""

    cases: Mapping[CaseState, int]
    receiving: int


class Asking(BaseModel):
    """What an action needs: `destination` for "send" alone. Asked for after the event `since`, it is not done again."""

    destination: Annotated[str, Field(max_length=64)] | None = None
    since: Cursor | None = None


class Done(BaseModel):
    """What an action has done."""

    case: int
    was: CaseState
    state: CaseState


_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": Failed, "description": text}
    for status, text in (
        (401, "not signed in"),
        (403, "not allowed"),
        (404, "no such case"),
        (409, "not possible in the state that the case is in"),
        (422, "not understood"),
        (503, "the node does not run, or its journal cannot be read"),
        (
            504,
            "the node has not answered yet, and may still do it, as the history will tell; once, with the same `since`",
        ),
    )
}


@router.get("/summary", responses=_ERRORS)
def summary(site: TheSite, _user: Viewer) -> Summary:
    """Return how many cases are in each state."""
    return Summary(cases=count_by_state(site.store), receiving=receiving(site.store))


@router.get("/cases", responses=_ERRORS)
def cases(
    site: TheSite, user: Viewer, asked: TheSearch, limit: Annotated[int, Query(ge=1, le=_LARGEST_PAGE)] = 50
) -> CasesShown:
    """Return the cases that fit, newest first, a page at a time."""
    found = search(site.store, asked.search, size=limit, before=asked.given.before, after=asked.given.after)
    shown = [CaseShown(**_case(user, case)) for case in found.cases]
    return CasesShown(cases=shown, newer=found.newer, older=found.older)


@router.get("/cases/{case}", responses=_ERRORS)
def whole_case(case: CaseNumber, site: TheSite, user: Viewer) -> WholeCase:
    """Return a case with its objects, deliveries and events."""
    newest = newest_event(site.store, case)  # first: an action that is asked for meanwhile counts as later
    found = dossier(site.store, case)
    return WholeCase(
        **_case(user, found.case),
        objects=_objects(user, found),
        events=[EventShown(at=event.at, what=event.what, text=told(event)) for event in found.events],
        timings_s=found.account.get("timings_s", {}),
        actions=sorted(possible(found)),
        newest_event=newest,
    )


@router.get("/cases/{case}/findings", responses=_ERRORS)
def findings(case: CaseNumber, site: TheSite, _user: Viewer) -> dict[str, Any]:
    """Return `findings.json` of a case: structures, measurements, quality; it names nobody."""
    found = dossier(site.store, case)
    if found.folder is None or found.case.purged:
        raise HTTPException(404, "this case has no findings")
    return read_findings(site.settings.node.state_dir / found.folder)


@router.post("/cases/{case}/{action}", responses=_ERRORS)
def do(
    case: CaseNumber, action: Action, site: TheSite, user: Operator, asking: Annotated[Asking | None, Body()] = None
) -> Done:
    """Have the running node do something to a case. Operators only."""
    destination = asking.destination if asking else None
    if (destination is None) == (action == SEND):
        raise InputError("destination: send needs one, and nothing else takes one")
    since, more = asking.since if asking else None, {"destination": destination} if destination else {}
    return Done(**act_on(site, user, action, case, since=since, **more))


def _case(user: User, case: Listed) -> dict[str, Any]:
    return {
        "case": case.case_id,
        "state": case.state,
        "verdict": case.verdict,
        "route": case.route,
        "reasons": [ReasonShown(code=reason["code"], text=reason["text"]) for reason in case.reasons],
        "study_uid": shown_uid(user, case.study_uid),
        "series_uid": shown_uid(user, case.series_uid),
        "revision": case.revision,
        "attempts": case.attempts,
        "partial": case.partial,
        "purged": case.purged,
        "calling_ae": case.calling_ae,
        "instances": case.instances,
        "created_at": case.created_at,
        "updated_at": case.updated_at,
        "sent": [SentShown(destination=item.destination, states=item.states) for item in case.sent],
    }


def _objects(user: User, found: Dossier) -> list[ObjectShown]:
    return [
        ObjectShown(
            kind=made.kind,
            name=made.name,
            sop_class_uid=made.sop_class_uid,
            sop_instance_uid=shown_uid(user, made.sop_instance_uid),
            digest=made.digest,
            deliveries=[
                WayShown(
                    destination=way.destination,
                    state=way.state,
                    attempts=way.attempts,
                    code=way.code,
                    text=way.text,
                    sent_at=way.sent_at,
                    updated_at=way.updated_at,
                )
                for way in made.ways
            ],
        )
        for made in found.objects
    ]
