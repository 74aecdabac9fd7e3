"""Who is still sending what: the associations of this process and the series that they carried.

All times are of one monotonic clock, so that a step of the wall clock neither ends a wait nor lengthens one. What is
older than the process has no time on that clock: `rearm` gives it one.
"""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum

from node.domain.arrivals import Arrivals


class Ending(Enum):
    """How an association stands."""

    OPEN = "open"
    RELEASED = "released"
    ABORTED = "aborted"


@dataclass(slots=True)
class _Association:
    ending: Ending
    last_s: float


@dataclass(slots=True)
class _SeriesTraffic:
    first_s: float
    last_s: float
    #: The process that held its associations has died.
    orphaned: bool = False
    #: How many revisions were closed before; None until somebody asks.
    revisions: int | None = None
    associations: set[int] = field(default_factory=set)


class Traffic:
    """Times of arrival on a monotonic clock, for completeness. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float], on_ended: Callable[[], None] = lambda: None) -> None:
        """`on_ended` is called whenever an association has ended: a series may be complete by it."""
        self._clock = clock
        self._on_ended = on_ended
        self._lock = threading.Lock()
        self._associations: dict[int, _Association] = {}
        self._series: dict[str, _SeriesTraffic] = {}

    def opened(self, association: int) -> None:
        """An association was accepted."""
        with self._lock:
            self._drop_unused()
            self._associations[association] = _Association(Ending.OPEN, self._clock())

    def ended(self, association: int, ending: Ending) -> None:
        """An association was released or aborted. A release is final, whether its connection closed before or after."""
        with self._lock:
            known = self._associations.get(association)
            if known is not None and known.ending is not Ending.RELEASED:
                known.ending = ending
        self._on_ended()

    def active(self, association: int) -> None:
        """An open association carried something."""
        with self._lock:
            if association in self._associations:
                self._associations[association].last_s = self._clock()

    def arrived(self, series_uid: str, association: int) -> None:
        """A new or changed instance of a series was stored."""
        with self._lock:
            now_s = self._clock()
            series = self._series.setdefault(series_uid, _SeriesTraffic(now_s, now_s))
            series.last_s = now_s
            series.associations.add(association)

    def rearm(self, series_uid: str, first_age_s: float, revisions: int = 0) -> None:
        """Take over a series that was open when the process started; one that this process has seen stays as it is.

        It counts as having arrived just now, over an association that was aborted: the process that held it has died,
        and its sender may try again. `first_age_s` is how long ago the first instance arrived, so that a restart does
        not lengthen the hard cap.
        """
        with self._lock:
            now_s = self._clock()
            first_s = now_s - max(0.0, first_age_s)
            rearmed = _SeriesTraffic(first_s, now_s, orphaned=True, revisions=revisions)
            self._series.setdefault(series_uid, rearmed)

    def of(self, series_uid: str, revisions: int = 0) -> Arrivals:
        """Return the arrivals of a series, their times only; `revisions`: how many of it were closed before.

        A series, or a revision, that was not asked for before and that nobody told of counts as arrived just now: an
        instance is in the journal a moment before `arrived` is called.
        """
        with self._lock:
            now_s = self._clock()
            series = self._series.setdefault(series_uid, _SeriesTraffic(now_s, now_s, revisions=revisions))
            if series.revisions is not None and revisions > series.revisions:
                series.first_s, series.last_s, series.orphaned = now_s, now_s, False
            series.revisions = max(revisions, series.revisions or 0)
            carriers = [self._associations[key] for key in series.associations if key in self._associations]
            open_s = [carrier.last_s for carrier in carriers if carrier.ending is Ending.OPEN]
            return Arrivals(
                first_s=series.first_s,
                last_s=series.last_s,
                open_association_s=max(open_s, default=None),
                aborted=series.orphaned or any(carrier.ending is Ending.ABORTED for carrier in carriers),
            )

    def retain(self, open_series: Collection[str], before_s: float) -> None:
        """Drop the series that are not open any more, and the ended associations that no other series needs.

        `open_series` was read after `before_s`: a series that is not among them and arrived later is a new arrival.
        """
        with self._lock:
            self._series = {
                uid: series for uid, series in self._series.items() if uid in open_series or series.last_s >= before_s
            }
            self._drop_unused()

    def _drop_unused(self) -> None:
        """Drop ended associations that no series needs; a C-ECHO every minute leaves one each."""
        used = {key for series in self._series.values() for key in series.associations}
        self._associations = {
            key: known for key, known in self._associations.items() if known.ending is Ending.OPEN or key in used
        }
