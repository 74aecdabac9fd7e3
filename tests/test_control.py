"""Commands to a node that runs, over its Unix socket: whatever a client does, the node and other clients go on."""

import contextlib
import errno
import json
import os
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from node.control import (
    CLIENTS,
    MAXIMUM_MESSAGE,
    SOCKET,
    ControlServer,
    _packed,
    ask,
)
from node.errors import AnswerTooLarge, IllegalTransition, NodeAlreadyRunning, SystemFailed, Unanswered

PATIENCE_S = 30.0


class Room:
    """A server whose answers the test chooses, and plain sockets to it."""

    def __init__(self, state_dir: Path, patience_s: float = PATIENCE_S) -> None:
        self.state_dir = state_dir
        self.asked: list[Any] = []
        self.answer: Callable[[Any], Any] = lambda request: {"said": request}
        self.server = ControlServer(state_dir, self._handle, patience_s=patience_s)
        self.server.start()
        self.sockets: list[socket.socket] = []

    def _handle(self, request: Any) -> Any:
        self.asked.append(request)
        return self.answer(request)

    def ask(self, request: Any) -> Any:
        return ask(self.state_dir, request, patience_s=PATIENCE_S)

    def call(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(PATIENCE_S)
        made.connect(str(self.state_dir / SOCKET))
        self.sockets.append(made)
        return made

    def close(self) -> None:
        for made in self.sockets:
            made.close()
        self.server.stop()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.close()


def answer_to(client: socket.socket, content: bytes) -> Any:
    """Send bytes as they are and return the answer."""
    client.sendall(content)
    client.shutdown(socket.SHUT_WR)
    (length,) = struct.unpack(">I", client.recv(4, socket.MSG_WAITALL))
    return json.loads(client.recv(length, socket.MSG_WAITALL))


def packed(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def test_a_request_is_answered(room: Room) -> None:
    assert room.ask({"do": "retry", "cases": [7]}) == {"said": {"do": "retry", "cases": [7]}}


def test_without_a_node_there_is_no_answer(tmp_path: Path) -> None:
    assert ask(tmp_path, {}, patience_s=PATIENCE_S) is None


def test_a_node_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    with contextlib.ExitStack() as opened:
        hanging = opened.enter_context(socket.socket(socket.AF_UNIX))
        hanging.bind(str(tmp_path / SOCKET))
        hanging.listen(0)
        with pytest.raises(Unanswered, match=r"^the node did not answer"):
            ask(tmp_path, {}, patience_s=0.1)
        with pytest.raises(BlockingIOError):
            while True:
                waiting = opened.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect(str(tmp_path / SOCKET))
        with pytest.raises(SystemFailed, match=r"^the node takes no commands now"):
            ask(tmp_path, {}, patience_s=PATIENCE_S)


def test_after_the_end_of_the_node_there_is_no_answer_and_no_file(tmp_path: Path) -> None:
    Room(tmp_path).close()
    assert ask(tmp_path, {}, patience_s=PATIENCE_S) is None
    assert list(tmp_path.iterdir()) == []


def test_only_the_owner_may_open_the_socket(room: Room) -> None:
    assert stat.S_IMODE((room.state_dir / SOCKET).stat().st_mode) == 0o600


def test_the_socket_file_of_a_killed_node_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / SOCKET))
    assert ask(tmp_path, {}, patience_s=PATIENCE_S) is None
    room = Room(tmp_path)
    assert room.ask({}) == {"said": {}}
    room.close()


def test_the_socket_of_a_node_that_lives_is_not_taken_over(room: Room) -> None:
    with pytest.raises(NodeAlreadyRunning):
        Room(room.state_dir)
    assert room.ask({}) == {"said": {}}


def test_a_state_folder_may_have_a_path_longer_than_an_address_can_be(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 100) / ("b" * 100)
    deep.mkdir(parents=True)
    room = Room(deep)
    assert room.ask({}) == {"said": {}}
    room.close()
    assert list(deep.iterdir()) == []


def test_where_no_socket_can_be_made_the_machine_failed(tmp_path: Path) -> None:
    (tmp_path / SOCKET).mkdir()
    with pytest.raises(SystemFailed, match=r"control\.sock"):
        Room(tmp_path)


def test_an_error_of_this_software_comes_back_with_its_exit_code(room: Room) -> None:
    def refuse(_request: Any) -> Any:
        raise IllegalTransition("case 7 cannot go from rejected to queued")

    room.answer = refuse
    assert room.ask({}) == {
        "error": {
            "code": "illegal-transition",
            "message": "case 7 cannot go from rejected to queued",
            "retryable": False,
        },
        "exit_code": 74,
    }


def test_an_error_that_nobody_foresaw_comes_back_without_its_text(room: Room) -> None:
    def fall(_request: Any) -> Any:
        raise ZeroDivisionError("ZZSECRET^NAME")

    room.answer = fall
    said = room.ask({})
    assert (said["error"]["code"], said["exit_code"]) == ("unexpected", 70)
    assert "ZZSECRET" not in str(said)


