"""The commented example settings, and the same with a site's own values in them.

The example is `config/cspine-node.toml`. In it a line that begins with one # shows a default, one with ## belongs to
a table that the node does without.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_TABLE = re.compile(r"(?P<off>#{1,2} )?(?P<name>\[\[?[a-z_.]+\]\]?)(?P<rest>\s*(#.*)?)")
_KEY = re.compile(
    r"""(?P<off>\#{1,2}\ )?(?P<key>[a-z_]+)\ =\ (?P<value>"[^"]*"|\[[^]]*\]|[^\s\#]+)(?P<gap>\s*)(?P<comment>\#.*)?""",
    re.VERBOSE,
)

Value = str | int | bool | Sequence[str]


def example_text() -> str:
    """Return the commented example settings, every key with its meaning."""
    return Path(__file__).with_name("cspine-node.toml").read_text(encoding="utf-8")


@dataclass(slots=True)
class Draft:
    """Settings on their way: the lines of the example, of which some are changed. Comments stay where they are."""

    lines: list[str] = field(default_factory=lambda: example_text().splitlines())

    def text(self) -> str:
        """Return the settings as a file."""
        return "\n".join(self.lines) + "\n"

    def set(self, table: str, key: str, value: Value, *, number: int = 0) -> None:
        """Give `key` of the `number`-th `table`, such as "[node]" or "[[destination]]", a value.

        A table that was commented out is switched on; its other keys stay commented out. Raises KeyError for what the
        example does not have.
        """
        begins, ends = self._range(table, number)
        self.lines[begins] = self.lines[begins].removeprefix("## ")
        for index in range(begins + 1, ends):
            found = _KEY.fullmatch(self.lines[index])
            if found is not None and found["key"] == key:
                self.lines[index] = _line(found, value)
                return
        raise KeyError(f"{table} {key}")

    def switch_off(self, table: str, *, number: int = 0) -> None:
        """Comment out a table with all its keys. Raises KeyError for what the example does not have."""
        begins, ends = self._range(table, number)
        for index in range(begins, ends):
            line = self.lines[index]
            if line and not line.startswith("##"):
                self.lines[index] = f"## {line.removeprefix('# ')}"

    def _range(self, table: str, number: int) -> tuple[int, int]:
        """Return the line of the `number`-th table of this name, and where it ends."""
        heads = [(index, found["name"]) for index, line in enumerate(self.lines) if (found := _TABLE.fullmatch(line))]
        places = [place for place, (_, name) in enumerate(heads) if name == table]
        if number >= len(places):
            raise KeyError(table)
        place = places[number]
        ends = heads[place + 1][0] if place + 1 < len(heads) else len(self.lines)
        return heads[place][0], ends


def _line(found: re.Match[str], value: Value) -> str:
    """Return the line of a key with another value, its comment in the same column where there is room."""
    begins = f"{found['key']} = {_toml(value)}"
    if not found["comment"]:
        return begins
    column = found.start("comment")
    return f"{begins:<{column - 1}} {found['comment']}"


def _toml(value: Value) -> str:
    """Return a value as TOML has it; a basic string of TOML is one of JSON."""
    if isinstance(value, bool | int | str):
        return json.dumps(value, ensure_ascii=False)
    return f"[{', '.join(_toml(item) for item in value)}]"


def comments(table: str) -> dict[str, str]:
    """Return the comment beside each key of the tables of this name, such as "node" or "destination.tls"."""
    found: dict[str, str] = {}
    name = ""
    for line in example_text().splitlines():
        if head := _TABLE.fullmatch(line):
            name = head["name"].strip("[]")
        elif name == table and (key := _KEY.fullmatch(line)) and key["comment"]:
            found.setdefault(key["key"], key["comment"].removeprefix("# "))
    return found
