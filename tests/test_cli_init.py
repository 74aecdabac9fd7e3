"""`init` and `settings`: the first settings file of a site, and the reference of all keys."""

import os
import pty
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from node.cli import app
from node.cli.init import _DEFAULTS, Answers, written
from node.errors import SettingsError
from node.settings import DicomDestination, FolderDestination, Settings, StowDestination, load_settings, parse_settings
from node.settings.example import Draft, comments, example_text
from node.settings.reference import Table, page, reference

ROOT = Path(__file__).parents[1]


def answers(**said: Any) -> Answers:
    return Answers(**{**{name: getattr(_DEFAULTS, name) for name in _DEFAULTS.__slots__}, **said})


def parsed(**said: Any) -> Settings:
    return parse_settings(tomllib.loads(written(answers(**said))), name="written")


def invoked(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def table(name: str, kind: str = "") -> Table:
    (found,) = [item for item in reference() if (item.name, item.kind) == (name, kind)]
    return found


def test_without_an_answer_the_file_is_the_example() -> None:
    assert written(_DEFAULTS) == example_text()


def test_every_answer_stands_in_the_file_and_every_comment_stays() -> None:
    made = parsed(
        state_dir="/data/node",
        ae_title="NECK",
        host="0.0.0.0",
        port=104,
        archive_host="pacs.hospital",
        archive_port=11113,
        archive_ae_title="PACS",
        sender="ROUTER",
        sender_networks=("10.1.2.0/24", "10.1.3.7"),
    )
    assert (str(made.node.state_dir), made.node.ae_title, made.node.host, made.node.port) == (
        "/data/node",
        "NECK",
        "0.0.0.0",
        104,
    )
    (archive,) = made.destination
    assert isinstance(archive, DicomDestination)
    assert (archive.host, archive.port, archive.ae_title) == ("pacs.hospital", 11113, "PACS")
    (peer,) = made.peer
    assert (peer.ae_title, peer.networks) == ("ROUTER", ("10.1.2.0/24", "10.1.3.7"))
    text = written(answers(host="0.0.0.0", sender="ROUTER"))
    assert [line.partition("# ")[2] for line in text.splitlines() if "hear other machines" in line] == [
        '"0.0.0.0" to hear other machines'
    ]
    assert len(text.splitlines()) == len(example_text().splitlines())


def test_for_the_units_the_worker_is_where_its_unit_puts_it(tmp_path: Path) -> None:
    path = tmp_path / "cspine-node.toml"
    command = [sys.executable, "-m", "node", "init", "--yes", "--services", "--out", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "systemctl enable --now cspine-node.target" in said
    folder = load_settings(path).model.worker
    unit = (ROOT / "systemd" / "cspine-node-worker.service").read_text()
    assert folder == Path("/run/cspine-node-worker/worker.sock")
    assert f"RuntimeDirectory={folder.parent.name}\n" in unit
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--services",), ["  ReadWritePaths=-/data/out"]),
        (("--services", "--state-dir", "/data"), []),
        ((), []),
    ],
)
def test_for_the_units_the_last_words_open_a_folder_for_results(
    tmp_path: Path, more: tuple[str, ...], told: list[str]
) -> None:
    command = [sys.executable, "-m", "node", "init", "--yes", "--out", str(tmp_path / "cspine-node.toml"), *more]
    folder = ["--archive", "folder", "--archive-path", "/data/out"]
    said = subprocess.run([*command, *folder], capture_output=True, text=True, check=True).stdout
    assert [line for line in said.splitlines() if "ReadWritePaths" in line] == told
    assert ("systemctl edit cspine-node-receiver" in said) is bool(told)


def test_an_archive_over_dicomweb_takes_the_place_of_the_one_over_dicom() -> None:
    made = parsed(archive="stow", archive_url="https://pacs/web")
    (archive,) = made.destination
    assert isinstance(archive, StowDestination)
    assert (archive.name, archive.url, archive.username) == ("archive", "https://pacs/web", "")
    assert made.route[0].destinations == ("archive",)


def test_a_folder_takes_the_place_of_the_archive() -> None:
    (archive,) = parsed(archive="folder", archive_path="/data/out").destination
    assert isinstance(archive, FolderDestination)
    assert (archive.name, archive.path) == ("archive", Path("/data/out"))


@pytest.mark.parametrize("text", ['a "b"', "back\\slash", "ümlaut", "tab\there"])
def test_whatever_is_said_is_quoted_as_toml_wants_it(text: str) -> None:
    assert tomllib.loads(written(answers(state_dir=text)))["node"]["state_dir"] == text


@pytest.mark.parametrize(("name", "key"), [("[nodes]", "port"), ("[node]", "ports")])
def test_a_draft_knows_only_what_the_example_has(name: str, key: str) -> None:
    with pytest.raises(KeyError):
        Draft().set(name, key, 1)


