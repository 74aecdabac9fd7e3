"""Periodic chores, by APScheduler. Never the queue: an interval job stands still for an hour after a clock went back
by one, which is why the clocks are watched here and the chores planned anew when they part.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from tzlocal import get_localzone

from node.errors import NodeError, unexpected
from node.log import get_logger

#: Wall clock and monotonic clock may part by so much before the chores are planned anew: NTP slews by less.
_MOST_DRIFT_S = 5.0
_WATCH_S = 1.0
#: Between two times that a crontab may name.
_MINUTE = timedelta(minutes=1)


class WallTimes(BaseTrigger):  # type: ignore[misc]
    """The times of a crontab(5) line by the clock on the wall: each once, and none is left out.

    A time that comes twice, since the clocks went back, counts when it comes first. One that does not come, since they
    went forward, counts at the moment at which they did; several of these are one. APScheduler's own trigger fires at
    both of the former, and at the latter an hour late or not at all.
    """

    def __init__(self, crontab: str, zone: tzinfo) -> None:
        self._zone = zone
        #: What the wall shows, without a zone; it says UTC because APScheduler wants one.
        self._times = CronTrigger.from_crontab(crontab, timezone=UTC)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Return the first time after the previous one, or from `now` on; None where none will come. In UTC."""
        earliest = now if previous_fire_time is None else previous_fire_time + timedelta(microseconds=1)
        shown = earliest.astimezone(self._zone).replace(tzinfo=UTC)
        while (named := self._times.get_next_fire_time(None, shown)) is not None:
            moment = self._moment(named)
            if moment >= earliest:
                return moment
            shown = named + _MINUTE
        return None

    def _moment(self, named: datetime) -> datetime:
        """Return when the wall shows a time first, or a later one where it passes over it."""
        while True:
            moment = named.replace(tzinfo=self._zone, fold=0).astimezone(UTC)
            if moment.astimezone(self._zone).replace(tzinfo=UTC) == named:
                return moment
            named += _MINUTE


class Chores:
    """Functions that are called again and again, each by its own interval or crontab, one call at a time."""

    def __init__(
        self, *, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset_s = wall() - monotonic()
        self._scheduler = BackgroundScheduler(timezone="UTC")
        #: With each chore: when it is due next after a time.
        self._jobs: list[tuple[Any, Callable[[datetime], datetime | None]]] = []

    def every(self, interval: timedelta, chore: Callable[[], object], *, at_start: bool = False) -> None:
        """Have `chore` called after each `interval`. What it fails at is logged, and tried again the next time."""
        job = self._scheduler.add_job(
            _told_of(chore), "interval", seconds=interval.total_seconds(), coalesce=True, misfire_grace_time=None
        )
        if at_start:
            job.modify(next_run_time=datetime.now(UTC))
        self._jobs.append((job, lambda now: now + interval))

    def at(self, crontab: str, chore: Callable[[], object]) -> None:
        """Have `chore` called at the times of a crontab(5) line with names of days, in local time, at each once."""
        trigger = WallTimes(crontab, get_localzone())
        job = self._scheduler.add_job(_told_of(chore), trigger, coalesce=True, misfire_grace_time=None)
        self._jobs.append((job, lambda now: trigger.get_next_fire_time(None, now)))

    def __enter__(self) -> "Chores":
        """Begin."""
        self._scheduler.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stop, after the chore that runs."""
        self._scheduler.shutdown(wait=True)

    def watch(self) -> float:
        """Plan the chores anew if the wall clock was set; return the seconds until the next look."""
        offset_s = self._wall() - self._monotonic()
        if abs(offset_s - self._offset_s) > _MOST_DRIFT_S:
            get_logger().warning("the wall clock was set", by_s=round(offset_s - self._offset_s, 1))
            self._offset_s = offset_s
            for job, next_after in self._jobs:
                job.modify(next_run_time=next_after(datetime.fromtimestamp(self._wall(), UTC)))
        return _WATCH_S


def _told_of(chore: Callable[[], object]) -> Callable[[], None]:
    def call() -> None:
        try:
            chore()
        except OSError as error:
            get_logger().error("chore failed", text=error.strerror)
        except NodeError as error:
            get_logger().error("chore failed", code=error.code, text=str(error))
        except Exception as error:  # noqa: BLE001 - its message may quote a patient, and APScheduler would log it
            get_logger().error("chore failed", text=str(unexpected(error)))

    return call
