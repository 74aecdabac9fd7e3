"""Changes, asked of the running node: the page itself writes nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from node.domain.case import TRANSITIONS, CaseState
from node.errors import (
    AnswerTooLarge,
    IllegalTransition,
    InputError,
    JournalError,
    NodeError,
    SystemFailed,
    Unanswered,
    UnknownCase,
)
from node.journal.dossier import Dossier
from node.journal.trail import newest_place
from node.web.access import User
from node.web.site import Document, Site

#: What an operator may ask for, and what it does, for the button's description.
ACTIONS: Mapping[str, str] = {
    "retry": "Try again: a quarantined case from its start, an undelivered one to the destinations that refused.",
    "hold": "Stop it before the worker or before the destinations, until it is released.",
    "release": "Let it go on where it stood.",
    "reprocess": "Make a new case of the same images, with the settings and the model of now.",
    "cancel": "End it; what has not been sent of it stays here.",
}
SEND = "send"
_UNANSWERED = (
    "the node has not answered yet; it may still do this once it goes on. The history of the case then says "
    '"operator asked" and what followed. Sent again, the same form does it no second time'
)
#: Errors that a request can be answered by; any other is one of the system.
_ERRORS = {kind.code: kind for kind in (AnswerTooLarge, IllegalTransition, InputError, JournalError, UnknownCase)}
_UNDER_WAY = frozenset({CaseState.QUEUED, CaseState.RUNNING, CaseState.HELD})
_SENDABLE = frozenset({CaseState.SENDING, CaseState.DELIVERED, CaseState.UNDELIVERED, CaseState.HELD})


def act(
    site: Site, user: User, action: str, cases: Sequence[int], *, since: int | None = None, **more: str
) -> Sequence[Document]:
    """Have the running node do `action` on cases; return an answer for each: case, was, state, or error.

    `since`: the newest event of which the user knew; None: the newest that there is.

    Raises SystemFailed where no node runs, Unanswered where it hangs, and the error of a request that was refused as a
    whole. What has been asked for after `since` is not done once more.
    """
    since = newest_place(site.store).end if since is None else since
    try:
        said = site.ask({"do": action, "cases": list(cases), "by": user.name[:64], "since": since, **more})
    except Unanswered as error:
        raise Unanswered(_UNANSWERED) from error
    if said is None:
        raise SystemFailed("the node does not run; start it with cspine-node serve, then ask again")
    if "error" in said:
        raise error_of(said["error"])
    answers: Sequence[Document] = said["cases"]
    return answers


def act_on(site: Site, user: User, action: str, case: int, *, since: int | None = None, **more: str) -> Document:
    """Have the running node do `action` on one case. Raises the error that it answers with."""
    (answer,) = act(site, user, action, [case], since=since, **more)
    if "error" in answer:
        raise error_of(answer["error"])
    return answer


def error_of(error: Mapping[str, Any]) -> NodeError:
    """Return an error of an answer as one of the tree."""
    return _ERRORS.get(error["code"], SystemFailed)(error["message"])


def possible(found: Dossier) -> frozenset[str]:
    """Return what can be asked for a case as it stands now; the node has the last word."""
    case, state = found.case, found.case.state
    newest = found.revisions[-1][0] == case.case_id
    allowed = {
        "retry": state is CaseState.UNDELIVERED or (state is CaseState.QUARANTINED and case.route is not None),
        "hold": CaseState.HELD in TRANSITIONS[state],
        "release": state is CaseState.HELD,
        "cancel": CaseState.CANCELLED in TRANSITIONS[state],
        "reprocess": newest and state not in _UNDER_WAY and not case.purged,
        SEND: state in _SENDABLE and bool(found.objects) and case.verdict is not None and not case.purged,
    }
    return frozenset(name for name, stands in allowed.items() if stands)
