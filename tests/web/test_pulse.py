"""The pulse of the page: there while it answers, gone while it does not."""

import asyncio
import threading
import urllib.request
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest
from fastapi import FastAPI
from fastapi.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from wired import Node

from node.demo.archive import free_port
from node.settings import WebSettings
from node.web.app import build_app
from node.web.pulse import answers, beat
from node.web.serve import WebServer
from node.web.site import Site

T = TypeVar("T")


def whole_page(node: Node, **web: object) -> FastAPI:
    """The application as it is served."""
    settings = node.settings.model_copy(update={"web": WebSettings.model_validate(web)})
    return build_app(Site(settings=settings, store=node.journal.store, ask=lambda _request: None))


def ended(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end on a thread of its own: Playwright leaves a loop running on that of the tests."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def beats(app: ASGIApp, looks: int, meanwhile: Callable[[int], None] = lambda _look: None) -> list[float]:
    """Return after which look at the application the pulse beat; `meanwhile` happens before each look but the first."""
    told: list[float] = []
    look = 0

    async def sleep(every_s: float) -> None:
        nonlocal look
        assert every_s == 20.0
        look += 1
        if look == looks:
            raise asyncio.CancelledError
        meanwhile(look)

    with suppress(asyncio.CancelledError):
        ended(beat(app, lambda: told.append(look), 20.0, sleep))
    return told


def test_a_page_that_answers_has_a_pulse_under_whatever_name_it_is_served(wired_node: Node, tmp_path: Path) -> None:
    assert beats(whole_page(wired_node), 3) == [0, 1, 2]
    (tmp_path / "secret").write_text("s")
    oidc = {"issuer": "https://l", "client_id": "c", "client_secret_file": tmp_path / "secret", "viewers": ["v"]}
    closed = whole_page(wired_node, url="https://cspine.hospital", proxies=["127.0.0.1"], oidc=oidc)
    assert beats(closed, 3) == [0, 1, 2]


def test_the_pulse_stops_while_the_page_fails_and_comes_back(wired_node: Node) -> None:
    healthy, is_broken = whole_page(wired_node), False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (Response(status_code=503) if is_broken else healthy)(scope, receive, send)

    def meanwhile(look: int) -> None:
        nonlocal is_broken
        is_broken = 2 <= look < 4

    assert beats(app, 6, meanwhile) == [0, 1, 4, 5]


def test_a_page_that_raises_has_no_pulse_and_the_log_says_no_more_than_the_kind(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failing = True

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if failing:
            raise ValueError("what somebody typed")
        await Response()(scope, receive, send)

    def meanwhile(look: int) -> None:
        nonlocal failing
        failing = look < 2

    assert beats(app, 4, meanwhile) == [2, 3]
    said = capsys.readouterr()
    assert (said.out + said.err).count("ValueError") == 2
    assert "somebody typed" not in said.out + said.err


def test_an_answer_that_does_not_come_is_no_pulse_until_all_of_it_is_there() -> None:
    async def looked_at() -> list[str]:
        goes_on, steps = asyncio.Event(), list[str]()

        async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
            steps.append("half")
            await goes_on.wait()
            steps.append("whole")
            await send({"type": "http.response.body", "body": b"}"})

        pulse = asyncio.create_task(beat(app, lambda: steps.append("told"), 3600.0))
        for _ in range(20):  # everything that can happen has happened
            await asyncio.sleep(0)
        assert steps == ["half"]
        goes_on.set()
        for _ in range(20):
            await asyncio.sleep(0)
        pulse.cancel()
        return steps

    assert ended(looked_at()) == ["half", "whole", "told"]


@pytest.mark.parametrize("messages", [["start"], ["body"], []])
def test_half_an_answer_is_none(messages: list[str]) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for kind in messages:
            await send({"type": f"http.response.{kind}", "status": 200, "headers": [], "body": b""})

    assert not ended(answers(app))


def test_the_pulse_beats_on_the_loop_that_answers_so_that_none_beats_while_it_hangs(wired_node: Node) -> None:
    threads: set[int] = set()
    beaten = threading.Event()
    app = whole_page(wired_node)
    server = WebServer(app, wired_node.settings.web.model_copy(update={"port": free_port()}))

    @app.get("/thread")
    async def thread() -> int:
        return threading.get_ident()

    def alive() -> None:
        threads.add(threading.get_ident())
        beaten.set()

    serving = threading.Thread(target=lambda: server.run(alive, every_s=0.01))
    serving.start()
    try:
        beaten.wait()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/thread") as answer:
            assert {int(answer.read())} == threads
    finally:
        server.stop()
        serving.join()
