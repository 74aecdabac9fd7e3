"""What can be asked of an archive, and had from it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from node.domain.listing import ListedInstance, ListedSeries, ListedStudy
from node.pull.door import Door
from node.pull.gaps import Gap
from node.scu.source import SeriesOfStudy


class Archive(Protocol):
    """An archive. Every method raises DeliveryError when it does not answer, or answers with a failure."""

    def studies(
        self, dates: Sequence[str], modalities: Sequence[str], study_uids: Sequence[str] = ()
    ) -> Sequence[ListedStudy]:
        """Return the studies of any of `dates` (DA) and `modalities`, or else those that are named."""

    def series(self, studies: Sequence[ListedStudy]) -> Sequence[ListedSeries]:
        """Return the series of `studies`."""

    def instances(self, series: Sequence[SeriesOfStudy]) -> Mapping[str, tuple[ListedInstance, ...]]:
        """Return the instances of `series`, by series UID."""

    def passed_over(self) -> int:
        """Return how many answers were passed over since this was asked last, for their UID was none (PS3.5 9.1)."""

    def fetch(self, series: SeriesOfStudy, gap: Gap, door: Door) -> str:
        """Bring what lacks of a series to the node.

        Returns what the archive said of it, empty where that is no more than success. What arrived is in the journal.
        """

    def hang_up(self) -> None:
        """End what is asked and sent just now, from another thread, and refuse what is asked later: the node ends."""
