"""Asking a sender: how many instances a series has, and for those that lack."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pydicom
import pytest
from oracle import write_blocks
from peers import Orthanc
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)
from wired import Node

from node.deliver.build import destination_of
from node.deliver.encoding import read_parcel
from node.domain.arrivals import Expectation, ExpectedBy
from node.enquiry import Enquiry, OverDicom
from node.errors import ContextsRefused, PeerUnreachable, RequestFailed
from node.receive.traffic import Ending
from node.scu.association import Peer
from node.scu.source import SeriesOfStudy, count_instances
from node.settings import DicomDestination, NodeSettings, PeerSettings


class Source:
    """A peer in memory: what it counts, and what it does when asked for a series."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.asked: list[int] = []
        self.fetched: list[str] = []
        self.total: int | None = None
        self.away = False
        self.then = lambda: None

    def count(self, _peer: Peer, asked: Sequence[SeriesOfStudy], /) -> Mapping[str, int]:
        self.asked.append(len(asked))
        if self.away:
            raise PeerUnreachable("away")
        return {item.series_uid: self.counts[item.series_uid] for item in asked if item.series_uid in self.counts}

    def fetch(self, _peer: Peer, series: SeriesOfStudy, destination: str, /) -> int | None:
        assert destination == "CSPINE"
        self.fetched.append(series.series_uid)
        if self.away:
            raise PeerUnreachable("away")
        self.then()
        return self.total


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "state")
    yield made
    made.journal.close()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_blocks(tmp_path / "blocks")


@pytest.fixture
def source() -> Source:
    return Source()


def series_of(files: Sequence[Path]) -> str:
    return str(pydicom.dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)


def enquiry(node: Node, source: Source, *, title: str = "TEST", ask_missing: bool = True) -> Enquiry:
    peer = PeerSettings(ae_title=title, host="10.0.0.1", port=104, ask_count=True, ask_missing=ask_missing)
    return Enquiry(peer, node.settings, node.journal, node.traffic, source, node.clock)


def expected(node: Node) -> Expectation | None:
    [series] = node.journal.arrivals.open_series()
    return series.expected


def run(node: Node, asking: Enquiry, seconds: float) -> None:
    """Let the enquiry go on for so long."""
    until = node.clock.now + seconds
    while node.clock.now < until:
        wait_s = asking.ask()
        node.clock.now = min(until, node.clock.now + max(0.5, 5.0 if wait_s is None else wait_s))


def test_a_count_is_believed_when_two_answers_ten_seconds_apart_agree(
    node: Node, source: Source, files: list[Path]
) -> None:
    source.counts = {series_of(files): 8}
    node.receive(files)
    asking = enquiry(node, source)
    assert asking.ask() == 10.0
    node.clock.now += 9.5
    assert asking.ask() == 0.5
    assert expected(node) is None
    node.clock.now += 0.5
    assert asking.ask() is None
    assert expected(node) == Expectation(instances=8, by=ExpectedBy.QUERY)
    assert source.asked == [1, 1]


def test_a_count_that_still_grows_is_not_believed(node: Node, source: Source, files: list[Path]) -> None:
    node.receive(files)
    asking = enquiry(node, source)
    for number in (5, 6, 7, 8):
        source.counts = {series_of(files): number}
        asking.ask()
        node.clock.now += 10
        assert expected(node) is None
    asking.ask()
    assert expected(node) == Expectation(instances=8, by=ExpectedBy.QUERY)


def test_a_count_that_was_exceeded_is_asked_for_again(node: Node, source: Source, files: list[Path]) -> None:
    source.counts = {series_of(files): 7}
    node.receive(files[:7])
    asking = enquiry(node, source)
    run(node, asking, 20)
    assert expected(node) == Expectation(instances=7, by=ExpectedBy.QUERY)
    source.counts = {series_of(files): 8}
    node.receive(files[7:])
    run(node, asking, 30)
    assert expected(node) == Expectation(instances=8, by=ExpectedBy.QUERY)


