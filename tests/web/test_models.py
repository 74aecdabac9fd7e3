"""The page of models: the library, the digests, which one is in use, and what answered last."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from oracle import write_neck
from playwright.sync_api import Page
from starlette.testclient import TestClient
from webforms import forms, opened
from website import faults_in_both_schemes, shot
from wired import Node

from node.segment.bundle import STARTER, load_bundle

Visit = Callable[..., Page]
live = pytest.mark.peer("chromium", "orthanc")


@pytest.fixture(scope="module")
def digest() -> str:
    """Of the starter."""
    return load_bundle(STARTER).digest


def imported(node: Node, name: str) -> Path:
    folder = node.settings.node.models_dir / name
    shutil.copytree(STARTER, folder)
    return folder


@live
def test_the_bundle_in_use_can_be_verified(visit: Visit, digest: str) -> None:
    page = visit("/models")
    assert page.get_by_role("heading", name="starter in use").is_visible()
    assert digest in page.locator("main").inner_text()
    page.get_by_role("button", name="Verify the files of starter").click()
    page.get_by_text("intact", exact=True).wait_for()
    assert page.get_by_role("heading", name="What answered last").is_visible()
    page.get_by_text("Where it comes from, and its figures").click()
    assert page.get_by_role("row", name="dice / ensemble / vertebral body / mean").is_visible()
    shot(page, "models")
    assert faults_in_both_schemes(page) == []


def test_every_bundle_of_the_library_is_listed_with_its_digest(
    client: TestClient, wired_node: Node, digest: str
) -> None:
    imported(wired_node, "neck-2")
    page = client.get("/models").text
    assert page.count(digest) == 2
    assert page.index("starter <span") < page.index(">neck-2<")


def test_the_bundle_that_the_settings_name_is_the_one_in_use(wired_node: Node) -> None:
    folder = imported(wired_node, "neck-2")
    with opened(wired_node, settings={"model": {"bundle": str(folder), "digest": "0" * 64}}) as client:
        page = client.get("/models").text
    assert 'neck-2 <span class="state good">in use</span>' in page
    assert "The settings ask for another digest" in page


def test_a_bundle_elsewhere_or_gone_is_told(wired_node: Node, tmp_path: Path) -> None:
    with opened(wired_node, settings={"model": {"bundle": str(tmp_path / "gone")}}) as client:
        page = client.get("/models").text
    assert "no readable bundle.json" in page


def test_two_bundles_of_one_name_are_both_listed(wired_node: Node, tmp_path: Path) -> None:
    imported(wired_node, "neck-2")
    shutil.copytree(STARTER, tmp_path / "neck-2")
    with opened(wired_node, settings={"model": {"bundle": str(tmp_path / "neck-2")}}) as client:
        page = client.get("/models").text
    assert 'neck-2 of the settings <span class="state good">in use</span>' in page
    assert ">neck-2</h2>" in page


def test_a_file_that_was_changed_is_found(client: TestClient, wired_node: Node) -> None:
    folder = imported(wired_node, "neck-2")
    weights = next(folder.rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    page = client.post("/models/neck-2/verify", headers=forms(client)).text
    assert "not intact" in page
    assert "bundle-tampered" in page


def test_a_manifest_that_was_changed_is_told_at_once(client: TestClient, wired_node: Node) -> None:
    folder = imported(wired_node, "neck-2")
    (folder / "bundle.json").write_text("{}")
    assert "differs from its digest in bundle.sha256" in client.get("/models").text


def test_names_of_no_bundle_lead_nowhere(client: TestClient) -> None:
    headers = forms(client)
    for name in ("nothing", "..", "%2e%2e%2fstate"):
        assert client.post(f"/models/{name}/verify", headers=headers).status_code in {404, 405}


def test_verifying_is_for_operators(wired_node: Node) -> None:
    with opened(wired_node, loopback_role="viewer") as client:
        assert "Verify its files" not in client.get("/models").text
        assert client.post("/models/starter/verify", headers=forms(client)).status_code == 403


def test_what_answered_last_is_that_of_the_newest_results(client: TestClient, wired_node: Node, tmp_path: Path) -> None:
    assert "What answered last" not in client.get("/models").text
    wired_node.receive(write_neck(tmp_path))
    wired_node.settle()
    page = client.get("/models").text
    assert "oracle 1.0" in page
    assert "cpu, fast mode, float32" in page
