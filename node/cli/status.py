"""The command that shows what the node did."""

from typing import Annotated

import typer

from node import show
from node.bootstrap.state import open_journal_for_reading
from node.cli.options import AsJson, Config
from node.journal.overview import events, overview
from node.settings import load_settings


def status(
    config: Config,
    series: Annotated[str | None, typer.Option("--series", help="The events of one Series Instance UID.")] = None,
    latest: Annotated[int, typer.Option("--latest", min=1, help="How many cases to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what the node received, what became of it and why."""
    store = open_journal_for_reading(load_settings(config))
    try:
        if series is not None:
            trail = events(store, series_uid=series)
            show.answer({"series_uid": series, "events": trail}, show.events_text(trail), as_json=as_json)
        else:
            state = overview(store, latest=latest)
            show.answer(state, show.overview_text(state), as_json=as_json)
    finally:
        store.close()
