"""The guides: every command and option that they name is there, and every file."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from node.cli import app
from node.settings import Settings
from node.settings.reference import reference

ROOT = Path(__file__).parents[1]
GUIDES = ["administrator", "researcher"]
#: A command within a line of code: `cn` is the alias that the administrator's guide makes.
COMMAND = re.compile(r"(?:^|(?<!-u)[\s`/])(?:cspine-node|cn) ((?:[a-z][a-z-]* )?[a-z][a-z-]*)([^`|#]*)")
CODE = re.compile(r"^    .*$|`[^`]+`", re.MULTILINE)
FILE = re.compile(r"`((?:docs/|config/|systemd/|node/|adr/)?[A-Za-z0-9_./-]+\.(?:md|toml|py|lua|ldif|yaml|sh|txt))`")
KEY = re.compile(r"`([a-z]+)\.([a-z_]+)(?: = [^`]*)?`")


def text(guide: str) -> str:
    return (ROOT / "docs" / f"{guide}.md").read_text(encoding="utf-8")


def found(words: str) -> tuple[Any, str]:
    """Return the command that words begin with, and its name."""
    command: Any = get_command(app)
    name = ""
    for word in words.split():
        inner = command.get_command(None, word) if hasattr(command, "get_command") else None
        if inner is None:
            break
        command, name = inner, f"{name} {word}".strip()
    return command, name


def commands(guide: str) -> list[tuple[str, str]]:
    """Return the first words of every command that a guide shows, and what follows them."""
    lines = [match.group() for match in CODE.finditer(text(guide)) if "compose" not in match.group()]
    return [(match[1], match[2]) for line in lines for match in COMMAND.finditer(line)]


@pytest.mark.parametrize("guide", GUIDES)
def test_every_command_that_a_guide_shows_is_there_with_its_options(guide: str) -> None:
    shown = commands(guide)
    assert len(shown) > 8
    for words, rest in shown:
        command, name = found(words)
        assert name, f"{guide}: cspine-node {words}"
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        asked = set(re.findall(r"(?<=\s)--?[a-z][a-z-]*", rest)) - {"--help"}
        assert asked - known == set(), f"{guide}: cspine-node {words}{rest}"


@pytest.mark.parametrize("guide", GUIDES)
def test_every_file_that_a_guide_names_is_there(guide: str) -> None:
    made_by_it = {"cspine-node.toml", "sbom.cdx.json", "measurements.tsv"}
    named = set(FILE.findall(text(guide))) - made_by_it
    places = (ROOT, ROOT / "docs", ROOT / "config", ROOT / "config" / "recipes" / "orthanc")
    assert {name for name in named if not any((place / name).exists() for place in places)} == set()


@pytest.mark.parametrize("guide", GUIDES)
def test_every_key_that_a_guide_names_is_one_of_the_settings(guide: str) -> None:
    keys = {(table.name.strip("[]"), key.name) for table in reference() for key in table.keys}
    named = {(table, key) for table, key in KEY.findall(text(guide)) if table in Settings.model_fields and key != "md"}
    assert named - keys == set()
