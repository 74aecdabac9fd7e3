"""A DICOMweb server as an archive: pages, answers that are none, and what it sends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pullrig import Node, image, node_beside, part10
from webserver import Reply, Request, web_server

from node.domain.listing import ListedInstance, ListedSeries
from node.errors import DestinationMisconfigured, OutOfResources, PeerUnreachable, RequestFailed
from node.pull.dicomweb import DicomwebArchive
from node.pull.door import Door
from node.pull.gaps import Gap, gap_of
from node.scu.source import SeriesOfStudy
from node.settings import StowDestination

SERIES = SeriesOfStudy("1.2.1", "1.2.1.1")
MR = "1.2.840.10008.5.1.4.1.1.4"
MULTIPART = 'multipart/related; type="application/dicom"; boundary=XX'


@contextmanager
def archive(answer: Callable[[Request], Reply], most_bytes: int = 1 << 20) -> Iterator[DicomwebArchive]:
    with web_server(answer) as url:
        settings = StowDestination(name="a-name-longer-than-16", kind="stow", url=url, timeout_s=20)
        yield DicomwebArchive(settings, silence_s=20, most_bytes=most_bytes)


def element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def study(uid: str, day: str = "20261120") -> dict[str, Any]:
    return {"0020000D": element("UI", uid), "00080020": element("DA", day), "00081030": element("LO", "HWS")}


def test_studies_are_asked_for_by_day_and_modality() -> None:
    asked: list[dict[str, list[str]]] = []

    def answer(request: Request) -> Reply:
        asked.append(parse_qs(urlsplit(request.path).query))
        return Reply(body=[study("1.2.2"), study("1.2.1")] if "20261120" in request.path else [])

    with archive(answer) as web:
        found = web.studies(["20261119", "20261120"], ["MR"])
    assert [(one.study_uid, one.description, one.begun and one.begun.day) for one in found] == [
        ("1.2.1", "HWS", 20),
        ("1.2.2", "HWS", 20),
    ]
    assert [(one["StudyDate"], one["ModalitiesInStudy"], one["limit"]) for one in asked] == [
        (["20261119"], ["MR"], ["500"]),
        (["20261120"], ["MR"], ["500"]),
    ]
    assert "StudyDescription" in asked[0]["includefield"]


@pytest.mark.parametrize("heeds_offset", [True, False])
def test_a_long_answer_is_taken_page_by_page(heeds_offset: bool) -> None:
    everything = [study(f"1.{number}") for number in range(1, 1101)]

    def answer(request: Request) -> Reply:
        first = int(parse_qs(urlsplit(request.path).query)["offset"][0]) if heeds_offset else 0
        return Reply(body=everything[first : first + 500])

    with archive(answer) as web:
        assert len(web.studies(["20261120"], ["MR"])) == (1100 if heeds_offset else 500)


def test_series_tell_what_the_server_tells_and_no_more() -> None:
    series = {
        "0020000E": element("UI", "1.2.1.1"),
        "00080060": element("CS", "MR"),
        "0008103E": {"vr": "LO"},
        "00201209": element("IS", 15),
    }
    with archive(lambda request: Reply(body=[study("1.2.1")] if "series" not in request.path else [series])) as web:
        [found] = web.series(web.studies([], [], ["1.2.1"]))
    assert isinstance(found, ListedSeries)
    assert (found.study_uid, found.series_uid, found.instances, found.header.modality) == ("1.2.1", "1.2.1.1", 15, "MR")
    assert found.untold == {"ProtocolName", "BodyPartExamined"}


def test_an_answer_whose_uid_is_none_hides_no_other() -> None:
    def answer(request: Request) -> Reply:
        tag = "00080018" if "instances" in request.path else "0020000E" if "series" in request.path else "0020000D"
        return Reply(body=[{tag: element("UI", uid)} for uid in ("1.2.1", "1.2.x", "1.2.2")] + [{tag: {"vr": "UI"}}])

    with archive(answer) as web:
        studies = web.studies(["20261120"], ["MR"])
        assert ([one.study_uid for one in studies], web.passed_over()) == (["1.2.1", "1.2.2"], 2)
        assert [one.series_uid for one in web.series(studies[:1])] == ["1.2.1", "1.2.2"]
        assert web.instances([SERIES]) == {"1.2.1.1": (ListedInstance("1.2.1", ""), ListedInstance("1.2.2", ""))}
        assert (web.passed_over(), web.passed_over()) == (4, 0)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(status=401), DestinationMisconfigured),
        (Reply(status=302, headers={"Location": "/elsewhere"}), DestinationMisconfigured),
        (Reply(status=500), RequestFailed),
        (Reply(status=503), OutOfResources),
        (Reply(body=b"<html>"), RequestFailed),
        (Reply(body=[{"0020000D": 7}]), RequestFailed),
        (Reply(body=[{"00081030": {"vr": "LO"}}]), RequestFailed),
    ],
)
def test_what_is_no_answer_is_named_without_the_server_s_words(reply: Reply, error: type) -> None:
    with archive(lambda _request: reply) as web, pytest.raises(error) as caught:
        web.studies(["20261120"], ["MR"])
    assert "ZZSECRET" not in str(caught.value)
    assert "html" not in str(caught.value)


def test_a_server_that_says_404_for_what_it_has_not_has_nothing() -> None:
    with archive(lambda _request: Reply(status=404)) as web:
        assert web.studies(["20261120"], ["MR"]) == []
        assert web.instances([SERIES]) == {"1.2.1.1": ()}


def test_a_server_that_is_away_is_unreachable() -> None:
    with archive(lambda _request: Reply()) as web:
        pass
    with pytest.raises(PeerUnreachable):
        web.studies(["20261120"], ["MR"])


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with node_beside(tmp_path) as made:
        yield made


def gap(*numbers: int) -> Gap:
    made = gap_of([ListedInstance(f"1.2.1.1.{number}", MR) for number in numbers], set())
    assert isinstance(made, Gap)
    return made


def multipart(content: bytes) -> bytes:
    return b"--XX\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--XX--"


@pytest.mark.parametrize("bare", [False, True])
def test_an_instance_is_kept_as_the_server_has_it(node: Node, bare: bool) -> None:
    asked: list[tuple[str, str]] = []

    def answer(request: Request) -> Reply:
        asked.append((request.path.removeprefix("/dicom-web"), request.headers["Accept"]))
        content = part10(image(1, 1, 1))
        if bare:
            return Reply(body=content, headers={"Content-Type": "application/dicom"})
        return Reply(body=multipart(content), headers={"Content-Type": MULTIPART})

    with archive(answer) as web:
        assert not web.fetch(SERIES, gap(1), Door(node.storage))
    assert asked == [
        (
            "/studies/1.2.1/series/1.2.1.1/instances/1.2.1.1.1",
            'multipart/related; type="application/dicom"; transfer-syntax=*',
        )
    ]
    assert node.arrivals() == ["1.2.1.1.1"]
    [kept] = (node.settings.node.state_dir / "spool").rglob("*.dcm")
    assert kept.read_bytes().endswith(part10(image(1, 1, 1))[400:])
    assert [series.calling_ae for series in node.journal.arrivals.open_series()] == ["a-name-longer-th"]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(status=404), "does not have an instance that it has named"),
        (Reply(body=b"x", headers={"Content-Type": "text/html"}), "answered what cannot be read"),
        (Reply(body=b"--XX--", headers={"Content-Type": MULTIPART}), "answered what cannot be read"),
        (Reply(body=multipart(b"x" * 300), headers={"Content-Type": MULTIPART}), "no DICOM file"),
        (Reply(body=multipart(bytes(2 << 20)), headers={"Content-Type": MULTIPART}), "answered what cannot be read"),
    ],
)
def test_what_is_no_instance_fails_the_series_and_leaves_nothing(node: Node, reply: Reply, why: str) -> None:
    with archive(lambda _request: reply) as web, pytest.raises(RequestFailed, match=why):
        web.fetch(SERIES, gap(1), Door(node.storage))
    assert node.arrivals() == []
    assert list((node.settings.node.state_dir / "spool").rglob("*.dcm")) == []


def test_what_may_not_be_stored_now_is_told(node: Node) -> None:
    node.shut.append("disk")
    with archive(lambda _r: Reply(body=multipart(part10(image(1, 1, 1))), headers={"Content-Type": MULTIPART})) as web:
        assert web.fetch(SERIES, gap(1), Door(node.storage)) == "refused here with 0xA700"
