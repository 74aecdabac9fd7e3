"""What goes where: each destination gets the forms that it takes, and of a rejected result what its route says."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from oracle import write_blocks, write_neck
from pydicom.uid import ExplicitVRLittleEndian, RLELossless
from wired import ARCHIVE, Node, Shelf

from node import pipeline
from node.domain.findings import Doubt, Findings, Objection, Verdict
from node.errors import StoreFailed
from node.journal.overview import events

FORMS = {
    "archive": {},
    "viewer": {"key_images": True},
    "modern": {"segmentation": "labelmap", "report": "enhanced"},
}
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_neck(tmp_path / "neck")


def judge(monkeypatch: pytest.MonkeyPatch, verdict: Verdict) -> None:
    """Let every result have a verdict, for one reason."""
    measure = pipeline.measure

    def judged(*arguments: Any) -> Findings:
        found = measure(*arguments)
        text = "The lowest body is cut."
        objection = Objection(doubt=Doubt.TRUNCATED, verdict=verdict, text=text)
        fine = Objection(doubt=Doubt.SPECKS, verdict=Verdict.GOOD, text="Some specks were dropped.")
        return replace(found, quality=replace(found.quality, verdict=verdict, objections=(objection, fine)))

    monkeypatch.setattr(pipeline, "measure", judged)


def objects(shelf: Shelf) -> list[Any]:
    return [pydicom.dcmread(io.BytesIO(shelf.bytes[uid])) for uid in shelf.taken]


def on_disk(node: Node) -> list[str]:
    return sorted(path.name for path in (node.state_dir / "results").rglob("*.dcm"))


def run(state_dir: Path, files: list[Path], forms: Any = ARCHIVE, **rules: Any) -> Node:
    node = Node(state_dir, forms=forms, **rules)
    node.receive(files)
    node.settle()
    return node


def test_each_destination_gets_the_forms_that_it_takes(tmp_path: Path, files: list[Path]) -> None:
    node = run(tmp_path / "state", files, FORMS)
    archive, viewer, modern = (objects(node.shelves[name]) for name in FORMS)
    assert [item.Modality for item in archive] == ["SEG", "SR"]
    assert [item.SOPClassUID.name for item in archive] == ["Segmentation Storage", "Comprehensive 3D SR Storage"]
    assert [item.SOPInstanceUID for item in viewer[:2]] == [item.SOPInstanceUID for item in archive]
    assert len(viewer) == 6
    assert {item.SOPClassUID.name for item in viewer[2:]} <= {
        "Secondary Capture Image Storage",
        "Multi-frame True Color Secondary Capture Image Storage",
    }
    assert [str(item.SOPClassUID) for item in modern] == [LABEL_MAP_STORAGE, "1.2.840.10008.5.1.4.1.1.88.22"]
    assert [case["state"] for case in node.cases()] == ["delivered"]
    assert on_disk(node) == [
        *(f"key-{number}.dcm" for number in range(1, 5)),
        *("seg-labelmap.dcm", "seg.dcm", "sr-enhanced-labelmap.dcm", "sr.dcm"),
    ]
    node.journal.close()


def test_an_object_is_sent_in_the_transfer_syntax_that_its_file_has(tmp_path: Path, files: list[Path]) -> None:
    node = run(tmp_path / "state", files, {"modern": FORMS["modern"]})
    assert node.shelf.syntaxes == [RLELossless, ExplicitVRLittleEndian]
    assert on_disk(node) == ["seg-labelmap.dcm", "seg.dcm", "sr-enhanced-labelmap.dcm", "sr.dcm"]
    node.journal.close()


def test_key_images_go_out_last_even_where_the_rest_had_to_wait(tmp_path: Path, files: list[Path]) -> None:
    node = Node(tmp_path / "state", forms={"viewer": FORMS["viewer"]})
    node.receive(files)
    node.shelf.faults = [None, StoreFailed("0xA700")]
    node.settle()
    node.clock.now += 10
    node.outbox.deliver("viewer")
    assert [item["kind"] for item in node.cases()[0]["objects"]] == ["SEG", "SR", "SC", "SC", "SC", "SC"]
    assert [item.SOPClassUID.name.split()[0] for item in objects(node.shelf)][:2] == ["Segmentation", "Comprehensive"]
    assert node.cases()[0]["state"] == "delivered"
    node.journal.close()


def test_every_form_that_comes_back_is_known_as_an_own_result(tmp_path: Path, files: list[Path]) -> None:
    """By its equipment: the node that it comes to has never heard of it."""
    sent = run(tmp_path / "state", files, FORMS)
    taken = [content for shelf in sent.shelves.values() for content in shelf.bytes.values()]
    sent.journal.close()
    other = Node(tmp_path / "other")
    for number, content in enumerate(taken):
        returned = tmp_path / f"{number}.dcm"
        returned.write_bytes(content)
        other.receive([returned])
    other.settle()
    assert {(case["state"], case["reasons"][0]["code"]) for case in other.cases()} == {("rejected", "own-result")}
    assert other.segmenter.calls == 0
    other.journal.close()


def test_a_rejected_result_is_a_report_that_says_so_and_what_was_found_stays_on_the_disk(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(monkeypatch, Verdict.REJECT)
    node = run(tmp_path / "state", files, FORMS)
    assert [[item.Modality for item in objects(shelf)] for shelf in node.shelves.values()] == [["SR"]] * 3
    assert {"seg.dcm", "sr.dcm"} <= set(on_disk(node))
    [case] = node.cases()
    assert case["state"] == "delivered"
    assert case["reasons"] == [{"code": "truncated-field-of-view", "text": "reject: The lowest body is cut."}]
    node.journal.close()


def test_a_route_may_send_nothing_of_a_rejected_result_and_the_journal_says_so(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(monkeypatch, Verdict.REJECT)
    node = run(tmp_path / "state", files, FORMS, on_reject="nothing")
    assert [shelf.taken for shelf in node.shelves.values()] == [[], [], []]
    [case] = node.cases()
    assert (case["state"], node.codes()) == ("delivered", ["withheld", "truncated-field-of-view"])
    assert [item["destination"] for item in case["objects"]] == [None] * len(on_disk(node))
    trail = events(node.journal.store, series_uid=case["series_uid"])
    assert [event["what"] for event in trail][-2:] == ["case sending", "case delivered"]
    assert [reason["code"] for reason in trail[-2]["detail"]["reasons"]] == ["withheld", "truncated-field-of-view"]
    node.journal.close()


@pytest.mark.parametrize(("verdict", "codes"), [(Verdict.REVIEW, ["truncated-field-of-view"]), (Verdict.GOOD, [])])
def test_a_result_that_is_to_be_looked_at_is_sent_with_its_reason_in_the_journal(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch, verdict: Verdict, codes: list[str]
) -> None:
    judge(monkeypatch, verdict)
    node = run(tmp_path / "state", files)
    assert [item.Modality for item in objects(node.shelf)] == ["SEG", "SR"]
    assert node.codes() == codes
    [document] = (node.state_dir / "results").rglob("findings.json")
    assert json.loads(document.read_text())["quality"]["verdict"] == verdict.value
    node.journal.close()


@pytest.mark.parametrize("rules", [{"segments": "classes"}, {"on_reject": "nothing"}])
def test_what_a_route_makes_of_a_series_decides_its_uids(
    tmp_path: Path, files: list[Path], rules: dict[str, str]
) -> None:
    nodes = [run(tmp_path / name, files, **own) for name, own in (("one", {}), ("two", {}), ("three", rules))]
    one, two, three = (set(node.shelf.taken) for node in nodes)
    assert one == two
    assert one.isdisjoint(three)
    for node in nodes:
        node.journal.close()


@pytest.mark.parametrize(("segments", "numbers"), [("structures", [1, 2, 3]), ("classes", [1, 2, 1])])
def test_findings_json_says_in_which_segment_a_structure_is(
    tmp_path: Path, files: list[Path], segments: str, numbers: list[int]
) -> None:
    node = run(tmp_path / "state", files, segments=segments)
    [document] = (node.state_dir / "results").rglob("findings.json")
    found = json.loads(document.read_text())["structures"]
    assert [structure["segment"] for structure in found[:3]] == numbers
    names = {item.SegmentNumber: item.SegmentLabel for item in objects(node.shelf)[0].SegmentSequence}
    expected = {"structures": "C2/C3 intervertebral disc", "classes": "Intervertebral discs"}
    assert (found[1]["level"], names[found[1]["segment"]]) == ("C2/C3", expected[segments])
    node.journal.close()


def test_what_another_destination_takes_changes_no_uid_and_no_byte(tmp_path: Path, files: list[Path]) -> None:
    alone, among = run(tmp_path / "one", files), run(tmp_path / "two", files, FORMS)
    assert alone.shelves["archive"].bytes == among.shelves["archive"].bytes
    for node in (alone, among):
        node.journal.close()


def test_a_route_without_destinations_keeps_the_default_forms_on_the_disk(tmp_path: Path) -> None:
    node = run(tmp_path / "state", write_blocks(tmp_path / "blocks"), FORMS, destinations=[])
    assert [case["state"] for case in node.cases()] == ["delivered"]
    assert on_disk(node) == ["seg.dcm", "sr.dcm"]
    node.journal.close()
