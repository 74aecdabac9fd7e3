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
