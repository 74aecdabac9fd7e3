"""What the commands print: JSON for scripts, tables for people, progress while they wait."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from node.errors import NodeError

if TYPE_CHECKING:  # the pipeline behind them takes seconds to import, which most commands do without
    from node.batch.offline import Outcome, Progress, Report
    from node.demo.outcome import DemoOutcome

_ANSWERS = sys.stdout
#: Words for the states of a delivery that is not at its end, or at a bad one.
_DELIVERY = {"pending": "pending", "sent": "sent, not confirmed yet", "refused": "refused"}


@contextlib.contextmanager
def answers_only(*, unless: bool) -> Iterator[None]:
    """Keep standard output for `answer`; what libraries print there goes nowhere."""
    if unless:
        yield
        return
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def answer(document: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print `document` as JSON, or else `text`."""
    _ANSWERS.write((json.dumps(document, indent=2, default=str) if as_json else text) + "\n")
    _ANSWERS.flush()


def error_document(error: NodeError) -> dict[str, Any]:
    """Return an error as it stands in a JSON answer."""
    return {"error": {"code": error.code, "message": str(error), "retryable": error.retryable}}


@contextlib.contextmanager
def steps(console: Console) -> Iterator[Callable[[str], None]]:
    """Show one line after another while something runs: the last one with a spinner on a terminal."""
    with console.status("starting") as status:

        def step(text: str) -> None:
            if console.is_terminal:
                status.update(text)
            else:
                console.print(text, markup=False)

        yield step


@contextlib.contextmanager
def progress(console: Console) -> "Iterator[Progress]":
    """Show which series is at which stage."""
    with steps(console) as step:
        yield lambda number, count, stage: step(f"series {number} of {count}: {stage}")


def report_document(report: "Report") -> dict[str, Any]:
    """Return the answer of `segment`."""
    return {
        "series": [_outcome_document(outcome) for outcome in report.outcomes],
        "unreadable": [
            {"path": str(item.path), "code": item.error.code, "message": str(item.error)} for item in report.unreadable
        ],
    }


def report_text(report: "Report") -> str:
    """Return the answer of `segment` for a person."""
    parts = []
    for outcome in report.outcomes:
        if outcome.folder is not None and outcome.document is not None:
            parts.append(f"{outcome.series_uid}\n{findings_text(outcome.document)}\n  in {outcome.folder}")
        else:
            word = "refused" if outcome.error is None else "failed"
            reasons = "\n".join(f"  {reason.code}: {reason.text}" for reason in outcome.reasons)
            parts.append(f"{outcome.series_uid} {word}\n{reasons}")
    parts.extend(f"{item.path}: {item.error.code}: {item.error}" for item in report.unreadable)
    return "\n".join(parts) or "no DICOM images found"


def findings_text(document: Mapping[str, Any]) -> str:
    """Return a `findings.json` for a person: a table of the structures, totals, what is missing, the verdict."""
    totals = ", ".join(f"{kind} {volume:.0f} mm3" for kind, volume in document["total_volume_mm3"].items())
    algorithm = document["algorithm"]
    return "\n".join(
        [
            _rendered(_structures_table(document["structures"])) if document["structures"] else "nothing found",
            f"total: {totals}",
            *_missing_lines(document["missing"]),
            *_lordosis_lines(document["curvature"]),
            *_quality_lines(document["quality"]),
            f"model: {algorithm['bundle_name']} {algorithm['bundle_version']}. {algorithm['intended_use']}",
        ]
    )