def test_the_command_writes_a_file_that_loads(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "cspine-node.toml"
    said = ("--ae-title", "NECK", "--sender", "PACS", "--sender-network", "10.1.2.0/24", "--state-dir", "state")
    assert invoked("init", "--yes", "--out", path, *said).exit_code == 0
    made = load_settings(path)
    assert (made.node.ae_title, made.node.state_dir) == ("NECK", path.parent / "state")
    assert (made.peer[0].ae_title, made.peer[0].networks) == ("PACS", ("10.1.2.0/24",))


def test_a_file_that_is_there_is_kept_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "cspine-node.toml"
    path.write_text("mine")
    assert str(invoked("init", "--yes", "--out", path).exception) == f"{path} is there already; --force replaces it"
    assert path.read_text() == "mine"
    assert invoked("init", "--yes", "--out", path, "--force").exit_code == 0
    assert path.read_text() == example_text()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--ae-title", "SEVENTEEN_LETTERS", "node.ae_title: an AE title has"),
        ("--archive-port", "70000", "destination[0].port: Input should be less"),
    ],
)
def test_a_wrong_answer_is_named_and_no_file_is_written(tmp_path: Path, option: str, value: str, said: str) -> None:
    path = tmp_path / "cspine-node.toml"
    done = invoked("init", "--yes", "--out", path, option, value)
    assert isinstance(done.exception, SettingsError)
    assert said in str(done.exception)
    assert not path.exists()


def test_an_archive_of_an_unknown_kind_is_a_usage_error(tmp_path: Path) -> None:
    assert invoked("init", "--yes", "--out", tmp_path / "cspine-node.toml", "--archive", "ftp").exit_code == 2


def test_on_a_terminal_it_asks_for_what_no_option_says(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    path = tmp_path / "cspine-node.toml"
    command = [sys.executable, "-m", "node", "init", "--out", str(path), "--archive-host", "pacs", "--state-dir", "s"]
    typed = ["PACS", "dicom", "NECK", "0.0.0.0", "no number", "104", "11113", "PACS", "ROUTER", "10.1.2.0/24, 10.1.3.7"]
    os.write(controller, "".join(f"{line}\n" for line in typed).encode())
    with subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.close(terminal)
        drained = threading.Thread(target=_drain, args=(controller,))
        drained.start()
        _, said = process.communicate()
    drained.join()
    assert process.returncode == 0, said
    made = tomllib.loads(path.read_text())
    assert {key: made["node"][key] for key in ("ae_title", "host", "port")} == {
        "ae_title": "NECK",
        "host": "0.0.0.0",
        "port": 104,
    }
    assert made["destination"] == [{"name": "archive", "host": "pacs", "port": 11113, "ae_title": "PACS"}]
    assert made["peer"] == [{"ae_title": "ROUTER", "networks": ["10.1.2.0/24", "10.1.3.7"]}]
    assert b"--archive is dicom, stow, folder, not 'PACS'\nWhere do results go" in said
    assert b"DICOM port of the node (11112): a number, please" in said


def _drain(controller: int) -> None:
    """Read what the terminal echoes until nobody has it open."""
    try:
        while os.read(controller, 1024):
            pass
    except OSError:  # EIO: the other end is closed
        os.close(controller)


def test_the_page_of_settings_is_what_the_code_says() -> None:
    written_page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written_page == f"{page()}\n", "make docs writes docs/settings.md anew"


def test_the_reference_has_every_key_of_every_table() -> None:
    known = {item.name.strip("[]").split(".")[0]: {key.name for key in item.keys} for item in reversed(reference())}
    assert set(known) == set(Settings.model_fields)
    assert known["work"] == {"attempts", "restarts", "lease_s"}
    assert {item.kind for item in reference() if item.name == "[[destination]]"} == {
        'kind = "dicom"',
        'kind = "stow"',
        'kind = "folder"',
    }


def test_a_key_is_told_with_values_default_and_meaning() -> None:
    (key,) = [key for key in table("[model.cpu]").keys if key.name == "backend"]
    assert (key.values, key.default) == ('"auto", "openvino", "torch"', '"auto"')
    assert key.meaning.startswith("What computes the networks in fast mode")
    keys = {key.name: (key.values, key.default) for key in table("[[destination]]", 'kind = "stow"').keys}
    assert keys["attempts"] == ("integer, at least 0", "0")
    assert keys["url"] == ("text", "")
    assert keys["token_file"] == ("path", None)
    assert keys["report"] == ('"comprehensive-3d", "comprehensive", "enhanced"', '"comprehensive-3d"')


def test_where_the_code_says_nothing_the_example_does() -> None:
    assert comments("work")["attempts"] == "then a case is quarantined with its reason"
    (key,) = [key for key in table("[work]").keys if key.name == "attempts"]
    assert key.meaning == "then a case is quarantined with its reason"


def test_the_command_says_which_tables_there_are() -> None:
    assert invoked("settings", "retention").exit_code == 0
    assert "receive.tls" in str(invoked("settings", "nothing").exception)
