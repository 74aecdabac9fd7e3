"""The scorecard of the fault harnesses: one JSON file for each that was run, and docs/reliability.md made of them.

A harness ends with

    record("pacs-down", title="PACS dead for 72 h", points=72, unit="simulated hours", faults=0, controls="2 of 2",
           seed=5, duration_s=12.3, command="python -m faults --only pacs-down",
           proves="Everything is delivered after.", limits="The clock is simulated.", attempts_a_minute=0.4)

and `write_page()` lays all of them out. What was not run again keeps the date and the revision of its last run, so a
part can be repeated alone. Everything beyond the named arguments is kept as a further figure, shown in its own words.
"""

import json
import platform
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "reliability.md"

#: The named arguments of `record`; a fragment without one of them is refused.
_NAMED = ("title", "points", "unit", "faults", "controls", "seed", "duration_s", "command", "proves", "limits")

_HEAD = """# Reliability: what was tried to break it, and what came of it

This page is written by `make faults`; do not edit it. Work is done at least once and delivery is idempotent; the
harnesses below try to show the opposite. A row stands for the last run of its harness, with the date and the revision
of the source that it ran on ("+": with changes that were not committed yet). A *fault* is an acknowledged object lost,
a result object at the archive that is not the one result of its series, a case that does not end, or what the row's own
text names. A *negative control* is a node that was broken on purpose: a harness that does not notice it proves nothing.

| harness | points | faults found | controls caught | seed | seconds | date | revision |
|---|---|---|---|---|---|---|---|
"""


def record(name: str, *, folder: Path = RESULTS, **figures: Any) -> Path:
    """Keep the figures of one harness, with date, revision and versions; return the file. See the module for the keys.

    Raises KeyError when one of the named figures lacks.
    """
    told = {key: figures.pop(key) for key in _NAMED}
    told["duration_s"] = round(float(told["duration_s"]), 1)
    fragment = {
        "name": name,
        **told,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "revision": _revision(),
        "versions": _versions(),
        "more": figures,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(fragment, indent=2, sort_keys=True) + "\n")
    return path


def page(folder: Path = RESULTS) -> str:
    """Return the page of all that is recorded in `folder`."""
    fragments = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    rows = "".join(_row(item) for item in fragments)
    text = "\n".join(_section(item) for item in fragments)
    return f"{_HEAD}{rows}\n{text}\n{_tail(fragments)}"


def write_page(folder: Path = RESULTS, where: Path = PAGE) -> None:
    """Write docs/reliability.md anew."""
    where.write_text(page(folder))


def _row(item: dict[str, Any]) -> str:
    return (
        f"| {item['title']} | {item['points']:,} {item['unit']} | {item['faults']} | {item['controls']} | "
        f"{item['seed']} | {item['duration_s']:g} | {item['date']} | {item['revision']} |\n"
    )


def _section(item: dict[str, Any]) -> str:
    more = "".join(f"- {key.replace('_', ' ')}: {_plain(value)}\n" for key, value in sorted(item["more"].items()))
    return (
        f"## {item['title']}\n\n{item['proves']}\n\nNot shown by it: {item['limits']}\n\n"
        f"{more}- command: `{item['command']}`\n"
    )


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(inner) for inner in value) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _tail(fragments: list[dict[str, Any]]) -> str:
    """Return the versions, once for each set of harnesses that ran with the same ones."""
    sets: dict[str, list[str]] = {}
    for item in fragments:
        sets.setdefault(_plain(item["versions"]), []).append(item["name"])
    lines = "".join(f"- {', '.join(names)}: {versions}\n" for versions, names in sets.items())
    return f"## Versions\n\n{lines}"


def _revision() -> str:
    git = ["git", "-C", str(ROOT)]
    done = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    if done.returncode:
        return "unknown"
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--untracked-files=normal", "--", "node", "dicom_sr", "tests"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() + ("+" if changed.stdout.strip() else "")


def _versions() -> dict[str, str]:
    return {
        "Linux": platform.release(),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        **{name: version(name) for name in ("pynetdicom", "pydicom", "SQLAlchemy")},
    }
