"""Delivery to archives that misbehave, and to one that is dead for three days."""

import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from faults import scorecard
from faults.deadpacs import BOUND_A_MINUTE, BOUND_AN_HOUR_LATER, control_storm, endure
from faults.misbehaviour import SCENARIOS, control_duplicate, control_lies, played

from node import log

_COMMAND = "PYTHONPATH=.:tests python -m faults --only"


def run_archives(work: Path | None, seed: int, repeats: int) -> list[str]:
    """Play every scenario `repeats` times, record and return what was wrong."""
    log.configure(level="error", key=b"a key for tests")
    begun, told = time.monotonic(), []
    with tempfile.TemporaryDirectory(dir=work) as folder:
        for number in range(repeats):
            for index, scenario in enumerate(SCENARIOS):
                wrong = played(scenario, Path(folder) / f"{number}-{index}")
                told += [f"{scenario.name}: {what}" for what in wrong]
        controls = [
            control_duplicate(Path(folder) / "duplicate"),
            control_lies(Path(folder) / "lies"),
        ]
    if not all(controls):
        told.append(f"a control was not caught: {controls}")
    scorecard.record(
        "net-archives",
        title="Archives that misbehave",
        points=len(SCENARIOS) * repeats,
        unit="scenarios",
        faults=len(told),
        controls=f"{sum(controls)} of {len(controls)}",
        seed=seed,
        duration_s=time.monotonic() - begun,
        command=f"{_COMMAND} net-archives",
        proves="In the end every object is at the archive once and with its bytes, or refused for a named reason, and "
        "a sound destination beside it is never held up. Controls: a destination that takes 0x0111 for proof; an "
        "archive that answers Success, keeps nothing and is not asked.",
        limits="Outbox and journal with a simulated clock and real associations; reports of commitment are handed to "
        "the outbox without a listener between.",
        scenarios=", ".join(scenario.name for scenario in SCENARIOS),
    )
    return told


def run_dead_pacs(work: Path | None, seed: int, hours: int) -> list[str]:
    """Let a PACS be dead for so many simulated hours, record and return what was wrong."""
    log.configure(level="error", key=b"a key for tests")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(dir=work) as folder:
        found = endure(Path(folder) / "dead", hours=hours, every_s=1800, seed=seed)
        told = list(found.faults)
        control = control_storm(Path(folder) / "storm")
    if not control:
        told.append("an outbox without pauses was not caught")
    figures = {key: value for key, value in asdict(found).items() if key != "faults"}
    scorecard.record(
        "net-dead-pacs",
        title="A PACS that is dead",
        points=hours,
        unit="simulated hours",
        faults=len(told),
        controls=f"{int(control)} of 1",
        seed=seed,
        duration_s=time.monotonic() - begun,
        command=f"{_COMMAND} net-dead-pacs",
        proves="Everything is delivered after it, each object sent once, an association a case; at most "
        f"{BOUND_A_MINUTE} attempts in a minute, and {BOUND_AN_HOUR_LATER} in an hour once the pauses have grown. "
        "Control: an outbox that forgets its pauses.",
        limits="The clock is simulated; nobody listens at the port, rather than somebody who is silent.",
        **figures,
    )
    return told
