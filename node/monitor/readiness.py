"""Whether the node can do its work now, for those who watch from outside."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from node.errors import JournalError
from node.journal.store import Store
from node.journal.trail import newest_place
from node.monitor.scrape import figures_of

_OK = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What was looked at, each with "ok" or what is wrong."""

    checks: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """Whether everything is."""
        return all(said == _OK for said in self.checks.values())


def readiness(store: Store, ask: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]) -> Readiness:
    """Say whether the journal can be read, the node answers, its engine is loaded and instances are taken.

    A destination that fails is no reason against: what is for it waits.
    """
    checks = {"journal": _OK}
    try:
        newest_place(store)
    except JournalError:
        checks["journal"] = "cannot be read"
    figures = figures_of(ask)
    if figures is None:
        checks["node"] = "does not answer"
    else:
        checks["node"] = _OK
        checks["engine"] = _OK if figures.engine_ready else "is not loaded"
        checks["intake"] = _OK if figures.closed is None else f"is closed: {figures.closed}"
    return Readiness(checks=checks)
