"""`cspine-node doctor` and `cspine-node notify test`: what they print, and what they exit with."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from commands import command
from webserver import Reply, Request, web_server

from node.control import ControlServer
from node.errors import SettingsError
from node.journal.journal import Journal

Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A settings file over a state folder with an empty journal."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "ballast").touch()
    Journal(state / "journal.sqlite").close()
    file = tmp_path / "node.toml"
    file.write_text('[node]\nstate_dir = "state"\nport = 0\n')
    return file


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return partial(command, monkeypatch)


def test_every_wrong_key_is_told_and_the_exit_code_is_that_of_a_fault(run, config):
    config.write_text('[node]\nport = "many"\n[modle]\n')
    code, document = run("doctor", "--config", str(config), "--json")
    assert code == 69
    assert document["worst"] == "fault"
    assert [item["text"].removeprefix(f"{config}: ") for item in document["findings"]] == [
        "node.state_dir: Field required",
        "node.port: Input should be a valid integer",
        "modle: there is no such key",
    ]
    assert all(item["advice"] for item in document["findings"])


def test_the_node_that_runs_is_asked(run, config):
    heard: list[Mapping[str, Any]] = []
    with ControlServer(config.parent / "state", lambda request: heard.append(request) or {"error": {}}):
        code, document = run("doctor", "--config", str(config), "--json")
    assert heard == [{"do": "figures"}]
    assert code == 69
    assert [item["text"] for item in document["findings"] if item["area"] == "running node"] == [
        "one runs, and does not say how it is"
    ]


def test_for_people_each_finding_is_a_line_and_its_advice_another(run, config):
    code, text = run("doctor", "--config", str(config), "--no-self-test")
    assert code == 1
    lines = text.splitlines()
    assert "ok      journal: is whole; cases in it: 0" in lines
    here = lines.index("WARNING running node: none runs over this state folder")
    assert lines[here + 1] == "        -> systemctl start cspine-node.target, or cspine-node serve"


def test_notify_test_sends_to_everybody_or_to_one(run, config):
    heard: list[Request] = []
    with web_server(lambda request: heard.append(request) or Reply(200)) as url:
        config.write_text(
            f'[node]\nstate_dir = "state"\n[[notify]]\nname = "a"\nurl = "{url}"\n'
            '[[notify]]\nname = "dead"\nurl = "http://127.0.0.1:1"\n'
        )
        assert run("notify", "test", "a", "--config", str(config), "--json") == (0, {"notify": {"a": {"ok": True}}})
        code, text = run("notify", "test", "--config", str(config))
    assert (code, text) == (69, "a: sent\ndead: the webhook does not answer: ConnectError\n")
    assert [json.loads(request.body)["type"] for request in heard] == ["cspine-node.test", "cspine-node.test"]


def test_notify_test_names_what_is_not_configured(run, config):
    with pytest.raises(SettingsError, match=r"notify: none is named 'desk'$"):
        run("notify", "test", "desk", "--config", str(config))
    with pytest.raises(SettingsError, match=r"notify: none is configured$"):
        run("notify", "test", "--config", str(config))
