"""No other site may send a form in somebody's name (cross-site request forgery).

Two checks, each enough by itself: where the browser says that the request comes from (Fetch Metadata, and Origin), and
a token that only a page of ours can know.
"""

import hmac
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

from node.web.access import caller_of
from node.web.site import site_of

HEADER, FIELD = "x-csrf-token", "csrf_token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


async def same_site(request: Request) -> None:
    """Raise HTTPException 403 for a change that no page of ours asked for, 415 for a strange form. For all routes."""
    caller = caller_of(request)
    kind = request.headers.get("content-type", "").lower()
    if kind.startswith(_FORMS) and "charset" in kind and "utf-8" not in kind:
        raise HTTPException(415, "forms are taken in UTF-8")  # in others stand characters that no answer can hold
    if request.method in _SAFE or caller.by_token:
        return
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"} or _foreign(request):
        raise HTTPException(403, "this came from another site")
    given = request.headers.get(HEADER)
    if given is None and kind.startswith(_FORMS):
        field = (await request.form()).get(FIELD)
        given = field if isinstance(field, str) else None
    if not caller.csrf_token or not hmac.compare_digest((given or "").encode(), caller.csrf_token.encode()):
        raise HTTPException(403, "the page was too old for this; load it again")


def _foreign(request: Request) -> bool:
    """Return whether a page of another origin sent this. Behind a proxy the scheme, and a port, may be lost."""
    origin = request.headers.get("origin")
    if origin is None or origin == site_of(request).settings.web.url:
        return False
    return urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
