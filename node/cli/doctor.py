"""`cspine-node doctor`: whether everything is as it should be, and what to do where it is not."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from node import show
from node.bootstrap.engine import open_bundle, open_engine
from node.bootstrap.state import open_journal_for_reading
from node.cli.options import ERRORS, AsJson, Config
from node.control import ask
from node.doctor.examination import Means, examine
from node.doctor.finding import Finding, Level, fault, worst
from node.errors import SettingsError
from node.settings import Settings, load_settings

#: Seconds that the running node has to answer.
_PATIENCE_S = 10.0
#: 69 is EX_UNAVAILABLE of sysexits.h.
_EXIT_CODES = {Level.OK: 0, Level.WARNING: 1, Level.FAULT: 69}
_MARKS = {Level.OK: "ok     ", Level.WARNING: "WARNING", Level.FAULT: "FAULT  "}


def doctor(
    config: Config,
    self_test: Annotated[
        bool | None,
        typer.Option("--self-test/--no-self-test", help="Load the engine to try it; by default where no node runs."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at settings, folders, disk, clock, journal, model, certificates, ports, peers and destinations.

    Says what to do about what it finds, and changes nothing. Exit code: 0 all well, 1 something to see to, 69 a fault.
    """
    findings = list(_findings(config, self_test))
    document = {
        "worst": worst(findings).name.lower(),
        "findings": [
            {"area": item.area, "level": item.level.name.lower(), "text": item.text, "advice": item.advice}
            for item in findings
        ],
    }
    show.answer(document, "\n".join(map(_line, findings)), as_json=as_json)
    if worst(findings) is not Level.OK:
        raise typer.Exit(_EXIT_CODES[worst(findings)])


def _findings(config: Path, self_test: bool | None) -> Iterable[Finding]:
    try:
        settings = load_settings(config)
    except SettingsError as error:
        advice = "mend this key; docs/settings.md knows them all, and cspine-node init writes a file that is sound"
        return [fault("settings", line, advice) for line in str(error).splitlines()]
    return _told(examine(settings, _means(settings), self_test=self_test))


def _told(findings: Iterable[Finding]) -> Iterable[Finding]:
    """Yield findings as they come, telling somebody who waits at a terminal what has been looked at."""
    with show.steps(ERRORS) as step:
        for item in findings:
            if ERRORS.is_terminal:
                step(f"looked at: {item.area}")
            yield item


def _means(settings: Settings) -> Means:
    def asked(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if not settings.node.state_dir.is_dir():
            return None
        return ask(settings.node.state_dir, request, patience_s=_PATIENCE_S)

    return Means(
        open_journal=open_journal_for_reading,
        open_bundle=open_bundle,
        open_engine=open_engine,
        ask=asked,
    )


def _line(item: Finding) -> str:
    advice = f"\n        -> {item.advice}" if item.advice else ""
    return f"{_MARKS[item.level]} {item.area}: {item.text}{advice}"
