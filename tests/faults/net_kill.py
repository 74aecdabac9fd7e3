"""The whole node killed at random moments, with Orthanc as its archive."""

import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from faults import scorecard
from faults.killing import Ordeal, ordeal, victim
from peers import Orthanc, program

from node.demo.archive import running_orthanc

_MODES = ("none", "query", "commitment")


def run_kill(work: Path | None, seed: int, kills: int) -> list[str]:
    """Kill the node so many times, record and return what was wrong."""
    begun = time.monotonic()
    found: dict[str, Ordeal] = {}
    orthanc = program("Orthanc")
    assert orthanc is not None, "Orthanc is needed"
    with (
        tempfile.TemporaryDirectory(dir=work) as folder,
        running_orthanc(orthanc, Path(folder) / "orthanc", with_rest=True) as running,
    ):
        archive = Orthanc(peer=replace(running.peer, timeout_s=30), url=running.rest_url)
        for number, confirm in enumerate(_MODES):
            share = kills // 2 if number == 0 else kills // 4
            with victim(Path(folder) / confirm, archive, confirm) as node:
                found[confirm] = ordeal(node, archive, kills=share, seed=seed * 10 + number)
        caught = early_is_seen(Path(folder), archive, seed)
    told = [f"{confirm}: {wrong}" for confirm, result in found.items() for wrong in result.faults]
    if not caught:
        told.append("a node that acknowledges before it stores was not noticed")
    _record(found, told, caught=caught, seed=seed, duration_s=time.monotonic() - begun)
    return told


def early_is_seen(folder: Path, archive: Orthanc, seed: int) -> bool:
    """True when a node that acknowledges three seconds before it stores is noticed."""
    with victim(folder / "early", archive, flaw="early") as node:
        return ordeal(node, archive, kills=6, seed=seed * 10 + 9, patience_s=20).lost > 0


def _record(found: dict[str, Ordeal], told: list[str], *, caught: bool, seed: int, duration_s: float) -> None:
    states: Counter[str] = sum((result.cases for result in found.values()), Counter())
    scorecard.record(
        "net-kill",
        title="The whole node killed under traffic",
        points=sum(result.kills for result in found.values()),
        unit="kills",
        faults=len(told),
        controls=f"{int(caught)} of 1",
        seed=seed,
        duration_s=duration_s,
        command="PYTHONPATH=.:tests python -m faults --only net-kill",
        proves="SIGKILL at random moments from the start on, while series arrive, are segmented, delivered and "
        "confirmed: no acknowledged instance is lost, each series has exactly one SEG and one SR in Orthanc and its "
        "case is delivered, no child process outlives the node, and the canary name is in no log, journal row or file "
        "name. Control: a node that acknowledges before it stores.",
        limits="An oracle stands in for the networks, without a process of its own; the node is forked off a process "
        "that has imported it already.",
        kills_without_and_with_confirmation={confirm: result.kills for confirm, result in found.items()},
        kills_before_it_listened=sum(result.before_it_listened for result in found.values()),
        instances_acknowledged=sum(result.acknowledged for result in found.values()),
        instances_sent=sum(result.sent for result in found.values()),
        acknowledged_and_lost=sum(result.lost for result in found.values()),
        series=sum(len(result.series) for result in found.values()),
        cases=dict(states),
        further_revisions=sum(result.further_revisions for result in found.values()),
        orphans=sum(result.orphans for result in found.values()),
    )
