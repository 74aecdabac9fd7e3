"""Somebody who takes a notice forever to take: bytes come, one after the other, and never the end."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterator

import pytest

from node.errors import PeerUnreachable
from node.notify.mail import Mail
from node.notify.message import Speaker, trial_message
from node.notify.webhook import Webhook
from node.settings import MailSettings, WebhookSettings

MESSAGE = trial_message(Speaker(name="CSPINE on test"), at="2026-01-01T00:00:00.000+00:00")


@contextlib.contextmanager
def dripping(begins: bytes, drop: bytes) -> Iterator[int]:
    """Say `begins` to who comes, and then `drop` again and again until he leaves."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as connection, contextlib.suppress(OSError):
                connection.sendall(begins)
                pause = threading.Event()
                for _ in itertools.count():
                    connection.sendall(drop)
                    pause.wait(0.01)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_a_webhook_that_never_ends_its_headers_is_given_up():
    with dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x") as port:
        settings = WebhookSettings(name="desk", url=f"http://127.0.0.1:{port}", timeout_s=0.3)
        with pytest.raises(PeerUnreachable, match=r"^the webhook does not answer: "):
            Webhook(settings, lambda: 0.0).send(MESSAGE)


def test_of_an_answer_that_never_ends_nothing_is_read():
    with dripping(b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n") as port:
        Webhook(WebhookSettings(name="desk", url=f"http://127.0.0.1:{port}"), lambda: 0.0).send(MESSAGE)
    with dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n") as port:
        Webhook(WebhookSettings(name="desk", url=f"http://127.0.0.1:{port}"), lambda: 0.0).send(MESSAGE)


@pytest.mark.parametrize("begins", [b"", b"220 test\r\n"])
def test_a_mail_server_that_never_ends_a_reply_is_given_up(begins: bytes):
    with dripping(begins, b"220-x\r\n" if not begins else b"250-x\r\n") as port:
        settings = MailSettings(
            name="desk",
            kind="mail",
            host="127.0.0.1",
            port=port,
            security="none",
            sender="cspine@hospital.example",
            to=("pacs@hospital.example",),
            timeout_s=0.3,
        )
        with pytest.raises(PeerUnreachable, match=r"^127\.0\.0\.1 (does not answer|ended the connection)"):
            Mail(settings, lambda: 0.0).send(MESSAGE)
