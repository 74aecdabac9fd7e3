"""The end of the node waits for nobody outside: what is under way is broken off, and the next start does it again."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import mr_image, storage_scp
from outboxes import Archive, Rig
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from serving import Node
from structlog.testing import capture_logs
from webserver import Reply, Request, web_server

from node.deliver.cstore import CStoreDestination
from node.deliver.destination import Answer, Destination, Parcel
from node.deliver.stow.destination import StowRsDestination
from node.demo.archive import free_port
from node.errors import NodeError, PeerUnreachable
from node.notify.channel import Channel
from node.notify.mail import Mail
from node.notify.message import Speaker, trial_message
from node.notify.webhook import Webhook
from node.scu.association import Calls, Peer, associate, echo
from node.settings import MailSettings, StowDestination, WebhookSettings

#: Far longer than any test runs: who waits for a time-out fails.
HOUR_S = 3600.0
PATIENCE_S = 60.0
MESSAGE = trial_message(Speaker(name="CSPINE on test"), at="2026-01-01T00:00:00.000+00:00")


class Aside:
    """Something that runs in a thread of its own, and the error of the node that ended it."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.error: NodeError | None = None
        self._work = work
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except NodeError as error:
            self.error = error

    def must_end(self, again: Callable[[], None] = lambda: None) -> NodeError | None:
        """Wait for its end, and do `again` meanwhile."""
        for _ in range(int(PATIENCE_S / 0.05)):
            again()
            self.thread.join(0.05)
            if not self.thread.is_alive():
                return self.error
        raise AssertionError("it still waits")


def peer(port: int) -> Peer:
    return Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=HOUR_S)


@contextlib.contextmanager
def silent(begins: bytes = b"", drop: bytes = b"") -> Iterator[tuple[int, threading.Event]]:
    """Take one connection, say `begins` and then `drop` again and again; tell when somebody is there."""
    heard = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as connection, contextlib.suppress(OSError):
                connection.sendall(begins)
                heard.set()
                pause = threading.Event()
                connection.settimeout(0.01)
                for _ in itertools.count():
                    with contextlib.suppress(TimeoutError):
                        if not connection.recv(1 << 16):
                            return
                    connection.sendall(drop)
                    pause.wait(0.01)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], heard
        thread.join()


@contextlib.contextmanager
def full() -> Iterator[int]:
    """Give a port of this machine whose connections are never made: the queue before it is full."""
    with contextlib.ExitStack() as opened:
        server = opened.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(server.getsockname())
        yield server.getsockname()[1]


class Hanging:
    """A Storage SCP that takes the first objects and never answers the next one."""

    def __init__(self, taken: int) -> None:
        self.uids: list[str] = []
        self.heard, self.ends = threading.Event(), threading.Event()
        self._taken = taken

    def on_store(self, event: Any) -> int:
        if len(self.uids) == self._taken:
            self.heard.set()
            assert self.ends.wait(PATIENCE_S)
            return 0xA700
        self.uids.append(event.request.AffectedSOPInstanceUID)
        return 0x0000


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    with contextlib.ExitStack() as opened:

        def made(destination: Destination, **knobs: Any) -> Rig:
            rig = Rig(tmp_path, destinations={"archive": destination}, **knobs)
            opened.callback(rig.close)
            return rig

        yield made


def test_an_archive_that_hangs_is_hung_up_on_and_its_answers_are_kept(rig) -> None:
    archive = Hanging(taken=1)
    with storage_scp(archive.on_store) as port:
        node = rig(CStoreDestination(peer(port)), attempts=1)
        first, second, _ = node.case(1, objects=3)
        delivering = Aside(node.deliver)
        assert archive.heard.wait(PATIENCE_S)
        with capture_logs() as logs:
            node.outbox.halt("archive")
            assert delivering.must_end() is None
        archive.ends.set()
    assert (archive.uids, node.states()) == ([first], ["delivered", "pending", "pending"])
    waiting = node.journal.deliveries.pending("archive")
    assert (waiting[0].sop_instance_uid, waiting[0].attempts) == (second, 0)
    assert [line["event"] for line in logs] == ["delivery broken off"]
    node.restart()
    node.deliver()
    assert (node.archive.sent[0], node.states()) == (second, ["delivered"] * 3)


def test_a_web_server_that_hangs_is_hung_up_on(rig) -> None:
    heard, ends = threading.Event(), threading.Event()

    def answer(_request: Request) -> Reply:
        heard.set()
        assert ends.wait(PATIENCE_S)
        return Reply(500)

    with web_server(answer) as url:
        settings = StowDestination(kind="stow", name="archive", url=url, timeout_s=HOUR_S)
        node = rig(StowRsDestination(settings), attempts=1)
        node.case(1)
        delivering = Aside(node.deliver)
        assert heard.wait(PATIENCE_S)
        node.outbox.halt("archive")
        assert delivering.must_end() is None
        ends.set()
    assert node.states() == ["pending", "pending"]
    assert [item.attempts for item in node.journal.deliveries.pending("archive")] == [0, 0]


