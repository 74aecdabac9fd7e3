"""What every answer says to browsers, and the last word on what nobody foresaw.

The content security policy allows nothing but the node's own files: no inline script, no inline style, no foreign host.
"""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.errors import unexpected
from node.log import get_logger
from node.web.failures import failure

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # "no-referrer" would also take the Origin away by which a form of our own is known
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
)
#: For a year, as browsers ask of a site that is to stay on https (RFC 6797).
_HSTS = "max-age=31536000"
_KEPT = "public, max-age=31536000, immutable"
_NOT_KEPT = "no-store"


class Headers:
    """Adds the headers to every answer, and answers 500 where an error has no other answer.

    ASGI middleware (asgi.readthedocs.io). No message of a foreign error leaves: it may quote a patient.
    """

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._headers = {**HEADERS, **({"Strict-Transport-Security": _HSTS} if secure else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/static/"):
                    kept = b"v=" in scope["query_string"] and message["status"] == 200
                    headers["Cache-Control"] = _KEPT if kept else "no-cache"
                else:
                    headers.setdefault("Cache-Control", _NOT_KEPT)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001 - the server would log its message
            told = unexpected(error)
            get_logger().error("web request failed", code=told.code, text=str(told))
            if not begun:
                answer = failure(Request(scope), 500, code=told.code, message=str(told))
                await answer(scope, receive, send_with_headers)
