"""Reconciliation: what an archive has, held against what the node has. Pure; every series gets a reason.

First by what a query at the level of series tells (`objection`), so that most series cost one answer. What is left is
compared instance by instance (`gap_of`), so that exactly what lacks is asked for. The first sees no difference between
series of one number of instances; whoever wants it seen lets these pass to the second.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from node.domain.case import Reason
from node.domain.listing import TOLD, ListedInstance, ListedSeries
from node.domain.product import MODEL_NAME
from node.journal.pulls import HeldSeries
from node.select import objections
from node.settings import RouteSettings

#: What each objection of a route is based on; one that needs something else cannot be raised from a catalogue.
_BASED_ON: Mapping[str, frozenset[str]] = {
    "modality": frozenset({"Modality"}),
    "region": frozenset(TOLD) - {"Modality"},
    "other-region": frozenset(),
    "study-description": frozenset({"StudyDescription"}),
    "series-description": frozenset({"SeriesDescription"}),
    "excluded-description": frozenset(),
}
_OWN_RESULT = Reason(code="own-result", text="this software made it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """By what is decided."""

    routes: Sequence[RouteSettings]
    #: A study that began after it may still be on its way; None: no study is too young. Local time.
    begun_before: datetime | None
    #: A series of which too little is told for the rules is left where it is.
    skip_untold: bool
    #: A series of which as many instances are here as the archive has is not looked at instance by instance.
    by_count: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What lacks of a series."""

    reason: Reason
    wanted: tuple[ListedInstance, ...]
    #: How many instances the archive has.
    listed: int
    #: None of the instances that the archive has is here.
    whole: bool


def settled_before(now: datetime, settle_min: float) -> datetime:
    """Return before when a study must have begun, as an archive tells times: local, without a zone."""
    return now.replace(tzinfo=None) - timedelta(minutes=settle_min)


def objection(series: ListedSeries, held: HeldSeries | None, terms: Terms) -> Reason | None:
    """Return why a series is not asked for, None for one that lacks here, wholly or in part."""
    if series.model_name == MODEL_NAME or (held is not None and held.own_result):
        return _OWN_RESULT
    return _by_rules(series, terms) or _by_time(series, terms) or (_by_holding(series, held, terms) if held else None)


def gap_of(listed: Sequence[ListedInstance], stored: Collection[str]) -> Gap | Reason:
    """Return which of the `listed` instances are not `stored`, or why there is nothing to ask for."""
    if not listed:
        return Reason(code="not-listed", text="the archive names no instance of it")
    wanted = tuple(instance for instance in listed if instance.sop_instance_uid not in stored)
    if not wanted:
        return Reason(code="here", text=f"all {len(listed)} instances are here")
    whole = len(wanted) == len(listed)
    here = "none" if whole else f"{len(listed) - len(wanted)}"
    text = f"{here} of {len(listed)} instances {'is' if whole else 'are'} here"
    reason = Reason(code="missing" if whole else "incomplete", text=text)
    if others := len(set(stored) - {instance.sop_instance_uid for instance in listed}):
        reason = Reason(code="differs", text=f"{text}, and {others} that the archive does not name")
    return Gap(reason=reason, wanted=wanted, listed=len(listed), whole=whole)


def _by_rules(series: ListedSeries, terms: Terms) -> Reason | None:
    """Return why no route would take the series, as far as the archive's answers go."""
    refused: list[Reason] = []
    unclear: list[str] = []
    for route in terms.routes:
        against = [reason for reason in objections(series.header, route.accept) if reason.code in _BASED_ON]
        sure = [reason for reason in against if not _BASED_ON[reason.code] & series.untold]
        if not against:
            return None
        if sure:
            refused += [Reason(code=reason.code, text=f"{route.name}: {reason.text}") for reason in sure]
        else:
            unclear += sorted({keyword for reason in against for keyword in _BASED_ON[reason.code] & series.untold})
    if not unclear:
        return Reason(code=refused[0].code, text="; ".join(reason.text for reason in refused))
    if terms.skip_untold:
        return Reason(code="untold", text=f"the archive does not tell {', '.join(dict.fromkeys(unclear))}")
    return None


def _by_time(series: ListedSeries, terms: Terms) -> Reason | None:
    if terms.begun_before is None or series.begun is None or series.begun <= terms.begun_before:
        return None
    return Reason(code="too-recent", text="its study has just begun, and may still be on its way")


def _by_holding(series: ListedSeries, held: HeldSeries, terms: Terms) -> Reason | None:
    if held.purged:
        return Reason(code="purged", text="it was here, and has been deleted after its time")
    if held.receiving:
        return Reason(code="receiving", text="it is arriving just now")
    if terms.by_count and series.instances is not None and held.instances >= series.instances:
        return Reason(code="here", text=f"{held.instances} instances are here")
    return None
