"""An archive that says nothing any more, or sends drop by drop, while the node ends or has to give it up."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pullrig import Node, image, node_beside, part10
from pydicom.uid import MRImageStorage
from silent import Silence, dicom_archive

from node.domain.listing import ListedInstance
from node.errors import PeerUnreachable
from node.pull.archive import Archive
from node.pull.dicom import DicomArchive
from node.pull.dicomweb import DicomwebArchive
from node.pull.door import Door
from node.pull.gaps import Gap, gap_of
from node.scu.association import Peer
from node.scu.source import SeriesOfStudy
from node.settings import PullSettings, StowDestination

PATIENCE_S = 60.0
SERIES = SeriesOfStudy("1.2.1", "1.2.1.1")


def gap() -> Gap:
    made = gap_of([ListedInstance("1.2.1.1.1", MRImageStorage)], set())
    assert isinstance(made, Gap)
    return made


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with node_beside(tmp_path) as made:
        yield made


@contextlib.contextmanager
def web_archive(silence: Silence, begins: bytes) -> Iterator[str]:
    """Answer one request with `begins`, and nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as connection:
                connection.recv(1 << 16)
                connection.sendall(begins)
                list(silence.keep())

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            silence.ends.set()
            thread.join()


def left_when_the_node_ends(archive: Archive, silence: Silence, ask: Callable[[], object]) -> None:
    """Ask, hang up once that was heard, and expect the end of the question."""
    errors: list[BaseException] = []

    def asking() -> None:
        with pytest.raises(PeerUnreachable) as caught:
            ask()
        errors.append(caught.value)

    thread = threading.Thread(target=asking)
    thread.start()
    assert silence.heard.wait(PATIENCE_S)
    archive.hang_up()
    thread.join(PATIENCE_S)
    assert len(errors) == 1
    with pytest.raises(PeerUnreachable):
        ask()


@pytest.mark.parametrize("what", ["find", "move", "get"])
def test_a_dicom_archive_that_is_silent_holds_up_no_end(node: Node, what: str) -> None:
    silence = Silence()
    with dicom_archive(silence) as port:
        peer = Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=600)
        settings = PullSettings(name="p", archive="a", retrieve="get" if what == "get" else "move", timeout_s=600)
        archive = DicomArchive(peer, settings)

        def ask() -> object:
            if what == "find":
                return archive.studies(["20261120"], ["MR"])
            return archive.fetch(SERIES, gap(), Door(node.storage))

        left_when_the_node_ends(archive, silence, ask)
    assert node.arrivals() == []


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom\r\nContent-Length: 4000\r\n\r\n"


@pytest.mark.parametrize("begins", [b"", HEAD, HEAD + part10(image(1, 1, 1))[:500]])
def test_a_dicomweb_archive_that_is_silent_holds_up_no_end(node: Node, begins: bytes) -> None:
    silence = Silence()
    with web_archive(silence, begins) as url:
        archive = DicomwebArchive(StowDestination(name="web", kind="stow", url=url), silence_s=600, most_bytes=1 << 20)
        left_when_the_node_ends(archive, silence, lambda: archive.fetch(SERIES, gap(), Door(node.storage)))
    assert node.arrivals() == []


def test_a_dicomweb_archive_that_sends_drop_by_drop_is_given_up(node: Node) -> None:
    times_s = iter([0.0, 10.1])  # two bytes are no reason for more than the ten seconds of silence
    silence = Silence()
    with web_archive(silence, HEAD + b"xx") as url:
        settings = StowDestination(name="web", kind="stow", url=url)
        archive = DicomwebArchive(settings, silence_s=10, most_bytes=1 << 20, clock=lambda: next(times_s))
        with pytest.raises(PeerUnreachable, match="too slowly"):
            archive.fetch(SERIES, gap(), Door(node.storage))
    assert node.arrivals() == []
