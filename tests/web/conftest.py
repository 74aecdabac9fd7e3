"""What the tests of the page share: one node, one Chromium, and a page each; see `tests/website.py`."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from peers import Orthanc, missing, program
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from starlette.testclient import TestClient
from website import LiveNode, live_node, web_page
from wired import Node

from node.settings import WebSettings
from node.web.app import build_app
from node.web.site import Site

Visit = Callable[..., Page]


@pytest.fixture
def wired_node(tmp_path: Path) -> Iterator[Node]:
    """A node without threads or network, whose journal the test fills."""
    node = Node(tmp_path / "state")
    yield node
    node.journal.close()


@pytest.fixture
def client_with(wired_node: Node) -> Iterator[Callable[..., TestClient]]:
    """Makes the application over `wired_node` with these keys of `[web]`, asked under `base_url`."""
    with contextlib.ExitStack() as opened:

        def made(base_url: str = "http://localhost", **web: Any) -> TestClient:
            settings = wired_node.settings.model_copy(update={"web": WebSettings.model_validate(web)})
            site = Site(
                settings=settings, store=wired_node.journal.store, ask=lambda _request: None, uid_key=b"key of tests"
            )
            client = TestClient(build_app(site), base_url=base_url, follow_redirects=False)
            return opened.enter_context(client)

        yield made


@pytest.fixture
def client(client_with: Callable[..., TestClient]) -> TestClient:
    """The application over `wired_node`, open on loopback."""
    return client_with()


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory, orthanc_of_session: Orthanc) -> Iterator[LiveNode]:
    """A running node with cases in several states."""
    with live_node(tmp_path_factory.mktemp("live"), orthanc_of_session.peer) as live:
        yield live


@pytest.fixture(scope="session")
def site_url(node: LiveNode) -> Iterator[str]:
    """Where the page of that node is."""
    with web_page(node.site) as url:
        yield url


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium. Not for the session: while it runs, no other test could run an event loop of its own."""
    found = program("chromium")
    if found is None:
        missing("chromium (chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Opens an address, of the shared page where it is a path: `visit("/system")`.

    What the context is made with may be given: `visit("/", java_script_enabled=False)`. `expect_errors=True` where the
    test provokes what the browser logs as an error.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def visiting(address: str, *, expect_errors: bool = False, **context: object) -> Page:
        base = {} if "://" in address else {"base_url": request.getfixturevalue("site_url")}
        made = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **base, **context})  # type: ignore[arg-type]
        contexts.append(made)
        page = made.new_page()
        if not expect_errors:
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        return page

    yield visiting
    for made in contexts:
        made.close()
    assert complaints == []
