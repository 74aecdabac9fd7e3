"""Revisions of a series, restarts, leases: what the case flow does when things come late, twice, or to an end."""

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from oracle import write_blocks
from wired import GatedSegmenter, Node, first_case_running

from node.caseflow import Closing
from node.domain.arrivals import Expectation, ExpectedBy
from node.domain.case import ObjectKind
from node.journal.overview import events
from node.output.manifest import read_manifest
from node.recall import forget
from node.receive.traffic import Ending


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "state")
    yield made
    made.journal.close()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_blocks(tmp_path / "blocks")


def series_of(files: list[Path]) -> str:
    return str(pydicom.dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)


def states(node: Node) -> list[tuple[int, str]]:
    return [(case["revision"], case["state"]) for case in node.cases()]


def changed(file: Path, **elements: object) -> Path:
    data_set = pydicom.dcmread(file)
    for keyword, value in elements.items():
        setattr(data_set, keyword, value)
    data_set.save_as(file)
    return file


def restarted(node: Node) -> Node:
    """The node after its process died: nothing but its state folder is left."""
    node.journal.close()
    return Node(node.state_dir, clock=node.clock)


def wait_s(node: Node) -> float:
    wait = node.flow.close().wait_s
    assert wait is not None
    return wait


class TestRevisions:
    def test_a_late_slice_waits_twice_as_long_as_the_first_revision_did(self, node: Node, files: list[Path]) -> None:
        node.receive(files[:-1])
        assert wait_s(node) == 30.0
        node.close()
        node.receive(files[-1:])
        assert wait_s(node) == 60.0
        node.clock.now += 59
        assert node.flow.close().cases == 0
        node.clock.now += 1
        assert node.flow.close() == Closing(cases=1, wait_s=None)
        assert states(node) == [(1, "superseded"), (2, "queued")]

    def test_a_changed_slice_is_a_new_revision_with_new_objects(self, node: Node, files: list[Path]) -> None:
        node.receive(files)
        node.settle()
        first = set(node.shelf.taken)
        node.receive([changed(files[2], WindowCenter="7")])
        node.settle()
        assert states(node) == [(1, "delivered"), (2, "delivered")]
        assert len(set(node.shelf.taken) - first) == 2

    def test_a_changed_slice_makes_void_what_was_not_sent(self, node: Node, files: list[Path]) -> None:
        node.receive(files)
        node.close()
        assert node.flow.work()
        node.receive([changed(files[2], WindowCenter="7")])
        node.settle()
        assert states(node) == [(1, "superseded"), (2, "delivered")]
        assert len(node.shelf.taken) == 2

    def test_a_duplicate_in_the_quiet_time_does_not_lengthen_it(self, node: Node, files: list[Path]) -> None:
        node.receive(files)
        node.flow.close()
        node.clock.now += 20
        node.receive(files)
        assert wait_s(node) == 10.0

    def test_a_slice_that_is_changed_and_changed_back_is_segmented_as_it_is_in_the_end(
        self, node: Node, files: list[Path]
    ) -> None:
        original = files[2].read_bytes()
        node.receive(files)
        node.settle()
        node.receive([changed(files[2], WindowCenter="7")])
        files[2].write_bytes(original)
        node.receive([files[2]])
        node.settle()
        assert [state for _, state in states(node)] == ["delivered", "delivered"]
        assert len(set(node.shelf.taken)) == 2

    def test_the_revision_is_told_beside_its_results(self, node: Node, files: list[Path]) -> None:
        node.receive(files[:-1])
        node.settle()
        node.receive(files[-1:])
        node.settle()
        folders = sorted((node.state_dir / "results").iterdir())
        assert [folder.name for folder in folders] == ["00000001-1", "00000002-1"]
        first, second = (read_manifest(folder) for folder in folders)
        assert (first.revision, second.revision) == (1, 2)
        assert (second.series_uid, second.partial, second.route) == (series_of(files), False, "cervical")
        assert [(item.kind, item.name, item.destinations) for item in second.objects] == [
            (ObjectKind.SEGMENTATION, "seg.dcm", ("archive",)),
            (ObjectKind.REPORT, "sr.dcm", ("archive",)),
        ]


