"""Completeness: when a series needs no more waiting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.assemble.completeness import completeness
from node.domain.arrivals import Arrivals, Complete, Waiting
from node.settings import CompletenessSettings

POLICY = CompletenessSettings(quiet_s=30, quiet_after_abort_s=120, open_association_idle_s=60, hard_cap_s=3600)

#: Seconds in eighths: sums of them are exact.
SECONDS = st.integers(0, 80_000).map(lambda eighths: eighths / 8)


@st.composite
def arrivals(draw):
    first_s = draw(SECONDS)
    last_s = first_s + draw(SECONDS)
    open_s = draw(st.one_of(st.none(), SECONDS.map(lambda after: first_s + after)))
    return Arrivals(first_s=first_s, last_s=last_s, open_association_s=open_s, aborted=draw(st.booleans()))


POLICIES = st.builds(
    CompletenessSettings,
    quiet_s=SECONDS,
    quiet_after_abort_s=SECONDS,
    open_association_idle_s=SECONDS,
    hard_cap_s=SECONDS,
)


def seen(**changes: object) -> Arrivals:
    values: dict[str, object] = {"first_s": 0.0, "last_s": 10.0, "open_association_s": None, "aborted": False}
    return Arrivals(**{**values, **changes})


@pytest.mark.parametrize(
    ("found", "now_s", "expected"),
    [
        (seen(), 10, Waiting(seconds=30)),
        (seen(), 39, Waiting(seconds=1)),
        (seen(), 40, Complete(partial=False)),
        (seen(), 9000, Complete(partial=False)),
        (seen(aborted=True), 40, Waiting(seconds=90)),
        (seen(aborted=True), 130, Complete(partial=False)),
        (seen(open_association_s=10.0), 40, Waiting(seconds=30)),
        (seen(open_association_s=10.0), 70, Complete(partial=False)),
        (seen(open_association_s=500.0), 70, Waiting(seconds=490)),
        (seen(open_association_s=500.0), 560, Complete(partial=False)),
        (seen(open_association_s=0.0), 40, Waiting(seconds=20)),
        (seen(open_association_s=0.0, aborted=True), 70, Waiting(seconds=60)),
        (seen(last_s=3590.0), 3599, Waiting(seconds=1)),
        (seen(last_s=3590.0), 3600, Complete(partial=True)),
        (seen(last_s=3590.0), 3620, Complete(partial=False)),
        (seen(last_s=3000.0, open_association_s=3595.0), 3600, Complete(partial=True)),
        (seen(last_s=3570.0), 3600, Complete(partial=False)),
    ],
)
def test_silence_completes_a_series_and_the_cap_ends_the_wait(found, now_s, expected):
    assert completeness(found, now_s, POLICY) == expected


@given(found=arrivals(), policy=POLICIES, later=SECONDS)
def test_the_wait_that_is_told_is_exactly_the_wait_that_is_needed(found, policy, later):
    now_s = found.last_s + later
    state = completeness(found, now_s, policy)
    if isinstance(state, Waiting):
        assert state.seconds > 0
        assert isinstance(completeness(found, now_s + state.seconds - 0.125, policy), Waiting) or state.seconds == 0.125
        assert isinstance(completeness(found, now_s + state.seconds, policy), Complete)


@given(found=arrivals(), policy=POLICIES, first=SECONDS, then=SECONDS)
def test_what_is_complete_stays_complete_when_nothing_arrives(found, policy, first, then):
    if isinstance(completeness(found, found.last_s + first, policy), Complete):
        assert isinstance(completeness(found, found.last_s + first + then, policy), Complete)


@given(found=arrivals(), policy=POLICIES, later=SECONDS)
def test_no_series_waits_longer_than_the_cap(found, policy, later):
    assert isinstance(completeness(found, found.first_s + policy.hard_cap_s + later, policy), Complete)


@given(found=arrivals(), policy=POLICIES, later=SECONDS)
def test_only_the_cap_makes_a_series_partial(found, policy, later):
    now_s = found.last_s + later
    state = completeness(found, now_s, policy)
    if state == Complete(partial=True):
        assert now_s >= found.first_s + policy.hard_cap_s
        patient = policy.model_copy(update={"hard_cap_s": 1e9})
        assert isinstance(completeness(found, now_s, patient), Waiting)


@given(found=arrivals(), later=SECONDS)
def test_a_new_arrival_an_abort_or_an_open_association_never_shortens_the_wait(found, later):
    def seconds(item: Arrivals) -> float:
        state = completeness(item, now_s, POLICY.model_copy(update={"hard_cap_s": 1e9}))
        return state.seconds if isinstance(state, Waiting) else 0.0

    now_s = found.last_s + later
    calm = Arrivals(first_s=found.first_s, last_s=found.last_s, open_association_s=None, aborted=False)
    assert seconds(found) >= seconds(calm)
    newer = Arrivals(first_s=found.first_s, last_s=now_s, open_association_s=None, aborted=False)
    assert seconds(newer) >= seconds(calm)
