"""The worklist in a browser: what it shows, finds and pages through, and that it keeps itself up to date."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from website import LiveNode, faults_in_both_schemes, shot, web_page

from node.journal.worklist import listed
from node.settings import WebSettings

Visit = Callable[..., Page]
pytestmark = [pytest.mark.peer("orthanc"), pytest.mark.peer("chromium")]


def numbers(page):
    return [int(text) for text in page.locator("table.worklist tbody th a").all_inner_texts()]


def row(page, case):
    return page.locator("table.worklist tbody tr", has=page.locator(f"#case-{case}"))


def test_the_worklist_shows_every_case_with_its_state_and_where_it_went(node: LiveNode, visit: Visit) -> None:
    page = visit("/")
    shot(page, "worklist")
    assert set(node.cases.values()) <= set(numbers(page))
    assert numbers(page) == sorted(numbers(page), reverse=True)
    delivered = row(page, node.cases["delivered"])
    expect(delivered).to_contain_text("archive: 2 of 2")
    expect(delivered.locator("td .state")).to_have_text(["delivered", "good"])
    expect(row(page, node.cases["rejected"])).to_contain_text("region")
    expect(row(page, node.cases["quarantined"])).to_contain_text("quarantined")
    expect(row(page, node.cases["held"])).to_contain_text("held")


def test_the_worklist_has_no_serious_accessibility_fault(node: LiveNode, visit: Visit) -> None:
    assert faults_in_both_schemes(visit("/")) == []


def test_a_filter_narrows_the_list_at_once_and_stands_in_the_address(node: LiveNode, visit: Visit) -> None:
    page = visit("/")
    page.get_by_label("State", exact=True).select_option("rejected")
    expect(page.locator("table.worklist tbody tr")).to_have_count(1)
    assert numbers(page) == [node.cases["rejected"]]
    expect(page).to_have_url(re.compile(r"/\?state=rejected$"))
    page.get_by_label("Route", exact=True).select_option("second")
    expect(page.get_by_text("No case fits.")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    assert len(numbers(page)) >= 7


def test_a_search_for_a_number_or_a_uid_finds_the_case(node: LiveNode, visit: Visit) -> None:
    page = visit("/")
    case = node.cases["delivered"]
    page.get_by_label("Search", exact=True).fill(str(case))
    expect(page.locator("table.worklist tbody tr")).to_have_count(1)
    uid = listed(node.store, case).series_uid
    page.goto(f"/?text={uid}")
    expect(page.get_by_text("UIDs are not searched for you.")).to_be_visible()
    with web_page(node.site_with(WebSettings(loopback_sees_identifiers=True))) as url:
        assert numbers(visit(f"{url}/?text={uid}")) == [case]


def test_without_scripts_the_search_is_a_form(node: LiveNode, visit: Visit) -> None:
    page = visit("/", java_script_enabled=False)
    page.get_by_label("State", exact=True).select_option("quarantined")
    page.get_by_role("button", name="Search").click()
    assert node.cases["quarantined"] in numbers(page)
    assert {node.state(case) for case in numbers(page)} == {"quarantined"}


def test_a_new_case_comes_up_by_itself_and_marks_stay(node: LiveNode, visit: Visit) -> None:
    page = visit("/")
    marked = node.cases["delivered"]
    page.get_by_label(f"Mark case {marked}", exact=True).check()
    expect(page.locator("#marked")).to_have_text("1 marked")
    case = node.new_case("comes up")
    expect(page.locator(f"#case-{case}")).to_be_visible()
    expect(row(page, case).locator("td .state").first).to_have_text("delivered")
    expect(page.get_by_label(f"Mark case {marked}", exact=True)).to_be_checked()
    expect(page.locator("#marked")).to_have_text("1 marked")


def test_the_keyboard_reaches_a_case(node: LiveNode, visit: Visit) -> None:
    page = visit(f"/?text={node.cases['delivered']}")
    link = page.locator(f"#case-{node.cases['delivered']}")
    for _ in range(40):
        page.keyboard.press("Tab")
        if link.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Case {node.cases['delivered']}")


def test_several_cases_are_held_and_each_is_answered(node: LiveNode, visit: Visit) -> None:
    waiting = node.new_case("held of many", state="sending", SeriesDescription="SAG T2 SECOND READER")
    page = visit("/")
    for case in (waiting, node.cases["rejected"]):
        page.get_by_label(f"Mark case {case}", exact=True).check()
    page.get_by_label("With the marked cases").select_option("hold")
    page.get_by_role("button", name="Do it").click()
    shot(page, "worklist-many")
    expect(page.get_by_role("row", name=re.compile(f"^{waiting} sending held"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("not done"))).to_contain_text("cannot go from rejected to held")
    assert faults_in_both_schemes(page) == []
    assert (node.state(waiting), node.state(node.cases["rejected"])) == ("held", "rejected")
