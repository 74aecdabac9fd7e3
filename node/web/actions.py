"""What an operator does on the pages of the worklist and of a case. The running node does it (`node.operations`).

POST /cases/{case}/{action}    retry, hold, release, reprocess, cancel; send, with a destination
POST /actions                  one of them (not send) on several cases

Each form says in `since` which event was the newest when its page was made: sent twice, it is done once.
"""

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from node.web.access import Operator
from node.web.asked import CaseNumber, Cursor
from node.web.asking import ACTIONS, SEND, act, act_on
from node.web.render import page
from node.web.site import TheSite

router = APIRouter(include_in_schema=False)

#: As many as a page of the worklist shows, and some.
_MOST = 200


@router.post("/cases/{case}/{action}")
def on_case(
    case: CaseNumber,
    action: str,
    site: TheSite,
    user: Operator,
    destination: Annotated[str, Form(max_length=64)] = "",
    since: Annotated[Cursor | None, Form()] = None,
) -> Response:
    """Do something to a case, and lead back to its page. Raises what the node answers with."""
    if action not in {*ACTIONS, SEND}:
        raise HTTPException(404, "there is no such action")
    act_on(site, user, action, case, since=since, **({"destination": destination} if action == SEND else {}))
    return RedirectResponse(f"/cases/{case}", 303)


@router.post("/actions")
def on_cases(
    request: Request,
    site: TheSite,
    user: Operator,
    action: Annotated[str, Form()],
    case: Annotated[list[CaseNumber], Form(), Field(max_length=_MOST)] = [],  # noqa: B006 - FastAPI copies it
    since: Annotated[Cursor | None, Form()] = None,
) -> Response:
    """Do something to several cases, and tell what came of each."""
    if action not in ACTIONS:
        raise HTTPException(404, "there is no such action")
    if not case:
        raise HTTPException(422, "mark the cases first")
    return page(request, "actions.html.j2", action=action, answers=act(site, user, action, case, since=since))
