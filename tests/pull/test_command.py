"""`cspine-node pull`: dry runs from here, and the real thing by the node that runs."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peers import Orthanc
from pullrig import Node, node_beside, study
from typer.testing import CliRunner

import node.cli
from node.control import ControlServer
from node.errors import SettingsError, SystemFailed
from node.operations import Operations

pytestmark = pytest.mark.peer("orthanc")


class Shell:
    """Runs the command over one settings file. The archive's studies are of one day, long ago."""

    def __init__(self, node: Node, folder: Path, orthanc: Orthanc, monkeypatch: pytest.MonkeyPatch) -> None:
        self.node = node
        self._config = folder / "node.toml"
        self._config.write_text(
            f'[node]\nstate_dir = "state"\n[[destination]]\nname = "archive"\nhost = "127.0.0.1"\n'
            f'port = {orthanc.peer.port}\nae_title = "ORTHANC"\n'
            '[[pull]]\nname = "nightly"\narchive = "archive"\npause_s = 0\n'
            '[[pull]]\nname = "other"\narchive = "archive"\nroutes = ["cervical-t2-sagittal"]\n'
        )
        self._monkeypatch = monkeypatch

    def run(self, *arguments: str, code: int = 0) -> str:
        out = io.StringIO()
        self._monkeypatch.setattr("node.show._ANSWERS", out)
        done = CliRunner().invoke(node.cli.app, ["pull", *arguments, "--config", str(self._config)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, out.getvalue()
        return out.getvalue()

    def answer(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code))["pulls"]


@pytest.fixture
def shell(tmp_path: Path, archive_of_session: Orthanc, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    (tmp_path / "state").mkdir()
    mask = os.umask(0o022)
    with node_beside(tmp_path / "state", archive_of_session) as node:
        yield Shell(node, tmp_path, archive_of_session, monkeypatch)
    os.umask(mask)


def test_a_dry_run_needs_no_node_and_tells_what_lacks(shell: Shell) -> None:
    shell.node.receive(study(1)[:2])
    shell.node.close_all()
    [told] = shell.answer("nightly", "--dry-run", "--study", "1.2.1", "--study", "1.2.2")
    lacking = {item["series_uid"]: (item["code"], item["wanted"]) for item in told["series"] if item["wanted"]}
    assert lacking == {"1.2.1.1": ("incomplete", 1), "1.2.2.1": ("missing", 3)}
    assert (told["pull"], told["outcome"]["lacking"], told["outcome"]["dry_run"], told["error"]) == (
        "nightly",
        2,
        True,
        None,
    )
    text = shell.run("nightly", "--dry-run", "--study", "1.2.1")
    assert "nightly: 1 studies, 5 series: 1 lacking" in text
    assert "lacking  1.2.1.1  incomplete: 2 of 3 instances are here" in text
    assert "not asked for: 1 excluded-description, 1 modality, 1 other-region, 1 own-result" in text
    assert shell.node.arrivals() == []


def test_the_node_that_runs_fetches_and_the_command_waits_for_it(shell: Shell) -> None:
    pulls = shell.node.pulls()
    answer = Operations(shell.node.journal, purge=lambda _dry: {}, more={"pull": pulls.answer}).answer
    with pulls, ControlServer(shell.node.settings.node.state_dir, answer):
        [told] = shell.answer("nightly", "--study", "1.2.7")
        assert (told["outcome"]["fetched"], told["outcome"]["instances"]) == (1, 3)
        [refused] = shell.answer("other", "--study", "1.2.7", code=69)
    assert refused["error"]["code"] == "input-error"  # the node was started with other settings
    assert shell.node.stored() == {"1.2.7.1.1", "1.2.7.1.2", "1.2.7.1.3"}


def test_without_a_node_nothing_is_fetched(shell: Shell) -> None:
    with pytest.raises(SystemFailed, match="no node runs"):
        shell.run("nightly")


@pytest.mark.parametrize("arguments", [("nobody",), ("nightly", "--since", "soon"), ("nightly", "--since", "20269999")])
def test_what_is_not_there_is_named(shell: Shell, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError):
        shell.run(*arguments)
