"""Signing in with a password: cookies, guessing, where one comes back to, and the page itself."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException
from playwright.sync_api import expect
from starlette.testclient import TestClient
from website import LiveNode, faults_in_both_schemes, shot, web_page

from node.errors import InputError, SettingsError
from node.settings import WebSettings
from node.web.login import place
from node.web.passwords import Throttle, hash_password, is_password, read_hash

PASSWORD = "twelve and more characters"
Make = Callable[..., TestClient]


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Keys of `[web]` with two users of the same password."""
    file = tmp_path_factory.mktemp("passwords") / "anna.argon2"
    file.write_text(hash_password(PASSWORD) + "\n")
    return {"user": [{"name": name, "password_file": file, "role": "operator"} for name in ("anna", "bert")]}


def token_of(client: TestClient) -> str:
    return (
        client.get("/login", headers={"accept": "text/html"}).text.split('name="csrf_token" value="')[1].split('"')[0]
    )


def sign_in(client: TestClient, name: str = "anna", password: str = PASSWORD, **more: str) -> tuple[int, str]:
    """Return the status and where it leads."""
    fields = {"name": name, "password": password, "csrf_token": token_of(client), **more}
    answer = client.post("/login", data=fields)
    return answer.status_code, answer.headers.get("location", "")


def test_the_cookie_of_a_session_is_no_scripts_and_no_other_sites(client_with: Make, users: dict[str, object]) -> None:
    client = client_with(**users)
    fields = {"name": "anna", "password": PASSWORD, "csrf_token": token_of(client)}
    answer = client.post("/login", data=fields)
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith("cspine="))
    assert re.fullmatch(r"cspine=[\w-]{43}; HttpOnly; Path=/; SameSite=lax", cookie)
    assert client.cookies.get("cspine-sign-in") is None


def test_over_https_the_cookie_is_of_this_host_and_https_only(client_with: Make, users: dict[str, object]) -> None:
    client = client_with("https://cspine.hospital", url="https://cspine.hospital", **users)
    fields = {"name": "anna", "password": PASSWORD, "csrf_token": token_of(client)}
    answer = client.post("/login", data=fields)
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith("__Host-"))
    assert re.fullmatch(r"__Host-cspine=[\w-]{43}; HttpOnly; Path=/; SameSite=lax; Secure", cookie)
    assert client.get("/login").status_code == 303


def test_a_session_that_somebody_planted_does_not_become_a_signed_in_one(
    client_with: Make, users: dict[str, object]
) -> None:
    client = client_with(**users)
    fields = {"name": "anna", "password": PASSWORD, "csrf_token": token_of(client)}
    planted = f"cspine=planted; cspine-sign-in={client.cookies['cspine-sign-in']}"
    answer = client.post("/login", data=fields, headers={"Cookie": planted})
    assert "cspine=" in answer.headers["set-cookie"]
    assert client.get("/nothing", headers={"Cookie": "cspine=planted"}).status_code == 401


def test_signing_out_ends_the_session_at_once(client_with: Make, users: dict[str, object]) -> None:
    client = client_with(**users)
    assert sign_in(client) == (303, "/")
    kept = client.cookies.get("cspine")
    page = client.get("/nothing", headers={"accept": "text/html"}).text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    assert client.post("/logout").status_code == 403
    assert client.post("/logout", data={"csrf_token": token}).headers["location"] == "/login"
    assert client.get("/nothing", headers={"Cookie": f"cspine={kept}"}).status_code == 401


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        ("/cases/7", "/cases/7"),
        ("/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/%5C%5Cevil", "/%5C%5Cevil"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\nSet-Cookie: b", "/"),
        ("/a?b=c", "/"),
        ("/login", "/"),
        ("", "/"),
    ],
)
def test_a_sign_in_leads_to_a_page_of_this_site(asked: str, led: str) -> None:
    assert place(asked) == led


def test_the_sign_in_leads_back(client_with: Make, users: dict[str, object]) -> None:
    client = client_with(**users)
    assert sign_in(client, next="/cases/7") == (303, "/cases/7")
    assert client.get("/login?next=/routes").headers["location"] == "/routes"


def test_a_form_of_another_site_signs_nobody_in(client_with: Make, users: dict[str, object]) -> None:
    client = client_with(**users)
    assert client.post("/login", data={"name": "anna", "password": PASSWORD}).status_code == 403
    token_of(client)
    wrong = client.post("/login", data={"name": "anna", "password": PASSWORD, "csrf_token": "wrong"})
    assert wrong.status_code == 403


def test_a_wrong_name_and_a_wrong_password_are_answered_alike(client_with: Make, users: dict[str, object]) -> None:
    client = client_with(**users)
    answers = []
    for name in ("anna", "nobody"):
        fields = {"name": name, "password": "wrong", "csrf_token": token_of(client)}
        answer = client.post("/login", data=fields, headers={"accept": "text/html"})
        answers.append(
            (answer.status_code, re.sub(r'value="[^"]*"|content="[^"]*"|hx-headers=\'[^\']*\'', "", answer.text))
        )
    assert answers[0] == answers[1]
    assert answers[0][0] == 401


