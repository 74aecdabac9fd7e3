"""The routes: the rules of each, how many cases each took, and a tester for what somebody brings.

/routes             the page
/routes/test  POST  a DICOM file or a zip of them (field "file"): which route would take it, and why
"""

import threading
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, File, Request, UploadFile
from fastapi.responses import HTMLResponse
from sqlalchemy import func, select

from node.errors import InputError, SystemFailed
from node.journal import schema
from node.journal.store import Store
from node.log import get_logger
from node.settings import RouteSettings, Rules
from node.web.access import Operator, User, Viewer
from node.web.render import page
from node.web.site import Site, TheSite
from node.web.tester import Tried, header_facts, try_upload

router = APIRouter()

#: What somebody brings is unpacked on the disk: of one at a time.
_TESTING = threading.Lock()


@router.get("/routes")
def routes(request: Request, site: TheSite, user: Viewer) -> HTMLResponse:
    """Return the page."""
    return _page(request, site, user)


@router.post("/routes/test", responses={422: {"description": "A zip that cannot be unpacked safely."}})
def test(request: Request, site: TheSite, user: Operator, file: Annotated[UploadFile, File()]) -> HTMLResponse:
    """Say which route would take what was brought. Nothing is stored or sent; the name of the file is not looked at."""
    if not _TESTING.acquire(blocking=False):
        raise SystemFailed("another file is being looked at; try again in a moment")
    try:
        tried = try_upload(file.file, site.settings.route)
    except InputError as error:
        return _page(request, site, user, refused=error)
    except OSError as error:
        raise SystemFailed(f"the file cannot be looked at: {error.strerror}") from error
    finally:
        _TESTING.release()
    get_logger().info("routes tested", files=tried.files, series=len(tried.series))
    return _page(request, site, user, tried=tried)


def _page(
    request: Request, site: Site, user: User, *, tried: Tried | None = None, refused: InputError | None = None
) -> HTMLResponse:
    shown: dict[str, Any] = {
        "routes": [(route, _rules(route)) for route in site.settings.route],
        "counts": _counts(site.store),
        "most_mb": site.settings.web.maximum_upload_mb,
        "tried": tried,
        "refused": refused,
        "facts": {
            one.series_uid: [
                (keyword, "hidden" if free_text and value and not user.sees_identifiers else value)
                for keyword, value, free_text in header_facts(one.header)
            ]
            for one in (tried.series if tried is not None else ())
        },
    }
    return page(request, "routes.html.j2", status=200 if refused is None else 422, **shown)


def _counts(store: Store) -> Mapping[str, Mapping[str, int]]:
    """Return how many cases of each route are in each state. Raises JournalError."""
    table = schema.case
    statement = select(table.c.route, table.c.state, func.count()).group_by(table.c.route, table.c.state)
    counts: dict[str, dict[str, int]] = {}
    with store.reading() as connection:
        for route, state, count in connection.execute(statement.order_by(table.c.state)):
            counts.setdefault(route or "", {})[state] = count
    return counts


def _rules(route: RouteSettings) -> list[tuple[str, str]]:
    """Return what a route asks for, rule by rule; a rule that asks nothing is left out."""
    return [(name, _told(value)) for name, value in _asked(route.accept).items() if value not in {(), "", 0, "any"}]


def _asked(rules: Rules) -> dict[str, Any]:
    return {
        name: value
        for name, value in rules
        if not (name == "maximum_tilt_deg" and rules.plane == "any")
        and not (name == "other_region" and not rules.region)
    }


def _told(value: Any) -> str:
    return "  ".join(map(str, value)) if isinstance(value, tuple) else str(value)
