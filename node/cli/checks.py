"""The commands that look at the settings, and at whom they name."""

import json
from typing import Annotated, Any

import typer

from node import show
from node.bootstrap.engine import open_bundle
from node.cli.options import AsJson, Config
from node.deliver.build import destination_of
from node.errors import NodeError, SettingsError
from node.settings import load_settings


def echo(
    config: Config,
    destination: Annotated[str | None, typer.Argument(help="Name of a destination; all of them without.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the destinations whether they are there: C-ECHO, QIDO-RS, or a look at the folder."""
    settings = load_settings(config)
    chosen = [peer for peer in settings.destination if destination in {None, peer.name}]
    if not chosen:
        wanted = f"none is named {destination!r}" if destination else "none is configured"
        raise SettingsError(f"{config}: destination: {wanted}")
    answers: dict[str, Any] = {}
    failed: NodeError | None = None
    for peer in chosen:
        try:
            destination_of(peer, settings.node).reach()
            answers[peer.name] = {"ok": True}
        except NodeError as error:
            failed = error
            answers[peer.name] = {"ok": False, **show.error_document(error)}
    lines = [f"{name}: {'ok' if said['ok'] else said['error']['message']}" for name, said in answers.items()]
    show.answer({"destinations": answers}, "\n".join(lines), as_json=as_json)
    if failed is not None:
        raise typer.Exit(failed.exit_code)


def check_config(config: Config, as_json: AsJson = False) -> None:
    """Check a settings file and the bundle that it names, and print the settings with their defaults."""
    settings = load_settings(config)
    bundle = open_bundle(settings.model)
    document = {
        "settings": settings.model_dump(mode="json"),
        "bundle": {
            "name": bundle.name,
            "version": bundle.version,
            "digest": bundle.digest,
            "intended_use": bundle.intended_use,
        },
    }
    show.answer(document, f"{config}: ok\n{json.dumps(document, indent=2)}", as_json=as_json)
