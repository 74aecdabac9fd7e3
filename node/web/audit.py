"""Who looked at which case and who changed what, in the log: one line a request, with the case's number.

The log names the page, not the address that was typed: an address may hold what somebody searched for.
"""

import re
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.log import get_logger

_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_SAFE = frozenset({"GET", "HEAD"})
#: What a browser says of a request that somebody made by opening a page (Fetch Metadata); a program says nothing.
_OPENED = frozenset({"", "document"})


class Audit:
    """ASGI middleware around the gate: tells of changes and looks at a case, not of what a page fetches for itself."""

    def __init__(self, app: ASGIApp, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and tell of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = self._clock(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._tell(scope, status, self._clock() - begun)

    @staticmethod
    def _tell(scope: Scope, status: int, took_s: float) -> None:
        given = str(scope.get("path_params", {}).get("case", ""))
        case = given if _NUMBER.fullmatch(given) else ""  # what else somebody typed there is not told
        opened = Headers(scope=scope).get("sec-fetch-dest", "") in _OPENED
        change = scope["method"] not in _SAFE
        tell = get_logger().info if change or (case and opened) else get_logger().debug
        user = scope.get("state", {}).get("user")
        tell(
            "web request",
            method=scope["method"],
            page=getattr(scope.get("route"), "path", ""),
            case=int(case) if case else None,
            status=status,
            ms=round(1000 * took_s, 1),
            user=user.name if user is not None else None,
        )
