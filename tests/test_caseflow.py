"""The live way of a case, step by step, with a segmenter that needs no network and a clock that the tests turn."""

import errno
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from oracle import OracleSegmenter, failure, write_blocks
from pydicom.uid import JPEG2000Lossless
from wired import GatedSegmenter, Node, first_case_running

from node.caseflow import Caseflow, Closing
from node.errors import (
    BundleError,
    ContextsRefused,
    EngineError,
    JournalError,
    PeerUnreachable,
    StoreFailed,
    StoreRefused,
)
from node.journal.overview import events, overview


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "state")
    yield made
    made.journal.close()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_blocks(tmp_path / "blocks")


def test_a_complete_series_becomes_one_seg_and_one_sr_at_the_destination(node: Node, files: list[Path]) -> None:
    node.receive(files)
    node.settle()
    [case] = node.cases()
    assert case["state"] == "delivered"
    assert [item["kind"] for item in case["objects"]] == ["SEG", "SR"]
    modalities = [pydicom.dcmread(io.BytesIO(node.shelf.bytes[uid])).Modality for uid in node.shelf.taken]
    assert modalities == ["SEG", "SR"]


def test_a_series_is_not_closed_before_its_quiet_time(node: Node, files: list[Path]) -> None:
    node.receive(files)
    node.traffic.arrived(pydicom.dcmread(files[0]).SeriesInstanceUID, 1)
    node.clock.now = 29.9
    assert node.flow.close() == Closing(cases=0, wait_s=pytest.approx(0.1))
    node.clock.now = 30.0
    assert node.flow.close() == Closing(cases=1, wait_s=None)


def test_results_lie_on_the_disk_beside_their_findings_and_picture(node: Node, files: list[Path]) -> None:
    node.receive(files)
    node.settle()
    folder = (node.state_dir / node.cases()[0]["objects"][0]["path"]).parent
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["case.json", "findings.json", "measurements.tsv", "overlay.png", "seg.dcm", "sr.dcm"]
    document = json.loads((folder / "findings.json").read_text())
    assert [found["kind"] for found in document["structures"]] == [
        "vertebral_body",
        "intervertebral_disc",
        "vertebral_body",
    ]
    assert [found["volume_mm3"] for found in document["structures"]] == [1960.0, 980.0, 1960.0]


def test_the_same_series_gives_the_same_bytes_on_another_node(tmp_path: Path, files: list[Path]) -> None:
    contents = []
    for name in ("one", "two"):
        node = Node(tmp_path / name)
        node.receive(files)
        node.settle()
        node.journal.close()
        contents.append(node.shelf.bytes)
    assert contents[0] == contents[1]
    assert len(contents[0]) == 2


def test_a_refused_series_keeps_its_reasons_and_its_files(node: Node, files: list[Path]) -> None:
    for file in files:
        data_set = pydicom.dcmread(file)
        data_set.EchoTime = 12
        data_set.save_as(file)
    node.receive(files)
    node.settle()
    [case] = node.cases()
    assert case["state"] == "rejected"
    assert node.codes() == ["echo-time"]
    assert len(list((node.state_dir / "spool").rglob("*.dcm"))) == len(files)
    assert node.shelf.taken == []


def test_own_results_that_come_back_are_never_segmented_again(node: Node, files: list[Path], tmp_path: Path) -> None:
    node.receive(files)
    node.settle()
    for number, uid in enumerate(node.shelf.taken):
        returned = tmp_path / f"{number}.dcm"
        returned.write_bytes(node.shelf.bytes[uid])
        node.receive([returned])
    node.settle()
    assert [case["state"] for case in node.cases()] == ["delivered", "rejected", "rejected"]
    assert node.codes() == ["own-result"]
    assert node.segmenter.calls == 1


def test_a_late_slice_makes_a_new_revision_with_new_objects(node: Node, files: list[Path]) -> None:
    node.receive(files[:-1])
    node.settle()
    first = list(node.shelf.taken)
    node.receive(files[-1:])
    node.settle()
    assert [(case["revision"], case["state"]) for case in node.cases()] == [(1, "delivered"), (2, "delivered")]
    assert len(set(first) | set(node.shelf.taken)) == 4


def test_a_late_slice_supersedes_a_case_that_was_not_sent(node: Node, files: list[Path]) -> None:
    node.shelf.faults = [PeerUnreachable("down")]
    node.receive(files[:-1])
    node.settle()
    node.receive(files[-1:])
    node.settle()
    assert [(case["revision"], case["state"]) for case in node.cases()] == [(1, "superseded"), (2, "delivered")]
    assert len(node.shelf.taken) == 2


