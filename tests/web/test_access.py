"""Who gets in: hosts, proxies, roles, forms of other sites, tokens of programs, sessions that end."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI, Request, UploadFile
from starlette.testclient import TestClient

from node.errors import SettingsError
from node.web.access import Operator, Role, User, Viewer, shown_uid
from node.web.passwords import hash_password
from node.web.sessions import Session, Sessions

PASSWORD = "twelve and more characters"
PAGE = {"accept": "text/html"}
Make = Callable[..., TestClient]


@pytest.fixture(scope="module")
def password_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("passwords") / "anna.argon2"
    path.write_text(hash_password(PASSWORD) + "\n")
    return path


def with_probes(client: TestClient) -> TestClient:
    """Add pages to an application: one that looks, one that changes, one that takes a file."""
    app = client.app
    assert isinstance(app, FastAPI)

    @app.get("/look/{number}")
    def look(number: int, user: Viewer) -> dict[str, object]:
        return {"name": user.name, "role": user.role.value, "uid": shown_uid(user, "1.2.3")}

    @app.post("/change")
    def change(user: Operator) -> dict[str, str]:
        return {"by": user.name}

    @app.post("/take")
    def take(file: UploadFile, user: Viewer, request: Request) -> dict[str, object]:
        return {"bytes": file.size}

    @app.get("/metrics-of-test")
    def metrics(user: Viewer) -> dict[str, str]:
        return {"name": user.name}

    return client


def token_in(client: TestClient, path: str = "/nothing") -> str:
    """Return the token that a page of the site carries for its forms."""
    text = client.get(path, headers=PAGE).text
    return text.split('name="csrf-token" content="')[1].split('"')[0]


def signed_in(client: TestClient, password_file: Path, name: str = "anna") -> TestClient:
    fields = {"name": name, "password": PASSWORD, "csrf_token": token_in(client, "/login")}
    assert client.post("/login", data=fields).status_code == 303
    return client


def anna(password_file: Path, **more: object) -> dict[str, object]:
    return {"user": [{"name": "anna", "password_file": password_file, **more}]}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080"])
def test_on_loopback_the_page_answers_under_the_names_of_loopback(client: TestClient, host: str) -> None:
    assert with_probes(client).get("/look/1", headers={"host": host}).json()["name"] == "loopback"


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost.evil.example", "127.0.0.1.nip.io:8080", "", "[::2]", "a:b:1"),
        *("localhost:/login", "localhost:evil", "localhost/login?", "a@localhost", "[::1]evil", "localhost:123456"),
    ],
)
def test_a_name_that_somebody_points_to_loopback_is_answered_421(client: TestClient, host: str) -> None:
    answer = with_probes(client).get("/look/1", headers={"host": host})
    assert (answer.status_code, answer.json()["error"]["code"]) == (421, "host")


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP"])
def test_where_nobody_signs_in_no_proxy_may_bring_strangers(client: TestClient, header: str) -> None:
    answer = with_probes(client).get("/look/1", headers={header: "10.1.2.3"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "proxy")


def test_the_role_on_loopback_is_that_of_the_settings(client_with: Make) -> None:
    client = with_probes(client_with(loopback_role="viewer", loopback_sees_identifiers=True))
    assert client.get("/look/1").json() == {"name": "loopback", "role": "viewer", "uid": "1.2.3"}
    answer = client.post("/change", headers={"X-CSRF-Token": token_in(client)})
    assert (answer.status_code, answer.json()["error"]["message"]) == (403, "operators only")


def test_a_uid_is_the_hash_of_the_logs_to_whom_identifiers_are_hidden(client: TestClient) -> None:
    assert with_probes(client).get("/look/1").json()["uid"] == "7ba41b7419e862aa"
    seeing = User(name="a", role=Role.VIEWER, sees_identifiers=True)
    assert shown_uid(seeing, "1.2.3") == "1.2.3"


def test_a_change_carries_the_token_of_a_page_in_a_header_or_a_field(client: TestClient) -> None:
    token = token_in(with_probes(client))
    assert client.post("/change", headers={"X-CSRF-Token": token}).json() == {"by": "loopback"}
    assert client.post("/change", data={"csrf_token": token}).json() == {"by": "loopback"}
    taken = client.post("/take", data={"csrf_token": token}, files={"file": b"12345"})
    assert taken.json() == {"bytes": 5}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-CSRF-Token": "wrong"},
        {"X-CSRF-Token": "\u00e4".encode("latin-1").decode("latin-1")},
        {"Sec-Fetch-Site": "cross-site", "X-CSRF-Token": "right"},
        {"Sec-Fetch-Site": "same-site", "X-CSRF-Token": "right"},
        {"Origin": "http://evil.example", "X-CSRF-Token": "right"},
        {"Origin": "null", "X-CSRF-Token": "right"},
        {"Origin": "http://localhost:3000", "X-CSRF-Token": "right"},
    ],
)
def test_a_change_that_another_site_may_have_sent_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    token = token_in(with_probes(client))
    given = {name: token if value == "right" else value for name, value in headers.items()}
    encoded = {name: value.encode("latin-1") for name, value in given.items()}
    assert client.post("/change", headers=encoded).status_code == 403


def test_a_page_of_our_own_is_no_other_site(client: TestClient) -> None:
    headers = {
        "X-CSRF-Token": token_in(with_probes(client)),
        "Origin": "http://localhost",
        "Sec-Fetch-Site": "same-origin",
    }
    assert client.post("/change", headers=headers).status_code == 200


def test_a_proxy_may_lose_the_port_of_the_address(client_with: Make) -> None:
    client = with_probes(client_with(url="http://localhost:9000"))
    headers = {"X-CSRF-Token": token_in(client), "Origin": "http://localhost:9000"}
    assert client.post("/change", headers=headers).status_code == 200


def test_who_is_not_signed_in_is_led_to_the_form_and_back(client_with: Make, password_file: Path) -> None:
    client = with_probes(client_with(**anna(password_file)))
    shown = client.get("/look/1?secret=1", headers=PAGE)
    assert (shown.status_code, shown.headers["location"]) == (303, "/login?next=/look/1")
    by_htmx = client.get("/look/1", headers={"HX-Request": "true"})
    assert (by_htmx.status_code, by_htmx.headers["hx-redirect"]) == (401, "/login")
    by_program = client.get("/look/1")
    assert (by_program.status_code, by_program.headers["www-authenticate"]) == (401, "Bearer")
    assert by_program.json()["error"]["code"] == "sign-in"
    assert client.get("/no-such-page").status_code == 401
    assert client.get("/api/openapi.json").status_code == 401


def test_roles_and_identifiers_are_those_of_the_user(client_with: Make, password_file: Path) -> None:
    viewer = signed_in(with_probes(client_with(**anna(password_file, sees_identifiers=True))), password_file)
    assert viewer.get("/look/1").json() == {"name": "anna", "role": "viewer", "uid": "1.2.3"}
    refused = viewer.post("/change", headers={"X-CSRF-Token": token_in(viewer)})
    assert refused.status_code == 403
    operator = signed_in(with_probes(client_with(**anna(password_file, role="operator"))), password_file)
    assert operator.get("/look/1").json() == {"name": "anna", "role": "operator", "uid": "7ba41b7419e862aa"}
    assert operator.post("/change", headers={"X-CSRF-Token": token_in(operator)}).json() == {"by": "anna"}


def test_the_token_of_one_session_is_none_of_another(client_with: Make, password_file: Path) -> None:
    client = with_probes(client_with(**anna(password_file, role="operator")))
    first = token_in(signed_in(client, password_file))
    client.cookies.clear()
    second = token_in(signed_in(client, password_file))
    assert first != second
    assert client.post("/change", headers={"X-CSRF-Token": first}).status_code == 403


@pytest.fixture
def bearing(client_with: Make, tmp_path: Path) -> Iterator[TestClient]:
    """An application with three programs, each with its name doubled ten times for a token."""
    tokens = []
    for name, role in (("prom", "metrics"), ("look", "viewer"), ("does", "operator")):
        (tmp_path / name).write_text(name * 10 + "\n")
        tokens.append({"name": name, "token_file": tmp_path / name, "role": role})
    (tmp_path / "anna").write_text(hash_password(PASSWORD))
    return with_probes(client_with(token=tokens, **anna(tmp_path / "anna")))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_program_with_a_token_is_its_role_and_needs_no_form_token(bearing: TestClient) -> None:
    assert bearing.get("/look/1", headers=bearer("look" * 10)).json()["name"] == "look"
    assert bearing.post("/change", headers=bearer("look" * 10)).status_code == 403
    assert bearing.post("/change", headers=bearer("does" * 10)).json() == {"by": "does"}


def test_a_token_for_metrics_opens_nothing_else(bearing: TestClient) -> None:
    assert bearing.get("/metrics", headers=bearer("prom" * 10)).status_code != 401
    assert bearing.get("/look/1", headers=bearer("prom" * 10)).status_code == 401
    assert bearing.get("/metrics-of-test", headers=bearer("prom" * 10)).status_code == 401
    assert bearing.get("/metrics").status_code == 401


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "Bearer ", "Basic YW5uYTp4", "nonsense", "Bearer \u00fc"])
def test_a_wrong_token_is_nobody_even_on_loopback(client: TestClient, bearing: TestClient, header: str) -> None:
    headers = {"Authorization": header.encode("latin-1")}
    assert bearing.get("/look/1", headers=headers).status_code == 401
    assert with_probes(client).get("/look/1", headers=headers).status_code == 401


@pytest.mark.parametrize("header", ["Basic YW5uYTp4", "Negotiate YII", "nonsense"])
def test_what_a_browser_tells_the_proxy_before_the_page_is_no_token(
    client_with: Make, password_file: Path, header: str
) -> None:
    """It hides no session, and takes no check off one: every other site's form would carry it too."""
    client = with_probes(client_with(**anna(password_file, role="operator")))
    client.headers["Authorization"] = header
    signed_in(client, password_file)
    assert client.get("/look/1").json()["name"] == "anna"
    token = token_in(client)
    assert client.post("/change", headers={"X-CSRF-Token": token}).json() == {"by": "anna"}
    assert client.post("/change").status_code == 403
    assert client.post("/change", data={"csrf_token": "wrong"}).status_code == 403
    foreign = {"X-CSRF-Token": token, "Sec-Fetch-Site": "cross-site"}
    assert client.post("/change", headers=foreign).status_code == 403


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_counts_before_a_session_whatever_the_case_of_its_scheme(
    bearing: TestClient, password_file: Path, scheme: str
) -> None:
    signed_in(bearing, password_file)
    headers = {"Authorization": f"{scheme} {'does' * 10}"}
    assert bearing.post("/change", headers=headers).json() == {"by": "does"}
    assert bearing.get("/look/1", headers={"Authorization": f"{scheme} wrong"}).status_code == 401


