"""What has happened, counted from the trail of the journal.

Whoever counts starts with the first event, so a restart of the page or of the node sets no counter back, and what
happened while nobody looked is counted too.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from node.domain.case import CaseState, DeliveryState
from node.domain.findings import Verdict
from node.journal.events import DamagedEvent, Event
from node.journal.pulls import PullEnd, end_of
from node.journal.store import Store
from node.journal.trail import Place, read_on
from node.monitor.catalogue import HISTORY, Kind
from node.monitor.sheet import Histogram, Sheet
from node.monitor.standing import seconds_of

_BOUNDS = {metric.name: metric.bounds for metric in HISTORY if metric.kind is Kind.HISTOGRAM}
_AT_ONCE = 2000
#: States in which a case does not go on by itself.
_ENDS = (
    CaseState.DELIVERED,
    CaseState.UNDELIVERED,
    CaseState.REJECTED,
    CaseState.QUARANTINED,
    CaseState.CANCELLED,
    CaseState.SUPERSEDED,
)


@dataclass(slots=True)
class Way:
    """How a destination or a pull does, in times as the journal has them; None: never."""

    last_success_at: str | None = None
    #: The first failure after the last success.
    failing_since: str | None = None


class Tally:
    """Counters over one journal. Safe to use from many threads."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._place = Place()
        self._counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._histograms: dict[tuple[str, tuple[str, ...]], Histogram] = {}
        self._ways: dict[str, Way] = {}
        self._pulls: dict[str, Way] = {}
        #: When the cases that are under way were opened, in seconds since the epoch; a held or retried one is left out.
        self._opened: dict[int, float] = {}
        self._handlers: Mapping[str, Callable[[Event], None]] = {
            "case queued": self._queued,
            "case sending": self._sending,
            "case held": self._forget,
            "bytes quarantined": self._file_quarantined,
            "delivery sent": self._taken,
            "delivery delivered": self._taken,
            "delivery failed": self._not_taken,
            "delivery refused": self._not_taken,
            "delivery unconfirmed": self._not_taken,
            "series asked for": self._asked_for,
            "pull ended": self._pulled,
            "pull failed": self._pulled,
            **{f"case {state.value}": self._ended for state in _ENDS},
        }
        self._begin_at_zero()

    def catch_up(self, *, patience_s: float) -> bool:
        """Count what has happened since the last call; False when so many seconds were too few, and to be called again.

        A damaged event is counted as that, and once. Raises JournalError.
        """
        with self._lock:
            deadline = self._clock() + patience_s
            while True:
                events, place = read_on(self._store, self._place, _AT_ONCE)
                for event in events:
                    self._take(event)
                self._place = place
                if len(events) < _AT_ONCE:
                    return True
                if self._clock() >= deadline:
                    return False

    def fill(self, sheet: Sheet) -> None:
        """Write the counters and histograms."""
        with self._lock:
            for (name, labels), count in self._counts.items():
                sheet.set(name, count, *labels)
            for (name, labels), histogram in self._histograms.items():
                sheet.set_histogram(name, histogram.copy(), *labels)

    def ways(self) -> dict[str, Way]:
        """Return how each destination does that anything was ever sent to."""
        with self._lock:
            return _copied(self._ways)

    def pulls(self) -> dict[str, Way]:
        """Return how each pull does that was ever done."""
        with self._lock:
            return _copied(self._pulls)

    def _take(self, event: Event | DamagedEvent) -> None:
        if isinstance(event, DamagedEvent):
            self._count("cspine_node_events_damaged_total")
        elif (handler := self._handlers.get(event.what)) is not None:
            handler(event)

    def _begin_at_zero(self) -> None:
        """Begin with the series whose labels are known: a counter that appears with its first event shows no rise."""
        self._counts["cspine_node_events_damaged_total", ()] = 0
        for state in _ENDS:
            self._counts["cspine_node_cases_ended_total", (state.value,)] = 0
        for verdict in Verdict:
            self._counts["cspine_node_results_total", (verdict.value,)] = 0
        for name in ("cspine_node_work_seconds", "cspine_node_turnaround_seconds"):
            self._histograms[name, ()] = Histogram(_BOUNDS[name])

    def _count(self, name: str, *labels: str) -> None:
        self._counts[name, labels] += 1

    def _observe(self, name: str, value: float, *labels: str) -> None:
        self._histograms.setdefault((name, labels), Histogram(_BOUNDS[name])).observe(value)

    def _queued(self, event: Event) -> None:
        """A case was opened, or is tried again: after a failure, by an operator, or because its worker died."""
        if event.case is None:
            return
        if "revision" in event.detail:
            self._count("cspine_node_cases_accepted_total", str(event.detail.get("route")))
            self._opened[event.case] = seconds_of(event.at)
        for code in _codes(event):
            self._count("cspine_node_case_failures_total", code, "retried")

    def _sending(self, event: Event) -> None:
        timings_s = event.detail.get("timings_s")
        if not timings_s:  # it goes on to the destinations once more
            return
        for stage, seconds in timings_s.items():
            self._observe("cspine_node_stage_seconds", float(seconds), str(stage))
        if event.detail.get("seconds") is not None:
            self._observe("cspine_node_work_seconds", float(event.detail["seconds"]))
        if event.detail.get("verdict") is not None:
            self._count("cspine_node_results_total", str(event.detail["verdict"]))

    def _ended(self, event: Event) -> None:
        state = event.what.removeprefix("case ")
        self._count("cspine_node_cases_ended_total", state)
        opened_at = self._opened.pop(event.case or 0, None)
        if state == CaseState.DELIVERED.value and opened_at is not None:
            self._observe("cspine_node_turnaround_seconds", max(0.0, seconds_of(event.at) - opened_at))
        for code in _codes(event):
            if state == CaseState.REJECTED.value:
                self._count("cspine_node_series_rejected_total", code)
            elif state == CaseState.QUARANTINED.value:
                self._count("cspine_node_case_failures_total", code, "quarantined")

    def _forget(self, event: Event) -> None:
        self._opened.pop(event.case or 0, None)

    def _file_quarantined(self, event: Event) -> None:
        self._count("cspine_node_files_quarantined_total", str(event.detail.get("code")))

    def _taken(self, event: Event) -> None:
        destination = str(event.detail.get("destination"))
        self._ways[destination] = Way(last_success_at=event.at)
        if event.what == "delivery delivered":
            self._count("cspine_node_deliveries_total", destination, DeliveryState.DELIVERED.value)

    def _not_taken(self, event: Event) -> None:
        destination = str(event.detail.get("destination"))
        self._count("cspine_node_delivery_failures_total", destination, str(event.detail.get("code")))
        if event.what == "delivery refused":
            self._count("cspine_node_deliveries_total", destination, DeliveryState.REFUSED.value)
        _fails(self._ways, destination, event.at)

    def _asked_for(self, event: Event) -> None:
        came = event.detail["arrived"] >= event.detail["wanted"]
        self._count("cspine_node_pull_series_total", str(event.detail.get("pull")), "fetched" if came else "failed")

    def _pulled(self, event: Event) -> None:
        pull, (end, _code) = event.detail["pull"], end_of(event)
        self._count("cspine_node_pulls_total", pull, end.value)
        if end is PullEnd.FAILED:
            _fails(self._pulls, pull, event.at)
        elif end is PullEnd.ENDED:
            self._pulls[pull] = Way(last_success_at=event.at)


def _copied(ways: Mapping[str, Way]) -> dict[str, Way]:
    return {name: Way(way.last_success_at, way.failing_since) for name, way in ways.items()}


def _fails(ways: dict[str, Way], name: str, at: str) -> None:
    """Take down a failure; the first one after a success counts."""
    way = ways.setdefault(name, Way())
    if way.failing_since is None:
        way.failing_since = at


def _codes(event: Event) -> Sequence[str]:
    """Return the codes of the reasons of an event, each once."""
    reasons: Sequence[Mapping[str, Any]] = event.detail.get("reasons") or ()
    return sorted({str(reason.get("code")) for reason in reasons})
