"""Commands that are imported when they are called: `status` needs no network, and no numerics either."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command


def group_of(places: Mapping[str, str]) -> type[TyperGroup]:
    """Return a group of the commands at `places`: name -> "module:function", or "module:app" for a group of its own."""

    class Group(TyperGroup):
        """Imports one command, or all of them for `--help`."""

        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the parser's own signature
            """Return the names in their order."""
            return list(places)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
            """Return a command, None where there is none of this name."""
            return _imported(cmd_name, places[cmd_name]) if cmd_name in places else None

    return Group


def _imported(name: str, place: str) -> Any:
    module, attribute = place.split(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(add_completion=False)
        found.command()(function)
    command = get_command(found)
    command.name = name
    return command
