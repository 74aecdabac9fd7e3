"""The page of the system: whether the node runs, what waits, the disk, open series, quarantine, versions."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from oracle import write_blocks
from playwright.sync_api import Page
from starlette.testclient import TestClient
from webforms import opened
from website import LiveNode, faults_in_both_schemes, shot
from wired import Node

from node import __version__
from node.errors import SystemFailed
from node.journal.pulls import PullJournal
from node.monitor.figures import FiguresOfNode
from node.receive.headroom import Shortage
from node.receive.intake import AssociationRefusal, Intake
from node.receive.spool import Received
from node.segment.devices import Device

Visit = Callable[..., Page]
live = pytest.mark.peer("chromium", "orthanc")


def running(
    *, closed: Shortage | None = None, ready: bool = True, refused: int = 0
) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """Return the answers of a node that runs."""
    intake = Intake()
    for _ in range(refused):
        intake.count(AssociationRefusal.CALLING_AE_TITLE)
    device = Device(index=0, name="NVIDIA H200", used=3 << 30, size=140 << 30, utilization=0.25)
    return FiguresOfNode(
        intake=intake.counts,
        connections=lambda: 2,
        gate=lambda: closed,
        engine_ready=lambda: ready,
        devices=lambda: [device],
    ).answer


@live
def test_it_says_that_the_node_runs_and_keeps_itself_up_to_date(visit: Visit, node: LiveNode) -> None:
    page = visit("/system")
    assert "The node runs and takes instances." in page.locator("main").inner_text()
    assert "objects for elsewhere, to be taken" in page.locator("main").inner_text()
    with page.expect_response("**/system/live") as answer:
        pass
    assert answer.value.status == 200
    assert answer.value.request.headers["x-unattended"] == "1"
    shot(page, "system")
    assert faults_in_both_schemes(page) == []


@live
def test_the_focus_stays_where_it_is_when_the_page_renews_itself(visit: Visit) -> None:
    page = visit("/system")
    page.locator("#queues-table").focus()
    with page.expect_response("**/system/live"):
        pass
    page.wait_for_function("() => !document.querySelector('.htmx-request, .htmx-settling, .htmx-swapping')")
    assert page.evaluate("() => document.activeElement.id") == "queues-table"


def test_a_node_that_does_not_run_is_told(client: TestClient) -> None:
    page = client.get("/system").text
    assert "The node does not answer" in page
    assert __version__ in page


def test_it_shows_how_each_pull_has_ended_last(wired_node: Node) -> None:
    journal = PullJournal(wired_node.journal.store)
    journal.note_failed("nightly", code="destination-misconfigured", text="ARCHIVE rejected the association for good")
    pulls = [{"name": "nightly", "archive": "archive"}, {"name": "weekly", "archive": "archive"}]
    with opened(wired_node, settings={"pull": pulls}) as client:
        rows = [row for row in client.get("/system").text.splitlines() if "archive</td>" in row]
    assert [" ".join(re.sub("<[^>]*>", " ", row).split()) for row in rows] == [
        "nightly archive failed destination-misconfigured 2026-01-01 00:00:00 UTC 0 0",
        "weekly archive not of late",
    ]
    with opened(wired_node) as client:
        assert "Pulls" not in client.get("/system").text


def test_one_that_breaks_off_its_answer_is_told_likewise(wired_node: Node) -> None:
    def broken(_request: Mapping[str, Any]) -> Mapping[str, Any]:
        raise SystemFailed("the node did not answer")

    with opened(wired_node, ask=broken) as client:
        assert "The node does not answer" in client.get("/system").text


@pytest.mark.parametrize(
    ("closed", "ready", "told"),
    [
        (None, True, "The node runs and takes instances."),
        (None, False, "its networks are not in memory yet"),
        ("disk", True, "No instances are taken now: the disk is short of space."),
        ("backlog", True, "too many cases wait for the worker"),
        ("journal", True, "the journal cannot be asked"),
    ],
)
def test_why_nothing_is_taken_is_told(wired_node: Node, closed: Shortage | None, ready: bool, told: str) -> None:
    with opened(wired_node, ask=running(closed=closed, ready=ready)) as client:
        assert told in client.get("/system/live").text


def test_devices_and_refusals_are_those_of_the_running_node(wired_node: Node) -> None:
    with opened(wired_node, ask=running(refused=3)) as client:
        page = client.get("/system/live").text
    assert "0: NVIDIA H200" in page
    assert "3.0 GiB" in page
    assert "25 %" in page
    assert '<tr><th scope="row">associations</th><td>calling-ae-title</td><td class="n">3</td></tr>' in page


def test_a_series_that_still_receives_is_listed_with_its_age(wired_node: Node, tmp_path: Path) -> None:
    wired_node.receive(write_blocks(tmp_path))
    wired_node.clock.now += 75
    [series] = wired_node.journal.arrivals.open_series()
    with opened(wired_node, loopback_sees_identifiers=True) as client:
        page = client.get("/system/live").text
    assert "Series that still receive: 1" in page
    assert series.series_uid in page
    assert '<td class="n">8</td><td class="n"><span class="note">nobody said</span></td>' in page
    assert "1 min 15 s ago" in page
    with opened(wired_node) as client:
        assert series.series_uid not in client.get("/system/live").text


def test_what_waits_is_told_with_the_age_of_the_oldest(client: TestClient, wired_node: Node, tmp_path: Path) -> None:
    wired_node.receive(write_blocks(tmp_path))
    wired_node.close()
    wired_node.clock.now += 7_260
    page = client.get("/system/live").text
    assert '<a href="/?state=queued">queued</a></th><td class="n">1</td><td class="n">2 h 1 min</td>' in page


def test_bytes_in_quarantine_are_listed_with_their_reason(client: TestClient, wired_node: Node) -> None:
    wired_node.spool.take(Received(file_meta=b"", data_set=b"no data set", calling_ae="SCANNER"))
    page = client.get("/system/live").text
    assert "Files in quarantine: 1" in page
    assert "not-dicom" in page
    assert "SCANNER" in page


def test_a_disk_with_too_little_space_is_marked(wired_node: Node) -> None:
    with opened(wired_node, settings={"receive": {"minimum_free_mb": 1 << 40}}) as client:
        assert "too little" in client.get("/system/live").text