def test_a_slice_that_arrives_between_closing_and_working_supersedes_the_case(node: Node, files: list[Path]) -> None:
    node.receive(files[:-1])
    node.close()
    node.receive(files[-1:])
    node.flow.work()
    assert [case["state"] for case in node.cases()] == ["superseded"]
    node.settle()
    assert [case["state"] for case in node.cases()] == ["superseded", "delivered"]
    assert node.segmenter.calls == 1


def test_a_duplicate_changes_nothing(node: Node, files: list[Path]) -> None:
    node.receive(files)
    node.settle()
    node.receive(files)
    node.settle()
    assert len(node.cases()) == 1
    assert node.segmenter.calls == 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("missing position", "missing-geometry"),
        ("truncated", "truncated-file"),
        ("gap", "slice-gap"),
        ("twin", "duplicate-position"),
        ("size", "mixed-size"),
        ("turned", "mixed-orientation"),
        ("undecodable", "undecodable-pixels"),
        ("unknown transfer syntax", "unsupported-transfer-syntax"),
    ],
)
def test_bad_input_is_quarantined_under_the_name_of_its_fault(
    node: Node, files: list[Path], fault: str, code: str
) -> None:
    spoil(files, fault)
    node.receive(files)
    node.settle()
    [case] = node.cases()
    assert (case["state"], node.codes()) == ("quarantined", [code])
    assert node.shelf.taken == []
    assert len(list((node.state_dir / "spool").rglob("*.dcm"))) == len(files)


def test_a_series_of_one_slice_is_refused_by_name(node: Node, files: list[Path]) -> None:
    node.receive(files[:1])
    node.settle()
    assert (node.cases()[0]["state"], node.codes()) == ("rejected", ["too-few-slices"])


def test_bytes_that_are_no_dicom_are_quarantined_and_the_rest_goes_on(
    node: Node, files: list[Path], tmp_path: Path
) -> None:
    noise = tmp_path / "noise"
    noise.write_bytes(b"\x00\x01not dicom at all" * 50)
    node.receive([noise, *files])
    node.settle()
    state = overview(node.journal.store, latest=10)
    assert [row["code"] for row in state["latest_quarantined"]] == ["not-dicom"]
    assert (node.state_dir / state["latest_quarantined"][0]["path"]).read_bytes() == noise.read_bytes()
    assert node.cases()[0]["state"] == "delivered"


def test_an_engine_that_fails_once_is_tried_again(tmp_path: Path, files: list[Path]) -> None:
    node = Node(tmp_path / "state", OracleSegmenter([failure(EngineError)]))
    node.receive(files)
    node.settle()
    assert [(case["state"], case["attempts"]) for case in node.cases()] == [("delivered", 2)]
    node.journal.close()


@pytest.mark.parametrize(
    ("fault", "code", "attempts"),
    [
        (failure(EngineError), "engine-error", 3),
        (failure(BundleError), "bundle-error", 1),
        (ZeroDivisionError("ZZSECRET^NAME"), "unexpected", 3),
    ],
)
def test_a_poison_case_is_quarantined_and_the_next_one_runs(
    tmp_path: Path, files: list[Path], fault: Exception, code: str, attempts: int
) -> None:
    node = Node(tmp_path / "state", OracleSegmenter([fault] * attempts))
    node.receive(files)
    node.settle()
    assert [(case["state"], case["attempts"]) for case in node.cases()] == [("quarantined", attempts)]
    assert node.codes() == [code]
    assert "ZZSECRET" not in json.dumps(node.cases())
    node.receive(write_blocks(tmp_path / "other", name="other"))
    node.settle()
    assert node.cases()[-1]["state"] == "delivered"
    node.journal.close()


def test_an_unreachable_destination_is_tried_again_with_the_same_bytes(node: Node, files: list[Path]) -> None:
    node.shelf.faults = [PeerUnreachable("down"), PeerUnreachable("down")]
    node.receive(files)
    node.settle()
    before = {path: path.read_bytes() for path in (node.state_dir / "results").rglob("*.dcm")}
    wait = node.outbox.deliver("archive")
    assert wait is not None
    assert 2.5 <= wait <= 5
    node.clock.now += 5
    assert node.outbox.deliver("archive") is not None
    node.clock.now += 10
    assert node.outbox.deliver("archive") is None
    assert node.cases()[0]["state"] == "delivered"
    assert sorted(node.shelf.bytes.values()) == sorted(before.values())


