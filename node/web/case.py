"""The page of a case: what happened to it and why, what was found, where it went; and its files.

/cases/{case}                  the page
/cases/{case}/live             its changing part alone; 204 where nothing has happened since the event `seen`
/cases/{case}/files/{name}     an object as it was sent, for those who may see identifiers; or measurements.tsv,
                               findings.json, overlay.png, which name nobody
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse

from node.errors import ResultDamaged
from node.journal.dossier import Dossier, dossier, newest_event
from node.output.document import read_findings
from node.web.access import Role, User, Viewer
from node.web.asked import CaseNumber, Cursor
from node.web.asking import ACTIONS, SEND, possible
from node.web.identity import identity_of
from node.web.render import page
from node.web.site import Site, TheSite
from node.web.spine import QUANTITIES, plots_of, rows_of
from node.web.telling import steps, told

router = APIRouter(include_in_schema=False)

#: Files about a result that name nobody.
_ANONYMOUS = {
    "measurements.tsv": "text/tab-separated-values",
    "findings.json": "application/json",
    "overlay.png": "image/png",
}


@router.get("/cases/{case}")
def case_page(request: Request, case: CaseNumber, site: TheSite, user: Viewer) -> HTMLResponse:
    """Return the page."""
    seen = newest_event(site.store, case)  # first: what happens meanwhile is shown twice rather than never
    found = dossier(site.store, case)
    return page(
        request,
        "case.html.j2",
        **_changing(site, user, found, seen),
        **_findings(site, found),
        quantities=QUANTITIES,
        identity=_identity(site, user, found),
        has_findings=bool(found.objects),
    )


@router.get("/cases/{case}/live")
def live(
    request: Request,
    case: CaseNumber,
    site: TheSite,
    user: Viewer,
    seen: Annotated[Cursor, Query()] = 0,
    findings: Annotated[bool, Query()] = False,
) -> Response:
    """Return what changes of the page; the whole page is to be loaded where it shows no findings and has some now."""
    newest = newest_event(site.store, case)
    if newest == seen:
        return Response(status_code=204)
    found = dossier(site.store, case)
    answer = page(request, "case_live.html.j2", **_changing(site, user, found, newest), has_findings=findings)
    if found.objects and not findings:
        answer.headers["HX-Refresh"] = "true"
    return answer


@router.get("/cases/{case}/files/{name}")
def file(case: CaseNumber, name: str, site: TheSite, user: Viewer) -> Response:
    """Return a file of a case. Raises ResultDamaged for an object that is not what was made."""
    found = dossier(site.store, case)
    made = next((item for item in found.objects if item.name == name), None)
    if made is None and (name not in _ANONYMOUS or found.folder is None):
        raise HTTPException(404, "this case has no such file")
    if made is not None and not user.sees_identifiers:
        raise HTTPException(403, "a DICOM object names its patient")
    try:
        content = (site.settings.node.state_dir / str(found.folder) / name).read_bytes()
    except FileNotFoundError:
        raise HTTPException(404, "this file is not here any more") from None
    if made is not None and hashlib.sha256(content).hexdigest() != made.digest:
        raise ResultDamaged(f"{name} differs from the digest that it had when it was made")
    headers = {"Content-Disposition": f'attachment; filename="case-{case}-{name}"'}
    return Response(content, media_type=_ANONYMOUS.get(name, "application/dicom"), headers=headers)


def _changing(site: Site, user: User, found: Dossier, seen: int) -> dict[str, Any]:
    """Return what of the page changes while somebody looks."""
    may = possible(found) if user.role is Role.OPERATOR else frozenset()
    return {
        "found": found,
        "case": found.case,
        "seen": seen,
        "events": [(event, told(event), step) for event, step in zip(found.events, steps(found.events), strict=True)],
        "timings": list(found.account.get("timings_s", {}).items()),
        "actions": [(name, text) for name, text in ACTIONS.items() if name in may],
        "destinations": [place.name for place in site.settings.destination] if SEND in may else [],
    }


def _identity(site: Site, user: User, found: Dossier) -> Any:
    if not (user.sees_identifiers and found.received):
        return None
    return identity_of(site.settings.node.state_dir / found.received[-1])


def _findings(site: Site, found: Dossier) -> dict[str, Any]:
    """Return what was found, for tables and plots; without it where there is none, or it cannot be read."""
    nothing: dict[str, Any] = {"findings": None, "rows": (), "plots": (), "damage": None}
    if found.folder is None or found.case.purged:
        return nothing
    try:
        document = read_findings(Path(site.settings.node.state_dir) / found.folder)
        return {"findings": document, "rows": rows_of(document), "plots": plots_of(document), "damage": None}
    except ResultDamaged as error:
        return {**nothing, "damage": str(error)}
