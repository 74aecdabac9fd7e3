"""The commands of an operator: they answer for each case, by the node that runs or by themselves."""

import io
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from keeper import SERIES, Keeper
from typer.testing import CliRunner

import node.cli
from node.control import ControlServer
from node.demo.archive import free_port
from node.errors import JournalDamaged, NodeAlreadyRunning, SettingsError
from node.operations import Operations


class Shell:
    """Runs commands in this process over one settings file."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.config = folder / "node.toml"
        self.config.write_text('[node]\nstate_dir = "state"\n[receive]\nminimum_free_mb = 0\n')
        self._monkeypatch = monkeypatch

    def run(self, *arguments: str | int, code: int = 0) -> str:
        """Return what a command prints; raises its error."""
        out = io.StringIO()
        self._monkeypatch.setattr("node.show._ANSWERS", out)
        command = [*map(str, arguments), "--config", str(self.config)]
        done = CliRunner().invoke(node.cli.app, command)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, out.getvalue()
        return out.getvalue()

    def answer(self, *arguments: str | int, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    mask = os.umask(0o022)  # a command sets its own
    yield Shell(tmp_path, monkeypatch)
    os.umask(mask)


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(tmp_path / "state")
    yield made
    made.close()


def queued(keeper: Keeper) -> int:
    keeper.receive(1)
    return keeper.open_case()


def test_without_a_node_a_command_opens_the_journal_itself(keeper: Keeper, shell: Shell) -> None:
    case = queued(keeper)
    keeper.close()
    assert shell.answer("hold", case) == {"cases": [{"case": case, "was": "queued", "state": "held"}]}
    assert shell.run("release", "--series", SERIES) == f"case {case}: held -> queued\n"
    assert shell.answer("cancel", case)["cases"][0]["state"] == "cancelled"
    status = shell.answer("status")
    assert status["cases"] == {"cancelled": 1}
    assert [event["what"] for event in shell.answer("status", "--series", SERIES)["events"]][-1] == "case cancelled"


def test_with_a_node_the_command_asks_it(keeper: Keeper, shell: Shell) -> None:
    case = queued(keeper)
    operations = Operations(keeper.journal, purge=lambda dry_run: {"series": 0, "files": 0, "bytes": 0, "left": 0})
    with ControlServer(keeper.state_dir, operations.answer):
        assert shell.answer("hold", case) == {"cases": [{"case": case, "was": "queued", "state": "held"}]}
        assert shell.answer("retry", 99, code=65)["cases"][0]["error"]["code"] == "unknown-case"
        assert "illegal-transition: case 1 is held" in shell.run("retry", case, code=74)
        assert shell.answer("purge") == {"purged": {"series": 0, "files": 0, "bytes": 0, "left": 0}}
        refused = shell.answer("hold", "--series", "../../etc", code=65)
        assert refused["error"]["code"] == "invalid-identifier"
    assert keeper.states() == ["held"]


def test_a_process_that_holds_the_journal_without_answering_is_told(keeper: Keeper, shell: Shell) -> None:
    with pytest.raises(NodeAlreadyRunning):
        shell.answer("hold", queued(keeper))


def test_a_command_that_names_no_case_is_wrong_usage(keeper: Keeper, shell: Shell) -> None:
    shell.run("retry", code=2)


@pytest.mark.parametrize("command", [["hold", 1], ["purge"], ["journal", "check"]])
def test_where_the_node_has_never_run_the_command_says_so(shell: Shell, command: list[Any]) -> None:
    with pytest.raises(SettingsError, match="has the node run yet"):
        shell.answer(*command)


def test_purge_tells_first_and_then_deletes(keeper: Keeper, shell: Shell) -> None:
    keeper.later = -timedelta(days=31)
    received, folder = keeper.delivered()
    keeper.close()
    for path in received:
        age(path)
    told = shell.answer("purge", "--dry-run")["purged"]
    assert (told["series"], told["files"], told["left"]) == (1, 6, 0)
    assert folder.exists()
    assert shell.answer("purge") == {"purged": told}
    assert keeper.files() == []
    assert shell.run("purge") == "deleted: 0 series, 0 files, 0.0 MB\n"


def age(path: Path) -> None:

    os.utime(path, (1_000_000, 1_000_000))


def test_a_sound_journal_is_told_with_the_number_of_its_files(keeper: Keeper, shell: Shell) -> None:
    keeper.delivered()
    assert shell.answer("journal", "check", "--deep") == {
        "ok": True,
        "damage": [],
        "files": 4,
        "missing": [],
        "altered": [],
        "unnamed": [],
    }


def test_a_missing_file_makes_the_check_fail(keeper: Keeper, shell: Shell) -> None:
    (first, _), _ = keeper.delivered()
    first.unlink()
    said = shell.run("journal", "check", code=JournalDamaged.exit_code)
    assert f"missing: spool/{first.parent.name}/{first.name}" in said


def test_a_rebuilt_journal_tells_what_it_holds_and_what_is_lost(keeper: Keeper, shell: Shell) -> None:
    keeper.delivered()
    keeper.close()
    said = shell.run("journal", "rebuild")
    assert "the old one is kept as journal.sqlite.damaged-1" in said
    assert "1 cases with 2 objects, to be sent again" in said
    assert "lost with the old one: its events" in said
    assert shell.answer("journal", "rebuild")["kept_as"] == "journal.sqlite.damaged-2"
    assert shell.answer("status")["cases"] == {"sending": 1}


def test_a_rebuild_that_was_cut_off_stops_other_commands(keeper: Keeper, shell: Shell) -> None:
    case = queued(keeper)
    keeper.close()
    (keeper.state_dir / "journal.new").touch()
    with pytest.raises(JournalDamaged, match="run `cspine-node journal rebuild` again"):
        shell.answer("hold", case)


def test_a_journal_in_postgresql_is_not_rebuilt_here(keeper: Keeper, shell: Shell) -> None:
    shell.config.write_text(shell.config.read_text() + '[journal]\nurl = "postgresql://nobody@127.0.0.1:1/none"\n')
    with pytest.raises(SettingsError, match=r"journal\.url"):
        shell.answer("journal", "rebuild")


def test_status_shows_what_is_held_and_what_awaits_confirmation(keeper: Keeper, shell: Shell) -> None:
    queued(keeper)
    keeper.finish("archive")
    first, second = keeper.journal.deliveries.pending("archive")
    keeper.journal.deliveries.record_failed(first, "store-failed", "0xA700")
    keeper.journal.deliveries.record_sent(first)
    keeper.journal.deliveries.record_failed(second, "store-failed", "0xA700")
    keeper.journal.cases.hold(1)
    said = shell.run("status")
    assert "held" in said
    assert "SEG -> archive: sent, not confirmed yet after 2 tries" in said
    assert "SR -> archive: pending after 1 tries: 0xA700" in said
    objects = shell.answer("status")["latest_cases"][0]["objects"]
    assert [(item["state"], item["attempts"]) for item in objects] == [("sent", 2), ("pending", 1)]


def test_echo_asks_every_kind_of_destination(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    shell.config.write_text(
        shell.config.read_text()
        + '[[destination]]\nname = "research"\nkind = "folder"\npath = "results"\n'
        + '[[destination]]\nname = "lost"\nkind = "folder"\npath = "nowhere"\n'
        + f'[[destination]]\nname = "web"\nkind = "stow"\nurl = "http://127.0.0.1:{free_port()}/dicom-web"\n'
    )
    said = shell.answer("echo", code=69)["destinations"]
    assert said["research"] == {"ok": True}
    assert said["lost"]["error"]["code"] == "peer-unreachable"
    assert said["web"]["error"]["code"] == "peer-unreachable"
    assert shell.answer("echo", "research") == {"destinations": {"research": {"ok": True}}}