def test_an_object_that_fails_for_a_while_is_sent_alone_the_next_time(node: Node, files: list[Path]) -> None:
    node.shelf.faults = [None, StoreFailed("0xA700")]
    node.receive(files)
    node.settle()
    assert node.cases()[0]["state"] == "sending"
    node.clock.now += 5
    node.outbox.deliver("archive")
    assert node.cases()[0]["state"] == "delivered"
    assert len(node.shelf.taken) == len(set(node.shelf.taken)) == 2


def test_an_object_that_is_refused_for_good_is_not_sent_for_ever(node: Node, files: list[Path]) -> None:
    node.shelf.faults = [StoreRefused("not supported")]
    node.receive(files)
    node.settle()
    [case] = node.cases()
    assert case["state"] == "undelivered"
    assert [(item["kind"], item["state"]) for item in case["objects"]] == [("SEG", "refused"), ("SR", "delivered")]
    assert node.outbox.deliver("archive") is None


def test_a_destination_that_takes_no_such_object_ends_the_case_undelivered(node: Node, files: list[Path]) -> None:
    node.shelf.faults = [ContextsRefused("none of the presentation contexts")]
    node.receive(files)
    node.settle()
    assert node.cases()[0]["state"] == "undelivered"
    assert node.outbox.deliver("archive") is None


def test_a_result_that_changed_on_the_disk_is_never_sent(node: Node, files: list[Path]) -> None:
    node.shelf.faults = [PeerUnreachable("down")]
    node.receive(files)
    node.settle()
    for name, content in (("seg.dcm", b"rot"), ("sr.dcm", None)):
        [path] = (node.state_dir / "results").rglob(name)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
    node.clock.now += 10
    node.outbox.deliver("archive")
    [case] = node.cases()
    assert case["state"] == "undelivered"
    assert [item["code"] for item in case["objects"]] == ["result-damaged", "result-damaged"]
    assert node.shelf.taken == []


def test_a_route_that_is_gone_quarantines_its_case(tmp_path: Path, files: list[Path]) -> None:
    node = Node(tmp_path / "state")
    node.receive(files)
    node.close()
    node.journal.close()
    renamed = Node(tmp_path / "state", route="another")
    renamed.flow.work()
    assert (renamed.cases()[0]["state"], renamed.codes()) == ("quarantined", ["settings-error"])
    renamed.journal.close()


def test_a_spooled_file_that_is_gone_quarantines_its_series_and_the_next_one_runs(
    node: Node, files: list[Path], tmp_path: Path
) -> None:
    node.receive(files)
    next((node.state_dir / "spool").rglob("*.dcm")).unlink()
    node.receive(write_blocks(tmp_path / "other", name="other"))
    node.settle()
    assert {case["state"] for case in node.cases()} == {"quarantined", "delivered"}
    [broken] = [case for case in node.cases() if case["state"] == "quarantined"]
    assert [reason["code"] for reason in broken["reasons"]] == ["system-failed"]


