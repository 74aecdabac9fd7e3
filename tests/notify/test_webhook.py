"""Webhooks against a small HTTP server: the signature of the specification, and what each answer means."""

import json
import ssl
from pathlib import Path

import pytest
from certificates import Authority
from webserver import Reply, Request, web_server

from node.errors import DeliveryError, DestinationMisconfigured, PeerUnreachable, RequestFailed
from node.notify.message import Speaker, trial_message
from node.notify.webhook import Webhook, signature, signing_key
from node.settings import WebhookSettings

MESSAGE = trial_message(Speaker(name="CSPINE on test"), at="2026-01-01T00:00:00.000+00:00")
#: Of the specification's own examples (github.com/standard-webhooks/standard-webhooks).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def webhook(url: str, **settings: object) -> Webhook:
    return Webhook(WebhookSettings.model_validate({"name": "desk", "url": url, **settings}), lambda: 1614265330.9)


def test_the_signature_is_that_of_the_specification():
    made = signature(signing_key(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_is_posted_as_json_and_signed(tmp_path: Path):
    (tmp_path / "key").write_text(f"{SECRET}\n")
    heard: list[Request] = []
    with web_server(lambda request: heard.append(request) or Reply(204)) as url:
        webhook(url, secret_file=tmp_path / "key").send(MESSAGE)
    (request,) = heard
    assert json.loads(request.body) == {
        "type": "cspine-node.test",
        "timestamp": "2026-01-01T00:00:00.000+00:00",
        "text": "CSPINE on test: test\n"
        "This is a test. Notices about failures, quarantine and recovery will arrive like this one.",
        "data": {"node": "CSPINE on test"},
    }
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == MESSAGE.identity
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == signature(signing_key(SECRET), MESSAGE.identity, "1614265330", request.body)


def test_without_a_secret_nothing_is_signed():
    heard: list[Request] = []
    with web_server(lambda request: heard.append(request) or Reply(200)) as url:
        webhook(url).send(MESSAGE)
    assert "webhook-signature" not in {name.lower() for name in heard[0].headers}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, DestinationMisconfigured),
        (404, DestinationMisconfigured),
        (302, DestinationMisconfigured),
        (429, RequestFailed),
        (500, RequestFailed),
    ],
)
def test_what_is_not_taken_is_an_error_without_words_of_the_server(status, error):
    with (
        web_server(lambda _request: Reply(status, b"ZZSECRET^NAME", {"Location": "http://elsewhere"})) as url,
        pytest.raises(error, match=f"^the webhook answered {status}$"),
    ):
        webhook(url).send(MESSAGE)


def test_an_address_where_nobody_is_does_not_answer_and_is_not_told():
    with pytest.raises(PeerUnreachable, match=r"^the webhook does not answer: ConnectError$"):
        webhook("http://127.0.0.1:1/secret-token").send(MESSAGE)
    with pytest.raises(PeerUnreachable, match=r"^the webhook does not answer: ConnectionRefusedError$"):
        webhook("http://127.0.0.1:1/secret-token").reach()


def test_an_address_can_be_in_a_file(tmp_path: Path):
    heard: list[Request] = []
    with web_server(lambda request: heard.append(request) or Reply(200)) as url:
        (tmp_path / "url").write_text(f"{url}/token\n")
        Webhook(WebhookSettings(name="desk", url_file=tmp_path / "url"), lambda: 0.0).send(MESSAGE)
    assert heard[0].path == "/dicom-web/token"


@pytest.mark.parametrize("content", ["", "ftp://there"])
def test_a_file_without_an_address_is_named(tmp_path: Path, content):
    (tmp_path / "url").write_text(content)
    with pytest.raises(DestinationMisconfigured, match=r"^url_file: "):
        Webhook(WebhookSettings(name="desk", url_file=tmp_path / "url"), lambda: 0.0).send(MESSAGE)


def test_a_secret_that_is_no_base64_is_named(tmp_path: Path):
    (tmp_path / "key").write_text("whsec_###")
    with pytest.raises(DestinationMisconfigured, match=r"^secret_file: after whsec_ stands no base64$"):
        webhook("http://127.0.0.1:1", secret_file=tmp_path / "key").send(MESSAGE)


@pytest.fixture
def https(tmp_path: Path):
    """A server that shows a certificate of an authority, and both."""
    authority = Authority(tmp_path, "ca")
    pair = authority.signs("hook", dns=("hook.hospital",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with web_server(lambda _request: Reply(200), context=context) as url:
        yield url, authority


def test_over_tls_the_certificate_and_its_name_are_verified(https):
    url, authority = https
    hook = webhook(url, tls={"authorities": authority.file, "server_name": "hook.hospital"})
    hook.send(MESSAGE)
    hook.reach()


def test_a_certificate_of_another_name_or_authority_is_refused(https, tmp_path: Path):
    url, authority = https
    other = Authority(tmp_path / "other", "ca")
    for tls in ({"authorities": authority.file}, {"authorities": other.file, "server_name": "hook.hospital"}):
        hook = webhook(url, tls=tls)
        for way in (lambda hook=hook: hook.send(MESSAGE), hook.reach):
            with pytest.raises(DeliveryError, match="TLS failed: CERTIFICATE_VERIFY_FAILED"):
                way()