@pytest.mark.parametrize(
    ("content", "complaint"), [(b"short", "at least 20 characters"), (b"\xff\xfe", "cannot be read")]
)
def test_a_token_that_can_be_guessed_is_refused_at_the_start(
    client_with: Make, tmp_path: Path, content: bytes, complaint: str
) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(SettingsError, match=rf"^web\.token\[0\]\.token_file: .*{complaint}"):
        client_with(token=[{"name": "p", "token_file": tmp_path / "token"}])


def test_a_stranger_may_send_little_and_a_user_a_form(client_with: Make, password_file: Path) -> None:
    client = with_probes(client_with(maximum_upload_mb=2, **anna(password_file)))
    assert client.post("/login", data={"name": "a" * 70_000}).status_code == 413
    signed_in(client, password_file)
    headers = {"X-CSRF-Token": token_in(client)}
    assert client.post("/take", headers=headers, files={"file": b"x" * 1_000_000}).json() == {"bytes": 1_000_000}
    assert client.post("/take", headers=headers, files={"file": b"x" * 1_100_000}).status_code == 413
    asked = client.post("/api/v1/cases/1/retry", headers=headers, json={"destination": "x" * 1_100_000})
    assert asked.status_code == 413


@pytest.mark.parametrize(("role", "status"), [("viewer", 413), ("operator", 200)])
def test_only_an_operator_may_send_a_large_file_to_the_tester(
    client_with: Make, password_file: Path, role: str, status: int
) -> None:
    client = signed_in(client_with(maximum_upload_mb=2, **anna(password_file, role=role)), password_file)
    headers = {"X-CSRF-Token": token_in(client)}
    assert client.post("/routes/test", headers=headers, files={"file": b"x" * 1_100_000}).status_code == status


