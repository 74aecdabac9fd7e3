"""/livez and /readyz, as an orchestrator or a load balancer asks them."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from node.errors import JournalError, SystemFailed
from node.monitor.figures import FiguresOfNode
from node.receive.intake import Intake
from node.web.app import build_app
from node.web.site import Site


def running(*, closed: Any = None, loaded: bool = True) -> Callable[..., Any]:
    node = FiguresOfNode(
        intake=Intake().counts,
        connections=lambda: 0,
        gate=lambda: closed,
        engine_ready=lambda: loaded,
        devices=list,
    )
    return node.answer


def client_of(node, ask: Callable[..., Any]) -> TestClient:
    site = Site(settings=node.settings, store=node.journal.store, ask=ask)
    return TestClient(build_app(site), base_url="http://localhost", raise_server_exceptions=False)


def test_a_page_that_answers_is_alive_whatever_the_node_does(client):
    answer = client.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"alive": True})


def test_a_node_that_takes_and_works_is_ready(wired_node):
    answer = client_of(wired_node, running()).get("/readyz")
    checks = {"journal": "ok", "node": "ok", "engine": "ok", "intake": "ok"}
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "checks": checks})


@pytest.mark.parametrize(
    ("ask", "check", "said"),
    [
        (lambda _request: None, "node", "does not answer"),
        (running(loaded=False), "engine", "is not loaded"),
        (running(closed="disk"), "intake", "is closed: disk"),
    ],
)
def test_what_keeps_the_node_from_its_work_is_named(wired_node, ask, check, said):
    answer = client_of(wired_node, ask).get("/readyz")
    assert (answer.status_code, answer.json()["ready"], answer.json()["checks"][check]) == (503, False, said)


def test_a_node_that_breaks_off_is_not_ready(wired_node):
    def broken(_request: object) -> None:
        raise SystemFailed("the node did not answer")

    assert client_of(wired_node, broken).get("/readyz").json()["checks"]["node"] == "does not answer"


def test_a_journal_that_cannot_be_read_is_not_ready(wired_node, monkeypatch):
    def broken() -> None:
        raise JournalError("the journal failed")

    monkeypatch.setattr(wired_node.journal.store, "reading", broken)
    answer = client_of(wired_node, running()).get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["journal"]) == (503, "cannot be read")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_come_by_any_name_and_need_no_sign_in(wired_node, path):
    client = client_of(wired_node, running())
    answer = client.get(path, headers={"host": "10.1.2.3:8080", "x-forwarded-for": "10.9.9.9"})
    assert answer.status_code == 200