class TestRelabelling:
    """A change of the headers alone: new objects, no new inference."""

    def test_changed_headers_are_in_the_new_objects_and_the_networks_are_not_asked_again(
        self, node: Node, files: list[Path], tmp_path: Path
    ) -> None:
        node.receive(files)
        node.settle()
        for file in files:
            changed(file, StudyDescription="MR cervical spine, corrected")
        node.receive(files)
        node.settle()
        assert states(node) == [(1, "delivered"), (2, "delivered")]
        assert node.segmenter.calls == 1
        other = Node(tmp_path / "other")
        other.receive(files)
        other.settle()
        other.journal.close()
        assert other.segmenter.calls == 1
        assert other.shelf.bytes == {uid: node.shelf.bytes[uid] for uid in node.shelf.taken[2:]}

    def test_changed_pixels_are_segmented_again(self, node: Node, files: list[Path]) -> None:
        node.receive(files)
        node.settle()
        data_set = pydicom.dcmread(files[3])
        data_set.PixelData = bytes(reversed(data_set.PixelData))
        data_set.save_as(files[3])
        node.receive([files[3]])
        node.settle()
        assert node.segmenter.calls == 2

    def test_changed_geometry_is_segmented_again(self, node: Node, files: list[Path]) -> None:
        node.receive(files)
        node.settle()
        for file in files:
            changed(file, PixelSpacing=[1.25, 1.25])
        node.receive(files)
        node.settle()
        assert node.segmenter.calls == 2

    @pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "no archive"])
    def test_a_damaged_memory_costs_an_inference_and_nothing_else(
        self, node: Node, files: list[Path], damage: str
    ) -> None:
        node.receive(files)
        node.settle()
        [path] = (node.state_dir / "segmentations").iterdir()
        content = path.read_bytes()
        match damage:
            case "cut":
                path.write_bytes(content[: len(content) // 2])
            case "flipped":
                path.write_bytes(content.replace(b"vertebral_body", b"vertebral_bodx"))
            case "gone":
                path.unlink()
            case "no archive":
                path.write_bytes(b"")
        for file in files:
            changed(file, WindowCenter="7")
        node.receive(files)
        node.settle()
        assert states(node) == [(1, "delivered"), (2, "delivered")]
        assert node.segmenter.calls == 2

    def test_what_is_kept_is_named_by_no_identifier_and_can_be_forgotten(self, node: Node, files: list[Path]) -> None:
        node.receive(files)
        node.settle()
        [path] = (node.state_dir / "segmentations").iterdir()
        assert len(path.name) == 36
        forget(node.state_dir, series_of(files))
        forget(node.state_dir, series_of(files))
        assert not path.exists()


def test_many_threads_may_take_at_once_and_every_instance_is_recorded_once(node: Node, tmp_path: Path) -> None:
    every = [write_blocks(tmp_path / str(number), name=str(number)) for number in range(4)]
    threads = [threading.Thread(target=node.receive, args=[part]) for part in (*every, *every)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = node.journal.arrivals.open_series()
    assert {item.series_uid: (item.arrivals, item.instances) for item in found} == {
        series_of(part): (8, 8) for part in every
    }


class TestCounts:
    def test_a_count_that_is_met_closes_the_series_early(self, node: Node, files: list[Path]) -> None:
        node.receive(files)
        node.journal.arrivals.expect(series_of(files), Expectation(instances=8, by=ExpectedBy.QUERY))
        assert wait_s(node) == 8.0

    def test_a_series_that_lacks_an_instance_is_closed_by_the_cap_alone_and_says_so(
        self, node: Node, files: list[Path]
    ) -> None:
        node.receive(files)
        node.journal.arrivals.expect(series_of(files), Expectation(instances=9, by=ExpectedBy.QUERY))
        assert wait_s(node) == 3600.0
        node.clock.now += 3599
        assert node.flow.close().cases == 0
        node.clock.now += 1
        assert node.flow.close().cases == 1
        node.flow.work()
        assert [case["partial"] for case in node.cases()] == [True]
        assert read_manifest(node.state_dir / "results" / "00000001-1").partial

    def test_an_enhanced_object_is_taken_for_a_whole_series_until_a_second_one_comes(
        self, node: Node, files: list[Path]
    ) -> None:
        for file in files[:2]:
            changed(file, SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1")
        node.receive(files[:1])
        assert wait_s(node) == 8.0
        node.receive(files[1:2])
        assert wait_s(node) == 30.0


class TestRestarts:
    def test_a_restart_arms_the_timers_anew_and_fires_none_at_once(self, node: Node, files: list[Path]) -> None:
        node.receive(files)
        node.flow.close()
        node.clock.now += 1000
        again = restarted(node)
        assert wait_s(again) == 120.0
        again.clock.now += 119
        assert again.flow.close().cases == 0
        again.clock.now += 1
        assert again.flow.close() == Closing(cases=1, wait_s=None)
        again.journal.close()

    def test_a_restart_does_not_lengthen_the_hard_cap(self, node: Node, files: list[Path]) -> None:
        node.receive(files)
        node.journal.arrivals.expect(series_of(files), Expectation(instances=9, by=ExpectedBy.QUERY))
        node.clock.now += 3000
        again = restarted(node)
        assert wait_s(again) == 600.0
        again.journal.close()

    def test_a_series_older_than_the_cap_still_has_its_quiet_time_after_a_restart(
        self, node: Node, files: list[Path]
    ) -> None:
        node.receive(files)
        node.journal.arrivals.expect(series_of(files), Expectation(instances=9, by=ExpectedBy.QUERY))
        node.clock.now += 90_000
        again = restarted(node)
        assert wait_s(again) == 120.0
        again.clock.now += 120
        assert again.flow.close().cases == 1
        assert [case["partial"] for case in again.cases()] == [True]
        again.journal.close()

    @pytest.mark.parametrize("step_s", [-86_400.0, 86_400.0, 3e9])
    def test_a_step_of_the_wall_clock_neither_ends_a_wait_nor_lengthens_it(
        self, node: Node, files: list[Path], step_s: float
    ) -> None:
        node.receive(files)
        assert wait_s(node) == 30.0
        node.clock.set_by_s = step_s
        node.clock.now += 29
        assert wait_s(node) == 1.0
        again = restarted(node)
        assert wait_s(again) == 120.0
        again.clock.now += 120
        assert again.flow.close().cases == 1
        again.journal.close()

    def test_a_sender_that_goes_on_after_the_restart_is_waited_for(self, node: Node, files: list[Path]) -> None:
        node.receive(files[:-1])
        again = restarted(node)
        again.clock.now += 100
        again.traffic.opened(7)
        again.receive(files[-1:])
        again.traffic.arrived(series_of(files), 7)
        again.traffic.ended(7, Ending.RELEASED)
        assert wait_s(again) == 120.0
        again.journal.close()

    def test_a_case_that_died_with_the_process_is_worked_on_again(self, node: Node, files: list[Path]) -> None:
        node.receive(files)
        node.close()
        assert node.journal.cases.claim("a process that dies", 60) is not None
        again = restarted(node)
        again.settle()
        assert [(case["state"], case["attempts"]) for case in again.cases()] == [("delivered", 2)]
        assert [folder.name for folder in (again.state_dir / "results").iterdir()] == ["00000001-2"]
        again.journal.close()


@contextlib.contextmanager
def in_the_middle(state_dir: Path, files: list[Path]) -> Iterator[Node]:
    """Give a node that is in the middle of its first case; the case goes on when the block ends."""
    segmenter = GatedSegmenter()
    node = Node(state_dir, segmenter)
    node.receive(files)
    node.close()
    with first_case_running(node, segmenter):
        yield node


def results(node: Node) -> list[str]:
    return sorted(path.name for path in (node.state_dir / "results").glob("*"))


class TestLeases:
    def test_a_lease_that_is_renewed_is_not_lost_however_long_the_case_takes(
        self, tmp_path: Path, files: list[Path]
    ) -> None:
        with in_the_middle(tmp_path / "state", files) as node:
            for _ in range(10):
                node.clock.now += 40
                node.flow.renew()
                assert not node.flow.work()
        assert [(case["state"], case["attempts"]) for case in node.cases()] == [("sending", 1)]
        node.journal.close()

    def test_a_lost_lease_costs_the_slow_worker_its_results_and_nobody_else(
        self, tmp_path: Path, files: list[Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with in_the_middle(tmp_path / "state", files) as node:
            node.clock.now += 61
            assert node.flow.work()
            assert [(case["state"], case["attempts"]) for case in node.cases()] == [("sending", 2)]
        assert results(node) == ["00000001-2"]
        node.settle()
        assert [(case["state"], len(case["objects"])) for case in node.cases()] == [("delivered", 2)]
        assert len(node.shelf.taken) == 2
        assert "case lost" in capsys.readouterr().out
        node.journal.close()

    def test_a_case_that_is_cancelled_in_the_middle_leaves_nothing(self, tmp_path: Path, files: list[Path]) -> None:
        with in_the_middle(tmp_path / "state", files) as node:
            node.journal.cases.cancel(1)
            node.flow.renew()
        assert results(node) == []
        node.settle()
        assert states(node) == [(1, "cancelled")]
        assert node.shelf.taken == []
        node.journal.close()

    def test_a_case_that_is_cancelled_between_two_renewals_leaves_nothing(
        self, tmp_path: Path, files: list[Path]
    ) -> None:
        with in_the_middle(tmp_path / "state", files) as node:
            node.journal.cases.cancel(1)
        assert results(node) == []
        assert states(node) == [(1, "cancelled")]
        node.journal.close()

    def test_a_case_that_an_operator_starts_again_while_its_lost_worker_goes_on_is_kept_once(
        self, tmp_path: Path, files: list[Path]
    ) -> None:
        with in_the_middle(tmp_path / "state", files) as node:
            node.journal.cases.hold(1)
            node.journal.cases.release(1)
            assert node.flow.work()
        assert len(results(node)) == 1
        trail = [event["what"] for event in events(node.journal.store, series_uid=series_of(files))]
        assert trail.count("case sending") == 1
        node.journal.close()

    def test_renewing_without_a_case_is_nothing(self, node: Node) -> None:
        node.flow.renew()
        assert node.cases() == []


def test_a_manifest_holds_no_word_of_the_patient(node: Node, files: list[Path]) -> None:
    for file in files:
        changed(file, PatientName="ZZSECRET^NAME", PatientID="ZZSECRET", StudyDescription="cervical ZZSECRET")
    node.receive(files)
    node.settle()
    [path] = (node.state_dir / "results").rglob("case.json")
    assert "ZZSECRET" not in path.read_text()
    assert set(json.loads(path.read_text())) == {
        *("format", "series_uid", "study_uid", "revision", "set_digest"),
        *("partial", "route", "created_at", "objects", "sha256"),
    }
