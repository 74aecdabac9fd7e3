"""E-mail against a small SMTP server: what arrives, how the node signs in, and what each reply means."""

import base64
import ssl
from pathlib import Path

import pytest
from certificates import Authority
from mailserver import mail_server

from node.errors import DestinationMisconfigured, PeerUnreachable, RequestFailed
from node.notify.mail import Mail
from node.notify.message import Speaker, trial_message
from node.settings import MailSettings

MESSAGE = trial_message(Speaker(name="CSPINE on test"), at="2026-01-01T00:00:00.000+00:00")


def mail(port: int, **settings: object) -> Mail:
    return Mail(
        MailSettings.model_validate(
            {
                "name": "desk",
                "kind": "mail",
                "host": "127.0.0.1",
                "port": port,
                "security": "none",
                "sender": "cspine@hospital.example",
                "to": ["pacs@hospital.example", "radiology@hospital.example"],
                **settings,
            }
        ),
        lambda: 1767225600.0,
    )


def test_a_message_arrives_at_every_address():
    with mail_server() as box:
        mail(box.port).send(MESSAGE)
    (letter,) = box.letters
    assert box.recipients == ["pacs@hospital.example", "radiology@hospital.example"]
    assert letter["Subject"] == "CSPINE on test: test"
    assert letter["From"] == "cspine@hospital.example"
    assert letter["Date"] == "Thu, 01 Jan 2026 00:00:00 -0000"
    assert letter["Message-ID"] == f"<{MESSAGE.identity}@hospital.example>"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content() == (
        "This is a test. Notices about failures, quarantine and recovery will arrive like this one.\r\n"
    )


@pytest.fixture
def tls(tmp_path: Path):
    """An authority, and the context of a server that it signed for."""
    authority = Authority(tmp_path, "ca")
    pair = authority.signs("mail", ips=("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return authority, context


def test_the_password_is_said_over_tls_only(tls, tmp_path: Path):
    authority, context = tls
    (tmp_path / "password").write_text("pass word\n")
    with mail_server(starttls=context) as box:
        mail(
            box.port,
            security="starttls",
            username="cspine",
            password_file=tmp_path / "password",
            tls={"authorities": authority.file},
        ).send(MESSAGE)
    said = base64.b64encode(b"\0cspine\0pass word").decode()
    assert box.signed_in == [(f"PLAIN {said}", True)]
    assert len(box.letters) == 1


def test_a_server_of_another_authority_gets_no_password(tls, tmp_path: Path):
    _, context = tls
    (tmp_path / "password").write_text("pass word\n")
    other = Authority(tmp_path / "other", "ca")
    with (
        mail_server(starttls=context) as box,
        pytest.raises(DestinationMisconfigured, match=r"^127\.0\.0\.1: TLS failed: CERTIFICATE_VERIFY_FAILED$"),
    ):
        mail(
            box.port,
            security="starttls",
            username="cspine",
            password_file=tmp_path / "password",
            tls={"authorities": other.file},
        ).send(MESSAGE)
    assert box.signed_in == []


def test_a_server_without_starttls_is_not_spoken_to():
    with (
        mail_server() as box,
        pytest.raises(DestinationMisconfigured, match=r"^127\.0\.0\.1 offers no STARTTLS, or no way to sign in$"),
    ):
        mail(box.port, security="starttls").send(MESSAGE)
    assert box.letters == []


@pytest.mark.parametrize(
    ("says", "error", "text"),
    [
        ({"MAIL": "451 ZZSECRET^NAME later"}, RequestFailed, "127.0.0.1 answered 451"),
        ({"MAIL": "553 ZZSECRET^NAME never"}, DestinationMisconfigured, "127.0.0.1 answered 553"),
        ({"RCPT": "550 ZZSECRET^NAME unknown"}, DestinationMisconfigured, "127.0.0.1 answered 550"),
        ({"DATA": "452 ZZSECRET^NAME full"}, RequestFailed, "127.0.0.1 answered 452"),
    ],
)
def test_what_is_not_taken_is_an_error_without_words_of_the_server(says, error, text):
    with mail_server(says) as box, pytest.raises(error) as caught:
        mail(box.port).send(MESSAGE)
    assert str(caught.value) == text


def test_a_host_where_nobody_is_does_not_answer():
    with pytest.raises(PeerUnreachable, match=r"^127\.0\.0\.1 does not answer: ConnectionRefusedError$"):
        mail(1).send(MESSAGE)


def test_to_be_reached_nothing_is_sent():
    with mail_server() as box:
        mail(box.port).reach()
    assert box.letters == []
