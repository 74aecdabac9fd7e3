"""`cspine-node notify`: whether those who are told of failures can hear."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from node import show
from node.cli.options import AsJson, Config
from node.errors import NodeError, SettingsError
from node.notify.message import trial_message
from node.notify.notifier import channel_of, speaker_of
from node.settings import load_settings

app = typer.Typer(help="Those who are told of failures.", no_args_is_help=True, add_completion=False)


@app.callback()
def notify() -> None:
    """Those who are told of failures."""


@app.command()
def test(
    config: Config,
    name: Annotated[str | None, typer.Argument(help="Name of a [[notify]]; all of them without.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send a message that says that this way works."""
    settings = load_settings(config)
    chosen = [whom for whom in settings.notify if name in {None, whom.name}]
    if not chosen:
        wanted = f"none is named {name!r}" if name else "none is configured"
        raise SettingsError(f"{config}: notify: {wanted}")
    message = trial_message(speaker_of(settings), at=datetime.now(UTC).isoformat(timespec="milliseconds"))
    answers: dict[str, Any] = {}
    failed: NodeError | None = None
    for whom in chosen:
        try:
            channel_of(whom, time.time).send(message)
            answers[whom.name] = {"ok": True}
        except NodeError as error:
            failed = error
            answers[whom.name] = {"ok": False, **show.error_document(error)}
    lines = [f"{told}: {'sent' if said['ok'] else said['error']['message']}" for told, said in answers.items()]
    show.answer({"notify": answers}, "\n".join(lines), as_json=as_json)
    if failed is not None:
        raise typer.Exit(failed.exit_code)
