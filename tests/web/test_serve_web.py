"""`cspine-node web` as a process and its server: port, TLS, proxies, files of passwords and tokens."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from click.testing import Result
from fastapi import FastAPI, Request
from manager import Manager
from typer.testing import CliRunner
from website import web_page
from wired import Node

from node.cli.web import app
from node.demo.archive import free_port
from node.errors import SettingsError, SystemFailed
from node.settings import WebSettings
from node.web.app import build_app
from node.web.passwords import is_password
from node.web.serve import WebServer
from node.web.site import Site


def site(node: Node, **web: Any) -> Site:
    settings = node.settings.model_copy(update={"web": WebSettings.model_validate(web)})
    return Site(settings=settings, store=node.journal.store, ask=lambda _request: None)


def command(*arguments: object, given: str = "") -> Result:
    """Run a command in this process; another one would import for seconds."""
    mask = os.umask(0o022)
    try:
        return CliRunner().invoke(app, list(map(str, arguments)), input=given)
    finally:
        os.umask(mask)


def test_a_port_that_is_taken_is_named(wired_node: Node) -> None:
    made = site(wired_node)
    with web_page(made) as url:
        web = made.settings.web.model_copy(update={"port": int(url.rsplit(":", 1)[1])})
        with pytest.raises(
            SystemFailed, match=r"^web: 127\.0\.0\.1:\d+ cannot be listened on: Address already in use$"
        ):
            WebServer(build_app(made), web)


def test_over_tls_the_page_speaks_nothing_older_than_1_2(wired_node: Node, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca", "ca")
    pair = authority.signs("page", ips=("127.0.0.1",))
    with web_page(site(wired_node, tls={"certificate": pair.certificate, "key": pair.key})) as url:
        context = ssl.create_default_context(cafile=authority.file)
        with urllib.request.urlopen(f"{url}/livez", context=context) as answer:
            assert answer.status == 200
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
            assert "server" not in answer.headers
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match=r"TLSv1_1 is deprecated"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(urllib.error.URLError, match=r"(?i)ssl"):
            urllib.request.urlopen(f"{url}/livez", context=context)


@pytest.mark.parametrize("spoilt", ["absent", "another"])
def test_a_certificate_and_a_key_that_do_not_fit_are_refused_at_the_start(
    wired_node: Node, tmp_path: Path, spoilt: str
) -> None:
    authority = Authority(tmp_path / "ca", "ca")
    certificate = authority.signs("page").certificate
    key = tmp_path / "absent" if spoilt == "absent" else authority.signs("other").key
    made = site(wired_node, tls={"certificate": certificate, "key": key})
    with pytest.raises(SettingsError, match=r"^web\.tls: certificate and key cannot be read"):
        WebServer(build_app(made), made.settings.web)


@pytest.mark.parametrize(("proxies", "seen"), [([], "http 127.0.0.1"), (["127.0.0.0/8"], "https 10.1.2.3")])
def test_the_word_of_a_proxy_counts_only_where_it_is_named(
    wired_node: Node, tmp_path: Path, proxies: list[str], seen: str
) -> None:
    (tmp_path / "t").write_text("t" * 20)
    (tmp_path / "s").write_text("s")
    oidc = {"issuer": "https://l", "client_id": "c", "client_secret_file": tmp_path / "s", "viewers": ["v"]}
    token = [{"name": "p", "token_file": tmp_path / "t", "role": "viewer"}]
    made = site(wired_node, url="https://cspine.hospital", oidc=oidc, token=token, proxies=proxies)
    with running(made) as (pages, url):

        @pages.get("/who")
        def who(request: Request) -> str:
            return f"{request.url.scheme} {request.client.host if request.client else ''}"

        headers = {"Authorization": "Bearer " + "t" * 20, "X-Forwarded-For": "10.1.2.3", "X-Forwarded-Proto": "https"}
        with urllib.request.urlopen(urllib.request.Request(f"{url}/who", headers=headers)) as answer:
            assert json.load(answer) == seen


def connected(url: str) -> closing[socket.socket]:
    return closing(socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=60))


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\n", b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET"])
def test_a_connection_on_which_no_request_comes_is_ended(
    wired_node: Node, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr("node.web.serve._HEAD_S", 0.2)
    with running(site(wired_node)) as (_, url), connected(url) as silent:
        silent.sendall(said)
        answered = b"".join(iter(lambda: silent.recv(1 << 16), b""))
        assert answered.startswith(b"HTTP/1.1 200" if b"livez" in said else b"")


def test_a_form_that_does_not_end_is_answered(wired_node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.web.gate._FORM_S", 0.2)
    kind = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9"
    with running(site(wired_node)) as (_, url), connected(url) as slow:
        slow.sendall(b"POST /actions HTTP/1.1\r\nHost: localhost\r\n" + kind + b"\r\n\r\naction")
        assert slow.recv(12) == b"HTTP/1.1 408"


def test_an_answer_may_take_longer_than_the_head_of_its_request(
    wired_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.web.serve._HEAD_S", 0.05)
    with running(site(wired_node)) as (pages, url):

        @pages.get("/slow")
        def slow() -> str:
            with connected(url) as silent:  # ended when its head has not come: later than that of this one had to
                return str(silent.recv(1))

        with urllib.request.urlopen(f"{url}/slow") as answer:
            assert json.load(answer) == "b''"


@contextmanager
def running(made: Site) -> Iterator[tuple[FastAPI, str]]:
    """Serve, and give the application to which pages can be added."""
    web = made.settings.web.model_copy(update={"port": free_port()})
    pages = build_app(made)
    server = WebServer(pages, web)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield pages, f"http://127.0.0.1:{server.port}"
    finally:
        server.stop()
        thread.join()


def test_the_command_serves_until_sigterm(wired_node: Node, tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "node.toml"
    config.write_text(f'[node]\nstate_dir = "{wired_node.state_dir}"\n[web]\nport = {port}\n')
    process = subprocess.Popen(
        [sys.executable, "-m", "node", "web", "--config", str(config), "--json"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = "".join(iter(process.stdout.readline, "}\n")) + "}"
    assert json.loads(said) == {"url": f"http://127.0.0.1:{port}", "signs_in": False}
    with urllib.request.urlopen(f"http://localhost:{port}/") as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 0


def test_the_command_tells_systemd_that_it_is_ready_and_then_again_and_again_that_it_is_well(
    wired_node: Node, tmp_path: Path
) -> None:
    config = tmp_path / "node.toml"
    config.write_text(f'[node]\nstate_dir = "{wired_node.state_dir}"\n[web]\nport = {free_port()}\n')
    command = [sys.executable, "-m", "node", "web", "--config", str(config), "--json"]
    environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"}
    with closing(Manager(tmp_path / "notify")) as manager:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
        assert [manager.hear() for _ in range(4)] == ["READY=1\nWATCHDOG=1"] * 4
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0


def test_a_node_that_has_never_run_has_no_page(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('[node]\nstate_dir = "absent"\n')
    error = command("--config", tmp_path / "node.toml").exception
    assert isinstance(error, SettingsError)
    assert str(error).endswith("has the node run yet?")


def test_a_password_is_hashed_into_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    done = command("hash-password", "--out", tmp_path / "anna", given="twelve and more\n")
    assert done.exit_code == 0
    assert is_password((tmp_path / "anna").read_text().strip(), "twelve and more")
    assert (tmp_path / "anna").stat().st_mode & 0o777 == 0o600
    assert "twelve" not in done.output


def test_a_token_is_made_at_random(tmp_path: Path) -> None:
    assert command("make-token", "--out", tmp_path / "t").exit_code == 0
    assert re.fullmatch(r"[\w-]{43}\n", (tmp_path / "t").read_text())
    assert (tmp_path / "t").stat().st_mode & 0o777 == 0o600


def test_without_settings_the_command_says_what_it_needs() -> None:
    done = command(given="")
    assert (done.exit_code, "--config" in done.output) == (2, True)
