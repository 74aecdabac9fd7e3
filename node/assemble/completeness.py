"""When a series is complete: a pure function of its arrivals, the time, and the policy.

DICOM has no end-of-series message, so silence has to say it, and how long a silence depends on what is known. Where the
source has said how many instances there are, and they are there, a short one will do. Where some are known to lack,
no silence is long enough: only the hard cap ends that wait. An association that is still open may carry more; one
that was aborted will often be tried again by its sender. Each revision that a series has had doubles its quiet time: a
source that keeps adding to a series shall not have it segmented for every addition.
"""

import math
from enum import Enum

from node.domain.arrivals import Arrivals, Complete, ExpectedBy, Waiting
from node.settings import CompletenessSettings

#: A doubling beyond this says nothing any more; the hard cap ends the wait long before.
_DOUBLINGS = 60


class Count(Enum):
    """How the instances that are stored stand to those that are expected."""

    #: Nobody has said how many there are, or what was said has proved wrong.
    UNKNOWN = "unknown"
    #: As many as were expected.
    MET = "met"
    #: The source itself says that there are more.
    LACKING = "lacking"


def count(arrivals: Arrivals) -> Count:
    """Return how the stored instances of a series stand to the expected ones.

    Fewer than a mere hint says proves nothing, and more than anybody said proves the number wrong: both are unknown.
    """
    expected = arrivals.expected
    if expected is None or arrivals.instances > expected.instances:
        return Count.UNKNOWN
    if arrivals.instances == expected.instances:
        return Count.MET
    return Count.UNKNOWN if expected.by is ExpectedBy.HEADER else Count.LACKING


def quiet_time_s(arrivals: Arrivals, policy: CompletenessSettings) -> float:
    """Return the silence in seconds that completes a series, whatever may lack: at most the hard cap."""
    quiet_s = policy.quiet_s
    if arrivals.aborted:
        quiet_s = policy.quiet_after_abort_s
    elif count(arrivals) is Count.MET:
        quiet_s = min(policy.quiet_expected_s, policy.quiet_s)
    return min(quiet_s * 2.0 ** min(arrivals.revisions, _DOUBLINGS), max(quiet_s, policy.hard_cap_s))


def completeness(arrivals: Arrivals, now_s: float, policy: CompletenessSettings) -> Waiting | Complete:
    """Return whether the series is complete at `now_s`, a time on the clock of `arrivals`.

    >>> seen = Arrivals(first_s=0, last_s=10, open_association_s=None, aborted=False)
    >>> completeness(seen, 25, CompletenessSettings(quiet_s=30))
    Waiting(seconds=15.0)
    >>> completeness(seen, 40, CompletenessSettings(quiet_s=30))
    Complete(partial=False)
    """
    due_s = arrivals.last_s + quiet_time_s(arrivals, policy)
    if arrivals.open_association_s is not None:
        due_s = max(due_s, arrivals.open_association_s + policy.open_association_idle_s)
    if count(arrivals) is Count.LACKING:
        due_s = math.inf
    cap_s = arrivals.first_s + policy.hard_cap_s
    if now_s >= due_s:
        return Complete(partial=False)
    if now_s >= cap_s:
        return Complete(partial=True)
    return Waiting(seconds=float(min(due_s, cap_s) - now_s))
