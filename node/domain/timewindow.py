"""Hours of the week in which something may be done, such as asking an archive at night."""

import re
from dataclasses import dataclass
from datetime import datetime

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPELT = re.compile(r"(?:([a-z]{3})(?:-([a-z]{3}))? +)?(\d{2}):(\d{2})-(\d{2}):(\d{2})")
_DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWindow:
    """From one time of the day to another, in minutes since midnight; past midnight where the end is not later.

    `days`: on which it begins, 0 is Monday.
    """

    days: frozenset[int]
    begins_min: int
    ends_min: int

    def holds(self, moment: datetime) -> bool:
        """Say whether a local time lies in the window."""
        minute, day = moment.hour * 60 + moment.minute, moment.weekday()
        if self.begins_min < self.ends_min:
            return day in self.days and self.begins_min <= minute < self.ends_min
        if minute >= self.begins_min:
            return day in self.days
        return minute < self.ends_min and (day - 1) % 7 in self.days


def parse_window(text: str) -> TimeWindow:
    """Return "20:00-06:00", "Sat-Sun 00:00-24:00" or "Fri 18:00-24:00" as a window. Raises ValueError.

    >>> parse_window("Fri-Sun 20:00-06:00").holds(datetime(2026, 11, 23, 5, 59))  # the night to Monday
    True
    """
    found = _SPELT.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError('a window is written as "20:00-06:00" or "Sat-Sun 00:00-24:00"')
    first, last, *clock = found.groups()
    begins_min, ends_min = _minutes(clock[0], clock[1]), _minutes(clock[2], clock[3])
    if begins_min in {_DAY_MIN, ends_min}:
        raise ValueError("a window ends at another time than it begins")
    return TimeWindow(days=_between(first, last), begins_min=begins_min, ends_min=ends_min)


def _minutes(hours: str, minutes: str) -> int:
    total = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or total > _DAY_MIN:
        raise ValueError("a time of the day lies between 00:00 and 24:00")
    return total


def _between(first: str | None, last: str | None) -> frozenset[int]:
    if first is None:
        return frozenset(range(7))
    if first not in _DAYS or (last or first) not in _DAYS:
        raise ValueError(f"a day of the week is one of {', '.join(day.capitalize() for day in _DAYS)}")
    begin = _DAYS.index(first)
    count = (_DAYS.index(last or first) - begin) % 7 + 1
    return frozenset((begin + number) % 7 for number in range(count))