@pytest.mark.parametrize("step", ["node.results.write_case", "node.verdict.gather", "node.caseflow.run_case"])
def test_a_full_disk_costs_a_case_no_attempt(
    node: Node, files: list[Path], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_arguments: object, **_keywords: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    node.receive(files)
    node.close()
    with monkeypatch.context() as patch:
        patch.setattr(step, full)
        for _ in range(5):
            with pytest.raises(OSError, match="No space left"):
                node.flow.work()
    assert [(case["state"], case["attempts"]) for case in node.cases()] == [("queued", 0)]
    node.settle()
    assert node.cases()[0]["state"] == "delivered"


def test_a_full_disk_does_not_quarantine_a_series_before_it_is_judged(
    node: Node, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_keywords: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    node.receive(files)
    node.flow.close()
    node.clock.now += 1000
    with monkeypatch.context() as patch:
        patch.setattr("node.verdict.gather", full)
        for _ in range(5):
            with pytest.raises(OSError, match="No space left"):
                node.flow.close()
    assert node.cases() == []
    node.settle()
    assert [case["state"] for case in node.cases()] == ["delivered"]


def test_a_case_that_a_failing_journal_left_behind_is_taken_up_again(
    node: Node, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_keywords: object) -> None:
        raise JournalError("disk I/O error")

    node.receive(files)
    node.close()
    with monkeypatch.context() as patch:
        for method in ("finish", "put_back", "fail"):
            patch.setattr(node.journal.cases, method, broken)
        with pytest.raises(JournalError):
            node.flow.work()
    assert node.cases()[0]["state"] == "running"
    node.settle()
    assert node.cases()[0]["state"] == "delivered"


def test_a_second_worker_takes_the_next_case_and_leaves_the_running_one_alone(
    tmp_path: Path, files: list[Path]
) -> None:
    segmenter = GatedSegmenter()
    node = Node(tmp_path / "state", segmenter)
    node.receive(files)
    node.receive(write_blocks(tmp_path / "other", name="other"))
    node.close()
    with first_case_running(node, segmenter):
        assert node.flow.work()
        assert not node.flow.work()
        assert sorted(case["state"] for case in node.cases()) == ["running", "sending"]
    assert [(case["state"], case["attempts"]) for case in node.cases()] == [("sending", 1), ("sending", 1)]
    node.journal.close()


def test_a_revision_that_is_done_before_the_one_it_supersedes_is_the_only_one_delivered(
    tmp_path: Path, files: list[Path]
) -> None:
    segmenter = GatedSegmenter()
    node = Node(tmp_path / "state", segmenter)
    node.receive(files[:-1])
    node.close()
    with first_case_running(node, segmenter):
        node.receive(files[-1:])
        node.settle()
        assert [case["state"] for case in node.cases()] == ["superseded", "delivered"]
    node.settle()
    assert [case["state"] for case in node.cases()] == ["superseded", "delivered"]
    assert len(node.shelf.taken) == 2
    node.journal.close()


def test_an_engine_that_cannot_be_had_costs_no_case_an_attempt(node: Node, files: list[Path]) -> None:
    def lost() -> OracleSegmenter:
        raise BundleError("another bundle than at the start")

    node.receive(files)
    node.close()
    with pytest.raises(BundleError):
        Caseflow(node.settings, node.journal, node.traffic, lost, node.clock).work()
    assert [(case["state"], case["attempts"]) for case in node.cases()] == [("queued", 0)]


def test_a_case_survives_nine_deaths_of_the_process_and_not_the_tenth(tmp_path: Path, files: list[Path]) -> None:
    node = Node(tmp_path / "state")
    node.receive(files)
    node.close()
    for _ in range(9):
        assert node.journal.cases.claim("a process that dies") is not None
        assert node.journal.cases.release_claims(node.settings.work.restarts) == 1
        assert node.cases()[0]["state"] == "queued"
    node.journal.cases.claim("a process that dies")
    node.journal.cases.release_claims(node.settings.work.restarts)
    assert (node.cases()[0]["state"], node.codes()) == ("quarantined", ["attempts-spent"])
    node.journal.close()


def test_every_step_leaves_an_event(node: Node, files: list[Path]) -> None:
    node.receive(files)
    node.settle()
    trail = events(node.journal.store, series_uid=pydicom.dcmread(files[0]).SeriesInstanceUID)
    assert [event["what"] for event in trail] == [
        "series receiving",
        "case queued",
        "case running",
        "case sending",
        "delivery delivered",
        "delivery delivered",
        "case delivered",
    ]


def test_nothing_found_is_a_report_that_says_so(node: Node, tmp_path: Path) -> None:
    files = write_blocks(tmp_path / "empty", name="empty")
    for file in files:
        data_set = pydicom.dcmread(file)
        data_set.PixelData = bytes(len(data_set.PixelData))
        data_set.save_as(file)
    node.receive(files)
    node.settle()
    [case] = node.cases()
    assert (case["state"], [item["kind"] for item in case["objects"]]) == ("delivered", ["SR"])


def spoil(files: list[Path], fault: str) -> None:
    """Give the fourth of eight files, or all of them, a fault."""
    victim = files[3]
    data_set = pydicom.dcmread(victim)
    match fault:
        case "missing position":
            del data_set.ImagePositionPatient
        case "gap":
            victim.unlink()
            files.remove(victim)
            return
        case "twin":
            shutil.copy(victim, victim.with_name("twin.dcm"))
            data_set.SOPInstanceUID = "1.2.3.4"
            files.append(victim.with_name("twin.dcm"))
        case "size":
            data_set.Rows = data_set.Rows // 2
            data_set.PixelData = data_set.PixelData[: len(data_set.PixelData) // 2]
        case "turned":
            data_set.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        case "truncated":
            victim.write_bytes(victim.read_bytes()[:-700])
            return
        case "undecodable":
            data_set.file_meta.TransferSyntaxUID = JPEG2000Lossless
            data_set.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51 this is no codestream"])
            data_set["PixelData"].is_undefined_length = True
        case "unknown transfer syntax":
            content = victim.read_bytes()
            victim.write_bytes(content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.99999.1.2.1\0"))
            return
    data_set.save_as(victim)
