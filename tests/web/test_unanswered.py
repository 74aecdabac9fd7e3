"""A node that hangs is not waited for long: the page says what may still happen, and it happens once."""

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from keeper import Keeper
from starlette.testclient import TestClient

from node.cli import web as command
from node.control import ControlServer, ask
from node.domain.case import Wanted
from node.journal.overview import events
from node.monitor import figures
from node.operations import Operations
from node.web.app import build_app
from node.web.site import Site

SERIES = "1.2.3"
PAGE = {"accept": "text/html"}
PATIENCE_S = 60.0


class Hanging:
    """A node over a real control socket that hangs until it is woken, and then does all that it was asked for."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.operations = Operations(keeper.journal, {"archive": Wanted()}, purge=lambda _dry_run: {})
        self.heard, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.awake = threading.Event()
        self.server = ControlServer(keeper.state_dir, self._answer)
        site = Site(settings=keeper.settings, store=keeper.journal.store, ask=self._ask, uid_key=b"k" * 32)
        self.client = TestClient(build_app(site), base_url="http://localhost", follow_redirects=False, headers=PAGE)

    def _answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.heard.release()
        assert self.awake.wait(PATIENCE_S)
        said = self.operations.answer(request)
        self.done.release()
        return said

    def _ask(self, request: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return ask(self.keeper.state_dir, request, patience_s=PATIENCE_S if self.awake.is_set() else 0.1)

    def form(self, case: int) -> dict[str, str]:
        """Return what a form of the page of a case sends with every action."""
        shown = self.client.get(f"/cases/{case}").text
        return {name: re.findall(f'name="{name}" value="([^"]+)"', shown)[0] for name in ("csrf_token", "since")}

    def press(self, path: str, form: Mapping[str, Any]) -> Any:
        answer = self.client.post(path, data=dict(form))
        assert self.heard.acquire(timeout=PATIENCE_S)
        return answer

    def wake(self) -> None:
        """Let it go on, and wait until it has done what it was asked for."""
        self.awake.set()
        self.server.stop()

    def what(self, series: str = SERIES) -> list[str]:
        return [event["what"] for event in events(self.keeper.journal.store, series_uid=series)]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Hanging]:
    keeper = Keeper(tmp_path / "state")
    keeper.delivered(series=SERIES)
    made = Hanging(keeper)
    with made.client, contextlib.closing(keeper):
        made.server.start()
        yield made


def test_an_action_is_waited_for_for_a_quarter_of_a_minute_and_figures_less() -> None:
    assert command._patience_s({"do": "retry", "cases": [1]}) == 15
    assert command._patience_s(figures.REQUEST) == 4


def test_the_page_says_that_it_may_still_happen_and_where_to_look(node: Hanging) -> None:
    answer = node.press("/cases/1/reprocess", node.form(1))
    assert answer.status_code == 504
    assert "<h1>No answer yet</h1>" in answer.text
    assert "it may still do this once it goes on" in answer.text
    assert '<a href="/cases/1">Look at case 1</a>' in answer.text
    node.wake()


@pytest.mark.parametrize(
    ("action", "more", "told"),
    [("reprocess", {}, "reprocess asked"), ("send", {"destination": "archive"}, "send asked")],
)
def test_what_is_asked_of_a_node_that_hangs_twice_is_done_once(
    node: Hanging, action: str, more: dict[str, str], told: str
) -> None:
    form = {**node.form(1), **more}
    for _ in range(2):
        assert node.press(f"/cases/1/{action}", form).status_code == 504
    node.wake()
    assert (node.what().count("operator asked"), node.what().count(told)) == (1, 1)


def test_a_form_that_is_sent_again_after_the_node_did_it_does_nothing(node: Hanging) -> None:
    form = {**node.form(1), "destination": "archive"}
    node.press("/cases/1/send", form)
    node.awake.set()
    assert node.done.acquire(timeout=PATIENCE_S)
    node.keeper.deliver()
    answer = node.press("/cases/1/send", form)
    assert (answer.status_code, node.what().count("send asked")) == (409, 1)
    assert "Send was asked for case 1 before; its history says what followed" in answer.text
    assert node.press("/cases/1/send", {**node.form(1), "destination": "archive"}).status_code == 303
    assert node.what().count("send asked") == 2
    node.wake()


def test_of_several_marked_cases_each_is_done_once(node: Hanging) -> None:
    node.keeper.receive(1, series="1.2.4")
    held = node.keeper.open_case(series="1.2.4")
    shown = node.client.get("/").text
    form = {name: re.findall(f'name="{name}" value="([^"]+)"', shown)[0] for name in ("csrf_token", "since")}
    for _ in range(2):
        answer = node.press("/actions", {**form, "action": "hold", "case": [str(held)]})
        assert answer.status_code == 504
    node.wake()
    assert node.what("1.2.4").count("operator asked") == node.what("1.2.4").count("case held") == 1


def test_a_program_says_since_when_it_knows_the_case(node: Hanging) -> None:
    node.awake.set()
    token = {"x-csrf-token": node.form(1)["csrf_token"]}
    asking = {"destination": "archive", "since": node.client.get("/api/v1/cases/1").json()["newest_event"]}
    first = node.client.post("/api/v1/cases/1/send", json=asking, headers=token)
    again = node.client.post("/api/v1/cases/1/send", json=asking, headers=token)
    assert (first.status_code, again.status_code, node.what().count("send asked")) == (200, 409, 1)
    node.wake()


def test_a_damaged_event_is_shown_as_that_on_the_page_of_its_case(node: Hanging) -> None:
    with node.keeper.journal.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE event SET at = 'x' WHERE id = 1")
        connection.exec_driver_sql('UPDATE event SET detail = \'{"reasons": [7], "timings_s": 7}\' WHERE id = 3')
    shown = node.client.get("/cases/1")
    assert shown.status_code == 200
    assert [number for number in (1, 2, 3) if f"event {number} is not what was written" in shown.text] == [1, 3]
    assert "case delivered" in shown.text
    assert node.client.get("/").status_code == node.client.get("/api/v1/cases/1").status_code == 200
    node.wake()
