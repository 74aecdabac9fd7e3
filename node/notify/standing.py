"""From events to notices: what is known up to a place in the audit trail, and what each further event adds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from node.domain.case import CaseState
from node.errors import JournalDamaged
from node.journal.events import DamagedEvent, Event
from node.journal.pulls import PullEnd, end_of
from node.journal.store import Store
from node.journal.trail import Place, ended_badly_before, refusals_of
from node.notify.notices import Kind, Notice

_QUARANTINED = f"case {CaseState.QUARANTINED.value}"
_UNDELIVERED = f"case {CaseState.UNDELIVERED.value}"
_DELIVERED = f"case {CaseState.DELIVERED.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """A destination, or a pull, that has failed since its last success."""

    #: Number and time of the first failure; the time is UTC, ISO 8601.
    event: int
    since: str
    #: Of its newest failure.
    code: str
    told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known up to a place."""

    place: Place
    #: Destinations by their names, and pulls by theirs.
    failing: Mapping[str, Failing] = field(default_factory=dict)
    pulls: Mapping[str, Failing] = field(default_factory=dict)

    def at(self, place: Place) -> "Standing":
        """Return the same at another place."""
        return replace(self, place=place)


def taken_in(standing: Standing, event: Event | DamagedEvent, store: Store) -> tuple[Standing, Notice | None]:
    """Return what is known after an event, and what is to be told of it. Raises JournalError.

    Of one that is damaged, or that speaks of what is, just this is told.
    """
    if isinstance(event, DamagedEvent):
        return standing, _damaged(event, None)
    match event.what:
        case "delivery failed" | "delivery unconfirmed" | "delivery delivered":
            return _delivered(standing, event)
        case "pull ended" | "pull failed":
            return _pulled(standing, event)
    try:
        return standing, _of_case_or_bytes(event, store)
    except JournalDamaged:
        return standing, _damaged(event, event.case)


def _of_case_or_bytes(event: Event, store: Store) -> Notice | None:
    if event.what == _QUARANTINED:
        return _quarantined(event)
    if event.what == _UNDELIVERED:
        return _undelivered(event, store)
    if event.what == "bytes quarantined":
        code = str(event.detail["code"])
        text = f"received bytes are no instance and lie in quarantine: {code}"
        return Notice(kind=Kind.BYTES_QUARANTINED, event=event.event, at=event.at, text=text, codes=(code,))
    if event.what == _DELIVERED and ended_badly_before(store, event, (_QUARANTINED, _UNDELIVERED), _DELIVERED):
        return _notice(Kind.CASE_DELIVERED, event, "is delivered after all")
    return None


def overdue(
    standing: Standing, failing_s: float, age_s: Callable[[str], float], pending: Callable[[], frozenset[str]]
) -> tuple[Standing, tuple[Notice, ...]]:
    """Return a notice for each destination and each pull that has failed for so long, and what is known then.

    `age_s` returns the seconds since a time, `pending` the destinations that something waits for: one that nothing
    waits for any more does not fail.
    """
    failing, pulls, notices = dict(standing.failing), dict(standing.pulls), []
    for name, item in _late(standing.failing, failing_s, age_s):
        if name not in pending():
            del failing[name]
            continue
        failing[name] = replace(item, told=True)
        text = f"destination {name} fails since {item.since}: {item.code}"
        notices.append(_of_failing(Kind.DESTINATION_FAILING, item, text, destination=name))
    for name, item in _late(standing.pulls, failing_s, age_s):
        pulls[name] = replace(item, told=True)
        text = f"pull {name} fails since {item.since}: {item.code}"
        notices.append(_of_failing(Kind.PULL_FAILING, item, text, pull=name))
    return replace(standing, failing=failing, pulls=pulls), tuple(notices)


def _late(failing: Mapping[str, Failing], failing_s: float, age_s: Callable[[str], float]) -> list[tuple[str, Failing]]:
    return [(name, item) for name, item in sorted(failing.items()) if not item.told and age_s(item.since) >= failing_s]


def _delivered(standing: Standing, event: Event) -> tuple[Standing, Notice | None]:
    name = str(event.detail["destination"])
    if event.what != "delivery delivered":
        code = str(event.detail.get("code") or "")
        return replace(standing, failing=_failed(standing.failing, name, event, code)), None
    before = standing.failing.get(name)
    if before is None:
        return standing, None
    text = f"destination {name} works again; it had failed since {before.since}: {before.code}"
    notice = _of_failing(Kind.DESTINATION_WORKS, before, text, event, destination=name)
    return replace(standing, failing=_without(standing.failing, name)), notice if before.told else None


def _pulled(standing: Standing, event: Event) -> tuple[Standing, Notice | None]:
    name, (end, code) = str(event.detail["pull"]), end_of(event)
    if end is PullEnd.FAILED:
        return replace(standing, pulls=_failed(standing.pulls, name, event, code)), None
    before = standing.pulls.get(name)
    if before is None or end is PullEnd.STOPPED:
        return standing, None
    text = f"pull {name} works again; it had failed since {before.since}: {before.code}"
    notice = _of_failing(Kind.PULL_WORKS, before, text, event, pull=name)
    return replace(standing, pulls=_without(standing.pulls, name)), notice if before.told else None


def _failed(known: Mapping[str, Failing], name: str, event: Event, code: str) -> Mapping[str, Failing]:
    before = known.get(name)
    item = replace(before, code=code) if before else Failing(event=event.event, since=event.at, code=code)
    return {**known, name: item}


def _without(known: Mapping[str, Failing], name: str) -> Mapping[str, Failing]:
    return {other: item for other, item in known.items() if other != name}


def _of_failing(
    kind: Kind,
    item: Failing,
    text: str,
    event: Event | None = None,
    *,
    destination: str | None = None,
    pull: str | None = None,
) -> Notice:
    """Return a notice about a destination or a pull; `event`: by which it works again."""
    number, at = (event.event, event.at) if event else (item.event, item.since)
    codes = (item.code,)
    return Notice(kind=kind, event=number, at=at, text=text, codes=codes, destination=destination, pull=pull)


def _quarantined(event: Event) -> Notice:
    codes = tuple(str(reason["code"]) for reason in event.detail.get("reasons", ()))
    return _notice(Kind.CASE_QUARANTINED, event, f"is quarantined: {', '.join(codes) or 'no reason given'}", codes)


def _undelivered(event: Event, store: Store) -> Notice:
    refusals = refusals_of(store, event.case) if event.case is not None else ()
    who = ", ".join(f"{name} ({code})" if code else name for name, code in refusals)
    text = f"did not reach every destination: {who}" if who else "did not reach every destination"
    return _notice(Kind.CASE_UNDELIVERED, event, text, tuple(dict.fromkeys(code for _, code in refusals if code)))


def _damaged(event: Event | DamagedEvent, case: int | None) -> Notice:
    text = f"event {event.event} of the journal is damaged, and what it had to tell is lost"
    code = JournalDamaged.code
    return Notice(kind=Kind.EVENT_DAMAGED, event=event.event, at=event.at, text=text, case=case, codes=(code,))


def _notice(kind: Kind, event: Event, text: str, codes: tuple[str, ...] = ()) -> Notice:
    return Notice(
        kind=kind, event=event.event, at=event.at, case=event.case, text=f"case {event.case} {text}", codes=codes
    )
