"""Completeness: when a series needs no more waiting."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.assemble.completeness import Count, completeness, count, quiet_time_s
from node.domain.arrivals import Arrivals, Complete, Expectation, ExpectedBy, Waiting
from node.settings import CompletenessSettings

POLICY = CompletenessSettings(
    quiet_expected_s=8, quiet_s=30, quiet_after_abort_s=120, open_association_idle_s=60, hard_cap_s=3600
)

#: Seconds in eighths: sums of them are exact.
SECONDS = st.integers(0, 80_000).map(lambda eighths: eighths / 8)

#: Whatever a settings file may hold, infinity too.
ANY_SECONDS = st.floats(0, allow_nan=False)

#: Whose word is enough to wait for more.
TRUSTED = (ExpectedBy.COMMITMENT, ExpectedBy.RETRIEVE, ExpectedBy.QUERY)

EXPECTATIONS = st.one_of(
    st.none(), st.builds(Expectation, instances=st.integers(0, 20), by=st.sampled_from(ExpectedBy))
)


@st.composite
def arrivals(draw):
    first_s = draw(SECONDS)
    return Arrivals(
        first_s=first_s,
        last_s=first_s + draw(SECONDS),
        open_association_s=draw(st.one_of(st.none(), SECONDS.map(lambda after: first_s + after))),
        aborted=draw(st.booleans()),
        instances=draw(st.integers(0, 20)),
        expected=draw(EXPECTATIONS),
        revisions=draw(st.integers(0, 200)),
    )


POLICIES = st.builds(
    CompletenessSettings,
    quiet_expected_s=SECONDS,
    quiet_s=SECONDS,
    quiet_after_abort_s=SECONDS,
    open_association_idle_s=SECONDS,
    hard_cap_s=SECONDS,
)


def seen(expected: int | Expectation | None = None, by: ExpectedBy = ExpectedBy.QUERY, **changes: object) -> Arrivals:
    values: dict[str, object] = {"first_s": 0.0, "last_s": 10.0, "open_association_s": None, "aborted": False}
    told = {"expected": Expectation(instances=expected, by=by)} if isinstance(expected, int) else {"expected": expected}
    return Arrivals(**{**values, **told, **changes})


def wait_s(found: Arrivals, now_s: float, policy: CompletenessSettings = POLICY) -> float:
    """Return the seconds to wait where no cap ends the wait; 0 when the series is complete."""
    state = completeness(found, now_s, policy.model_copy(update={"hard_cap_s": 1e9}))
    return state.seconds if isinstance(state, Waiting) else 0.0


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


@pytest.mark.parametrize(
    ("found", "now_s", "expected"),
    [
        (seen(15, instances=15), 17, Waiting(seconds=1)),
        (seen(15, instances=15), 18, Complete(partial=False)),
        (seen(15, instances=15, open_association_s=10.0), 18, Waiting(seconds=52)),
        (seen(15, instances=15, aborted=True), 18, Waiting(seconds=112)),
        (seen(15, instances=14), 40, Waiting(seconds=3560)),
        (seen(15, instances=14), 3600, Complete(partial=True)),
        (seen(15, instances=14), 9000, Complete(partial=True)),
        (seen(15, ExpectedBy.COMMITMENT, instances=14), 3599, Waiting(seconds=1)),
        (seen(15, ExpectedBy.RETRIEVE, instances=14), 3599, Waiting(seconds=1)),
        (seen(15, instances=16), 39, Waiting(seconds=1)),
        (seen(15, instances=16), 40, Complete(partial=False)),
        (seen(15, ExpectedBy.HEADER, instances=15), 18, Complete(partial=False)),
        (seen(15, ExpectedBy.HEADER, instances=14), 39, Waiting(seconds=1)),
        (seen(15, ExpectedBy.HEADER, instances=14), 40, Complete(partial=False)),
    ],
)
def test_an_expected_count_shortens_the_wait_when_met_and_holds_the_series_when_not(found, now_s, expected):
    assert completeness(found, now_s, POLICY) == expected


@pytest.mark.parametrize(
    ("revisions", "quiet_s"),
    [(0, 30), (1, 60), (2, 120), (3, 240), (7, 3600), (5000, 3600)],
)
def test_each_revision_doubles_the_quiet_time_up_to_the_hard_cap(revisions, quiet_s):
    assert quiet_time_s(seen(revisions=revisions), POLICY) == quiet_s
    assert quiet_time_s(seen(15, instances=15, revisions=revisions), POLICY) == min(8 * 2.0 ** min(revisions, 60), 3600)


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
    if completeness(found, now_s, policy) == Complete(partial=True):
        assert now_s >= found.first_s + policy.hard_cap_s
        patient = policy.model_copy(update={"hard_cap_s": 1e9})
        assert isinstance(completeness(found, now_s, patient), Waiting)


@given(found=arrivals(), policy=POLICIES, later=SECONDS)
def test_a_series_that_is_known_to_lack_instances_is_never_called_whole(found, policy, later):
    if count(found) is Count.LACKING:
        assert completeness(found, found.last_s + later, policy) != Complete(partial=False)


@given(
    times_s=st.tuples(st.floats(-1e9, 1e9), st.floats(0, 1e6), st.floats(0, 1e6)),
    policy=st.builds(CompletenessSettings, quiet_s=ANY_SECONDS, quiet_expected_s=ANY_SECONDS, hard_cap_s=ANY_SECONDS),
    revisions=st.integers(0, 10**6),
    expected=EXPECTATIONS,
)
def test_a_wait_is_always_a_positive_number(times_s, policy, revisions, expected):
    first_s, span_s, later_s = times_s
    found = seen(first_s=first_s, last_s=first_s + span_s, revisions=revisions, expected=expected, instances=3)
    state = completeness(found, found.last_s + later_s, policy)
    assert isinstance(state, Complete) or (state.seconds > 0 and not math.isnan(state.seconds))


@given(found=arrivals(), later=SECONDS)
def test_an_abort_an_open_association_a_revision_or_a_lack_never_shortens_the_wait(found, later):
    now_s = found.last_s + later
    for calm in (
        replace(found, aborted=False),
        replace(found, open_association_s=None),
        replace(found, revisions=max(0, found.revisions - 1)),
    ):
        assert wait_s(found, now_s) >= wait_s(calm, now_s)
    if count(found) is Count.LACKING:
        assert wait_s(found, now_s) >= wait_s(replace(found, expected=None), now_s)


@given(found=arrivals(), policy=POLICIES, later=SECONDS)
def test_an_arrival_never_ends_the_wait_earlier_unless_it_answers_what_was_known_to_lack(found, policy, later):
    now_s = found.last_s + later
    newer = replace(found, last_s=now_s, instances=found.instances + 1)
    if count(newer) is count(found) or count(found) is Count.MET:
        assert wait_s(newer, now_s, policy) >= wait_s(found, now_s, policy)
    changed = replace(found, last_s=now_s)
    assert wait_s(changed, now_s, policy) >= wait_s(found, now_s, policy)


@given(found=arrivals(), hint=st.integers(0, 30), policy=POLICIES, later=SECONDS)
def test_a_hint_of_the_header_never_lengthens_the_wait(found, hint, policy, later):
    now_s = found.last_s + later
    hinted = replace(found, expected=Expectation(instances=hint, by=ExpectedBy.HEADER))
    assert wait_s(hinted, now_s, policy) <= wait_s(replace(found, expected=None), now_s, policy)


@pytest.mark.parametrize("by", TRUSTED)
@pytest.mark.parametrize(
    ("instances", "expected"), [(14, Count.LACKING), (15, Count.MET), (16, Count.UNKNOWN), (0, Count.LACKING)]
)
def test_a_count_of_the_source_is_believed_until_it_is_exceeded(by, instances, expected):
    assert count(seen(15, by, instances=instances)) is expected
