"""The journal: whether it can be read, is whole, and what waits in it for somebody to act."""

from collections.abc import Iterator
from typing import Any

from node.doctor.finding import Finding, fault, fine, warning
from node.domain.case import UNSETTLED, CaseState
from node.errors import JournalDamaged
from node.journal.check import first_damage
from node.journal.overview import overview
from node.journal.store import Store
from node.settings import Settings

_JOURNAL, _CASES = "journal", "cases"
_UNSETTLED = frozenset(state.value for state in UNSETTLED)


def look(settings: Settings, store: Store) -> Iterator[Finding]:
    """Yield what is wrong with the journal, and the cases that nobody works on by themselves. Raises JournalError."""
    damage = first_damage(store)
    if damage is not None:
        yield damaged(JournalDamaged(damage))
        return
    state = overview(store, latest=1)
    yield fine(_JOURNAL, f"is whole; cases in it: {sum(state['cases'].values())}")
    found = [*_stuck(state["cases"]), *_orphans(settings, state["deliveries"])]
    yield from found or [fine(_CASES, "none waits for anybody")]


def damaged(error: JournalDamaged) -> Finding:
    """Return the finding of a journal that is not what was written."""
    return fault(
        _JOURNAL,
        f"is damaged: {error}",
        "stop the node, then: cspine-node journal rebuild; look for the reason in the disk (dmesg, smartctl)",
    )


def _stuck(cases: dict[str, int]) -> Iterator[Finding]:
    if count := cases.get(CaseState.QUARANTINED.value):
        yield warning(
            _CASES,
            f"{count} in quarantine",
            "cspine-node status tells why; then cspine-node retry CASE, or cancel CASE where it is to stay so",
        )
    if count := cases.get(CaseState.UNDELIVERED.value):
        yield warning(
            _CASES,
            f"{count} did not reach every destination",
            "cspine-node status tells which refused and why; mend that, then cspine-node retry CASE",
        )
    if count := cases.get(CaseState.HELD.value):
        yield warning(_CASES, f"{count} held by an operator", "cspine-node release CASE, or cancel CASE")


def _orphans(settings: Settings, deliveries: list[dict[str, Any]]) -> Iterator[Finding]:
    known = {destination.name for destination in settings.destination}
    for item in deliveries:
        if item["state"] in _UNSETTLED and item["destination"] not in known:
            yield warning(
                _CASES,
                f"{item['count']} objects wait for destination {item['destination']}, which the settings do not have",
                f'add a [[destination]] "{item["destination"]}" again, or cancel the cases',
            )
