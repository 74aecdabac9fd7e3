"""What an operator does on a page happens in the node that runs; a viewer, and a page without a node, do nothing."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from starlette.testclient import TestClient
from website import LiveNode, faults_in_both_schemes, shot, web_page

from node.journal.dossier import dossier
from node.settings import WebSettings

Visit = Callable[..., Page]


def press(page: Page, name: str) -> None:
    page.get_by_role("group", name="What can be done").get_by_role("button", name=name, exact=True).click()


def standing(page: Page) -> str:
    return page.locator(".standing .state").first.inner_text()


@pytest.mark.peer("orthanc")
@pytest.mark.peer("chromium")
def test_a_case_is_held_released_and_cancelled(node: LiveNode, visit: Visit) -> None:
    case = node.new_case("held by hand", state="sending", SeriesDescription="SAG T2 SECOND READER")
    page = visit(f"/cases/{case}")
    press(page, "Hold")
    expect(page.locator(".standing")).to_contain_text("held")
    shot(page, "case-held")
    press(page, "Release")
    expect(page.locator(".standing")).to_contain_text("sending")
    press(page, "Cancel")
    expect(page.locator(".standing")).to_contain_text("cancelled")
    assert node.state(case) == "cancelled"
    assert [event.detail["action"] for event in dossier(node.store, case).events if event.what == "operator asked"] == [
        "hold", "release", "cancel",
    ]  # fmt: skip
    expect(page.locator(".timeline")).to_contain_text("by loopback; hold")


@pytest.mark.peer("orthanc")
@pytest.mark.peer("chromium")
def test_a_button_that_is_clicked_twice_asks_once(node: LiveNode, visit: Visit) -> None:
    case = node.new_case("clicked twice", state="sending", SeriesDescription="SAG T2 SECOND READER")
    page = visit(f"/cases/{case}")
    page.get_by_role("button", name="Hold").dblclick()
    expect(page.locator(".standing")).to_contain_text("held")
    page.get_by_role("button", name="Cancel").dblclick()
    expect(page.locator(".standing")).to_contain_text("cancelled")
    asked = [event.detail["action"] for event in dossier(node.store, case).events if event.what == "operator asked"]
    assert asked == ["hold", "cancel"]


@pytest.mark.peer("orthanc")
@pytest.mark.peer("chromium")
def test_a_delivered_case_is_sent_to_another_destination(node: LiveNode, visit: Visit) -> None:
    case = node.new_case("sent elsewhere", state="delivered")
    page = visit(f"/cases/{case}")
    page.get_by_label("Send to").select_option("elsewhere")
    press(page, "Send to")
    expect(page.locator(".standing")).to_contain_text("sending")
    expect(page.get_by_role("row", name=re.compile("sr.dcm SR elsewhere pending"))).to_be_visible()
    press(page, "Cancel")
    expect(page.locator(".standing")).to_contain_text("cancelled")


@pytest.mark.peer("orthanc")
@pytest.mark.peer("chromium")
def test_a_delivered_case_is_sent_once_more_and_arrives(node: LiveNode, visit: Visit) -> None:
    case = node.new_case("sent again", state="delivered")
    page = visit(f"/cases/{case}")
    page.get_by_label("Send to").select_option("archive")
    press(page, "Send to")
    expect(page.locator(".timeline")).to_contain_text("delivery repeated")
    expect(page.locator(".timeline li strong").last).to_have_text("case delivered", timeout=30_000)
    expect(page.locator(".standing")).to_contain_text("delivered")


@pytest.mark.peer("orthanc")
@pytest.mark.peer("chromium")
def test_a_case_is_reprocessed_as_a_new_revision(node: LiveNode, visit: Visit) -> None:
    case = node.new_case("reprocessed", state="delivered")
    page = visit(f"/cases/{case}")
    press(page, "Reprocess")
    expect(page.get_by_role("link", name="revision 2")).to_be_visible(timeout=30_000)
    assert page.get_by_role("button", name="Reprocess").count() == 0
    page.get_by_role("link", name="revision 2").click()
    expect(page.locator(".facts")).to_contain_text("revision 1 delivered")
    assert faults_in_both_schemes(page) == []


@pytest.mark.peer("orthanc")
@pytest.mark.peer("chromium")
def test_a_quarantined_case_is_tried_again_without_scripts(node: LiveNode, visit: Visit) -> None:
    case = node.new_case("tried again", kind="gap", state="quarantined")
    page = visit(f"/cases/{case}", java_script_enabled=False)
    press(page, "Retry")
    node.until(dossier(node.store, case).case.series_uid, "quarantined")
    page.reload()
    assert page.locator(".timeline li strong").all_inner_texts().count("case running") == 2
    assert standing(page) == "quarantined"


@pytest.mark.peer("orthanc")
@pytest.mark.peer("chromium")
def test_what_the_state_forbids_is_told_on_a_page(node: LiveNode, visit: Visit) -> None:
    case = node.new_case("too late", state="sending", SeriesDescription="SAG T2 SECOND READER")
    page = visit(f"/cases/{case}", java_script_enabled=False, expect_errors=True)
    assert node.ask(do="cancel", cases=[case])["exit_code"] == 0
    press(page, "Hold")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not possible now")
    expect(page.get_by_text(f"case {case} cannot go from cancelled to held")).to_be_visible()


@pytest.mark.peer("orthanc")
@pytest.mark.peer("chromium")
def test_a_viewer_sees_no_buttons_and_is_refused(node: LiveNode, visit: Visit) -> None:
    with web_page(node.site_with(WebSettings(loopback_role="viewer"))) as url:
        page = visit(f"{url}/cases/{node.cases['held']}")
        assert page.get_by_role("group", name="What can be done").count() == 0
        token = page.locator("meta[name=csrf-token]").get_attribute("content")
        refused = page.request.post(
            f"{url}/cases/{node.cases['held']}/release", headers={"x-csrf-token": str(token), "origin": url}
        )
        assert (refused.status, refused.json()["error"]["message"]) == (403, "operators only")
        visit(f"{url}/")
    assert node.state(node.cases["held"]) == "held"


def csrf(client: TestClient) -> dict[str, str]:
    """Return the header that a page of ours would send."""
    page = client.get("/", headers={"accept": "text/html"}).text
    found = re.search(r'name="csrf-token" content="([^"]+)"', page)
    assert found
    return {"x-csrf-token": found.group(1)}


def test_without_a_node_the_page_says_so(client: TestClient) -> None:
    answer = client.post("/cases/1/hold", headers=csrf(client))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "system-failed")
    assert "the node does not run" in answer.json()["error"]["message"]


def test_a_change_without_the_token_of_a_page_is_refused(client: TestClient) -> None:
    assert client.post("/cases/1/hold").status_code == 403
    assert client.post("/actions", data={"action": "hold", "case": "1"}).status_code == 403


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [
        ("/cases/1/purge", {}, 404),
        ("/cases/0/hold", {}, 422),
        ("/cases/99999999999/hold", {}, 422),
        ("/actions", {"action": "send", "case": "1"}, 404),
        ("/actions", {"action": "hold"}, 422),
        ("/actions", {"action": "hold", "case": ["1"] * 201}, 422),
    ],
)
def test_what_is_no_action_is_refused(client: TestClient, path: str, data: dict[str, str], status: int) -> None:
    assert client.post(path, data=data, headers=csrf(client)).status_code == status
