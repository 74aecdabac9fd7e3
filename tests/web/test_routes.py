"""The page of routes, and the tester: which route, why, and nothing kept of what was brought."""

import io
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from oracle import write_blocks, write_neck
from playwright.sync_api import Page
from starlette.testclient import TestClient
from webforms import forms, opened
from website import LiveNode, faults_in_both_schemes, shot
from wired import Node

import node.web.routes
from node.errors import UnsafeArchive
from node.journal.overview import overview
from node.receive.archive import Limits
from node.web.tester import try_upload

Visit = Callable[..., Page]
live = pytest.mark.peer("chromium", "orthanc")


def zipped(folder: Path, files: Iterable[Path]) -> Path:
    made = folder / "study.zip"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, f"series/{file.name}")
    return made


def tried(client: TestClient, content: bytes) -> Any:
    return client.post("/routes/test", files={"file": ("PATIENT^NAME.zip", content)}, headers=forms(client))


def everything_in(folder: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if "journal" not in path.name}


@live
def test_a_zip_that_is_dropped_tells_its_route(visit: Visit, node: LiveNode, tmp_path: Path) -> None:
    before = everything_in(node.settings.node.state_dir)
    cases = overview(node.store, latest=1)["latest_cases"][0]["id"]
    page = visit("/routes")
    page.get_by_label("A DICOM file, or a zip").set_input_files(zipped(tmp_path, write_neck(tmp_path / "in", "tried")))
    page.get_by_role("button", name="Which route?").click()
    found = page.locator("#tried")
    found.get_by_text("9 files, 1 series").wait_for()
    assert "cervical takes this series." in found.inner_text()
    assert "second\tSeriesDescription matches no pattern" in found.inner_text()
    found.get_by_text("What its header says").click()
    assert "9 x 190 x 80 voxels of 3.50 x 1.00 x 1.00 mm" in found.inner_text()
    shot(page, "routes-tried")
    assert faults_in_both_schemes(page) == []
    assert everything_in(node.settings.node.state_dir) == before
    assert overview(node.store, latest=1)["latest_cases"][0]["id"] == cases


@live
def test_the_page_has_no_serious_accessibility_fault(visit: Visit) -> None:
    page = visit("/routes")
    for summary in page.get_by_text("Rules", exact=True).all():
        summary.click()
    assert page.get_by_role("link", name="delivered").first.get_attribute("href") == "/?route=cervical&state=delivered"
    shot(page, "routes")
    assert faults_in_both_schemes(page) == []


@live
def test_the_tester_needs_no_javascript(visit: Visit, tmp_path: Path) -> None:
    page = visit("/routes", java_script_enabled=False)
    page.get_by_label("A DICOM file, or a zip").set_input_files(write_neck(tmp_path, "tried")[0])
    page.get_by_role("button", name="Which route?").click()
    assert "1 slice, at least 5 are asked for" in page.locator("#tried").inner_text()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_single_file_is_held_against_every_rule(client: TestClient, tmp_path: Path) -> None:
    page = tried(client, write_blocks(tmp_path)[0].read_bytes())
    assert page.status_code == 200
    assert "No route takes this series." in page.text
    assert "1 slice, at least 5 are asked for" in page.text
    assert "too-few-slices" in page.text


def test_a_volume_that_cannot_be_built_is_told_beside_the_route(client: TestClient, tmp_path: Path) -> None:
    files = write_blocks(tmp_path / "in")
    page = tried(client, zipped(tmp_path, [*files[:3], *files[4:]]).read_bytes()).text
    assert "<strong>cervical</strong> takes this series, and it cannot be segmented" in page
    assert "slice-gap" in page


def test_what_the_node_made_itself_is_told(client: TestClient, wired_node: Node, tmp_path: Path) -> None:
    wired_node.receive(write_neck(tmp_path))
    wired_node.settle()
    for name in ("seg.dcm", "sr.dcm"):
        page = tried(client, (wired_node.state_dir / "results" / "00000001-1" / name).read_bytes()).text
        assert "this software made the object itself" in page
        assert "takes this series" not in page.replace("No route takes this series", "")


def test_a_damaged_slice_keeps_its_series_from_every_route(client: TestClient, tmp_path: Path) -> None:
    files = write_blocks(tmp_path / "in")
    files[2].write_bytes(files[2].read_bytes()[:-100])
    page = tried(client, zipped(tmp_path, files).read_bytes()).text
    assert "No route takes this series." in page
    assert "truncated-file" in page


