"""From events to notices: what is known up to a place in the audit trail, and what each further event adds."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from node.domain.case import CaseState
from node.errors import JournalDamaged
from node.journal.events import DamagedEvent, Event
from node.journal.store import Store
from node.journal.trail import Place, ended_badly_before, refusals_of
from node.notify.notices import Kind, Notice

_QUARANTINED = f"case {CaseState.QUARANTINED.value}"
_UNDELIVERED = f"case {CaseState.UNDELIVERED.value}"
_DELIVERED = f"case {CaseState.DELIVERED.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """A destination that has failed since its last success."""

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
    failing: Mapping[str, Failing] = field(default_factory=dict)

    def at(self, place: Place) -> "Standing":
        """Return the same at another place."""
        return replace(self, place=place)

    def without(self, destination: str) -> "Standing":
        """Return the same without a destination among those that fail."""
        return replace(self, failing={name: item for name, item in self.failing.items() if name != destination})

    def with_failing(self, destination: str, item: Failing) -> "Standing":
        """Return the same with a destination that fails."""
        return replace(self, failing={**self.failing, destination: item})


def taken_in(standing: Standing, event: Event | DamagedEvent, store: Store) -> tuple[Standing, Notice | None]:
    """Return what is known after an event, and what is to be told of it. Raises JournalError.

    Of one that is damaged, or that speaks of what is, just this is told.
    """
    if isinstance(event, DamagedEvent):
        return standing, _damaged(event, None)
    match event.what:
        case "delivery failed" | "delivery unconfirmed":
            return _failed(standing, event), None
        case "delivery delivered":
            return _succeeded(standing, event)
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
    """Return a notice for each destination that has failed for so long, and what is known then.

    `age_s` returns the seconds since a time, `pending` the destinations that something waits for: one that nothing
    waits for any more does not fail.
    """
    notices = []
    for name, item in _late(standing, failing_s, age_s):
        if name not in pending():
            standing = standing.without(name)
            continue
        standing = standing.with_failing(name, replace(item, told=True))
        notices.append(
            Notice(
                kind=Kind.DESTINATION_FAILING,
                event=item.event,
                at=item.since,
                text=f"destination {name} fails since {item.since}: {item.code}",
                destination=name,
                codes=(item.code,),
            )
        )
    return standing, tuple(notices)


def _late(standing: Standing, failing_s: float, age_s: Callable[[str], float]) -> Iterator[tuple[str, Failing]]:
    for name, item in sorted(standing.failing.items()):
        if not item.told and age_s(item.since) >= failing_s:
            yield name, item


def _failed(standing: Standing, event: Event) -> Standing:
    name, code = str(event.detail["destination"]), str(event.detail.get("code") or "")
    before = standing.failing.get(name)
    item = replace(before, code=code) if before else Failing(event=event.event, since=event.at, code=code)
    return standing.with_failing(name, item)


def _succeeded(standing: Standing, event: Event) -> tuple[Standing, Notice | None]:
    name = str(event.detail["destination"])
    before = standing.failing.get(name)
    if before is None:
        return standing, None
    notice = Notice(
        kind=Kind.DESTINATION_WORKS,
        event=event.event,
        at=event.at,
        text=f"destination {name} works again; it had failed since {before.since}: {before.code}",
        destination=name,
        codes=(before.code,),
    )
    return standing.without(name), notice if before.told else None


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
