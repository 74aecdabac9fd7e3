"""The pulse of the page: it asks itself /livez, and what it tells depends on the answer.

The request goes through the application as one from the network does, and on the same event loop: a page that hangs has
no pulse. It takes no connection, so that strangers who hold all of them cannot have the page ended.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.types import ASGIApp

from node.log import get_logger

_PATH = "/livez"
_SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": _PATH,
    "raw_path": _PATH.encode(),
    "query_string": b"",
    "root_path": "",
    "headers": [(b"host", b"localhost")],
    "client": ("127.0.0.1", 0),
    "server": ("127.0.0.1", 0),
}


async def answers(app: ASGIApp) -> bool:
    """Return whether an application says that it is alive, as soon as the whole answer is there.

    One that fails is not alive; of its error the log says the kind alone, its text may hold what somebody typed.
    """
    status, ended = 0, False

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status, ended
        if message["type"] == "http.response.start":
            status = message["status"]
        ended = message["type"] == "http.response.body" and not message.get("more_body", False)

    try:
        await app({**_SCOPE, "state": {}}, receive, send)
    except Exception as error:  # noqa: BLE001 - whatever it is, the pulse beats on once the application answers again
        get_logger().error("page failed", path=_PATH, error=type(error).__name__)
        return False
    return ended and status == 200


async def beat(
    app: ASGIApp, tell: Callable[[], None], every_s: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Call `tell` every `every_s` seconds for as long as `app` answers; while it does not, tell nothing. Never ends."""
    while True:
        if await answers(app):
            tell()
        await sleep(every_s)