def test_who_guesses_waits_and_others_do_not(client_with: Make, users: dict[str, object]) -> None:
    client = client_with(**users)
    for _ in range(5):
        assert sign_in(client, password="wrong")[0] == 401
    fields = {"name": "anna", "password": PASSWORD, "csrf_token": token_of(client)}
    answer = client.post("/login", data=fields)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert sign_in(client, name="bert")[0] == 303


class Clock:
    """A clock that the test turns."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_many_tries_at_once_are_no_more_than_one_after_the_other(client_with: Make, users: dict[str, object]) -> None:
    client = client_with(**users)
    fields = {"name": "anna", "password": "wrong", "csrf_token": token_of(client)}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: client.post("/login", data=fields).status_code, range(16)))
    assert sorted(answers) == [401] * 5 + [429] * 11


def test_guesses_from_elsewhere_keep_nobody_out_where_he_has_signed_in(
    client_with: Make, users: dict[str, object]
) -> None:
    client = client_with(**users)
    app: Any = client.app
    attempt = app.state.sign_in.with_password
    assert attempt("anna", PASSWORD, "10.0.0.1").name == "anna"
    for _ in range(51):
        app.state.sign_in.name.failed("anna")
    with pytest.raises(HTTPException):
        attempt("anna", PASSWORD, "10.0.0.2")
    assert attempt("anna", PASSWORD, "10.0.0.1").name == "anna"


def test_each_failure_beyond_the_free_ones_doubles_the_wait_up_to_a_quarter_of_an_hour() -> None:
    clock = Clock()
    throttle = Throttle(free=2, clock=clock)
    waits = []
    for _ in range(16):
        throttle.failed("anna")
        waits.append(throttle.wait_s("anna"))
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]
    assert throttle.wait_s("bert") == 0
    clock.now = 899.5
    assert throttle.wait_s("anna") == 0.5
    clock.now = 900 + 3600
    throttle.failed("bert")
    throttle.failed("anna")
    assert throttle.wait_s("anna") == 0


def test_who_succeeds_begins_anew() -> None:
    throttle = Throttle(free=1, clock=Clock())
    throttle.failed("anna")
    throttle.succeeded("anna")
    throttle.failed("anna")
    assert throttle.wait_s("anna") == 0


@pytest.mark.parametrize("length", [0, 11, 1025])
def test_a_password_is_neither_short_nor_endless(length: int) -> None:
    with pytest.raises(InputError, match="12 to 1024 characters"):
        hash_password("x" * length)


def test_a_hash_is_argon2id_and_knows_its_password() -> None:
    made = hash_password(PASSWORD)
    assert made.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert made != hash_password(PASSWORD)
    assert [is_password(made, PASSWORD), is_password(made, "other"), is_password(None, PASSWORD)] == [
        True,
        False,
        False,
    ]
    assert not is_password(None, "nobody signs in with this")


@pytest.mark.parametrize(("content", "complaint"), [(None, "cannot be read"), (b"plain", "holds no argon2 hash")])
def test_a_file_that_holds_no_hash_is_named_at_the_start(
    client_with: Make, tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    if content is not None:
        (tmp_path / "anna").write_bytes(content)
    with pytest.raises(SettingsError, match=rf"^web\.user\[0\]\.password_file: .*{complaint}"):
        client_with(user=[{"name": "anna", "password_file": tmp_path / "anna"}])
    with pytest.raises(SettingsError, match=r"^key: "):
        read_hash(tmp_path / "anna", "key")


def test_a_changed_password_counts_without_a_restart(client_with: Make, tmp_path: Path) -> None:
    (tmp_path / "anna").write_text(hash_password(PASSWORD))
    client = client_with(user=[{"name": "anna", "password_file": tmp_path / "anna"}])
    (tmp_path / "anna").write_text(hash_password("another long password"))
    assert sign_in(client)[0] == 401
    assert sign_in(client, password="another long password")[0] == 303


def test_passwords_do_not_travel_in_the_clear_beyond_loopback(client_with: Make, users: dict[str, object]) -> None:
    client = client_with(
        "http://cspine-node", host="0.0.0.0", url="http://localhost:8080", names=["cspine-node"], **users
    )
    assert sign_in(client)[0] == 403


@pytest.mark.peer("chromium", "orthanc")
def test_somebody_signs_in_by_keyboard_works_and_signs_out(
    node: LiveNode, visit: Callable[..., object], users: dict[str, object]
) -> None:
    with web_page(node.site_with(WebSettings.model_validate(users))) as url:
        page = visit(f"{url}/cases/{node.cases['delivered']}", expect_errors=True)
        expect(page).to_have_url(f"{url}/login?next=/cases/{node.cases['delivered']}")
        shot(page, "login")
        assert faults_in_both_schemes(page) == []
        expect(page.get_by_label("Name")).to_be_focused()
        page.keyboard.type("anna")
        page.keyboard.press("Tab")
        page.keyboard.type("wrong password")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert").filter(has_text="wrong")).to_have_text("Name or password is wrong.")
        expect(page.get_by_label("Password")).to_be_focused()
        shot(page, "login-failed")
        assert faults_in_both_schemes(page) == []
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{url}/cases/{node.cases['delivered']}")
        expect(page.locator(".who .name")).to_have_text("Signed in as anna")
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(f"{url}/login")
        page.goto(f"{url}/routes")
        expect(page).to_have_url(f"{url}/login?next=/routes")
