"""/livez and /readyz, for whoever restarts and for whoever watches. Nobody has to sign in for them."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from node.monitor.readiness import readiness
from node.web.site import TheSite

router = APIRouter()


@router.get("/livez")
async def livez(request: Request) -> JSONResponse:  # noqa: ARG001 - as every endpoint
    """Say that the page answers. Nothing else is asked: a restart of the page would mend nothing else.

    It waits for no thread, so that pages which wait for a node, a disk or a database that hangs do not hold it up.
    """
    return JSONResponse({"alive": True})


@router.get("/readyz", responses={503: {"description": "The node cannot do its work now; the checks say why."}})
def readyz(request: Request, site: TheSite) -> JSONResponse:  # noqa: ARG001 - as every endpoint
    """Say whether the node takes instances and works on them: 200, or 503 with what is wrong."""
    found = readiness(site.store, site.ask)
    return JSONResponse({"ready": found.ready, "checks": dict(found.checks)}, 200 if found.ready else 503)
