"""When a series is complete: a pure function of its arrivals, the time, and the policy.

DICOM has no end-of-series message, so silence has to say it. An association that is still open may carry more; one
that was aborted will often be tried again by its sender. The hard cap keeps a sender that never stops from holding a
series for ever.
"""

from node.domain.arrivals import Arrivals, Complete, Waiting
from node.settings import CompletenessSettings


def completeness(arrivals: Arrivals, now_s: float, policy: CompletenessSettings) -> Waiting | Complete:
    """Return whether the series is complete at `now_s`, a time on the clock of `arrivals`.

    >>> seen = Arrivals(first_s=0, last_s=10, open_association_s=None, aborted=False)
    >>> completeness(seen, 25, CompletenessSettings(quiet_s=30))
    Waiting(seconds=15.0)
    >>> completeness(seen, 40, CompletenessSettings(quiet_s=30))
    Complete(partial=False)
    """
    quiet_s = policy.quiet_after_abort_s if arrivals.aborted else policy.quiet_s
    due_s = arrivals.last_s + quiet_s
    if arrivals.open_association_s is not None:
        due_s = max(due_s, arrivals.open_association_s + policy.open_association_idle_s)
    cap_s = arrivals.first_s + policy.hard_cap_s
    if now_s >= due_s:
        return Complete(partial=False)
    if now_s >= cap_s:
        return Complete(partial=True)
    return Waiting(seconds=float(min(due_s, cap_s) - now_s))
