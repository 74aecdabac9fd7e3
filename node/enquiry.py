"""Asks a sender about the series that it is sending: how many instances there are, and for those that lack.

A count is believed when two answers at least ten seconds apart agree: an archive counts what it has so far, and may be
receiving the series itself. What it says changes only how long a series waits; no series waits for an answer, and one
peer that does not answer keeps nobody else from being asked.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from node.assemble.completeness import Count, count, quiet_time_s
from node.deliver.backoff import Backoff
from node.deliver.build import peer_of
from node.domain.arrivals import Arrivals, Expectation, ExpectedBy
from node.errors import DeliveryError
from node.journal.arrivals import OpenSeries
from node.journal.journal import Journal
from node.log import get_logger
from node.receive.traffic import Traffic
from node.scu.association import Calls, Peer
from node.scu.move import move_series
from node.scu.source import SeriesOfStudy, count_instances
from node.settings import PeerSettings, Settings

#: Two counts must agree that lie so far apart.
_APART_S = 10.0
#: A count that says that something lacks is asked for again, less and less often.
_AGAIN_S, _AGAIN_CAP_S = 60.0, 900.0
#: A peer is called no more often than this, for so many series at a time.
_CALL_GAP_S, _SERIES_PER_CALL = 2.0, 50
#: How often a series is asked for in all, and the first pause between; it doubles.
_RETRIEVALS, _RETRIEVAL_GAP_S = 4, 60.0
_RETRY_DELAY_S, _RETRY_CAP_S = 10.0, 900.0
#: Some archives say nothing until the last instance of a C-MOVE is sent.
_RETRIEVAL_TIMEOUT_S = 120.0


class Questions(Protocol):
    """What can be asked of a peer. Raises DeliveryError when it cannot be asked now."""

    def count(self, peer: Peer, asked: Sequence[SeriesOfStudy], /) -> Mapping[str, int]:
        """Return the number of instances by series UID."""

    def fetch(self, peer: Peer, series: SeriesOfStudy, destination: str, /) -> int | None:
        """Have the peer send a series; return of how many instances it spoke."""


class OverDicom:
    """The questions as C-FIND and C-MOVE."""

    count = staticmethod(count_instances)

    @staticmethod
    def fetch(peer: Peer, series: SeriesOfStudy, destination: str) -> int | None:
        """Have the peer send a series; return of how many sub-operations it spoke."""
        return move_series(peer, series, destination).suboperations


@dataclass(slots=True)
class _Known:
    """What has been asked about one series."""

    #: When to ask for its count next; None: not again, as things are.
    next_count_s: float | None
    counted: int | None = None
    counted_s: float = 0.0
    counts: int = 0
    retrievals: int = 0
    next_retrieval_s: float = 0.0
    #: How many instances were stored when it was last asked for.
    gap: int | None = None


class Enquiry:
    """Questions to one peer about its open series. `ask` is for one thread."""

    def __init__(
        self,
        peer: PeerSettings,
        settings: Settings,
        journal: Journal,
        traffic: Traffic,
        call: Questions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`peer` has `ask_count`."""
        self._peer = peer
        self._policy = settings.completeness
        self._node_title = settings.node.ae_title
        self._calls = Calls()
        self._address = replace(peer_of(peer, settings.node), calls=self._calls)
        self._journal = journal
        self._traffic = traffic
        self._call: Questions = call or OverDicom()
        self._clock = clock
        self._backoff = Backoff(delay_s=_RETRY_DELAY_S, cap_s=_RETRY_CAP_S, clock=clock)
        self._known: dict[str, _Known] = {}
        self._called_s: float | None = None

    def ask(self) -> float | None:
        """Ask what is due; return the seconds until the next question, None when nothing is to be asked."""
        open_series = [
            series for series in self._journal.arrivals.open_series() if series.calling_ae == self._peer.ae_title
        ]
        self._remember(open_series)
        if not open_series:
            return None
        wait_s = max(self._backoff.wait_s(""), self._rate_wait_s())
        if wait_s == 0:
            try:
                self._ask(open_series)
                self._backoff.succeeded("")
            except DeliveryError as error:
                if self._calls.ended:
                    return None
                self._backoff.failed("")
                get_logger().warning("source not asked", peer=self._peer.ae_title, code=error.code)
            wait_s = max(self._backoff.wait_s(""), self._rate_wait_s())
        now_s = self._clock()
        waits_s = [at_s - now_s for series in open_series if (at_s := self._next_s(series)) is not None]
        return max(wait_s, min(waits_s)) if waits_s else None

    def halt(self) -> None:
        """Break off what is being asked, from another thread."""
        self._calls.end()

    def _remember(self, open_series: Sequence[OpenSeries]) -> None:
        """Forget what is no longer open: a later revision is asked about anew."""
        now_s = self._clock()
        self._known = {
            series.series_uid: self._known.get(series.series_uid) or _Known(next_count_s=now_s)
            for series in open_series
        }
        for series in open_series:
            known = self._known[series.series_uid]
            if known.next_count_s is None and count(self._arrivals(series)) is not Count.MET:
                known.next_count_s = now_s + _again_s(known, count(self._arrivals(series)))

    def _ask(self, open_series: Sequence[OpenSeries]) -> None:
        now_s = self._clock()
        due = [series for series in open_series if _is_due(self._known[series.series_uid].next_count_s, now_s)]
        if due:
            self._count(due[:_SERIES_PER_CALL])
            return
        for series in open_series:
            if _is_due(self._retrieval_s(series), now_s):
                self._fetch(series)
                return

    def _count(self, due: Sequence[OpenSeries]) -> None:
        self._called_s = now_s = self._clock()
        counts = self._call.count(self._address, [_named(series) for series in due])
        for series in due:
            self._counted(series, counts.get(series.series_uid), now_s)

    def _counted(self, series: OpenSeries, number: int | None, now_s: float) -> None:
        """Take one answer; the second that agrees is the count. A peer without the series or the number knows none."""
        known = self._known[series.series_uid]
        if not number:
            known.counted, known.counts = None, known.counts + 1
            known.next_count_s = now_s + _again_s(known, Count.LACKING)
        elif number != known.counted:
            known.counted, known.counted_s = number, now_s
            known.next_count_s = now_s + _APART_S
        elif now_s - known.counted_s >= _APART_S:
            self._journal.arrivals.expect(series.series_uid, Expectation(instances=number, by=ExpectedBy.QUERY))
            known.counts += 1
            known.next_count_s = None
        else:
            known.next_count_s = known.counted_s + _APART_S

    def _fetch(self, series: OpenSeries) -> None:
        """Ask for a series again; what is here already comes as duplicates. Only arrivals count, not the answer."""
        known = self._known[series.series_uid]
        self._called_s = now_s = self._clock()
        known.next_retrieval_s = now_s + _RETRIEVAL_GAP_S * 2.0**known.retrievals
        known.retrievals += 1
        get_logger().info(
            "instances asked for",
            peer=self._peer.ae_title,
            series_uid=series.series_uid,
            instances=series.instances,
            expected=series.expected.instances if series.expected else None,
        )
        address = replace(self._address, timeout_s=_RETRIEVAL_TIMEOUT_S)
        total = self._call.fetch(address, _named(series), self._node_title)
        known.gap = series.instances
        if total:
            self._journal.arrivals.expect(series.series_uid, Expectation(instances=total, by=ExpectedBy.RETRIEVE))

    def _retrieval_s(self, series: OpenSeries) -> float | None:
        """Return when to ask for the instances that a series lacks: after its quiet time; None: not as things are.

        A gap that a retrieval left as it was is not asked for again: the peer does not have them.
        """
        known, arrivals = self._known[series.series_uid], self._arrivals(series)
        lacking = count(arrivals) is Count.LACKING and known.gap != series.instances
        if not (self._peer.ask_missing and lacking and known.retrievals < _RETRIEVALS):
            return None
        quiet_s = arrivals.last_s + quiet_time_s(arrivals, self._policy)
        if arrivals.open_association_s is not None:
            quiet_s = max(quiet_s, arrivals.open_association_s + self._policy.open_association_idle_s)
        return max(quiet_s, known.next_retrieval_s)

    def _next_s(self, series: OpenSeries) -> float | None:
        times_s = (self._known[series.series_uid].next_count_s, self._retrieval_s(series))
        return min((at_s for at_s in times_s if at_s is not None), default=None)

    def _arrivals(self, series: OpenSeries) -> Arrivals:
        return replace(
            self._traffic.of(series.series_uid, series.revisions),
            instances=series.instances,
            expected=series.expected,
            revisions=series.revisions,
        )

    def _rate_wait_s(self) -> float:
        return 0.0 if self._called_s is None else max(0.0, self._called_s + _CALL_GAP_S - self._clock())


def _named(series: OpenSeries) -> SeriesOfStudy:
    return SeriesOfStudy(study_uid=series.study_uid, series_uid=series.series_uid)


def _again_s(known: _Known, found: Count) -> float:
    """Return when to ask again: soon where the count has been exceeded, less and less often where it has not."""
    return _APART_S if found is Count.UNKNOWN else min(_AGAIN_S * 2.0 ** min(known.counts, 30), _AGAIN_CAP_S)


def _is_due(at_s: float | None, now_s: float) -> bool:
    return at_s is not None and at_s <= now_s
