"""The page without a browser: an application over a wired node, and the headers that its forms carry."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from starlette.testclient import TestClient
from wired import Node

from node.settings import Settings
from node.web.app import build_app
from node.web.site import Site

PAGE = {"accept": "text/html"}


@contextlib.contextmanager
def opened(
    node: Node,
    ask: Callable[[Mapping[str, Any]], Mapping[str, Any] | None] = lambda _request: None,
    settings: Mapping[str, Any] | None = None,
    **web: Any,
) -> Iterator[TestClient]:
    """Give a client of the application over a node, with other `settings`, and others of the page."""
    document = {**node.settings.model_dump(), "web": web, **(settings or {})}
    changed = Settings.model_validate(document)
    site = Site(settings=changed, store=node.journal.store, ask=ask)
    with TestClient(build_app(site), base_url="http://localhost", follow_redirects=False) as client:
        yield client


def forms(client: TestClient, path: str = "/nothing") -> dict[str, str]:
    """Return the header that a request must carry which changes something."""
    text = client.get(path, headers=PAGE).text
    return {"x-csrf-token": text.split('name="csrf-token" content="')[1].split('"')[0]}
