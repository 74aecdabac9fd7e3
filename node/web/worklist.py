"""The worklist: every case, newest first, with search and filters. It keeps itself up to date.

/            the page
/worklist    the list alone; 204 where nothing has happened since the event `seen`
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from node.domain.case import CaseState
from node.domain.findings import Verdict
from node.journal.trail import newest_place
from node.journal.worklist import count_by_state, receiving, routes_of_cases, search
from node.web.access import Role, User, Viewer
from node.web.asked import Asked, Cursor, TheSearch
from node.web.asking import ACTIONS
from node.web.render import page
from node.web.site import Site, TheSite

router = APIRouter(include_in_schema=False)

_PAGE = 50
#: Several cases at a time: what of one can be asked of many.
_MANY = tuple(ACTIONS)


@router.get("/")
def worklist(
    request: Request,
    site: TheSite,
    user: Viewer,
    asked: TheSearch,
) -> HTMLResponse:
    """Return the page."""
    shown = _list(site, user, asked)
    configured = {route.name for route in site.settings.route}
    return page(
        request,
        "worklist.html.j2",
        **shown,
        states=list(CaseState),
        verdicts=list(Verdict),
        routes=sorted(configured.union(routes_of_cases(site.store))),
    )


@router.get("/worklist")
def list_alone(
    request: Request,
    site: TheSite,
    user: Viewer,
    asked: TheSearch,
    seen: Annotated[Cursor | None, Query()] = None,
) -> Response:
    """Return the list, where something has happened."""
    if seen is not None and newest_place(site.store).end == seen:
        return Response(status_code=204)
    answer = page(request, "worklist_list.html.j2", **_list(site, user, asked))
    if seen is None:  # somebody has changed the search: the address follows
        answer.headers["HX-Push-Url"] = f"/?{asked.query()}"
    return answer


def _list(site: Site, user: User, asked: Asked) -> dict[str, Any]:
    before, after = asked.given.before, asked.given.after
    seen = newest_place(site.store).end  # first: what happens meanwhile is shown twice rather than never
    found = search(site.store, asked.search, size=_PAGE, before=before, after=after)
    counts = count_by_state(site.store)
    return {
        "asked": asked,
        "found": found,
        "counts": [(state, counts[state]) for state in CaseState if state in counts],
        "receiving": receiving(site.store),
        "seen": seen,
        "again": asked.query(before=before, after=after, seen=seen),
        "actions": _MANY if user.role is Role.OPERATOR else (),
    }
