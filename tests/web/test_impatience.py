"""A node that hangs is asked for its figures now and then, and pages do not wait for it one after the other."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from wired import Clock

from node.errors import SystemFailed
from node.monitor.figures import REQUEST
from node.web.impatience import Impatient


class Hanging:
    """A node that can hang: every request for its figures waits for `gate`, and fails while `hangs`."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self.hangs = True
        self.arrived, self.gate = threading.Event(), threading.Event()

    def __call__(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(request)
        self.arrived.set()
        assert self.gate.wait(60)
        if self.hangs:
            raise SystemFailed("the node did not answer")
        return {"figures": {}}


def test_one_page_waits_for_a_node_that_hangs_and_the_others_do_not() -> None:
    node, clock = Hanging(), Clock()
    ask = Impatient(node, clock=clock)
    node.gate.set()
    with pytest.raises(SystemFailed, match=r"^the node did not answer$"):
        ask(REQUEST)
    with pytest.raises(SystemFailed, match=r"^the node did not answer a moment ago$"):
        ask(REQUEST)
    assert len(node.asked) == 1
    clock.now = 10.0
    node.gate.clear()
    node.arrived.clear()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, REQUEST)
        assert node.arrived.wait(60)
        with pytest.raises(SystemFailed, match=r"^the node did not answer a moment ago$"):
            ask(REQUEST)
        node.hangs = False
        node.gate.set()
        assert waiting.result() == {"figures": {}}
    assert ask(REQUEST) == {"figures": {}}
    assert len(node.asked) == 3


def test_what_an_operator_asks_for_is_asked_whatever_the_figures_did() -> None:
    node = Hanging()
    node.gate.set()
    ask = Impatient(node)
    with pytest.raises(SystemFailed):
        ask(REQUEST)
    node.hangs = False
    assert ask({"do": "retry", "cases": [1]}) == {"figures": {}}
