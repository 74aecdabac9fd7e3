"""What the viewer is served: of one content under one key, and nothing that is not what the case was made from."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from oracle import neck_blocks, write_neck
from starlette.testclient import TestClient
from webforms import opened
from wired import Node

import node.web.scenes
from node.web.scenes import Scenes

PAGE = {"accept": "text/html"}


@pytest.fixture
def files(wired_node: Node, tmp_path: Path) -> list[Path]:
    """Of a delivered neck, case 1."""
    made = write_neck(tmp_path / "sent")
    wired_node.receive(made)
    wired_node.settle()
    return made


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node with the same case, for tests that change nothing."""
    node = Node(tmp_path_factory.mktemp("settled") / "state")
    node.receive(write_neck(tmp_path_factory.mktemp("sent")))
    node.settle()
    yield node
    node.journal.close()


@pytest.fixture(scope="module")
def reader(settled: Node) -> Iterator[TestClient]:
    """The application over `settled`."""
    with opened(settled) as client:
        yield client


@pytest.fixture(scope="module")
def scene(reader: TestClient) -> dict[str, Any]:
    """What is shown of its case."""
    answer = reader.get("/cases/1/viewer/scene.json")
    assert answer.status_code == 200
    return dict(answer.json())


def seg_of(node: Node) -> Path:
    return node.state_dir / "results" / "00000001-1" / "seg.dcm"


def test_slices_are_the_voxels_of_the_images(reader: TestClient, scene: dict[str, Any]) -> None:
    voxels, _ = neck_blocks()
    assert (scene["slices"], scene["rows"], scene["columns"]) == voxels.shape == (9, 190, 80)
    for index in range(9):
        answer = reader.get(f"/cases/1/viewer/{scene['key']}/image/{index}")
        assert np.array_equal(np.frombuffer(answer.content, scene["image_type"]).reshape(190, 80), voxels[index])
        labels = np.frombuffer(
            reader.get(f"/cases/1/viewer/{scene['key']}/labels/{index}").content, scene["label_type"]
        )
        assert np.array_equal(labels.reshape(190, 80) > 0, voxels[index] >= 1000)


def test_the_affine_leads_to_the_patient(scene: dict[str, Any]) -> None:
    corner = np.array(scene["affine"]) @ [0, 0, 0, 1]
    assert corner[:3].tolist() == [-14.0, -40.0, 90.0]
    assert scene["spacing_mm"] == [3.5, 1.0, 1.0]
    assert scene["edges"] == {"left": "A", "right": "P", "top": "H", "bottom": "F"}


def test_volumes_are_those_that_were_measured(scene: dict[str, Any], settled: Node) -> None:
    findings = json.loads((seg_of(settled).parent / "findings.json").read_text())
    measured = {found["segment"]: found["volume_mm3"] for found in findings["structures"]}
    assert {one["number"]: one["volume_mm3"] for one in scene["segments"]} == measured
    assert scene["segments"][0]["name"] == "C2 vertebral body"


def test_the_window_of_the_scanner_is_offered(client: TestClient, wired_node: Node, tmp_path: Path) -> None:
    for file in (files := write_neck(tmp_path / "sent")):
        data_set = pydicom.dcmread(file)
        data_set.WindowCenter, data_set.WindowWidth = [700, 500], [1200, 900]
        data_set.save_as(file)
    wired_node.receive(files)
    wired_node.settle()
    windows = client.get("/cases/1/viewer/scene.json").json()["windows"]
    assert [one["name"] for one in windows] == ["automatic", "scanner", "bright discs", "dark bones", "everything"]
    assert windows[1] == {"name": "scanner", "centre": 700, "width": 1200, "function": "LINEAR"}


@pytest.mark.parametrize(
    ("function", "width", "offered"),
    [
        ("SIGMOID", 0.5, True),
        ("LINEAR_EXACT", 0.5, True),
        ("LINEAR", 0.5, False),
        ("LINEAR", 1, True),
        ("", 300, True),
        ("CURVED", 300, False),
    ],
)
def test_a_window_is_offered_where_its_function_is_known_and_allows_its_width(
    client: TestClient, wired_node: Node, tmp_path: Path, function: str, width: float, offered: bool
) -> None:
    for file in (files := write_neck(tmp_path / "sent")):
        data_set = pydicom.dcmread(file)
        data_set.WindowCenter, data_set.WindowWidth, data_set.VOILUTFunction = 700, width, function
        data_set.save_as(file)
    wired_node.receive(files)
    wired_node.settle()
    scanners = [one for one in client.get("/cases/1/viewer/scene.json").json()["windows"] if one["name"] == "scanner"]
    expected = {"name": "scanner", "centre": 700, "width": width, "function": function or "LINEAR"}
    assert scanners == ([expected] if offered else [])


