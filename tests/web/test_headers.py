"""What every answer says to browsers, how errors look, and what stands in the log."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.sync_api import Page
from starlette.testclient import TestClient
from website import LiveNode, faults_in_both_schemes, shot

from node import log
from node.errors import IllegalTransition, NodeError, PeerUnreachable, SystemFailed, UnknownCase
from node.web.access import Viewer
from node.web.render import NAVIGATION
from node.web.vendored import VENDOR, differing, packages

PAGE = {"accept": "text/html"}
Make = Callable[..., TestClient]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def failing(client: TestClient, error: Exception) -> TestClient:
    """Add a page that raises."""
    app = client.app
    assert isinstance(app, FastAPI)

    @app.get("/fails")
    def fails(user: Viewer) -> None:
        raise error

    @app.get("/of/{case}")
    def of(case: int, user: Viewer, verdict: int = 0) -> dict[str, int]:
        return {"case": case}

    return client


@pytest.mark.parametrize("path", ["/login", "/nothing", "/static/site.css", "/api/openapi.json", "/livez", "/fails"])
def test_every_answer_carries_the_policy(client: TestClient, path: str) -> None:
    headers = failing(client, ZeroDivisionError()).get(path, headers=PAGE).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert "strict-transport-security" not in headers


def test_a_refusal_at_the_gate_carries_it_too(client: TestClient) -> None:
    assert client.get("/", headers={"host": "evil.example"}).headers["content-security-policy"] == POLICY


def test_over_https_browsers_are_told_to_stay_there(client_with: Make, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    oidc = {"issuer": "https://l", "client_id": "c", "client_secret_file": tmp_path / "secret", "viewers": ["v"]}
    client = client_with("https://cspine.hospital", url="https://cspine.hospital", oidc=oidc)
    assert client.get("/login").headers["strict-transport-security"] == "max-age=31536000"


def test_pages_are_not_kept_and_scripts_are_by_their_content(client: TestClient) -> None:
    page = client.get("/nothing", headers=PAGE)
    assert page.headers["cache-control"] == "no-store"
    script = page.text.split('<script src="')[1].split('"')[0]
    assert script.startswith("/static/vendor/htmx.min.js?v=")
    assert client.get(script).headers["cache-control"] == "public, max-age=31536000, immutable"
    assert client.get(script.split("?")[0]).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/absent"]
)
def test_nothing_beside_the_static_files_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UnknownCase("the journal has no case of this number"), 404, "unknown-case"),
        (IllegalTransition("delivered -> queued"), 409, "illegal-transition"),
        (SystemFailed("the node did not answer"), 503, "system-failed"),
        (PeerUnreachable("no association"), 502, "peer-unreachable"),
        (ZeroDivisionError("Doe^Jane"), 500, "unexpected"),
    ],
)
def test_an_error_is_a_page_for_people_and_a_document_for_programs(
    client: TestClient, error: Exception, status: int, code: str
) -> None:
    page = failing(client, error).get("/fails", headers=PAGE)
    assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert f'<p class="note">{code} &middot; HTTP {status}</p>' in page.text
    for headers in ({}, {**PAGE, "HX-Request": "true"}):
        document = client.get("/fails", headers=headers)
        told = document.json()["error"]
        assert (document.status_code, told["code"]) == (status, code)
        assert told["retryable"] is (isinstance(error, NodeError) and error.retryable)
        assert "Doe" not in page.text + document.text


def test_a_wrong_parameter_is_named_without_what_it_held(client: TestClient) -> None:
    answer = failing(client, ValueError()).get("/of/Doe", headers=PAGE)
    assert answer.status_code == 422
    assert "Case: Input should be a valid integer" in answer.text
    answer = client.get("/of/1?verdict=Doe")
    assert answer.json()["error"]["message"].startswith("verdict: Input should be a valid integer")
    assert "Doe" not in answer.text


@pytest.mark.parametrize(("method", "path", "status"), [("DELETE", "/login", 405), ("GET", "/nothing", 404)])
def test_what_does_not_exist_is_said_in_a_sentence(client: TestClient, method: str, path: str, status: int) -> None:
    token = client.get("/nothing", headers=PAGE).text.split('name="csrf-token" content="')[1].split('"')[0]
    answer = client.request(method, path, headers={"X-CSRF-Token": token})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == f"http-{status}"


def test_the_log_tells_who_looked_at_which_case_and_nothing_that_was_typed(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure(level="info", key=b"k")
    try:
        failing(client, ValueError("Doe^Jane")).get("/of/7?search=Doe")
        client.get("/of/7", headers={"Sec-Fetch-Dest": "empty"})
        client.post("/logout")
        client.get("/fails")
        client.get("/Doe")
        client.get(f"/of/{'9' * 5000}")
    finally:
        log.configure(level="warning", key=None)
    said = capsys.readouterr().err
    lines = [json.loads(line) for line in said.splitlines()]
    told = [(line["event"], line.get("page"), line.get("case"), line.get("status"), line.get("user")) for line in lines]
    assert told == [
        ("web request", "/of/{case}", 7, 200, "loopback"),
        ("web request", "/logout", None, 403, "loopback"),
        ("web request failed", None, None, None, None),
    ]
    assert "Doe" not in said


def test_the_scripts_of_others_are_what_the_list_says() -> None:
    assert differing() == []
    assert [(package["name"], package["version"], package["licence"]) for package in packages()] == [
        ("htmx.org", "2.0.11", "0BSD")
    ]


def test_a_changed_script_of_others_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The control."""
    for path in VENDOR.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "htmx.min.js").write_text("evil")
    (tmp_path / "more.js").write_text("")
    monkeypatch.setattr("node.web.vendored.VENDOR", tmp_path)
    monkeypatch.setattr("node.web.vendored.LIST", tmp_path / "vendored.toml")
    assert differing() == ["htmx.min.js", "more.js"]


