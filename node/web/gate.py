"""The gate before every page: under which host the page answers, who asks, and how much may be sent.

On loopback without sign-in everybody who reaches the port is the one user, so two things must not reach it: a page of
another site by a name that its owner points to 127.0.0.1 (DNS rebinding; the Host is checked), and strangers by way of
a proxy (what carries a proxy's headers is refused).
"""

import asyncio
import re
import secrets
from collections.abc import Mapping

from fastapi import HTTPException, Request
from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.settings import WebSettings
from node.web.access import Caller, Role, User
from node.web.failures import failure, sign_in_first
from node.web.sessions import Sessions, cookie_name
from node.web.tokens import Bearer

#: What needs no sign-in: the sign-in itself, its style sheet, and whether the node is alive.
_OPEN = ("/login", "/static/")
_PROBES = frozenset({"/livez", "/readyz"})
_METRICS = "/metrics"
#: Of a body: from somebody who is not signed in, and in a form. Only an operator's file for the tester may be larger.
_STRANGERS_BYTES, _FORM_BYTES = 1 << 16, 1 << 20
_UPLOAD = "/routes/test"
#: Seconds for the same.
_FORM_S, _UPLOAD_S = 20.0, 1800.0
_PROXIED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
#: A host as browsers send it: a name or an address, in brackets where it is one of IPv6, and perhaps a port.
_HOST = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{1,5})?", re.ASCII)
#: With this header the page asks by itself (`static/site.js`): nobody has touched it.
_UNATTENDED = "x-unattended"


class Gate:
    """ASGI middleware that lets nobody through who may not, and sets `request.state` to who it is."""

    def __init__(
        self, app: ASGIApp, *, web: WebSettings, sessions: Sessions, bearers: Mapping[str, Bearer], everybody: User
    ) -> None:
        self._app = app
        self._web = web
        self._sessions = sessions
        self._bearers = bearers
        self._cookie = cookie_name(web)
        self._everybody = None if web.signs_in else Caller(user=everybody, csrf_token=secrets.token_urlsafe())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        caller = self._caller(request)
        scope.setdefault("state", {}).update(caller=caller, user=caller.user)
        answer = self._refusal(request, caller)
        if answer is not None:
            await answer(scope, receive, send)
            return
        await self._app(scope, _bounded(receive, *self._bounds(scope["path"], caller.user)), send)

    def _bounds(self, path: str, user: User | None) -> tuple[int, float]:
        """Return how many bytes somebody may send, and within how many seconds."""
        if user is None:
            return _STRANGERS_BYTES, _FORM_S
        if path == _UPLOAD and user.role is Role.OPERATOR:
            return self._web.maximum_upload_mb << 20, _UPLOAD_S
        return _FORM_BYTES, _FORM_S

    def _caller(self, request: Request) -> Caller:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" or (kind and self._everybody is not None):
            # Basic or Negotiate is for the proxy that asked for it; where nobody signs in there should be no proxy
            bearer = Bearer.of(self._bearers, token) if kind.lower() == "bearer" else None
            may = bearer is not None and (not bearer.metrics_only or request.scope["path"] == _METRICS)
            return Caller(user=bearer.user if bearer and may else None, by_token=True)
        if self._everybody is not None:
            return self._everybody
        session = self._sessions.find(
            request.cookies.get(self._cookie, ""), attended=_UNATTENDED not in request.headers
        )
        if session is not None:
            return Caller(user=session.user, csrf_token=session.csrf_token, signed_in=True)
        return Caller(csrf_token=_token_before_sign_in(request))

    def _refusal(self, request: Request, caller: Caller) -> Response | None:
        """Return what is answered instead of the page, if anything."""
        path = request.scope["path"]  # that of `request.url` depends on the Host, which the sender chooses
        if path in _PROBES:
            return None
        if host_of(request) not in self._web.hosts:
            return failure(request, 421, code="host", message="the page does not answer under this name; see web.names")
        if self._everybody is not None and any(name in request.headers for name in _PROXIED):
            message = "this came by way of a proxy, and nobody has to sign in here; set web.url and web.user"
            return failure(request, 403, code="proxy", message=message)
        if caller.user is None and not path.startswith(_OPEN):
            return sign_in_first(request)
        return None


def host_of(request: Request) -> str:
    """Return the host that a request names, in lower case, without its port (RFC 9110 7.2); "" for what is no host."""
    found = _HOST.fullmatch(request.headers.get("host", "").lower())
    return found["address"] or found["name"] if found is not None else ""


def _token_before_sign_in(request: Request) -> str:
    """Return what the sign-in form must carry: kept in the short-lived cookie of the sign-in."""
    if not request.scope["path"].startswith("/login"):
        return ""
    token = request.session.setdefault("csrf_token", secrets.token_urlsafe())
    return str(token)


def _bounded(receive: Receive, most: int, within_s: float) -> Receive:
    """Return `receive`, with an end to what it takes and to how long. It raises HTTPException 413 and 408."""
    taken = 0
    until: float | None = asyncio.get_running_loop().time() + within_s

    async def bounded() -> Message:
        nonlocal taken, until
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "what was sent did not end in time") from None
        if not message.get("more_body", False):
            until = None  # what may still be waited for is that somebody goes away
        taken += len(message.get("body", b""))
        if taken > most:
            raise HTTPException(413, f"more than {most} bytes are not taken here")
        return message

    return bounded
