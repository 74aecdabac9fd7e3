"""Sign-in at an OpenID provider: the whole way, and every token that must not get in."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from joserfc.jwk import RSAKey
from openid import CLIENT, SECRET, OpenIdProvider, openid_provider
from starlette.testclient import TestClient
from webserver import Reply

from node.errors import SettingsError
from node.settings.web import OidcSettings
from node.web.access import Role
from node.web.oidc import user_of_claims

Make = Callable[..., TestClient]
PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def running() -> Iterator[OpenIdProvider]:
    with openid_provider() as made:
        yield made


@pytest.fixture
def provider(running: OpenIdProvider) -> OpenIdProvider:
    """The provider of the module, telling the truth."""
    running.claims, running.key, running.replies, running.asked = {"groups": ["radiology"]}, None, {}, []
    running.claims["preferred_username"] = "anna"
    return running


@pytest.fixture
def client(client_with: Make, provider: OpenIdProvider, tmp_path: Path) -> TestClient:
    (tmp_path / "secret").write_text(SECRET + "\n")
    return client_with(url="http://localhost:8080", oidc=provider.settings(tmp_path / "secret"))


def sent_away(client: TestClient, provider: OpenIdProvider, where: str = "/") -> dict[str, str]:
    answer = client.get(f"/login/oidc?next={where}")
    assert answer.status_code == 302
    return provider.asked_to_sign_in(answer.headers["location"])


def come_back(client: TestClient, **parameters: str) -> tuple[int, str]:
    """Return the status, and where it leads or what it says."""
    answer = client.get("/login/oidc/callback", params=parameters)
    said = "" if answer.status_code == 303 else answer.json()["error"]["message"]
    return answer.status_code, answer.headers.get("location", said)


def signed_in(client: TestClient) -> bool:
    return client.get("/nothing", headers=PAGE).status_code == 404


def test_somebody_signs_in_at_the_provider_and_comes_back(client: TestClient, provider: OpenIdProvider) -> None:
    assert "Sign in with 127.0.0.1" in client.get("/login", headers=PAGE).text
    asked = sent_away(client, provider, "/cases/7")
    assert asked["redirect_uri"] == "http://localhost:8080/login/oidc/callback"
    assert (asked["client_id"], asked["response_type"], asked["scope"]) == (CLIENT, "code", "openid profile")
    assert asked["code_challenge_method"] == "S256"
    assert come_back(client, code="c", state=asked["state"]) == (303, "/cases/7")
    page = client.get("/nothing", headers=PAGE).text
    assert "anna" in page
    assert "viewer" in page
    assert "identifiers hidden" not in page
    [exchange] = provider.asked
    assert exchange["code"] == "c"
    assert len(exchange["code_verifier"]) >= 43
    assert exchange["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another-client"},
        {"aud": "another-client", "azp": CLIENT},
        {"aud": None},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
    ],
    ids=str,
)
def test_a_token_that_says_something_wrong_signs_nobody_in(
    client: TestClient, provider: OpenIdProvider, claims: dict[str, Any]
) -> None:
    asked = sent_away(client, provider)
    provider.claims.update(claims)
    status, said = come_back(client, code="c", state=asked["state"])
    assert (status, said) == (403, "the OpenID provider did not confirm this sign-in; try again")
    assert not signed_in(client)


def test_a_token_that_somebody_else_signed_signs_nobody_in(client: TestClient, provider: OpenIdProvider) -> None:
    asked = sent_away(client, provider)
    provider.key = RSAKey.generate_key(2048, {"kid": "own"})
    assert come_back(client, code="c", state=asked["state"])[0] == 403
    assert not signed_in(client)


def test_a_state_that_this_browser_did_not_begin_signs_nobody_in(client: TestClient, provider: OpenIdProvider) -> None:
    assert come_back(client, code="c", state="made-up")[0] == 403
    asked = sent_away(client, provider)
    client.cookies.clear()
    assert come_back(client, code="c", state=asked["state"])[0] == 403
    assert come_back(client)[0] == 403
    assert provider.asked == []


def test_a_state_works_once(client: TestClient, provider: OpenIdProvider) -> None:
    asked = sent_away(client, provider)
    assert come_back(client, code="c", state=asked["state"])[0] == 303
    assert come_back(client, code="c", state=asked["state"])[0] == 403


def test_what_somebody_sends_as_an_error_of_the_provider_does_not_come_into_the_log(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    for error, code in (("access_denied", "access_denied"), ("Doe^Jane " * 1000, "unknown")):
        assert come_back(client, error=error)[0] == 403
        said = capsys.readouterr().out
        assert f"code={code}" in said
        assert "Doe" not in said


def test_who_begins_to_sign_in_again_and_again_can_still_end_it(client: TestClient, provider: OpenIdProvider) -> None:
    for _ in range(12):
        state = sent_away(client, provider)["state"]
    assert len(client.cookies["cspine-sign-in"]) < 4000
    assert come_back(client, code="c", state=state) == (303, "/")


def test_a_refusal_of_the_provider_is_told_without_its_words(client: TestClient, provider: OpenIdProvider) -> None:
    asked = sent_away(client, provider)
    refused = {"error": "access_denied", "error_description": "<b>evil</b>", "state": asked["state"]}
    status, said = come_back(client, **refused)
    assert (status, "evil" in said) == (403, False)


@pytest.mark.parametrize(
    ("path", "reply"),
    [
        ("/.well-known/openid-configuration", Reply(status=500, body=b"")),
        ("/.well-known/openid-configuration", Reply(body=b"no JSON")),
        ("/.well-known/openid-configuration", Reply(body=b"{}")),
    ],
)
def test_a_provider_that_is_broken_is_answered_502(
    client: TestClient, provider: OpenIdProvider, path: str, reply: Reply
) -> None:
    provider.replies[path] = reply
    answer = client.get("/login/oidc")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "http-502")


@pytest.mark.parametrize(
    ("path", "reply", "status"),
    [
        ("/keys", Reply(status=503, body=b""), 502),
        ("/token", Reply(status=500, body=b"no JSON"), 502),
        ("/token", Reply(status=400, body={"error": "invalid_grant"}), 403),
        ("/token", Reply(body={"access_token": "a", "token_type": "Bearer"}), 403),
        ("/token", Reply(body={"access_token": "a", "token_type": "Bearer", "id_token": "x.y.z"}), 403),
    ],
)
def test_a_provider_that_breaks_on_the_way_back_signs_nobody_in(
    client: TestClient, provider: OpenIdProvider, path: str, reply: Reply, status: int
) -> None:
    asked = sent_away(client, provider)
    provider.replies[path] = reply
    assert come_back(client, code="c", state=asked["state"])[0] == status
    assert not signed_in(client)


OIDC = OidcSettings(
    issuer="https://login",
    client_id="c",
    client_secret_file=Path("s"),
    viewers=("radiology",),
    operators=("administrators",),
    see_identifiers=("radiology",),
)


@pytest.mark.parametrize(
    ("claims", "name", "role", "sees"),
    [
        ({"preferred_username": "anna", "groups": ["radiology"]}, "anna", Role.VIEWER, True),
        ({"preferred_username": "anna", "groups": "administrators"}, "anna", Role.OPERATOR, False),
        ({"sub": "s-1", "groups": ["administrators", "radiology", 7]}, "s-1", Role.OPERATOR, True),
    ],
)
def test_groups_decide_what_somebody_may(claims: dict[str, Any], name: str, role: Role, sees: bool) -> None:
    user = user_of_claims(OIDC, claims, b"key")
    assert (user.name, user.role, user.sees_identifiers) == (name, role, sees)


@pytest.mark.parametrize("groups", [[], ["others"], "other", {"radiology": 1}, None, 7])
def test_who_is_in_no_group_may_nothing(client: TestClient, provider: OpenIdProvider, groups: Any) -> None:
    asked = sent_away(client, provider)
    provider.claims["groups"] = groups
    status, said = come_back(client, code="c", state=asked["state"])
    assert (status, said) == (403, "you are in no group that may look here; ask the administrator of the node")
    assert not signed_in(client)


def test_without_a_provider_there_is_no_such_way(client_with: Make) -> None:
    client = client_with()
    assert client.get("/login/oidc").status_code == 404
    assert client.get("/login/oidc/callback?code=c&state=s").status_code == 404


def test_a_provider_is_spoken_to_only_if_its_certificate_is_trusted(client_with: Make, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    authority, stranger = Authority(tmp_path / "ca", "ours"), Authority(tmp_path / "other", "theirs")
    pair = authority.signs("login", ips=("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with openid_provider(context=context) as provider:
        for signed_by, status in ((authority.file, 302), (stranger.file, 502), (None, 502)):
            oidc = {**provider.settings(tmp_path / "secret"), "authorities": signed_by}
            client = client_with(url="http://localhost:8080", oidc=oidc)
            assert client.get("/login/oidc").status_code == status, signed_by


@pytest.mark.parametrize("missing", ["client_secret_file", "authorities"])
def test_files_of_the_provider_that_cannot_be_read_are_named(client_with: Make, tmp_path: Path, missing: str) -> None:
    (tmp_path / "secret").write_text(SECRET)
    oidc = {"issuer": "https://login", "client_id": "c", "client_secret_file": tmp_path / "secret", "viewers": ["v"]}
    with pytest.raises(SettingsError, match=rf"^web\.oidc\.{missing}: "):
        client_with(url="http://localhost", oidc={**oidc, missing: tmp_path / "absent"})
