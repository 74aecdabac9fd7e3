"""No byte of a page, of an answer of the API or of a log line names a patient to who may not see who it is."""

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pydicom
import pytest
from oracle import write_blocks, write_neck
from starlette.testclient import TestClient
from webforms import PAGE, forms, opened
from wired import Node

from node import log
from node.errors import PeerUnreachable, StoreRefused
from node.web.app import _PAGES

SECRET = "ZZSECRET"
#: What a person or a scanner writes into a header; every one is free text of its VR.
TEXTS = {
    "PatientName": f"{SECRET}^NAME",
    "PatientID": f"{SECRET}-ID",
    "AccessionNumber": f"{SECRET}-ACC",
    "PatientComments": f"{SECRET} comment",
    "InstitutionName": f"{SECRET} hospital",
    "ReferringPhysicianName": f"{SECRET}^REFERRER",
    "StudyID": f"{SECRET}-ST",
    "StationName": f"{SECRET}-STATION",
    "StudyDescription": f"MRI CERVICAL SPINE {SECRET}",
    "SeriesDescription": f"SAG T2 {SECRET}",
    "ProtocolName": f"T2 SAG {SECRET}",
    "ImageComments": f"{SECRET} image",
}
#: What spoils a series, so that an error has something to tell.
SPOILT: Sequence[dict[str, Any]] = (
    {"BodyPartExamined": f"LSPINE {SECRET}", "StudyDescription": f"LUMBAR {SECRET}"},
    {"ImageType": ["DERIVED", "SECONDARY", SECRET]},
    {"PhotometricInterpretation": f"{SECRET}3"},
    {"ScanningSequence": SECRET, "ScanOptions": SECRET},
    {"Rows": 7},
    {"PixelSpacing": None},
    {"BurnedInAnnotation": SECRET},
)


def marked(files: list[Path], changes: dict[str, Any]) -> list[Path]:
    for file in files:
        data_set = pydicom.dcmread(file)
        for keyword, value in {**TEXTS, **changes}.items():
            setattr(data_set, keyword, value)
        data_set.save_as(file)
    return files


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[Node, set[str]]:
    """A node with a case of every kind, and everything in them that identifies: texts and UIDs."""
    folder = tmp_path_factory.mktemp("secrets")
    node = Node(folder / "state", forms={"archive": {}, "other": {"host": "pacs.example"}})
    request.addfinalizer(node.journal.close)
    node.shelf.faults = [StoreRefused("the peer refused: status 0xA700")]
    node.shelves["other"].faults = [PeerUnreachable("other: Connection refused")]
    sent = [marked(write_neck(folder / "neck"), {})]
    sent += [marked(write_blocks(folder / f"{n}", name=f"{n}"), changes) for n, changes in enumerate(SPOILT)]
    gap = marked(write_blocks(folder / "gap", name="gap"), {})
    sent.append([file for number, file in enumerate(gap) if number != 3])
    for files in (sent[:1], sent[1:]):  # the neck is case 1
        node.receive([file for series in files for file in series])
        node.settle()
    made = list((folder / "state" / "results").rglob("*.dcm"))
    uids = set()
    for file in [*(file for files in sent for file in files), *made]:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        uids |= {header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID}
    assert made
    return node, {SECRET, *map(str, uids)}


def addresses(client: TestClient, node: Node) -> Iterator[str]:
    """Yield every address that can be looked at, for every case."""
    key = client.get("/cases/1/viewer/scene.json").json()["key"]
    names = [file.name for file in (node.state_dir / "results" / "00000001-1").iterdir()]
    paths = [route.path for room in _PAGES for route in room.router.routes if "GET" in route.methods]  # type: ignore[attr-defined]
    for path in [*paths, "/api/openapi.json", "/nothing"]:
        for case in [str(case["id"]) for case in node.cases()]:
            made = re.sub(r"\{case[^}]*\}", case, path).replace("{key}", key).replace("{index}", "4")
            yield from [made.replace("{name}", name) for name in names] if "{name}" in made else [made]


def exposed(content: str, secrets: set[str]) -> set[str]:
    return {secret for secret in secrets if secret in content}


def test_who_may_not_see_who_it_is_finds_it_in_no_byte_of_any_answer(told: tuple[Node, set[str]]) -> None:
    node, secrets = told
    assert {case["state"] for case in node.cases()} >= {"undelivered", "rejected", "quarantined"}
    with opened(node) as client:
        asked = sorted(set(addresses(client, node)))
        assert len(asked) > 100
        for path in asked:
            for headers in (PAGE, {"accept": "*/*"}):
                answer = client.get(path, headers=headers)
                said = f"{answer.headers} {answer.content.decode('latin-1')}"
                assert exposed(said, secrets) == set(), path


def test_the_same_addresses_tell_it_to_who_may_see_it(told: tuple[Node, set[str]]) -> None:
    """The control."""
    node, secrets = told
    with opened(node, loopback_sees_identifiers=True) as client:
        said = "".join(client.get(path).content.decode("latin-1") for path in set(addresses(client, node)))
    shown = {SECRET, *(str(case[uid]) for case in node.cases() for uid in ("study_uid", "series_uid"))}
    assert exposed(said, secrets) >= shown
    assert len(shown) > 10


def test_the_tester_of_routes_does_not_tell_it_either(told: tuple[Node, set[str]], tmp_path: Path) -> None:
    node, secrets = told
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for folder in ("neck", "0", "2", "5", "gap"):
            for file in sorted((node.state_dir.parent / folder).iterdir()):
                archive.write(file, f"{SECRET}/{folder}/{file.name}")
    with opened(node) as client:
        sent = {"file": (f"{SECRET}.zip", packed.getvalue())}
        answer = client.post("/routes/test", files=sent, headers=forms(client))
    assert "takes this series" in answer.text
    assert exposed(answer.text, secrets) == set()


def test_no_line_of_the_log_tells_it(
    told: tuple[Node, set[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node, secrets = told
    log.configure(level="debug", key=b"k")
    try:
        with opened(node, loopback_sees_identifiers=True) as client:
            for path in set(addresses(client, node)):
                client.get(f"{path}?text={SECRET}&next=/{SECRET}")
            client.get(f"/{SECRET}", headers={"user-agent": SECRET, "referer": f"http://localhost/?text={SECRET}"})
            client.post("/routes/test", files={"file": (f"{SECRET}.zip", SECRET)}, headers=forms(client))
            client.post(f"/cases/1/{SECRET}", data={"destination": SECRET}, headers=forms(client))
            client.post("/login", data={"name": SECRET, "password": SECRET}, headers=forms(client))
    finally:
        log.configure(level="warning", key=None)
    said = capsys.readouterr().err
    assert "web request" in said
    assert exposed(said, secrets) == set()
