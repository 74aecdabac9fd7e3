"""The reference of the settings, made from the code: every table, and of every key its values, default and meaning.

The meaning is the comment in front of the key (`#:`), or else the one beside it in the commented example.
"""

import inspect
import json
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from node.settings.example import comments
from node.settings.file import Settings
from node.settings.values import Section

_FIELD = re.compile(r"    ([a-z_]+): ")
_BAR = re.compile(r"[|]")
_COMMENT = re.compile(r"    #: ?(.*)")
_WORDS = {
    bool: "true, false",
    str: "text",
    int: "integer",
    float: "number",
    Path: "path",
    IPv4Address: "address",
    IPv6Address: "address",
    IPv4Network: "network",
    IPv6Network: "network",
}
_HEADING = """# Settings

Every key of the settings file, made from the code by `make docs`; do not edit it. `config/cspine-node.toml` is the same
as a commented file, `cspine-node init` writes one with a site's own values, and `cspine-node check-config` says what is
wrong with one. Where a key has no meaning here, its name or the key above it says all.
"""
#: A default that is longer is told by its length.
_LONGEST_DEFAULT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a table."""

    name: str
    #: What it may be, in words.
    values: str
    #: As TOML has it; empty for a key that must be given, None for one that may be absent.
    default: str | None
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of the settings file, such as "[node]" or "[[destination]]"."""

    name: str
    #: Which of several kinds of table of this name, such as 'kind = "stow"'; empty where there is one.
    kind: str
    meaning: str
    keys: tuple[Key, ...]


def reference() -> tuple[Table, ...]:
    """Return every table of the settings, in the order of the file."""
    return tuple(table for name, field in Settings.model_fields.items() for table in _tables(name, field))


def page() -> str:
    """Return `docs/settings.md`."""
    return f"{_HEADING}\n{as_markdown(reference())}"


def as_markdown(tables: tuple[Table, ...]) -> str:
    """Return tables as Markdown, without a heading above all."""
    return "\n".join(line for table in tables for line in _lines(table)).rstrip()


def _tables(name: str, field: FieldInfo) -> Iterator[Table]:
    """Yield the table at `name`, each of its kinds, and the tables in it."""
    sections = list(dict.fromkeys(_sections(field.annotation)))
    heading = f"[[{name}]]" if _is_list(field.annotation) else f"[{name}]"
    shared: set[str] = set()
    for section in sections:
        inner = {key: at for key, at in section.model_fields.items() if any(_sections(at.annotation))}
        own = {key: at for key, at in section.model_fields.items() if key not in inner}
        meanings = {**comments(name), **_meanings(section)}
        yield Table(
            name=heading,
            kind=_kind(section) if len(sections) > 1 else "",
            meaning=_sentence(section, heading),
            keys=tuple(_key(key, at, meanings.get(key, "")) for key, at in own.items()),
        )
        for key, at in inner.items():
            if key not in shared:
                shared.add(key)
                yield from _tables(f"{name}.{key}", at)


def _key(name: str, field: FieldInfo, meaning: str) -> Key:
    default = field.get_default(call_default_factory=True)
    return Key(
        name=name,
        values=_values(field.annotation, tuple(field.metadata)),
        default="" if default is PydanticUndefined else None if default is None else _toml(default),
        meaning=meaning,
    )


def _sections(annotation: Any) -> Iterator[type[Section]]:
    """Yield the sections that an annotation names, however deep."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, Section):
            yield annotation
        return
    for inner in get_args(annotation):
        yield from _sections(inner)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is tuple


def _kind(section: type[Section]) -> str:
    """Return what tells a kind of table from the others."""
    (kind,) = get_args(section.model_fields["kind"].annotation)
    return f"kind = {json.dumps(kind)}"


def _sentence(section: type[Section], heading: str) -> str:
    """Return the docstring of a section as one paragraph, without the name of the table before it."""
    text = " ".join(inspect.cleandoc(section.__doc__ or "").split())
    _, colon, rest = text.partition("`: ")
    said = rest if colon and text.startswith("`") else "" if text == f"`{heading}`." else text
    return said[:1].upper() + said[1:]


def _meanings(section: type[Section]) -> Mapping[str, str]:
    """Return the comment in front of each key in the source of a section and of those that it extends."""
    found: dict[str, str] = {}
    for base in reversed(section.__mro__):
        if not (issubclass(base, Section) and base is not Section):
            continue
        said: list[str] = []
        for line in inspect.getsource(base).splitlines():
            if comment := _COMMENT.fullmatch(line):
                said.append(comment[1])
            else:
                if (key := _FIELD.match(line)) and said:
                    found[key[1]] = " ".join(said)
                said = []
    return found


def _values(annotation: Any, metadata: tuple[Any, ...]) -> str:
    """Return in words what a key may be."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return _values(inner[0], (*inner[1:], *metadata))
    if origin is Literal:
        return ", ".join(json.dumps(value) for value in inner)
    if origin in {tuple, frozenset}:
        return f"list of {_values(inner[0], ())}"
    if origin in {typing.Union, types.UnionType}:
        return ", ".join(dict.fromkeys(_values(part, metadata) for part in inner if part is not types.NoneType))
    if issubclass(annotation, Enum):
        return ", ".join(json.dumps(member.value) for member in annotation)
    return f"{_WORDS[annotation]}{_bounds(metadata)}"


def _bounds(metadata: tuple[Any, ...]) -> str:
    """Return the limits of a number."""
    told = []
    for item in metadata:
        for part in (item, *getattr(item, "metadata", ())):
            match part:
                case Ge():
                    told.append(f"at least {part.ge}")
                case Gt():
                    told.append(f"more than {part.gt}")
                case Le():
                    told.append(f"at most {part.le}")
                case Lt():
                    told.append(f"less than {part.lt}")
    return f", {', '.join(told)}" if told else ""


def _toml(value: Any) -> str:
    """Return a default as TOML has it; of a long list how many there are."""
    if isinstance(value, Enum):
        return _toml(value.value)
    if isinstance(value, bool | int | str):
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | frozenset):
        items = [_toml(item) for item in value]
        text = f"[{', '.join(sorted(items) if isinstance(value, frozenset) else items)}]"
        return text if len(text) <= _LONGEST_DEFAULT else f"{len(items)} of them, in the example"
    return json.dumps(str(value))


def _lines(table: Table) -> Iterator[str]:
    """Yield a table as lines of Markdown."""
    yield f"## `{table.name}`" + (f" with `{table.kind}`" if table.kind else "")
    yield ""
    if table.meaning:
        yield table.meaning
        yield ""
    yield "| key | values | default | meaning |"
    yield "|---|---|---|---|"
    for key in table.keys:
        default = {None: "-", "": "must be given"}.get(key.default, f"`{key.default}`")
        cells = (f"`{key.name}`", key.values, default, f"{key.meaning[:1].upper()}{key.meaning[1:]}")
        yield f"| {' | '.join(_BAR.sub('&#124;', cell) for cell in cells)} |"
    yield ""
