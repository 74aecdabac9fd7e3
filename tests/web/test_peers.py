"""The page of destinations and peers: who is there, how it goes with each, and whether each answers."""

from collections.abc import Callable

import pytest
from oracle import write_blocks
from playwright.sync_api import Page
from starlette.testclient import TestClient
from webforms import forms, opened
from website import LiveNode, faults_in_both_schemes, shot
from wired import Node

from node.errors import PeerUnreachable

Visit = Callable[..., Page]
live = pytest.mark.peer("chromium", "orthanc")


@live
def test_every_destination_says_how_it_goes(visit: Visit, node: LiveNode) -> None:
    page = visit("/peers")
    archive = page.get_by_role("row", name="archive").inner_text()
    assert "delivered" in archive
    assert "confirmed by a query" in archive
    assert f"{node.archive.ae_title}\n127.0.0.1:{node.archive.port}\nC-STORE" in archive
    elsewhere = page.get_by_role("row", name="elsewhere").inner_text()
    assert "never" in elsewhere
    assert "does not answer" in elsewhere
    assert "peer-unreachable" in elsewhere


@live
def test_a_destination_that_is_there_answers_the_echo(visit: Visit) -> None:
    page = visit("/peers")
    page.get_by_role("button", name="Echo archive").click()
    page.get_by_role("row", name="archive").get_by_text("answers", exact=True).wait_for()
    assert page.url.endswith("/peers")


@live
def test_one_that_is_not_there_is_told_with_the_reason(visit: Visit) -> None:
    page = visit("/peers")
    page.get_by_role("button", name="Echo elsewhere").click()
    echoed = page.get_by_role("row", name="elsewhere").locator(".echoed")
    echoed.get_by_text("failed", exact=True).wait_for()
    assert "does not answer" in echoed.inner_text()


@live
def test_a_peer_answers_the_echo(visit: Visit) -> None:
    page = visit("/peers")
    page.get_by_role("button", name="Echo PACS").click()
    page.get_by_role("row", name="PACS").get_by_text("answers", exact=True).wait_for()


@live
def test_the_echo_needs_no_javascript(visit: Visit) -> None:
    page = visit("/peers", java_script_enabled=False)
    page.get_by_role("button", name="Echo archive").click()
    page.get_by_role("row", name="archive").get_by_text("answers", exact=True).wait_for()


@live
def test_it_has_no_serious_accessibility_fault(visit: Visit) -> None:
    page = visit("/peers")
    page.get_by_role("button", name="Echo elsewhere").click()
    page.get_by_text("failed", exact=True).wait_for()
    page.get_by_role("button", name="Echo archive").click()
    page.get_by_text("answers", exact=True).wait_for()
    shot(page, "peers")
    assert faults_in_both_schemes(page) == []


def test_nobody_is_known_by_a_name_that_is_not_configured(client: TestClient) -> None:
    assert client.post("/peers/destinations/nowhere/echo", headers=forms(client)).status_code == 404
    assert client.post("/peers/NOBODY/echo", headers=forms(client)).status_code == 404
    assert client.post("/peers/A%2FB/echo", headers=forms(client)).status_code == 404


def test_an_echo_is_for_operators(wired_node: Node) -> None:
    with opened(wired_node, loopback_role="viewer") as client:
        assert "Echo" not in client.get("/peers").text
        assert client.post("/peers/destinations/archive/echo", headers=forms(client)).status_code == 403


def test_a_peer_without_an_address_cannot_be_called(wired_node: Node) -> None:
    with opened(wired_node, settings={"peer": [{"ae_title": "SCANNER"}]}) as client:
        assert "host and port are not in the settings" in client.get("/peers").text
        assert client.post("/peers/SCANNER/echo", headers=forms(client)).status_code == 404


def test_what_is_owed_to_a_destination_that_is_gone_is_told(wired_node: Node) -> None:
    wired_node.receive(write_blocks(wired_node.state_dir / "in"))
    wired_node.shelf.faults = [PeerUnreachable("gone")]
    wired_node.settle()
    other = {**wired_node.settings.destination[0].model_dump(), "name": "other"}
    route = {**wired_node.settings.route[0].model_dump(), "destinations": ["other"]}
    with opened(wired_node, settings={"destination": [other], "route": [route]}) as client:
        page = client.get("/peers").text
    assert "Objects still wait for <strong>archive</strong>" in page


def test_who_sends_without_being_a_peer_is_listed(client: TestClient, wired_node: Node) -> None:
    wired_node.receive(write_blocks(wired_node.state_dir / "in"))
    page = client.get("/peers").text
    assert "Others who have sent" in page
    assert ">TEST<" in page
    assert "No peer is configured" in page


def test_what_fails_is_shown_until_the_object_is_there(client: TestClient, wired_node: Node) -> None:
    wired_node.receive(write_blocks(wired_node.state_dir / "in"))
    wired_node.shelf.faults = [PeerUnreachable("ARCHIVE at 127.0.0.1:4242 does not answer")] * 2
    wired_node.settle()
    assert "ARCHIVE at 127.0.0.1:4242 does not answer" in client.get("/peers").text
    wired_node.shelf.faults = []
    wired_node.clock.now += 1000
    wired_node.outbox.deliver("archive")
    page = client.get("/peers").text
    assert "does not answer" not in page
    assert "2 delivered" in page