def test_descriptions_are_hidden_from_who_may_not_see_them(wired_node: Node, tmp_path: Path) -> None:
    [file, *_] = write_blocks(tmp_path)
    data_set = pydicom.dcmread(file)
    data_set.StudyDescription = "ZZSECRET^NAME"
    data_set.save_as(file)
    for sees, hidden in ((False, True), (True, False)):
        with opened(wired_node, loopback_sees_identifiers=sees) as client:
            page = tried(client, file.read_bytes()).text
        assert ("ZZSECRET" not in page) is hidden
        assert (str(data_set.SeriesInstanceUID) not in page) is hidden


def test_nothing_is_left_of_what_was_brought(
    client: TestClient, wired_node: Node, temporary: Path, tmp_path: Path
) -> None:
    before = everything_in(wired_node.state_dir)
    content = zipped(tmp_path, write_blocks(tmp_path / "in")).read_bytes()
    assert "cervical</strong> takes this series" in tried(client, content).text
    assert list(temporary.iterdir()) == []
    assert everything_in(wired_node.state_dir) == before
    assert wired_node.cases() == []


def _zip_of(*entries: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04" + b"\0" * 100,
        _zip_of(("a", b"x" * 1000))[:-30],
        _zip_of(("a", b"x" * 1000)).replace(b"\x08\0", b"\x63\0"),
    ],
    ids=["no directory", "cut off", "unknown compression"],
)
def test_a_zip_that_is_damaged_is_refused_with_a_sentence(client: TestClient, temporary: Path, content: bytes) -> None:
    page = tried(client, content)
    assert page.status_code == 422
    assert "the zip: cannot be unpacked" in page.text
    assert "unsafe-archive" in page.text
    assert str(temporary) not in page.text
    assert list(temporary.iterdir()) == []


def test_names_in_a_zip_are_never_used(client: TestClient, temporary: Path, tmp_path: Path) -> None:
    content = write_blocks(tmp_path)[0].read_bytes()
    page = tried(client, _zip_of(("../../../escaped.dcm", content), ("/etc/escaped.dcm", content)))
    assert page.status_code == 200
    assert "2 files, 1 series" in page.text
    assert list(temporary.iterdir()) == []
    assert not list(temporary.parent.rglob("escaped.dcm"))


@pytest.mark.parametrize("limits", [Limits(files=2, size=1 << 30), Limits(files=10, size=2_000_000)])
def test_a_zip_that_unpacks_to_too_much_is_refused(wired_node: Node, temporary: Path, limits: Limits) -> None:
    bomb = io.BytesIO(_zip_of(*((name, b"\0" * 1_000_000) for name in "abc")))
    with pytest.raises(UnsafeArchive, match="more than"):
        try_upload(bomb, wired_node.settings.route, limits)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 4096], ids=["empty", "text", "zeros"])
def test_what_is_no_dicom_is_told(client: TestClient, content: bytes) -> None:
    page = tried(client, content)
    assert page.status_code == 200
    assert "No image among the files." in page.text
    assert "not-dicom" in page.text


def test_a_zip_in_a_zip_is_not_looked_into(client: TestClient, tmp_path: Path) -> None:
    inner = zipped(tmp_path, write_blocks(tmp_path / "in")).read_bytes()
    assert "No image among the files." in tried(client, _zip_of(("inner.zip", inner))).text


def test_more_than_the_settings_allow_is_not_taken(wired_node: Node) -> None:
    with opened(wired_node, maximum_upload_mb=1) as client:
        assert tried(client, b"\0" * (2 << 20)).status_code == 413


def test_the_tester_is_for_operators(wired_node: Node) -> None:
    with opened(wired_node, loopback_role="viewer") as client:
        assert "Which route?" not in client.get("/routes").text
        assert tried(client, b"hello").status_code == 403


def test_one_file_is_looked_at_at_a_time(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = write_blocks(tmp_path)[0].read_bytes()
    second: list[Any] = []
    look = node.web.routes.try_upload

    def looking(*arguments: Any) -> Any:
        if not second:
            second.append(tried(client, content))
        return look(*arguments)

    monkeypatch.setattr("node.web.routes.try_upload", looking)
    assert tried(client, content).status_code == 200
    assert second[0].status_code == 503
    assert second[0].json()["error"]["message"] == "another file is being looked at; try again in a moment"
    assert tried(client, content).status_code == 200
