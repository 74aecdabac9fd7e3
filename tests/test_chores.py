"""Periodic chores, over clocks that the test turns."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from node.chores import Chores

HOUR = timedelta(hours=1)


class Clocks:
    def __init__(self) -> None:
        self.wall_s = datetime.now(UTC).timestamp()
        self.monotonic_s = 100.0

    def pass_by(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def chores(clocks: Clocks) -> Iterator[Chores]:
    with Chores(wall=lambda: clocks.wall_s, monotonic=lambda: clocks.monotonic_s) as made:
        yield made


def next_run_s(chores: Chores) -> float:
    ((job, _),) = chores._jobs
    return float(job.next_run_time.timestamp())


def test_a_chore_at_the_start_is_done_at_once_and_a_failure_does_not_end_it(chores):
    done = threading.Semaphore(0)

    def fail() -> None:
        done.release()
        raise ValueError("ZZSECRET^NAME")

    chores.every(timedelta(milliseconds=20), fail, at_start=True)
    assert all(done.acquire(timeout=30) for _ in range(3))


@pytest.mark.parametrize("step_s", [-3600, -6, 6, 3600 * 24 * 365])
def test_when_the_wall_clock_was_set_the_chores_are_planned_anew(chores, clocks, step_s):
    chores.every(HOUR, lambda: None)
    clocks.wall_s += step_s
    assert chores.watch() == 1.0
    assert next_run_s(chores) == pytest.approx(clocks.wall_s + 3600, abs=0.001)


def test_time_that_passes_on_both_clocks_changes_no_plan(chores, clocks):
    chores.every(HOUR, lambda: None)
    planned_s = next_run_s(chores)
    clocks.pass_by(1800)
    clocks.wall_s += 4
    chores.watch()
    assert next_run_s(chores) == planned_s


def test_a_crontab_is_local_time_and_planned_anew_when_the_clock_was_set(monkeypatch) -> None:
    monkeypatch.setattr("node.chores.get_localzone", lambda: ZoneInfo("Europe/Berlin"))
    wall = [datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()]
    chores = Chores(wall=lambda: wall[0], monotonic=lambda: 0.0)
    chores.at("30 1 * * mon-fri", lambda: None)
    with chores:
        wall[0] -= 24 * 3600
        chores.watch()
        [(job, _)] = chores._jobs
        assert job.next_run_time == datetime(2026, 11, 20, 0, 30, tzinfo=UTC)


def moments(crontab: str, zone: str, first: datetime, last: datetime) -> list[datetime]:
    """Return when a chore of a crontab is due from `first` until before `last`, on a machine in `zone`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("node.chores.get_localzone", lambda: ZoneInfo(zone))
        chores = Chores()
        chores.at(crontab, lambda: None)
    [(job, _)] = chores._jobs
    trigger = job.trigger
    due = trigger.get_next_fire_time(None, first)
    found = []
    while due is not None and due < last:
        found.append(due)
        due = trigger.get_next_fire_time(due, due)
    return found


#: In Berlin the clocks go back on the first at 01:00 UTC, from 03:00 to 02:00, and forward on the second, from 02:00 to
#: 03:00.
BACK, FORWARD = datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 3, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("crontab", "day", "due"),
    [
        ("30 1 * * *", BACK, ["01:30+02:00"]),
        ("30 2 * * *", BACK, ["02:30+02:00"]),
        ("0 3 * * *", BACK, ["03:00+01:00"]),
        ("*/20 2 * * *", BACK, ["02:00+02:00", "02:20+02:00", "02:40+02:00"]),
        ("0 0-4 * * *", BACK, ["00:00+02:00", "01:00+02:00", "02:00+02:00", "03:00+01:00", "04:00+01:00"]),
        ("30 1 * * *", FORWARD, ["01:30+01:00"]),
        ("30 2 * * *", FORWARD, ["03:00+02:00"]),
        ("0 3 * * *", FORWARD, ["03:00+02:00"]),
        ("*/20 2 * * *", FORWARD, ["03:00+02:00"]),
        ("30 2,3 * * *", FORWARD, ["03:00+02:00", "03:30+02:00"]),
        ("0 0-4 * * *", FORWARD, ["00:00+01:00", "01:00+01:00", "03:00+02:00", "04:00+02:00"]),
    ],
)
def test_a_local_time_counts_once_when_the_clocks_change(crontab: str, day: datetime, due: list[str]) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    midnight = day.replace(tzinfo=berlin)
    found = moments(crontab, "Europe/Berlin", midnight, midnight.replace(hour=12))
    shown = [at.astimezone(berlin).isoformat(timespec="minutes") for at in found]
    assert shown == [f"{day.date()}T{time}" for time in due]


def test_a_node_that_starts_while_a_time_comes_for_the_second_time_waits_for_the_next_day() -> None:
    second_two_ten = BACK.replace(hour=1, minute=10)
    [due, *_] = moments("30 2 * * *", "Europe/Berlin", second_two_ten, second_two_ten + timedelta(days=2))
    assert due == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "Pacific/Chatham", "UTC"]
)
def test_in_a_year_no_local_time_is_shown_twice_and_no_day_is_left_out(zone: str) -> None:
    first = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone))
    found = moments("*/15 0-3 * * *", zone, first, first.replace(year=2027))
    shown = [at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for at in found]
    assert len(shown) == len(set(shown))
    assert found == sorted(found)
    assert len({at.date() for at in shown}) == 365
