"""The commands by which an operator acts on cases. A node that runs does what they ask; else they do it themselves."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from node import show
from node.bootstrap.operator import operations_alone
from node.bootstrap.state import require_journal
from node.cli.options import ERRORS, AsJson, Config
from node.control import ask
from node.settings import Settings, load_settings

Cases = Annotated[list[int] | None, typer.Argument(metavar="CASE...", help="Numbers of cases, as `status` shows them.")]
Series = Annotated[
    list[str] | None, typer.Option("--series", help="A Series Instance UID: its newest case. May be given again.")
]

#: Seconds. A purge of many series takes its time.
_PATIENCE_S = 600.0
#: What an action has done that leaves the state of a case as it is.
_UNMOVED = {"reprocess": "; its series makes a new case", "send": "; its results are sent there too"}


def retry(config: Config, cases: Cases = None, series: Series = None, as_json: AsJson = False) -> None:
    """Try again: a quarantined case from its start, an undelivered one to the destinations that refused."""
    _act("retry", config, cases, series, as_json=as_json)


def hold(config: Config, cases: Cases = None, series: Series = None, as_json: AsJson = False) -> None:
    """Stop a case before the worker or before the destinations, until it is released."""
    _act("hold", config, cases, series, as_json=as_json)


def release(config: Config, cases: Cases = None, series: Series = None, as_json: AsJson = False) -> None:
    """Let a held case go on where it stood."""
    _act("release", config, cases, series, as_json=as_json)


def cancel(config: Config, cases: Cases = None, series: Series = None, as_json: AsJson = False) -> None:
    """End a case; what has not been sent of it stays here."""
    _act("cancel", config, cases, series, as_json=as_json)


def reprocess(config: Config, cases: Cases = None, series: Series = None, as_json: AsJson = False) -> None:
    """Make a new case of the same instances, with the settings and the model of now."""
    _act("reprocess", config, cases, series, as_json=as_json)


def send(
    config: Config,
    destination: Annotated[str, typer.Option("--destination", "-d", help="Name of a destination in the settings.")],
    cases: Cases = None,
    series: Series = None,
    as_json: AsJson = False,
) -> None:
    """Send the results of a case to a destination, once more where it has them."""
    _act("send", config, cases, series, as_json=as_json, destination=destination)


def purge(
    config: Config,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be deleted.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete now what retention would delete: what is delivered and confirmed, or was not wanted, for long enough."""
    said = _asked(load_settings(config), {"do": "purge", "dry_run": dry_run})
    _answer(said, lambda: _purged_text(said["purged"], dry_run=dry_run), as_json=as_json)


def _act(
    action: str, config: Path, cases: list[int] | None, series: list[str] | None, *, as_json: bool, **more: str
) -> None:
    if not (cases or series):
        raise typer.BadParameter("name a CASE, or a --series")
    said = _asked(load_settings(config), {"do": action, "cases": cases or [], "series": series or [], **more})
    _answer(said, lambda: "\n".join(_case_text(action, item) for item in said["cases"]), as_json=as_json)


def _asked(settings: Settings, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the answer of the node that runs, or of its journal where none runs. Raises NodeError."""
    require_journal(settings)
    said = ask(settings.node.state_dir, request, patience_s=_PATIENCE_S)
    if said is None:
        with operations_alone(settings) as operations:
            said = operations.answer(request)
    return said


def _answer(said: Mapping[str, Any], text: Callable[[], str], *, as_json: bool) -> None:
    """Print an answer without its exit code, and exit with that."""
    exit_code = said.get("exit_code", 0)
    if "error" in said and not as_json:
        ERRORS.print(_error_text(said["error"]), style="red", markup=False)
    else:
        document = {key: value for key, value in said.items() if key != "exit_code"}
        show.answer(document, "" if as_json else text(), as_json=as_json)
    if exit_code:
        raise typer.Exit(exit_code)


def _case_text(action: str, item: Mapping[str, Any]) -> str:
    name = f"case {item['case']}" if "case" in item else item["series_uid"]
    if "error" in item:
        return f"{name}: {_error_text(item['error'])}"
    if item["was"] == item["state"]:
        return f"{name}: {item['state']}{_UNMOVED.get(action, '')}"
    return f"{name}: {item['was']} -> {item['state']}"


def _purged_text(purged: Mapping[str, Any], *, dry_run: bool) -> str:
    word = "would be deleted" if dry_run else "deleted"
    left = f"; {purged['left']} series left for a later time" if purged["left"] else ""
    return f"{word}: {purged['series']} series, {purged['files']} files, {purged['bytes'] / 1e6:.1f} MB{left}"


def _error_text(error: Mapping[str, Any]) -> str:
    return f"{error['code']}: {error['message']}"