def _structures_table(structures: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("level", "kind"):
        table.add_column(name)
    for name in ("volume mm3", "height mm", "depth mm", "sure"):
        table.add_column(name, justify="right")
    table.add_column("")
    for found in structures:
        measures = found["measures"]
        table.add_row(
            found["level"] or f"({found['ordinal']})",
            found["kind"],
            f"{found['volume_mm3']:.0f}",
            _millimetres(measures.get("height_middle")),
            _millimetres(measures.get("depth")),
            f"{found['level_confidence']:.0%}" if found["level"] else "-",
            "cut by the field of view" if found["truncated"] else "",
        )
    return table


def _millimetres(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _missing_lines(missing: Sequence[Mapping[str, Any]]) -> list[str]:
    levels: dict[str, list[str]] = {}
    for item in missing:
        levels.setdefault(item["presence"], []).append(item["level"])
    return [f"{presence}: {', '.join(names)}" for presence, names in levels.items()]


def _lordosis_lines(curvature: Mapping[str, float]) -> list[str]:
    names = {"lordosis_cobb": "Cobb", "lordosis_posterior_tangent": "posterior tangents"}
    angles = [f"{words} {curvature[key]:z.1f} deg" for key, words in names.items() if key in curvature]
    return [f"lordosis C2 to C7: {', '.join(angles)}"] if angles else []


def _quality_lines(quality: Mapping[str, Any]) -> list[str]:
    return [
        f"quality: {quality['verdict']}",
        *(f"  {item['verdict']}, {item['doubt']}: {item['text']}" for item in quality["objections"]),
    ]


def demo_text(outcome: "DemoOutcome") -> str:
    """Return the answer of `demo` for a person."""
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in outcome.findings["timings_s"].items())
    objects = "\n".join(
        f"  {made['modality']:<4} {made['sop_instance_uid']}  series {made['series_uid']}" for made in outcome.archived
    )
    return "\n".join(
        [
            findings_text(outcome.findings),
            f"stages: {stages}",
            f"from the last C-STORE to all results in the archive: {outcome.seconds:.1f} s",
            f"in the archive ({outcome.archive}), study {outcome.study_uid}:",
            objects,
            f"files: {', '.join(str(path) for path in outcome.files)}",
            f"picture: {outcome.overlay}",
        ]
    )


def overview_text(state: Mapping[str, Any]) -> str:
    """Return `status` for a person."""
    table = Table(box=None, pad_edge=False)
    for name in ("case", "state", "route", "series", "why / where"):
        table.add_column(name, overflow="fold")
    for case in state["latest_cases"]:
        reasons = [f"{reason['code']}: {reason['text']}" for reason in case["reasons"]]
        sent = [_delivery_text(item) for item in case["objects"]]
        table.add_row(
            str(case["id"]),
            _state_text(case),
            case["route"] or "-",
            case["series_uid"],
            "\n".join(reasons + sent) or "-",
        )
    counts = ", ".join(f"{count} {name}" for name, count in state["cases"].items()) or "none"
    lines = [
        f"series receiving: {state['receiving']}; cases: {counts}",
        *_owed_lines(state),
        *map(_pull_text, state["pulls"]),
    ]
    if state["latest_cases"]:
        lines.append(_rendered(table))
    lines.extend(
        f"quarantined {row['received_at']}: {row['code']}: {row['text']} ({row['path']})"
        for row in state["latest_quarantined"]
    )
    return "\n".join(lines)


def _owed_lines(state: Mapping[str, Any]) -> list[str]:
    """Return a line for each destination that something is owed to, and for storage commitments without an answer."""
    owed: dict[str, list[str]] = {}
    for item in state["deliveries"]:
        if item["state"] in {"pending", "sent", "refused"}:
            owed.setdefault(item["destination"], []).append(f"{item['count']} {_DELIVERY[item['state']]}")
    lines = [f"{name}: {'; '.join(sorted(counts))}" for name, counts in sorted(owed.items())]
    asked, due = state["commitments"]["asked"], state["commitments"]["due"]
    lines.extend(f"{name}: {count} storage commitments asked and not answered" for name, count in sorted(asked.items()))
    return [*lines, f"{due} storage commitments to be reported"] if due else lines


def _pull_text(item: Mapping[str, Any]) -> str:
    sums = ", ".join(f"{item[fate]} series {fate}" for fate in ("fetched", "failed") if item[fate])
    return f"pull {item['pull']}: {item['end']} {item['at']}: {item['code'] or sums or 'nothing was asked for'}"


def _state_text(case: Mapping[str, Any]) -> str:
    notes = [
        f"attempt {case['attempts']}" if case["attempts"] > 1 else "",
        "partial" if case["partial"] else "",
        "purged" if case["purged"] else "",
    ]
    return ", ".join([case["state"], *filter(None, notes)])


def _delivery_text(item: Mapping[str, Any]) -> str:
    if item["destination"] is None:
        return f"{item['kind']} in {item['path']}"
    state = _DELIVERY.get(item["state"], item["state"])
    tries = f" after {item['attempts']} tries" if item["attempts"] > 1 or item["text"] else ""
    trouble = f": {item['text']}" if item["text"] else ""
    return f"{item['kind']} -> {item['destination']}: {state}{tries}{trouble}"


def events_text(trail: Sequence[Mapping[str, Any]]) -> str:
    """Return the events of a series, one a line."""
    lines = [
        f"{event['at']}  {event['what']}"
        + "".join(f"  {name}={value}" for name, value in event["detail"].items() if value not in (None, []))
        for event in trail
    ]
    return "\n".join(lines) or "no events"


def _outcome_document(outcome: "Outcome") -> dict[str, Any]:
    state = "segmented" if outcome.folder else "refused" if outcome.error is None else "failed"
    return {
        "series_uid": outcome.series_uid,
        "study_uid": outcome.study_uid,
        "state": state,
        "folder": str(outcome.folder) if outcome.folder else None,
        "reasons": [{"code": reason.code, "text": reason.text} for reason in outcome.reasons],
        "findings": outcome.document,
    }


def _rendered(table: Table) -> str:
    console = Console(width=160, no_color=True)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
