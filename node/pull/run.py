"""One pull: ask an archive, compare, fetch what lacks. Every step may be cut off and is done again by the next pull."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from node.domain.arrivals import Expectation, ExpectedBy
from node.domain.case import Reason
from node.domain.listing import ListedInstance, ListedSeries, ListedStudy
from node.domain.timewindow import parse_window
from node.errors import DeliveryError
from node.journal.arrivals import ArrivalJournal
from node.journal.pulls import AWAY, PullJournal
from node.pull.archive import Archive
from node.pull.door import Door
from node.pull.gaps import Gap, Terms, gap_of, objection, settled_before
from node.pull.report import Fate, Item, Outcome, Wish
from node.scu.query import spans
from node.scu.source import SeriesOfStudy
from node.settings import PullSettings, RouteSettings

#: Studies whose series are asked for over one association.
_STUDIES_A_TIME = 50
#: A series that did not come however often it was asked for is asked for once in so many seconds.
_AGAIN_S = 24 * 3600.0

#: Is told each series as soon as its fate is known.
Tell = Callable[[Item], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """What a pull needs for more than looking."""

    arrivals: ArrivalJournal
    door: Door
    #: Says why nothing may be stored now, or None.
    gate: Callable[[], str | None]


class Pull:
    """Pulls from one archive. `run` is for one thread at a time.

    `fetching`: None where only dry runs are done; `now`: the local time; `stop`: set to end a run after the series that
    is on its way.
    """

    def __init__(
        self,
        settings: PullSettings,
        routes: Sequence[RouteSettings],
        archive: Archive,
        journal: PullJournal,
        fetching: Fetching | None = None,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self.settings = settings
        self._routes = [route for route in routes if route.name in settings.routes or not settings.routes]
        self._windows = [parse_window(text) for text in settings.windows]
        self._archive = archive
        self._journal = journal
        self._fetching = fetching
        self._now = now
        self.stop = threading.Event()
        self._ended = threading.Event()

    def is_time(self) -> bool:
        """Say whether now is within the windows."""
        return not self._windows or any(window.holds(self._now()) for window in self._windows)

    def run(self, wish: Wish, tell: Tell) -> Outcome:
        """Do one pull. Raises DeliveryError where the archive cannot be asked, JournalError, OSError."""
        outcome = Outcome()

        def told(item: Item) -> None:
            outcome.count(item)
            tell(item)

        try:
            self._run(wish, outcome, told)
        except DeliveryError:
            if not self._ended.is_set():
                raise
            outcome.stopped = "stopped"
        finally:
            outcome.pass_over(self._archive.passed_over())
        return outcome

    def end(self) -> None:
        """End the run wherever it is, from another thread: what has arrived stays, the next pull asks for the rest."""
        self._ended.set()
        self.stop.set()
        self._archive.hang_up()

    def _run(self, wish: Wish, outcome: Outcome, told: Tell) -> None:
        studies = self._studies(wish)
        outcome.studies = len(studies)
        terms = self._terms(wish)
        for first in range(0, len(studies), _STUDIES_A_TIME):
            outcome.stopped = self._end_of_time(wish)
            if outcome.stopped is not None:
                return
            for series, gap in self._gaps(studies[first : first + _STUDIES_A_TIME], terms, told):
                outcome.stopped = self._obstacle(wish, outcome)
                if outcome.stopped is None:
                    outcome.stopped = self._act(series, gap, wish, told)
                if outcome.stopped is not None:
                    return

    def _studies(self, wish: Wish) -> Sequence[ListedStudy]:
        modalities = sorted({route.accept.modality for route in self._routes})
        today = self._now().date()
        since = wish.since or today - timedelta(days=self.settings.days - 1)
        return self._archive.studies(list(spans(since, today)), modalities, wish.study_uids)

    def _terms(self, wish: Wish) -> Terms:
        settle_min = self.settings.settle_min
        return Terms(
            routes=self._routes,
            begun_before=settled_before(self._now(), settle_min) if settle_min and not wish.study_uids else None,
            skip_untold=self.settings.untold == "skip",
            by_count=self.settings.compare == "count" and not wish.study_uids,
        )

    def _gaps(self, studies: Sequence[ListedStudy], terms: Terms, tell: Tell) -> Iterator[tuple[ListedSeries, Gap]]:
        """Yield what lacks of the series of `studies`; of the others tell why nothing is asked for."""
        listed = self._archive.series(studies)
        held = self._journal.held([series.series_uid for series in listed])
        lacking = []
        for series in listed:
            against = objection(series, held.get(series.series_uid), terms)
            if against is not None:
                tell(Item(series=series, fate=Fate.SKIPPED, reason=against))
            else:
                lacking.append(series)
        instances = self._archive.instances([_named(series) for series in lacking]) if lacking else {}
        for series in lacking:
            gap = self._gap(series, instances.get(series.series_uid, ()))
            if isinstance(gap, Reason):
                tell(Item(series=series, fate=Fate.SKIPPED, reason=gap))
            else:
                yield series, gap

    def _gap(self, series: ListedSeries, instances: Sequence[ListedInstance]) -> Gap | Reason:
        if self._journal.made_here([instance.sop_instance_uid for instance in instances]):
            return Reason(code="own-result", text="this software made it")
        return gap_of(instances, self._journal.stored(series.series_uid))

    def _obstacle(self, wish: Wish, outcome: Outcome) -> str | None:
        """Return why no other series is taken now."""
        done = outcome.fates[Fate.FETCHED] + outcome.fates[Fate.FAILED] + outcome.fates[Fate.LACKING]
        if (end := self._end_of_time(wish)) is not None:
            return end
        if 0 < self.settings.maximum_series <= done:
            return "limit"
        return self._fetching.gate() if self._fetching is not None and not wish.dry_run else None

    def _end_of_time(self, wish: Wish) -> str | None:
        """Return why the archive is asked nothing more now."""
        if self.stop.is_set():
            return "stopped"
        return "window" if wish.scheduled and not self.is_time() else None

    def _act(self, series: ListedSeries, gap: Gap, wish: Wish, tell: Tell) -> str | None:
        """Fetch what lacks of one series, or say that it lacks; return why no other one is to be tried."""
        times, last_s = self._journal.in_vain(series.series_uid, gap.listed)
        if times >= self.settings.attempts and last_s < _AGAIN_S and not wish.study_uids:
            text = f"{gap.reason.text}; asked for {times} times in vain, and now once a day"
            tell(Item(series=series, fate=Fate.SKIPPED, reason=Reason(code="attempts-spent", text=text)))
            return None
        item = Item(series=series, fate=Fate.LACKING, reason=gap.reason, wanted=len(gap.wanted))
        if wish.dry_run or self._fetching is None:
            tell(item)
            return None
        item, away = self._fetch(item, gap, self._fetching)
        tell(item)
        if away is None:
            self.stop.wait(self.settings.pause_s)
        return away

    def _fetch(self, item: Item, gap: Gap, fetching: Fetching) -> tuple[Item, str | None]:
        """Return what came of fetching, and the code of an error by which the archive is away."""
        series_uid = item.series.series_uid
        fetching.arrivals.expect(series_uid, Expectation(instances=gap.listed, by=ExpectedBy.RETRIEVE))
        away: str | None = None
        try:
            said = self._archive.fetch(_named(item.series), gap, fetching.door)
            failure = Reason(code="not-arrived", text=said or "the archive says that it has sent it")
        except DeliveryError as error:
            failure = Reason.of(error)
            away = "stopped" if self._ended.is_set() else error.code if isinstance(error, AWAY) else None
        stored = self._journal.stored(series_uid)
        arrived = sum(instance.sop_instance_uid in stored for instance in gap.wanted)
        came = arrived == item.wanted
        text = f"{arrived} of {item.wanted} instances came: {failure.text}"
        reason = gap.reason if came else Reason(code=failure.code, text=text)
        if came or away is None:  # an archive that is away says nothing of the series
            told = {"pull": self.settings.name, "instances": gap.listed, "wanted": item.wanted, "arrived": arrived}
            self._journal.note_asked(series_uid, **told, code=reason.code)
        return replace(item, fate=Fate.FETCHED if came else Fate.FAILED, arrived=arrived, reason=reason), away


def _named(series: ListedSeries) -> SeriesOfStudy:
    return SeriesOfStudy(series.study_uid, series.series_uid)
