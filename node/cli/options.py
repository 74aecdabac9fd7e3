"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from node.settings import Settings, load_settings, parse_settings

Config = Annotated[Path, typer.Option("--config", "-c", help="Settings file (TOML).", envvar="CSPINE_NODE_CONFIG")]
OptionalConfig = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings file (TOML); defaults without.", envvar="CSPINE_NODE_CONFIG"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

#: Progress and complaints; standard output is for answers.
ERRORS = Console(stderr=True, highlight=False)


def settings_or_defaults(config: Path | None) -> Settings:
    """Return the settings in a file, or the defaults without one. Raises SettingsError."""
    if config is not None:
        return load_settings(config)
    return parse_settings({"node": {"state_dir": "."}}, name="defaults")
