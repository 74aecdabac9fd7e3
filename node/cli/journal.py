"""`cspine-node journal`: whether the journal holds what was written, and a new one out of the files."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from node import show
from node.bootstrap.state import local_journal, open_journal_for_reading
from node.cli.options import ERRORS, AsJson, Config
from node.errors import JournalDamaged
from node.recovery import check_journal, rebuild_journal
from node.settings import load_settings

app = typer.Typer(help="Check the journal, or make it anew from the files.", no_args_is_help=True, add_completion=False)


@app.command()
def check(
    config: Config,
    deep: Annotated[bool, typer.Option("--deep", help="Also read every file and compare its digest.")] = False,
    as_json: AsJson = False,
) -> None:
    """Hold the journal against its own seals, and against the files. The node may run meanwhile."""
    settings = load_settings(config)
    store = open_journal_for_reading(settings)
    try:
        report = check_journal(settings.node.state_dir, store, deep=deep)
    finally:
        store.close()
    document = {"ok": report.ok, **asdict(report)}
    show.answer(document, _check_text(document), as_json=as_json)
    if not report.ok:
        raise typer.Exit(JournalDamaged.exit_code)


@app.command()
def rebuild(config: Config, as_json: AsJson = False) -> None:
    """Make a new journal from the received files and the results; the old one is kept beside it.

    The node must not run. May be cut off and run again. The events of the old journal are not in the new one, and what
    had been delivered is sent again: the same objects, which an archive that has them keeps once.
    """
    settings = load_settings(config)
    with show.steps(ERRORS) as step:
        report = rebuild_journal(local_journal(settings), step)
    document = asdict(report)
    show.answer(document, _rebuilt_text(document), as_json=as_json)


def _check_text(report: Mapping[str, Any]) -> str:
    return "\n".join(
        [
            f"the journal is {'sound' if report['ok'] else 'damaged'}; it names {report['files']} files",
            *(f"damage: {text}" for text in report["damage"]),
            *(f"missing: {path}" for path in report["missing"]),
            *(f"not what was written: {path}" for path in report["altered"]),
            *(f"no row names it: {path}" for path in report["unnamed"]),
        ]
    )


def _rebuilt_text(report: Mapping[str, Any]) -> str:
    kept = f"the old one is kept as {report['kept_as']}" if report["kept_as"] else "there was no old one"
    return "\n".join(
        [
            f"a new journal is in place; {kept}",
            f"{report['series']} series of {report['instances']} instances, {report['quarantined']} in quarantine",
            f"{report['cases']} cases with {report['objects']} objects, to be sent again",
            f"{report['receiving']} series to be judged again",
            *(f"not used: {item['path']}: {item['code']}: {item['text']}" for item in report["problems"]),
            "lost with the old one: its events, and what an operator had held or cancelled",
        ]
    )
