"""What a pull tells: an item for each series that it looked at, with its reason, and what came of it in all."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Any

from node.domain.case import Reason
from node.domain.listing import ListedSeries
from node.errors import InvalidIdentifier


class Fate(Enum):
    """What becomes of a series."""

    #: Nothing is asked for; the reason says why.
    SKIPPED = "skipped"
    #: It lacks, and a dry run only says so.
    LACKING = "lacking"
    #: What lacked has arrived.
    FETCHED = "fetched"
    #: It was asked for and did not come, or not as a whole; the next pull asks again.
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks a pull for; by itself it asks for the last days."""

    #: Only look.
    dry_run: bool = False
    #: The first day to look at; None: as the settings say.
    since: date | None = None
    #: Only these studies, whenever they were made, however young they are and however often they were asked for; what
    #: is here of them is compared by instances.
    study_uids: tuple[str, ...] = ()
    #: By the schedule, and therefore bound to its windows.
    scheduled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One series."""

    series: ListedSeries
    fate: Fate
    reason: Reason
    #: How many instances were asked for, and how many of them came.
    wanted: int = 0
    arrived: int = 0

    def document(self) -> dict[str, Any]:
        """Return it as it stands in an answer."""
        return {
            "study_uid": self.series.study_uid,
            "series_uid": self.series.series_uid,
            "fate": self.fate.value,
            "code": self.reason.code,
            "text": self.reason.text,
            "wanted": self.wanted,
            "arrived": self.arrived,
        }


@dataclass(slots=True, kw_only=True)
class Outcome:
    """The sums of one pull, as they grow."""

    studies: int = 0
    series: int = 0
    instances: int = 0
    fates: Counter[Fate] = field(default_factory=Counter)
    #: Of what was skipped, by the code of the reason; with the answers that were passed over.
    skipped: Counter[str] = field(default_factory=Counter)
    #: Why it ended before its end: "limit", "window", "disk", "backlog", "stopped", or the code of an error.
    stopped: str | None = None

    def count(self, item: Item) -> None:
        """Add one series."""
        self.series += 1
        self.instances += item.arrived
        self.fates[item.fate] += 1
        if item.fate is Fate.SKIPPED:
            self.skipped[item.reason.code] += 1

    def pass_over(self, answers: int) -> None:
        """Add answers of the archive that name a study, a series or an instance by no valid UID."""
        self.skipped.update({InvalidIdentifier.code: answers} if answers else {})

    def document(self) -> dict[str, Any]:
        """Return it as it stands in an answer, and in the journal."""
        return {
            "studies": self.studies,
            "series": self.series,
            **{fate.value: self.fates[fate] for fate in Fate},
            "instances": self.instances,
            "reasons": dict(sorted(self.skipped.items())),
            "stopped": self.stopped,
        }