class Answering(Archive):
    """One that answers for an object while the node is being stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.halt: Callable[[], None] = lambda: None

    def deliver(self, parcels: Sequence[Parcel]) -> Generator[Answer, None, None]:
        for answer in super().deliver(parcels):
            self.halt()
            yield answer


@pytest.mark.parametrize(("said", "states"), [(None, "delivered"), ("warning 0xB000", "delivered")])
def test_an_answer_that_has_come_is_written_down_and_nothing_more_is_sent(rig, said, states) -> None:
    archive = Answering()
    node = rig(archive)
    uids = node.case(1)
    node.case(2)
    archive.says[uids[0]] = [said]
    archive.halt = lambda: node.outbox.halt("archive")
    node.deliver()
    assert (archive.sent, node.states()) == ([uids[0]], [states, "pending", "pending", "pending"])


def test_a_confirmation_that_hangs_is_asked_for_again_after_the_start(rig) -> None:
    with silent() as (port, heard):
        node = rig(CStoreDestination(peer(port)), confirm="query")
        node.case(1)
        for delivery in node.journal.deliveries.pending("archive"):
            node.journal.deliveries.record_sent(delivery)
        confirming = Aside(node.confirm)
        assert heard.wait(PATIENCE_S)
        node.outbox.halt("archive")
        assert confirming.must_end() is None
    assert node.states() == ["sent", "sent"]


def test_a_peer_that_takes_the_connection_and_says_nothing_is_hung_up_on() -> None:
    calls = Calls()
    with silent() as (port, heard):
        asking = Aside(lambda: echo(replace(peer(port), calls=calls)))
        assert heard.wait(PATIENCE_S)
        calls.end()
        assert isinstance(asking.must_end(), PeerUnreachable)


def test_a_connection_that_is_never_made_is_given_up() -> None:
    calls = Calls()
    with full() as port:
        asking = Aside(lambda: echo(replace(peer(port), calls=calls)))
        assert isinstance(asking.must_end(calls.end), PeerUnreachable)
    assert [thread.name for thread in threading.enumerate() if "DUL" in type(thread).__name__] == []


def test_nobody_is_called_after_the_end() -> None:
    calls = Calls()
    calls.end()
    with pytest.raises(PeerUnreachable, match="is not called any more"), associate(replace(peer(1), calls=calls), []):
        pass


def webhook(port: int) -> Channel:
    return Webhook(WebhookSettings(name="desk", url=f"http://127.0.0.1:{port}", timeout_s=HOUR_S), lambda: 0.0)


def mail(port: int) -> Channel:
    settings = MailSettings(
        name="desk",
        kind="mail",
        host="127.0.0.1",
        port=port,
        security="none",
        sender="cspine@hospital.example",
        to=("pacs@hospital.example",),
        timeout_s=HOUR_S,
    )
    return Mail(settings, lambda: 0.0)


@pytest.mark.parametrize(
    ("channel_at", "begins", "drop"),
    [
        (webhook, b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (webhook, b"", b""),
        (mail, b"220 test\r\n", b"250-x\r\n"),
        (mail, b"", b""),
    ],
)
def test_who_is_told_and_never_answers_is_hung_up_on(channel_at, begins, drop) -> None:
    with silent(begins, drop) as (port, heard):
        channel = channel_at(port)
        telling = Aside(lambda: channel.send(MESSAGE))
        assert heard.wait(PATIENCE_S)
        channel.hang_up()
        assert isinstance(telling.must_end(), PeerUnreachable)
    with silent() as (port, _):
        later = channel_at(port)
        later.hang_up()
        assert isinstance(Aside(lambda: later.send(MESSAGE)).must_end(), PeerUnreachable)


def test_sigterm_ends_a_node_whose_webhook_and_whose_peer_never_answer(tmp_path: Path) -> None:
    with silent(b"HTTP/1.1 200 OK\r\nX: ", b"x") as (told, hears), silent() as (asked, called):
        more = (
            f'[[notify]]\nname = "desk"\nurl = "http://127.0.0.1:{told}"\ngroup_wait_s = 0\ntimeout_s = {HOUR_S}\n'
            f'[[peer]]\nae_title = "TEST"\nhost = "127.0.0.1"\nport = {asked}\nask_count = true\n'
        )
        node = Node(folder=tmp_path, archive=peer(1), port=free_port(), quiet_s=HOUR_S, more=more)
        node.start()
        try:
            image = mr_image()
            del image.SeriesInstanceUID
            with associate(node.peer, [(MRImageStorage, [ExplicitVRLittleEndian])]) as association:
                assert association.send_c_store(image).Status == 0
                assert association.send_c_store(mr_image()).Status == 0
            assert hears.wait(PATIENCE_S)
            assert called.wait(PATIENCE_S)
            assert Aside(node.stop).must_end() is None
            assert "notices broken off" in node.log()
            assert "left behind" not in node.log()
        finally:
            if node.process is not None:
                node.kill()
