"""`cspine-node settings`: the reference of the settings file."""

from dataclasses import asdict
from typing import Annotated

import typer

from node import show
from node.cli.options import AsJson
from node.errors import InputError
from node.settings.reference import as_markdown, page, reference


def settings(
    table: Annotated[str, typer.Argument(help="One table, such as receive or destination; all without.")] = "",
    as_json: AsJson = False,
) -> None:
    """Print every key of the settings file: what it may be, its default and its meaning."""
    known = reference()
    chosen = tuple(item for item in known if table in {"", item.name.strip("[]")})
    if not chosen:
        names = dict.fromkeys(item.name.strip("[]") for item in known)
        raise InputError(f"no table is named {table!r}; there are {', '.join(names)}")
    text = as_markdown(chosen) if table else page()
    show.answer({"tables": [asdict(item) for item in chosen]}, text, as_json=as_json)
