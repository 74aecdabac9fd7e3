"""/metrics, in the format that the scraper asks for: OpenMetrics or Prometheus' own text."""

import threading

from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.responses import Response
from prometheus_client.exposition import choose_encoder

from node.monitor.scrape import Scraper
from node.web.access import Viewer
from node.web.site import Site, TheSite

router = APIRouter()

_MAKING = threading.Lock()
_RETRY_S = "5"


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}, "application/openmetrics-text": {}}},
        503: {"description": "A large journal is still being counted, once after the start of the page."},
    },
)
def metrics(request: Request, site: TheSite, user: Viewer) -> Response:  # noqa: ARG001 - who may ask
    """Return every metric of the node. A token of the role "metrics" suffices."""
    sheet = _scraper(request.app, site).scrape()
    if sheet is None:
        raise HTTPException(503, "the journal is still being counted", {"Retry-After": _RETRY_S})
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(sheet), media_type=content_type)


def _scraper(app: FastAPI, site: Site) -> Scraper:
    """Return the one scraper of the application: it remembers how far the trail has been counted."""
    with _MAKING:
        if not hasattr(app.state, "scraper"):
            app.state.scraper = Scraper(site.settings, site.store, site.ask)
        scraper = app.state.scraper
    assert isinstance(scraper, Scraper)  # noqa: S101 - set above
    return scraper