@pytest.mark.parametrize("counts", [{}, {"series": 0}])
def test_a_peer_that_knows_no_number_is_asked_less_and_less_often(
    node: Node, source: Source, files: list[Path], counts: dict[str, int]
) -> None:
    source.counts = {series_of(files): number for number in counts.values()}
    node.receive(files)
    run(node, enquiry(node, source), 3600)
    assert expected(node) is None
    assert 3 <= len(source.asked) <= 8


def test_only_the_series_of_the_peer_itself_are_asked_about(node: Node, source: Source, files: list[Path]) -> None:
    node.receive(files)
    assert enquiry(node, source, title="ANOTHER").ask() is None
    assert source.asked == []


def test_many_series_are_asked_about_in_one_call_and_calls_are_never_dense(
    node: Node, source: Source, tmp_path: Path
) -> None:
    for number in range(6):
        series = write_blocks(tmp_path / str(number), name=str(number))
        source.counts[series_of(series)] = 8
        node.receive(series[:1])
    asking = enquiry(node, source, ask_missing=False)
    assert asking.ask() == 10.0
    assert source.asked == [6]
    late = write_blocks(tmp_path / "late", name="late")
    node.receive(late[:1])
    assert asking.ask() == 2.0
    assert source.asked == [6]
    node.clock.now += 2
    asking.ask()
    assert source.asked == [6, 1]


def test_a_peer_that_is_away_is_asked_with_growing_pauses_and_closing_waits_for_nobody(
    node: Node, source: Source, files: list[Path]
) -> None:
    source.away = True
    node.receive(files)
    asking = enquiry(node, source)
    node.flow.close()
    run(node, asking, 3600)
    assert 4 <= len(source.asked) <= 14
    assert node.flow.close().cases == 1
    assert asking.ask() is None


def lacking(node: Node, source: Source, files: list[Path]) -> Enquiry:
    """Give an enquiry that has learnt that one of eight instances lacks."""
    source.counts = {series_of(files): 8}
    node.receive(files[:-1])
    asking = enquiry(node, source)
    run(node, asking, 20)
    assert expected(node) == Expectation(instances=8, by=ExpectedBy.QUERY)
    assert source.fetched == []
    return asking


def test_what_lacks_is_asked_for_after_the_quiet_time_and_makes_the_series_whole(
    node: Node, source: Source, files: list[Path]
) -> None:
    asking = lacking(node, source, files)
    source.then = lambda: node.receive(files)
    source.total = 8
    run(node, asking, 20)
    assert source.fetched == [series_of(files)]
    assert expected(node) == Expectation(instances=8, by=ExpectedBy.RETRIEVE)
    run(node, asking, 600)
    assert len(source.fetched) == 1
    node.settle()
    assert [(case["state"], case["partial"]) for case in node.cases()] == [("delivered", False)]


def test_a_gap_that_the_peer_cannot_fill_is_asked_for_once(node: Node, source: Source, files: list[Path]) -> None:
    asking = lacking(node, source, files)
    run(node, asking, 3000)
    assert len(source.fetched) == 1
    node.clock.now = 3600
    assert node.flow.close().cases == 1
    assert [case["partial"] for case in node.cases()] == [True]


def test_retrievals_that_fail_are_few_and_far_between(node: Node, source: Source, files: list[Path]) -> None:
    def broken() -> None:
        raise PeerUnreachable("ended the association")

    asking = lacking(node, source, files)
    source.then = broken
    run(node, asking, 3500)
    assert len(source.fetched) == 4


def test_nothing_is_asked_for_while_an_association_still_carries_the_series(
    node: Node, source: Source, files: list[Path]
) -> None:
    asking = lacking(node, source, files)
    node.traffic.opened(1)
    node.traffic.arrived(series_of(files), 1)
    run(node, asking, 55)
    assert source.fetched == []
    node.traffic.active(1)
    run(node, asking, 55)
    assert source.fetched == []
    node.traffic.ended(1, Ending.RELEASED)
    run(node, asking, 10)
    assert len(source.fetched) == 1


def test_nothing_is_asked_for_where_the_settings_do_not_say_so(node: Node, source: Source, files: list[Path]) -> None:
    source.counts = {series_of(files): 8}
    node.receive(files[:-1])
    run(node, enquiry(node, source, ask_missing=False), 3000)
    assert source.fetched == []


