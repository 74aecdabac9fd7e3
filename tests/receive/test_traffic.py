"""Traffic: who still sends, and since when nothing came."""

import threading

import pytest

from node.domain.arrivals import Arrivals
from node.receive.traffic import Ending, Traffic


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def traffic(clock):
    return Traffic(clock)


def test_a_series_has_the_times_of_its_first_and_last_arrival(traffic, clock):
    traffic.opened(1)
    for clock.now in (100.0, 105.0, 109.0):
        traffic.active(1)
        traffic.arrived("a", 1)
    clock.now = 120.0
    assert traffic.of("a") == Arrivals(first_s=100.0, last_s=109.0, open_association_s=109.0, aborted=False)


@pytest.mark.parametrize(
    ("endings", "aborted"),
    [
        ([Ending.RELEASED], False),
        ([Ending.ABORTED], True),
        ([Ending.RELEASED, Ending.ABORTED], False),
        ([Ending.ABORTED, Ending.RELEASED], False),
        ([Ending.ABORTED, Ending.ABORTED], True),
    ],
)
def test_a_release_is_a_release_whether_its_connection_closes_before_or_after(traffic, endings, aborted):
    traffic.opened(1)
    traffic.arrived("a", 1)
    for ending in endings:
        traffic.ended(1, ending)
    assert (traffic.of("a").open_association_s, traffic.of("a").aborted) == (None, aborted)


def test_the_busiest_open_association_holds_the_series(traffic, clock):
    for clock.now, association in ((100.0, 1), (101.0, 2), (102.0, 3)):
        traffic.opened(association)
        traffic.arrived("a", association)
    traffic.ended(3, Ending.RELEASED)
    assert traffic.of("a").open_association_s == 101.0
    clock.now = 130.0
    traffic.active(1)
    assert traffic.of("a").open_association_s == 130.0
    assert traffic.of("a").last_s == 102.0


def test_an_association_that_carries_another_series_does_not_hold_this_one(traffic, clock):
    traffic.opened(1)
    traffic.opened(2)
    traffic.arrived("a", 1)
    traffic.arrived("b", 2)
    traffic.ended(1, Ending.RELEASED)
    assert traffic.of("a").open_association_s is None
    assert traffic.of("b").open_association_s == 100.0


def test_a_series_that_this_process_never_saw_has_just_arrived(traffic, clock):
    assert traffic.of("a") == Arrivals(first_s=100.0, last_s=100.0, open_association_s=None, aborted=False)
    clock.now = 150.0
    assert traffic.of("a").last_s == 100.0


def test_a_series_of_a_dead_process_has_just_arrived_over_an_aborted_association_and_keeps_its_age(traffic, clock):
    traffic.rearm("a", 3000.0)
    assert traffic.of("a") == Arrivals(first_s=-2900.0, last_s=100.0, open_association_s=None, aborted=True)
    clock.now = 150.0
    traffic.opened(1)
    traffic.arrived("a", 1)
    traffic.ended(1, Ending.RELEASED)
    assert traffic.of("a") == Arrivals(first_s=-2900.0, last_s=150.0, open_association_s=None, aborted=True)


def test_a_first_arrival_in_the_future_of_the_wall_clock_is_now(traffic):
    traffic.rearm("a", -86_400.0)
    assert traffic.of("a").first_s == 100.0


def test_a_series_that_this_process_has_seen_is_not_armed_again(traffic, clock):
    traffic.opened(1)
    traffic.arrived("a", 1)
    clock.now = 130.0
    traffic.rearm("a", 3000.0)
    assert traffic.of("a") == Arrivals(first_s=100.0, last_s=100.0, open_association_s=100.0, aborted=False)


def test_a_series_of_a_dead_process_that_was_closed_begins_anew(traffic, clock):
    traffic.rearm("a", 3000.0)
    traffic.retain([], before_s=200.0)
    clock.now = 500.0
    traffic.arrived("a", 1)
    assert traffic.of("a") == Arrivals(first_s=500.0, last_s=500.0, open_association_s=None, aborted=False)


def test_a_new_revision_counts_as_arrived_just_now_until_its_arrival_is_told(traffic, clock):
    """Its instance is in the journal before the listener tells of it: the times of the revision before mean nothing."""
    traffic.opened(1)
    traffic.arrived("a", 1)
    assert traffic.of("a", 0).last_s == 100.0
    clock.now = 500.0
    assert traffic.of("a", 1) == Arrivals(first_s=500.0, last_s=500.0, open_association_s=100.0, aborted=False)
    clock.now = 510.0
    traffic.arrived("a", 1)
    assert (traffic.of("a", 1).first_s, traffic.of("a", 1).last_s) == (500.0, 510.0)
    assert traffic.of("a", 0).last_s == 510.0


def test_a_later_revision_that_was_told_of_first_keeps_its_times(traffic, clock):
    traffic.arrived("a", 1)
    clock.now = 130.0
    assert traffic.of("a", 3).last_s == 100.0


def test_what_was_forgotten_begins_anew_but_its_open_association_is_still_known(traffic, clock):
    traffic.opened(1)
    traffic.arrived("a", 1)
    traffic.retain([], before_s=200.0)
    clock.now = 500.0
    traffic.active(1)
    traffic.arrived("a", 1)
    assert traffic.of("a") == Arrivals(first_s=500.0, last_s=500.0, open_association_s=500.0, aborted=False)


def test_an_arrival_after_the_journal_was_asked_is_not_forgotten(traffic, clock):
    """The series may have been opened again just after the list of open series was read."""
    traffic.arrived("a", 1)
    traffic.retain([], before_s=100.0)
    clock.now = 130.0
    assert traffic.of("a").first_s == 100.0


def test_an_ended_association_is_kept_as_long_as_a_series_needs_it(traffic):
    traffic.opened(1)
    traffic.arrived("a", 1)
    traffic.arrived("b", 1)
    traffic.ended(1, Ending.ABORTED)
    traffic.retain(["b"], before_s=200.0)
    assert traffic.of("b").aborted
    traffic.retain([], before_s=200.0)
    assert traffic._associations == {}


def test_associations_that_carried_nothing_do_not_pile_up(traffic):
    for number in range(1000):
        traffic.opened(number)
        traffic.ended(number, Ending.RELEASED)
    assert len(traffic._associations) == 1


def test_an_unknown_association_is_no_trouble(traffic):
    traffic.active(9)
    traffic.ended(9, Ending.ABORTED)
    traffic.arrived("a", 9)
    assert traffic.of("a") == Arrivals(first_s=100.0, last_s=100.0, open_association_s=None, aborted=False)


def test_several_threads_may_use_it_at_once(traffic):
    start = threading.Barrier(8)

    def use(number):
        start.wait(20)
        for count in range(200):
            traffic.opened(number)
            traffic.arrived(f"{number}.{count % 5}", number)
            traffic.of(f"{number}.0")
            traffic.ended(number, Ending.RELEASED)
            traffic.retain([f"{number}.{count % 3}"], before_s=0.0)

    threads = [threading.Thread(target=use, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(traffic.of(f"{number}.4").aborted for number in range(8))
    assert set(traffic._associations) == set(range(8))