def test_a_machine_that_fails_is_told_as_that(room: Room) -> None:
    def fail(_request: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    room.answer = fail
    said = room.ask({})
    assert (said["error"]["code"], said["error"]["message"]) == ("system-failed", "No space left on device")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the message ended before its end"),
        (b"\0\0", "the message ended before its end"),
        (struct.pack(">I", 100) + b'{"do": ', "the message ended before its end"),
        (packed(b""), "the message is not JSON"),
        (packed(b"\xff\xfe\0garbage"), "the message is not JSON"),
        (packed(b"[" * 100_000), "the message is not JSON"),
        (packed(b"[1, 2]"), "the message is no JSON object"),
        (
            struct.pack(">I", MAXIMUM_MESSAGE + 1),
            "a message of 1048577 bytes is longer than the 1048576 that are taken",
        ),
        (b"GET / HTTP/1.1\r\n\r\n", "a message of 1195725856 bytes is longer than the 1048576 that are taken"),
    ],
)
def test_what_is_no_request_is_answered_by_an_error(room: Room, content: bytes, message: str) -> None:
    said = answer_to(room.call(), content)
    assert said["error"] == {"code": "input-error", "message": message, "retryable": False}
    assert room.asked == []
    assert room.ask({"still": "there"}) == {"said": {"still": "there"}}


def test_an_answer_may_be_longer_than_a_request(room: Room) -> None:
    cases = [{"case": number, "error": {"code": "unknown-case", "message": "x" * 100}} for number in range(20_000)]
    room.answer = lambda _request: {"cases": cases, "exit_code": 65}
    said = room.ask({"do": "retry", "cases": list(range(20_000))})
    assert said == {"cases": cases, "exit_code": 65}
    assert len(json.dumps(said)) > 2 * MAXIMUM_MESSAGE


def test_an_answer_that_is_too_long_says_so_and_what_to_do(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.control.MAXIMUM_ANSWER", 1000)
    room.answer = lambda _request: {"said": "x" * 2000}
    said = room.ask({"do": "retry", "cases": [7]})
    assert said == {
        "error": {
            "code": "answer-too-large",
            "message": "the node did what was asked, but its answer of 2012 bytes is longer than the 1000 that are "
            "taken; `cspine-node status` tells what it did; ask for less at once",
            "retryable": False,
        },
        "exit_code": 74,
    }
    assert room.asked == [{"do": "retry", "cases": [7]}]


def test_an_answer_that_is_too_long_for_who_asks_is_told_as_that(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.control._fitting", _packed)
    monkeypatch.setattr("node.control.MAXIMUM_ANSWER", 1000)
    room.answer = lambda _request: {"said": "x" * 2000}
    with pytest.raises(AnswerTooLarge, match=r"^the node did what was asked, but its answer of 2012 bytes"):
        room.ask({})


def test_a_client_that_leaves_in_mid_message_ends_nothing(room: Room) -> None:
    for _ in range(CLIENTS - 1):
        client = room.call()
        client.sendall(struct.pack(">I", 50) + b'{"do"')
        client.close()
    assert room.ask({"still": "there"}) == {"said": {"still": "there"}}


def test_a_silent_client_holds_up_no_other(room: Room) -> None:
    for _ in range(CLIENTS - 1):
        room.call()
    assert room.ask({"still": "there"}) == {"said": {"still": "there"}}


def test_one_client_too_many_is_told_to_come_again(room: Room) -> None:
    silent = [room.call() for _ in range(CLIENTS)]
    said = room.ask({})
    assert said["error"]["message"] == "too many commands at once; try again"
    assert answer_to(silent[0], packed(b"{}")) == {"said": {}}


def test_a_client_that_stays_silent_is_dropped_after_the_patience(tmp_path: Path) -> None:
    room = Room(tmp_path, patience_s=0.05)
    client = room.call()
    client.sendall(b"\0")
    assert b"did not end in time" in client.recv(1 << 16)
    room.close()


def test_two_clients_are_answered_while_each_waits_for_the_other(room: Room) -> None:
    both = threading.Barrier(2, timeout=PATIENCE_S)
    room.answer = lambda request: {"said": request, "met": both.wait() >= 0}
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda n=n: answers.append(room.ask({"number": n}))) for n in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said["said"]["number"] for said in answers) == [1, 2]


def test_the_end_of_the_node_waits_for_a_command_that_runs_and_not_for_a_silent_client(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.call()
    begun, go_on = threading.Event(), threading.Event()

    def work(_request: Any) -> Any:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return {"done": True}

    room.answer = work
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(room.ask({})))
    asking.start()
    assert begun.wait(PATIENCE_S)
    ending = threading.Thread(target=room.close)
    ending.start()
    go_on.set()
    asking.join()
    ending.join()
    assert answers == [{"done": True}]


def test_no_descriptor_is_left_behind(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    room = Room(tmp_path)
    for _ in range(20):
        room.ask({})
    room.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