class Archive:
    """A Q/R SCP over DICOM on a free port, that answers what the test says."""

    def __init__(self, find: Sequence[tuple[int, Dataset | None]] = (), move: Sequence[Any] = ()) -> None:
        self.identifiers: list[Dataset] = []
        self.destinations: list[str] = []
        self.ended = threading.Event()
        ae = AE(ae_title="ARCHIVE")
        if find:
            ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelMove)

        def on_find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
            self.identifiers.append(event.identifier)
            yield from find

        def on_move(event: evt.Event) -> Iterator[Any]:
            self.identifiers.append(event.identifier)
            self.destinations.append(event.move_destination)
            yield from move

        handlers = [(evt.EVT_C_FIND, on_find), (evt.EVT_C_MOVE, on_move)]
        self.server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)  # type: ignore[arg-type]

    def peer(self) -> Peer:
        port = self.server.server_address[1]
        return Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=20)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_error: object) -> None:
        self.server.shutdown()


def match(series_uid: str, number: object) -> Dataset:
    made = Dataset()
    made.QueryRetrieveLevel = "SERIES"
    made.SeriesInstanceUID = series_uid
    made.NumberOfSeriesRelatedInstances = number
    return made


ASKED = SeriesOfStudy("1.2", "1.2.3")


def test_a_count_is_asked_for_by_study_and_series() -> None:
    with Archive([(0xFF00, match("1.2.9", 99)), (0xFF00, match("1.2.3", 15))]) as archive:
        assert count_instances(archive.peer(), [ASKED, SeriesOfStudy("1.2", "1.2.4")]) == {"1.2.3": 15}
    asked = archive.identifiers[0]
    assert (asked.QueryRetrieveLevel, asked.StudyInstanceUID, asked.SeriesInstanceUID) == ("SERIES", "1.2", "1.2.3")
    assert "NumberOfSeriesRelatedInstances" in asked
    assert "PatientName" not in asked


def test_an_answer_without_a_usable_number_is_no_count() -> None:
    nameless = Dataset()
    nameless.SeriesInstanceUID = "1.2.3"
    for answer in (match("1.2.3", None), match("1.2.3", -4), match("1.2.3", 10_000_000), nameless):
        with Archive([(0xFF00, answer)]) as archive:
            assert count_instances(archive.peer(), [ASKED]) == {}


def test_a_peer_that_refuses_the_question_or_does_not_know_it_is_told_apart() -> None:
    with Archive([(0xA700, None)]) as archive, pytest.raises(RequestFailed, match="0xA700"):
        count_instances(archive.peer(), [ASKED])
    with Archive() as archive, pytest.raises(ContextsRefused):
        count_instances(archive.peer(), [ASKED])
    with pytest.raises(PeerUnreachable):
        count_instances(archive.peer(), [ASKED])


def test_a_retrieval_that_knows_no_destination_counts_for_nothing() -> None:
    with Archive(move=[(None, None)]) as archive:
        assert not OverDicom.fetch(archive.peer(), ASKED, "CSPINE")
    assert archive.destinations == ["CSPINE"]
    assert archive.identifiers[0].SeriesInstanceUID == "1.2.3"


@pytest.mark.peer("orthanc")
def test_orthanc_says_how_many_instances_a_series_has(orthanc: Orthanc, files: list[Path]) -> None:
    archive = DicomDestination(
        name="archive", host=orthanc.peer.host, port=orthanc.peer.port, ae_title=orthanc.peer.ae_title
    )
    destination = destination_of(archive, NodeSettings(state_dir=files[0].parent))
    assert [answer.error for answer in destination.deliver([read_parcel(file) for file in files])] == [None] * 8
    first = pydicom.dcmread(files[0], stop_before_pixels=True)
    known = SeriesOfStudy(str(first.StudyInstanceUID), str(first.SeriesInstanceUID))
    assert count_instances(orthanc.peer, [known, ASKED]) == {known.series_uid: 8}


def test_a_series_is_complete_by_what_the_source_said(node: Node, source: Source, files: list[Path]) -> None:
    source.counts = {series_of(files): 8}
    node.receive(files)
    asking = enquiry(node, source)
    run(node, asking, 11)
    assert node.flow.close().cases == 1
    assert [case["partial"] for case in node.cases()] == [False]
