"""docs/troubleshooting.md, held against the code: every error, every command."""

import re
from collections.abc import Iterator
from pathlib import Path

import node.cli
from node.errors import NodeError

PAGE = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## What the codes mean")[2]


def errors(root: type[NodeError] = NodeError) -> Iterator[type[NodeError]]:
    for error in root.__subclasses__():
        if error.__module__.startswith("node.errors"):
            yield error
            yield from errors(error)


def told() -> dict[str, str]:
    """Return what the page says of each code: whether the node tries again."""
    rows = [line.split("|")[1:3] for line in TABLE.splitlines() if line.startswith("| `")]
    return {code: again.strip() for codes, again in rows for code in re.findall(r"`([a-z-]+)`", codes)}


def test_every_error_has_a_row_and_no_row_has_another():
    assert set(told()) == {error.code for error in errors()}


def test_what_is_tried_again_is_said():
    # a command that a person starts again is no retry of the node's
    by_hand = {"batch-interrupted", "training-failed"}
    said = {code: again != "no" for code, again in told().items() if code not in by_hand}
    assert said == {error.code: error.retryable for error in errors() if error.code not in by_hand}


def test_every_command_that_it_names_exists():
    known = set(node.cli.COMMANDS)
    named = set(re.findall(r"cspine-node (?!cspine)([a-z]+(?:-[a-z]+)*)", PAGE))
    assert named - known == set()
    assert named >= {"doctor", "status", "echo", "notify", "retry", "purge"}
