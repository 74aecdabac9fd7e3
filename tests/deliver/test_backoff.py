"""Pauses after failures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.deliver.backoff import Backoff


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_key_that_never_failed_does_not_wait():
    assert Backoff(delay_s=5, cap_s=900, clock=Clock()).wait_s("a") == 0.0


@pytest.mark.parametrize(
    ("failures", "least", "most"),
    [
        (1, 2.5, 5),
        (2, 5, 10),
        (3, 10, 20),
        (7, 160, 320),
        (8, 320, 640),
        (9, 450, 900),
        (50, 450, 900),
        (5000, 450, 900),
    ],
)
def test_each_failure_doubles_the_pause_up_to_the_cap(failures, least, most):
    backoff = Backoff(delay_s=5, cap_s=900, clock=Clock())
    for _ in range(failures):
        backoff.failed("a")
    assert least <= backoff.wait_s("a") <= most


def test_pauses_are_spread():
    backoff = Backoff(delay_s=100, cap_s=100, clock=Clock())
    waits = set()
    for _ in range(20):
        backoff.failed("a")
        waits.add(backoff.wait_s("a"))
    assert len(waits) > 10


def test_a_success_forgets_the_failures_of_its_key_only():
    backoff = Backoff(delay_s=5, cap_s=900, clock=Clock())
    for key in ("a", "a", "a", "b"):
        backoff.failed(key)
    backoff.succeeded("a")
    backoff.succeeded("never failed")
    assert backoff.wait_s("a") == 0.0
    assert 2.5 <= backoff.wait_s("b") <= 5
    backoff.failed("a")
    assert 2.5 <= backoff.wait_s("a") <= 5


def test_the_end_of_a_pause_is_not_a_success():
    clock = Clock()
    backoff = Backoff(delay_s=5, cap_s=900, clock=clock)
    backoff.failed("a")
    clock.now += 5
    assert backoff.wait_s("a") == 0.0
    backoff.failed("a")
    assert 5 <= backoff.wait_s("a") <= 10


@pytest.mark.parametrize(("multiplier", "least", "most"), [(1, 2.5, 5), (1.5, 5.625, 11.25), (10, 250, 500)])
def test_the_multiplier_is_a_setting(multiplier, least, most):
    backoff = Backoff(delay_s=5, cap_s=900, clock=Clock(), multiplier=multiplier)
    for _ in range(3):
        backoff.failed("a")
    assert least <= backoff.wait_s("a") <= most


@pytest.mark.parametrize(
    ("at_least_s", "least", "most"), [(0, 2.5, 5), (60, 60, 120), (900, 450, 900), (1e9, 450, 900)]
)
def test_a_pause_may_have_to_be_longer_and_never_longer_than_the_cap(at_least_s, least, most):
    backoff = Backoff(delay_s=5, cap_s=900, clock=Clock())
    backoff.failed("a", at_least_s=at_least_s)
    assert least <= backoff.wait_s("a") <= most


def test_to_hold_is_not_to_fail():
    backoff = Backoff(delay_s=5, cap_s=900, clock=Clock())
    for _ in range(9):
        backoff.hold("a")
        assert 2.5 <= backoff.wait_s("a") <= 5
    backoff.failed("a")
    assert 2.5 <= backoff.wait_s("a") <= 5


def test_what_failed_in_an_earlier_life_is_spread_and_one_alone_may_go():
    backoff = Backoff(delay_s=5, cap_s=900, clock=Clock())
    backoff.spread(["a"])
    assert backoff.wait_s("a") == 0
    many = [str(number) for number in range(1000)]
    backoff.spread(many)
    waits = sorted(backoff.wait_s(key) for key in many)
    assert waits[-1] <= 900
    assert 350 <= waits[500] <= 550


def test_keys_that_are_over_are_forgotten():
    backoff = Backoff(delay_s=5, cap_s=900, clock=Clock())
    backoff.failed("a")
    backoff.failed("b")
    backoff.keep({"b", "c"})
    assert backoff.wait_s("a") == 0
    assert backoff.wait_s("b") > 0


@given(delay_s=st.floats(0.01, 1e4), cap_s=st.floats(0.01, 1e4), failures=st.integers(1, 100), passed=st.floats(0, 1e5))
def test_no_wait_is_negative_or_longer_than_the_cap(delay_s, cap_s, failures, passed):
    clock = Clock()
    backoff = Backoff(delay_s=delay_s, cap_s=cap_s, clock=clock)
    for _ in range(failures):
        backoff.failed("a")
    told = backoff.wait_s("a")
    assert 0 < told <= cap_s + 1e-6
    clock.now += passed
    assert backoff.wait_s("a") == pytest.approx(max(0.0, told - passed), abs=1e-6)