def test_the_windows_of_monochrome1_are_those_of_the_same_picture_stored_the_other_way_round(
    client: TestClient, wired_node: Node, tmp_path: Path
) -> None:
    """Windows by name look alike: their centres lie as far from the other end of the values."""
    for name in "ab":
        for file in (files := write_neck(tmp_path / name, name)):
            data_set = pydicom.dcmread(file)
            if name == "b":
                data_set.PhotometricInterpretation = "MONOCHROME1"
                data_set.PixelData = (2000 - data_set.pixel_array.astype(int)).astype(np.uint16).tobytes()
                data_set.save_as(file)
        wired_node.receive(files)
    wired_node.settle()
    plain, other = (client.get(f"/cases/{case}/viewer/scene.json").json() for case in (1, 2))
    assert (plain["lowest_is_white"], other["lowest_is_white"]) == (False, True)
    for one, turned in zip(plain["windows"], other["windows"], strict=True):
        assert turned == {**one, "centre": pytest.approx(2000 - one["centre"] + 1)}


def test_a_key_of_other_content_is_answered_409(reader: TestClient, scene: dict[str, Any]) -> None:
    for kind in ("image", "labels"):
        answer = reader.get(f"/cases/1/viewer/{'0' * 16}/{kind}/0")
        assert answer.status_code == 409
        assert "load the page again" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/cases/2/viewer", 404),
        ("/cases/0/viewer", 422),
        ("/cases/99999999999/viewer", 422),
        ("/cases/1/viewer/KEY/image/9", 404),
        ("/cases/1/viewer/KEY/image/-1", 422),
        ("/cases/1/viewer/../image/0", 404),
        ("/cases/2/viewer/scene.json", 404),
        ("/cases/2/viewer/overlay.png", 404),
    ],
)
def test_what_is_not_there_is_told(reader: TestClient, scene: dict[str, Any], address: str, status: int) -> None:
    assert reader.get(address.replace("KEY", scene["key"])).status_code == status


def spoil_seg(node: Node, _sent: list[Path]) -> None:
    seg = seg_of(node)
    seg.write_bytes(seg.read_bytes()[:-1] + b"\xff")


def lose_seg(node: Node, _sent: list[Path]) -> None:
    seg_of(node).unlink()


def lose_image(node: Node, _sent: list[Path]) -> None:
    next((node.state_dir / "spool").rglob("*.dcm")).unlink()


def change_image(node: Node, sent: list[Path]) -> None:
    data_set = pydicom.dcmread(sent[4])
    data_set.ImageComments = "sent again, changed"
    data_set.save_as(sent[4])
    node.receive([sent[4]])


@pytest.mark.parametrize(
    ("spoil", "status", "told"),
    [
        (spoil_seg, 409, "the SEG of this case differs from its digest"),
        (lose_seg, 503, "a file of this case cannot be read: No such file or directory"),
        (lose_image, 503, "a file of this case cannot be read: No such file or directory"),
        (change_image, 409, "the series has other images now than those that this case was made from"),
    ],
    ids=["changed SEG", "lost SEG", "lost image", "image sent again"],
)
def test_what_is_not_as_it_was_is_refused_and_the_drawn_picture_stays(
    client: TestClient,
    wired_node: Node,
    files: list[Path],
    spoil: Callable[[Node, list[Path]], None],
    status: int,
    told: str,
) -> None:
    spoil(wired_node, files)
    answer = client.get("/cases/1/viewer/scene.json")
    assert (answer.status_code, answer.json()["error"]["message"]) == (status, told)
    page = client.get("/cases/1/viewer", headers=PAGE)
    assert page.status_code == 200
    assert f"The images cannot be shown: {told}." in page.text
    assert '<img src="/cases/1/viewer/overlay.png"' in page.text
    assert "<noscript>" not in page.text


def test_a_case_that_is_processed_anew_has_another_key(client: TestClient, wired_node: Node, files: list[Path]) -> None:
    before = client.get("/cases/1/viewer/scene.json").json()["key"]
    data_set = pydicom.dcmread(files[4])
    data_set.PixelData = np.where(data_set.pixel_array == 600, 500, data_set.pixel_array).astype(np.uint16).tobytes()
    data_set.save_as(files[4])
    wired_node.receive([files[4]])
    wired_node.settle()
    assert client.get("/cases/2/viewer/scene.json").json()["key"] != before
    assert client.get("/cases/1/viewer/scene.json").status_code == 409


def test_only_so_much_is_kept_in_memory(wired_node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        wired_node.receive(write_neck(tmp_path / name, name))
    wired_node.settle()
    scenes = Scenes(wired_node.journal.store, wired_node.state_dir)
    first = scenes.scene(1)
    assert first.size == 9 * 190 * 80 * 3
    assert scenes.scene(2) is scenes.scene(2)
    assert scenes.scene(1) is first
    monkeypatch.setattr(node.web.scenes, "_KEPT_BYTES", 2 * first.size - 1)
    assert scenes.scene(2) is scenes.scene(2)
    assert scenes.scene(1) is not first
