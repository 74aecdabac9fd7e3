"""`[web]`: when people have to sign in, under which hosts the page answers, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from node.errors import SettingsError
from node.settings import WebSettings, load_settings, parse_settings

ANNA = {"name": "anna", "password_file": "anna.argon2"}
OIDC = {"issuer": "https://login", "client_id": "c", "client_secret_file": "s", "viewers": ["radiology"]}
TLS = {"certificate": "web.pem", "key": "web.key"}


def web(**keys: Any) -> WebSettings:
    return parse_settings({"node": {"state_dir": "s"}, "web": keys}, name="file.toml").web


def test_by_default_the_page_is_open_on_loopback_and_hides_identifiers() -> None:
    made = web()
    assert (made.host, made.port, made.signs_in, made.secure) == ("127.0.0.1", 8080, False, False)
    assert (made.loopback_role, made.loopback_sees_identifiers) == ("operator", False)
    assert made.hosts == {"localhost", "127.0.0.1", "::1"}
    assert made.origin == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("keys", "signs_in", "secure", "origin"),
    [
        ({"host": "::1", "port": 80}, False, False, "http://[::1]:80"),
        ({"user": [ANNA]}, True, False, "http://127.0.0.1:8080"),
        ({"tls": TLS}, False, True, "https://127.0.0.1:8080"),
        ({"url": "http://localhost:9000"}, False, False, "http://localhost:9000"),
        ({"url": "https://cspine.hospital", "user": [ANNA]}, True, True, "https://cspine.hospital"),
        ({"url": "https://cspine.hospital", "oidc": OIDC}, True, True, "https://cspine.hospital"),
        ({"host": "0.0.0.0", "url": "http://localhost:8080", "user": [ANNA]}, True, False, "http://localhost:8080"),
    ],
)
def test_who_has_to_sign_in(keys: dict[str, Any], signs_in: bool, secure: bool, origin: str) -> None:
    made = web(**keys)
    assert (made.signs_in, made.secure, made.origin) == (signs_in, secure, origin)


def test_the_page_answers_under_the_names_that_it_was_given() -> None:
    made = web(host="0.0.0.0", url="https://CSPINE.hospital:8443", names=["cspine-node"], user=[ANNA])
    assert made.hosts == {"localhost", "127.0.0.1", "::1", "cspine.hospital", "cspine-node"}


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        (
            {"host": "0.0.0.0"},
            "web: beyond loopback people sign in: [[web.user]] or [web.oidc] is needed; url is needed",
        ),
        ({"host": "10.1.2.3", "user": [ANNA]}, "web: url is needed beyond loopback"),
        ({"names": ["cspine.hospital"]}, "web: beyond loopback people sign in"),
        ({"url": "https://cspine.hospital"}, "web: beyond loopback people sign in"),
        ({"url": "http://cspine.hospital", "user": [ANNA]}, "web: url: people sign in over https only"),
        ({"url": "http://localhost", "tls": TLS}, "web: url: starts with https://"),
        ({"url": "https://cspine.hospital/page", "user": [ANNA]}, "web.url: String should match pattern"),
        ({"oidc": OIDC}, "web: url is needed with [web.oidc]"),
        ({"user": [ANNA, ANNA]}, "web: user[1].name: 'anna' stands there twice"),
        ({"token": [{"name": "p", "token_file": "t"}] * 2}, "web: token[1].name: 'p' stands there twice"),
        ({"user": [{**ANNA, "role": "admin"}]}, "web.user[0].role: Input should be 'viewer' or 'operator'"),
        ({"user": [{**ANNA, "password": "x"}]}, "web.user[0].password: there is no such key"),
        ({"oidc": {**OIDC, "viewers": []}}, "web.oidc: viewers or operators: without a group nobody may"),
        ({"oidc": {**OIDC, "issuer": "http://login"}}, "web.oidc: issuer: is asked over https only"),
        ({"oidc": {**OIDC, "scopes": ["profile"]}}, "web.oidc: scopes: openid is one of them"),
        ({"idle_s": 0}, "web.idle_s: Input should be greater than 0"),
        ({"proxies": ["proxy"]}, "web.proxies[0]"),
    ],
)
def test_what_would_let_strangers_in_is_refused(keys: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        web(**keys)
    assert str(caught.value).startswith(f"file.toml: {complaint}")


def test_files_of_the_page_start_at_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(
        '[node]\nstate_dir = "s"\n[web]\nurl = "https://a"\ntls = {certificate = "c", key = "credential:k"}\n'
        '[[web.user]]\nname = "anna"\npassword_file = "anna"\n[[web.token]]\nname = "p"\ntoken_file = "/t"\n'
        '[web.oidc]\nissuer = "https://login"\nclient_id = "c"\nclient_secret_file = "o"\nauthorities = "ca"\n'
        'viewers = ["v"]\n'
    )
    made = load_settings(tmp_path / "node.toml").web
    assert made.tls is not None
    assert made.oidc is not None
    assert (made.tls.certificate, made.tls.key) == (tmp_path / "c", Path("credential:k"))
    assert (made.user[0].password_file, made.token[0].token_file) == (tmp_path / "anna", Path("/t"))
    assert (made.oidc.client_secret_file, made.oidc.authorities) == (tmp_path / "o", tmp_path / "ca")
