"""The API for programs: what it tells, to whom, and how it says no."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keeper import Keeper
from oracle import write_neck
from starlette.testclient import TestClient
from wired import Node

from node.domain.case import CaseState, Wanted
from node.operations import Operations
from node.web.app import build_app
from node.web.site import Site


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    """Cases 1 to 3: delivered, queued, rejected."""
    made = Keeper(tmp_path / "state")
    made.delivered(series="1.2.3")
    made.receive(1, series="1.2.4")
    made.open_case(series="1.2.4")
    made.rejected(series="1.2.5")
    yield made
    made.close()


def client_of(keeper: Keeper, **web: Any) -> TestClient:
    """Return the application over a journal, and over a node that does what is asked."""
    operations = Operations(keeper.journal, {"archive": Wanted()}, purge=lambda _dry_run: {})
    settings = keeper.settings.model_copy(update={"web": keeper.settings.web.model_copy(update=web)})
    site = Site(settings=settings, store=keeper.journal.store, ask=operations.answer, uid_key=b"k" * 32)
    return TestClient(build_app(site), base_url="http://localhost", follow_redirects=False)


@pytest.fixture
def api(keeper: Keeper) -> Iterator[TestClient]:
    with client_of(keeper, loopback_sees_identifiers=True) as made:
        found = re.search(r'name="csrf-token" content="([^"]+)"', made.get("/").text)
        assert found
        made.headers["x-csrf-token"] = found.group(1)
        yield made


def test_the_summary_counts_cases_by_state(api: TestClient) -> None:
    assert api.get("/api/v1/summary").json() == {
        "cases": {"delivered": 1, "queued": 1, "rejected": 1}, "receiving": 0,
    }  # fmt: skip


def test_cases_are_listed_newest_first_a_page_at_a_time(api: TestClient) -> None:
    first = api.get("/api/v1/cases", params={"limit": 2}).json()
    assert ([case["case"] for case in first["cases"]], first["newer"], first["older"]) == ([3, 2], None, 2)
    second = api.get("/api/v1/cases", params={"limit": 2, "before": 2}).json()
    assert ([case["case"] for case in second["cases"]], second["newer"], second["older"]) == ([1], 1, None)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=queued&state=rejected", [3, 2]), ("verdict=good", [1]), ("route=neck", [2, 1]), ("text=1.2.4", [2]),
        ("since=2020-01-01&until=2020-12-31", []), ("state=&verdict=&since=", [3, 2, 1]),
    ],
)  # fmt: skip
def test_cases_are_filtered(api: TestClient, query: str, found: list[int]) -> None:
    assert [case["case"] for case in api.get(f"/api/v1/cases?{query}").json()["cases"]] == found


def test_a_case_is_told_whole(api: TestClient) -> None:
    case = api.get("/api/v1/cases/1").json()
    assert (case["state"], case["verdict"], case["series_uid"], case["instances"]) == ("delivered", "good", "1.2.3", 2)
    assert [(made["name"], [way["state"] for way in made["deliveries"]]) for made in case["objects"]] == [
        ("seg.dcm", ["delivered"]), ("sr.dcm", ["delivered"]),
    ]  # fmt: skip
    assert [event["what"] for event in case["events"]][:3] == ["series receiving", "case queued", "case running"]
    assert case["actions"] == ["reprocess", "send"]


def test_uids_are_hashed_for_those_who_may_not_see_identifiers(keeper: Keeper) -> None:
    with client_of(keeper) as client:
        case = client.get("/api/v1/cases/1").json()
        assert re.fullmatch("[0-9a-f]{16}", case["series_uid"])
        assert "1.2.3" not in json.dumps({key: case[key] for key in ("study_uid", "series_uid", "events")})
        assert all(re.fullmatch("[0-9a-f]{16}", made["sop_instance_uid"]) for made in case["objects"])
        assert client.get("/api/v1/cases?text=1.2.4").json()["cases"] == []


def test_an_action_is_done_by_the_node(api: TestClient, keeper: Keeper) -> None:
    assert api.post("/api/v1/cases/2/hold").json() == {"case": 2, "was": "queued", "state": "held"}
    sent = api.post("/api/v1/cases/1/send", json={"destination": "archive"})
    assert sent.json() == {"case": 1, "was": "delivered", "state": "sending"}
    assert keeper.states() == ["sending", "held", "rejected"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/api/v1/cases/99", None, 404, "unknown-case"),
        ("GET", "/api/v1/cases/0", None, 422, "not-understood"),
        ("GET", "/api/v1/cases?state=gone", None, 422, "not-understood"),
        ("GET", "/api/v1/cases?since=9999-12-31", None, 422, "not-understood"),
        ("GET", "/api/v1/cases?text=%00", None, 422, "input-error"),
        ("GET", "/api/v1/cases?before=-1", None, 422, "not-understood"),
        ("GET", "/api/v1/cases/2/findings", None, 404, "http-404"),
        ("GET", "/api/v1/nothing", None, 404, "http-404"),
        ("POST", "/api/v1/cases/1/hold", None, 409, "illegal-transition"),
        ("POST", "/api/v1/cases/99/hold", None, 404, "unknown-case"),
        ("POST", "/api/v1/cases/1/purge", None, 422, "not-understood"),
        ("POST", "/api/v1/cases/1/send", None, 422, "input-error"),
        ("POST", "/api/v1/cases/1/send", {"destination": "nowhere"}, 422, "input-error"),
        ("POST", "/api/v1/cases/1/hold", {"destination": "archive"}, 422, "input-error"),
    ],
)
def test_what_cannot_be_is_said_with_a_code(
    api: TestClient, method: str, path: str, body: Any, status: int, code: str
) -> None:
    answer = api.request(method, path, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_the_findings_of_a_case_are_those_of_its_folder(wired_node: Node, client: TestClient, tmp_path: Path) -> None:
    wired_node.receive(write_neck(tmp_path / "neck"))
    wired_node.settle()
    findings = client.get("/api/v1/cases/1/findings").json()
    assert findings["quality"]["verdict"] == "good"
    assert [item["level"] for item in findings["structures"]][:3] == ["C2", "C2/C3", "C3"]
    stages = client.get("/api/v1/cases/1").json()["timings_s"]
    assert list(stages) == ["volume", "segment", "measure", "draw", "encode"]


def test_a_file_that_is_not_what_was_made_is_not_handed_out(api: TestClient, keeper: Keeper) -> None:
    assert api.get("/cases/1/files/seg.dcm").content == b"SEG 9.1.1"
    (path,) = keeper.state_dir.glob("results/00000001-1/seg.dcm")
    path.write_bytes(b"something else")
    answer = api.get("/cases/1/files/seg.dcm")
    assert answer.status_code >= 400
    assert answer.json()["error"]["code"] == "result-damaged"
    path.unlink()
    assert api.get("/cases/1/files/seg.dcm").status_code == 404


@pytest.mark.parametrize("name", ["case.json", "..%2f..%2fjournal.sqlite", "other.dcm", "%2e%2e"])
def test_no_other_file_is_handed_out(api: TestClient, name: str) -> None:
    assert api.get(f"/cases/1/files/{name}").status_code == 404


def test_the_live_part_of_a_page_is_sent_when_something_has_happened(api: TestClient, keeper: Keeper) -> None:
    seen = re.search(r"live\?seen=(\d+)", api.get("/cases/2").text)
    assert seen
    assert api.get(f"/cases/2/live?seen={seen.group(1)}").status_code == 204
    keeper.journal.cases.hold(2)
    changed = api.get(f"/cases/2/live?seen={seen.group(1)}")
    assert (changed.status_code, "held" in changed.text) == (200, True)
    assert "HX-Refresh" not in changed.headers


def test_a_page_without_findings_is_loaded_anew_when_they_come(api: TestClient, keeper: Keeper) -> None:
    keeper.finish("archive")
    assert keeper.states()[1] == CaseState.SENDING.value
    assert api.get("/cases/2/live?seen=0&findings=0").headers["HX-Refresh"] == "true"
    assert "HX-Refresh" not in api.get("/cases/2/live?seen=0&findings=1").headers


def test_results_whose_findings_are_gone_are_said_to_be_so(api: TestClient) -> None:
    assert "findings.json cannot be read" in api.get("/cases/1").text