@pytest.mark.peer("chromium", "orthanc")
def test_no_page_of_the_navigation_breaks_its_own_policy_or_has_a_serious_fault(visit: Callable[..., Page]) -> None:
    page = visit("/")
    for path, name in NAVIGATION:
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        assert page.locator("nav a[aria-current=page]").inner_text() == name
        assert page.locator("h1").count() == 1, path
        assert faults_in_both_schemes(page) == [], path


@pytest.mark.peer("chromium", "orthanc")
def test_the_first_tab_leads_past_the_navigation(visit: Callable[..., Page]) -> None:
    page = visit("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


@pytest.mark.peer("chromium", "orthanc")
def test_an_error_page_has_no_serious_fault(visit: Callable[..., Page]) -> None:
    page = visit("/nothing", expect_errors=True)
    assert page.locator(".warn").inner_text() == "There is no such page."
    shot(page, "error")
    assert faults_in_both_schemes(page) == []


@pytest.mark.peer("chromium", "orthanc")
def test_inline_script_and_style_are_refused_by_the_browser(node: LiveNode, visit: Callable[..., Page]) -> None:
    """The control of the policy: what somebody manages to write into a page does not run."""
    page = visit("/system", expect_errors=True)
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend", "<p id='inline' style='color: rgb(1, 2, 3)'>x</p>");
        }"""
    )
    assert page.evaluate("window.ran") is None
    assert page.evaluate("getComputedStyle(document.getElementById('inline')).color") != "rgb(1, 2, 3)"


@pytest.mark.parametrize("path", ["/logout", "/actions", "/login"])
def test_a_form_in_another_encoding_than_utf_8_is_refused(client: TestClient, path: str) -> None:
    lone = b'--b\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n\\ud800\r\n--b--\r\n'
    for charset, status in (("unicode_escape", 415), ("UTF-8", 403)):
        kind = f"multipart/form-data; boundary=b; charset={charset}"
        answer = client.post(path, content=lone, headers={"content-type": kind})
        assert answer.status_code == status, answer.text