@pytest.mark.parametrize("path", ["/", "/cases/1", "/api/openapi.json", "/metrics"])
def test_a_token_for_metrics_opens_metrics_alone_whatever_the_host_says(
    client_with: Make, tmp_path: Path, path: str
) -> None:
    (tmp_path / "token").write_text("t" * 20)
    client = client_with(token=[{"name": "p", "token_file": tmp_path / "token"}])
    for host, status in (("localhost", 200 if path == "/metrics" else 401), ("localhost:/metrics?", 421)):
        headers = {"Authorization": "Bearer " + "t" * 20, "host": host}
        assert client.get(path, headers=headers).status_code == status


class Clock:
    """A clock that the test turns."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def found(sessions: Sessions, token: str, *, attended: bool = True) -> Session | None:
    return sessions.find(token, attended=attended)


def test_a_session_ends_when_nobody_does_anything_and_at_the_latest_after_its_time() -> None:
    clock, user = Clock(), User(name="anna", role=Role.VIEWER, sees_identifiers=False)
    sessions = Sessions(idle_s=100, total_s=250, clock=clock)
    token = sessions.begin(user)
    for clock.now in (99, 198, 249):
        assert found(sessions, token) is not None
    clock.now = 250
    assert found(sessions, token) is None
    other = sessions.begin(user)
    clock.now = 349
    assert found(sessions, other, attended=False) is not None
    clock.now = 350
    assert found(sessions, other) is None
    assert found(sessions, "") is None


def test_beyond_a_thousand_sessions_the_most_silent_goes() -> None:
    clock, user = Clock(), User(name="anna", role=Role.VIEWER, sees_identifiers=False)
    sessions = Sessions(idle_s=1e6, total_s=1e6, clock=clock)
    tokens = []
    for clock.now in range(1000):
        tokens.append(sessions.begin(user))
    assert found(sessions, tokens[0]) is not None
    sessions.begin(user)
    assert [found(sessions, token) is None for token in tokens[:3]] == [False, True, False]


def test_what_the_page_asks_by_itself_does_not_prolong_a_session(client_with: Make, password_file: Path) -> None:
    client = signed_in(with_probes(client_with(**anna(password_file))), password_file)
    assert isinstance(client.app, FastAPI)
    [session] = client.app.state.sign_in.sessions._sessions.values()
    session.seen = before = session.seen - 10
    assert client.get("/look/1", headers={"X-Unattended": "1"}).status_code == 200
    assert session.seen == before
    assert client.get("/look/1").status_code == 200
    assert session.seen > before
