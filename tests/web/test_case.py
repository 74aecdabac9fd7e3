"""The page of a case in a browser: what happened and why, what was found, where it went, and what can be done."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Page, expect
from website import LiveNode, faults_in_both_schemes, shot, web_page

from node.journal.dossier import dossier
from node.journal.worklist import listed
from node.settings import WebSettings

Visit = Callable[..., Page]
pytestmark = [pytest.mark.peer("orthanc"), pytest.mark.peer("chromium")]


def test_a_delivered_case_tells_its_whole_story(node: LiveNode, visit: Visit) -> None:
    page = visit(f"/cases/{node.cases['delivered']}")
    shot(page, "case-delivered")
    happened = page.locator(".timeline li strong").all_inner_texts()
    assert happened[:4] == ["series receiving", "case queued", "case running", "case sending"]
    assert happened[-1] == "case delivered"
    expect(page.locator(".timeline")).to_contain_text("found by query")
    expect(page.locator(".standing")).to_contain_text("delivered")
    sent = page.locator("section", has=page.get_by_role("heading", name="Results and where they went"))
    expect(sent.get_by_role("row", name=re.compile("seg.dcm SEG archive delivered"))).to_be_visible()
    stages = page.locator(".stages th").all_inner_texts()
    assert stages == ["volume", "segment", "measure", "draw", "encode"]


def test_the_measurements_are_plotted_along_the_spine_and_stand_in_a_table(node: LiveNode, visit: Visit) -> None:
    page = visit(f"/cases/{node.cases['delivered']}")
    plots = page.locator(".plot svg[role=img]")
    labels = [plots.nth(number).get_attribute("aria-label") for number in range(plots.count())]
    assert any(re.match(r"Height of the discs .*C2/C3 to C7/T1", str(label)) for label in labels), labels
    rows = page.locator(".measures tbody th").all_inner_texts()
    assert rows[:3] == ["C2", "C2/C3", "C3"]
    assert "T1" in rows
    expect(page.locator(".overlay")).to_have_js_property("complete", True)


def test_a_rejected_case_says_why_no_route_took_it(node: LiveNode, visit: Visit) -> None:
    page = visit(f"/cases/{node.cases['rejected']}")
    shot(page, "case-rejected")
    why = page.locator("section", has=page.get_by_role("heading", name="Why no route took it"))
    expect(why).to_contain_text("cervical: StudyDescription names another region")
    expect(why).to_contain_text("second: SeriesDescription matches no pattern")
    assert page.get_by_role("button", name="Retry").count() == 0


def test_a_quarantined_case_says_why_it_stopped(node: LiveNode, visit: Visit) -> None:
    page = visit(f"/cases/{node.cases['quarantined']}")
    shot(page, "case-quarantined")
    expect(page.get_by_role("heading", name="Why it stopped")).to_be_visible()
    expect(page.get_by_role("button", name="Retry")).to_be_visible()


@pytest.mark.parametrize("name", ["delivered", "rejected", "held"])
def test_no_case_has_a_serious_accessibility_fault(node: LiveNode, visit: Visit, name: str) -> None:
    assert faults_in_both_schemes(visit(f"/cases/{node.cases[name]}")) == []


def test_the_patient_is_shown_to_those_who_may_see_it_and_the_files_too(node: LiveNode, visit: Visit) -> None:
    with web_page(node.site_with(WebSettings(loopback_sees_identifiers=True))) as url:
        page = visit(f"{url}/cases/{node.cases['delivered']}")
        shot(page, "case-identified")
        assert faults_in_both_schemes(page) == []
        expect(page.get_by_label("Patient and study")).to_contain_text("Patient ID")
        expect(page.locator("#live")).to_contain_text(str(listed(node.store, node.cases["delivered"]).series_uid))
        with page.expect_download() as download:
            page.get_by_role("link", name="seg.dcm").first.click()
    assert download.value.suggested_filename == f"case-{node.cases['delivered']}-seg.dcm"
    assert pydicom.dcmread(Path(download.value.path())).Modality == "SEG"


def test_from_others_the_patient_is_hidden_and_so_are_uids_and_objects(node: LiveNode, visit: Visit) -> None:
    case = listed(node.store, node.cases["delivered"])
    data_set = pydicom.dcmread(node.settings.node.state_dir / dossier(node.store, case.case_id).received[0])
    page = visit(f"/cases/{case.case_id}")
    for secret in (case.series_uid, case.study_uid, str(data_set.PatientID), str(data_set.PatientName)):
        assert secret
        assert secret not in page.content()
    refused = page.request.get(f"/cases/{case.case_id}/files/seg.dcm")
    assert (refused.status, refused.json()["error"]["message"]) == (403, "a DICOM object names its patient")


def test_the_table_of_measurements_and_the_findings_are_downloaded(node: LiveNode, visit: Visit) -> None:
    page = visit(f"/cases/{node.cases['delivered']}")
    with page.expect_download() as download:
        page.get_by_role("link", name="findings.json").click()
    assert json.loads(Path(download.value.path()).read_text())["structures"][0]["level"] == "C2"


def test_a_case_that_is_not_there_is_said_so(node: LiveNode, visit: Visit) -> None:
    page = visit("/cases/99999", expect_errors=True)
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    expect(page.get_by_text("the journal has no case 99999")).to_be_visible()
