"""The command that asks archives for what should have come and has not."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Annotated, Any

import typer

from node import show
from node.bootstrap.state import open_journal_for_reading, require_journal
from node.cli.options import ERRORS, AsJson, Config
from node.control import ask
from node.errors import DeliveryError, SettingsError, SystemFailed
from node.settings import Settings, load_settings

#: Seconds for one answer, and between two looks at a pull that runs.
_PATIENCE_S, _LOOK_S = 60.0, 0.5

Document = Mapping[str, Any]
Step = Callable[[str], None]


def pull(
    config: Config,
    name: Annotated[str | None, typer.Argument(help="Name of a [[pull]]; all of them without.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be fetched, and why.")] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", help="The first day to look at: 2026-01-31, or 7d ago."),
    ] = None,
    study: Annotated[
        list[str] | None, typer.Option("--study", help="Only this Study Instance UID. May be given again.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask an archive for series that should be here and are not, and have them sent.

    The node that runs does it. A dry run looks from here, and fetches nothing.
    """
    settings = load_settings(config)
    names = [known.name for known in settings.pull if name in {None, known.name}]
    if not names:
        wanted = f"none is named {name!r}" if name else "none is configured"
        raise SettingsError(f"{config}: pull: {wanted}")
    wish = {"dry_run": dry_run, "since": _day(since, date.today()), "studies": study or []}  # noqa: DTZ011 - local days
    require_journal(settings)
    with show.steps(ERRORS) as step:
        told = _looked(settings, names, wish, step) if dry_run else _done(settings, names, wish, step)
    show.answer({"pulls": told}, "\n".join(map(_text, told)), as_json=as_json)
    if code := _exit_code(told):
        raise typer.Exit(code)


def _looked(settings: Settings, names: Sequence[str], wish: Document, step: Step) -> list[Document]:
    """Do dry runs here, beside the node or without one."""
    from node.journal.pulls import PullJournal  # noqa: PLC0415 - pynetdicom is slow to import
    from node.pull.build import pulls_of  # noqa: PLC0415
    from node.pull.pulls import PullRunner, wish_of  # noqa: PLC0415

    store = open_journal_for_reading(settings)
    try:
        journal = PullJournal(store)
        runners = [PullRunner(one, journal) for one in pulls_of(settings, journal) if one.settings.name in names]
        told = []
        for runner in runners:
            step(f"pull {runner.pull.settings.name}: asking {runner.pull.settings.archive}")
            runner.start(wish_of(wish))
            try:
                runner.join()
            finally:
                runner.end()
            told.append(_gathered(runner.pull.settings.name, runner.told, step))
        return told
    finally:
        store.close()


def _done(settings: Settings, names: Sequence[str], wish: Document, step: Step) -> list[Document]:
    """Have the node that runs do them. Raises SystemFailed where none runs."""
    told = []
    for name in names:
        step(f"pull {name}: the node asks the archive")
        said = _asked(settings, name, "start", wish)
        if "state" in said:
            told.append(_gathered(name, partial(_page, settings, name), step))
        else:
            told.append({"pull": name, "outcome": None, "error": said["error"], "series": []})
    return told


def _page(settings: Settings, name: str, after: int) -> Document:
    return _asked(settings, name, "look", {"after": after})


def _asked(settings: Settings, name: str, step: str, more: Document) -> Document:
    said = ask(settings.node.state_dir, {"do": "pull", "step": step, "pull": name, **more}, patience_s=_PATIENCE_S)
    if said is None:
        raise SystemFailed("no node runs over the state folder; without one there are dry runs only (--dry-run)")
    return said


def _gathered(name: str, look: Callable[[int], Document], step: Step) -> Document:
    """Return all that a pull tells, once it has ended."""
    series: list[Document] = []
    while True:
        page = look(len(series))
        series += page["series"]
        if page["series"]:
            step(f"pull {name}: {len(series)} series")
        if page["state"] != "running" and not page["series"]:
            return {"pull": name, "outcome": page["outcome"], "error": page["error"], "series": series}
        if not page["series"]:
            time.sleep(_LOOK_S)


def _day(text: str | None, today: date) -> str | None:
    """Return --since as a day in ISO 8601. Raises SettingsError for what is none.

    >>> _day("7d", date(2026, 11, 22))
    '2026-11-15'
    """
    if text is None:
        return None
    if days := re.fullmatch(r"(\d{1,5})d", text):
        return (today - timedelta(days=int(days[1]))).isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise SettingsError("--since is a day, such as 2026-01-31, or a number of days, such as 7d") from error


def _exit_code(told: Sequence[Document]) -> int:
    """Return 0, or that of a peer that did not do its part."""
    failed = any(item["error"] is not None or item["outcome"]["failed"] for item in told)
    return DeliveryError.exit_code if failed else 0


def _text(item: Document) -> str:
    """Return one pull for a person: what was done or lacks, series by series, then the sums."""
    lines = [
        f"  {series['fate']:<8} {series['series_uid']}  {series['code']}: {series['text']}"
        for series in item["series"]
        if series["fate"] != "skipped" or series["code"] not in {"here", "modality"}
    ]
    if item["error"] is not None:
        return "\n".join([f"{item['pull']}:", *lines, f"  {item['error']['code']}: {item['error']['message']}"])
    outcome = item["outcome"]
    reasons = ", ".join(f"{count} {code}" for code, count in outcome["reasons"].items())
    sums = [f"{outcome[fate]} {fate}" for fate in ("lacking", "fetched", "failed") if outcome[fate]] or [
        "nothing lacks"
    ]
    return "\n".join(
        [
            f"{item['pull']}: {outcome['studies']} studies, {outcome['series']} series: {', '.join(sums)}",
            *lines,
            *([f"  not asked for: {reasons}"] if reasons else []),
            *([f"  ended early: {outcome['stopped']}"] if outcome["stopped"] else []),
        ]
    )
