"""What several sections need of the statistics, computed once: bootstrapping takes most of the time of a page."""

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from node.batch.evaluate.scores import CLASS, DETECTION, LEVEL, MEAN, UNION, Scores
from node.batch.evaluate.statistics import Resampling, summary
from node.batch.report.subject import Subject

_KEYS = ["metric", "group", "structure"]
_METRICS = (
    *("dice", "hd95_mm", "assd_mm", "nsd", "slice_mean_dice", "sagittal_slice_mean_dice", "paper_disc_dice"),
    *("precision", "recall", "f1"),
)
_GROUPS = (CLASS, UNION, MEAN, LEVEL, DETECTION)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Computed:
    """A subject and the summary of its scores (`statistics.summary`), by metric, group and structure."""

    subject: Subject
    summary: pd.DataFrame

    def row(self, metric: str, group: str, structure: str) -> Any:
        """Return the summary of one figure, a row of the table; None where no case has it."""
        key: Any = (metric, group, structure)
        if key not in self.summary.index:
            return None
        found = self.summary.loc[key]
        return found if found["n"] else None

    def mean(self, metric: str, group: str, structure: str) -> float | None:
        """Return the mean of one figure; None where no case has it."""
        row = self.row(metric, group, structure)
        return None if row is None else float(row["mean"])

    def names(self, metric: str, group: str) -> tuple[str, ...]:
        """Return the structures that have a figure, in no particular order."""
        table = self.summary
        found = (table.index.get_level_values("metric") == metric) & (table.index.get_level_values("group") == group)
        return tuple(str(name) for name in table.index.get_level_values("structure")[found & (table["n"] > 0)])


def computed(subject: Subject, resampling: Resampling) -> Computed:
    """Return the subject with its summary."""
    shown = only(subject.scores, subject.scores.scores["metric"].isin(_METRICS))
    shown = only(shown, shown.scores["group"].isin(_GROUPS))
    table = summary(shown, resampling) if len(shown.scores) else pd.DataFrame(columns=[*_KEYS, "n"])
    return Computed(subject=subject, summary=table.set_index(_KEYS).sort_index())


def only(scores: Scores, wanted: "pd.Series[bool]") -> Scores:
    """Return the scores with the wanted rows alone."""
    return replace(scores, scores=scores.scores[wanted])
