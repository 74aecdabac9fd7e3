"""What a page is about: one prediction or several of the same cases, each with its scores."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from node.batch.evaluate.scores import CLASS, MEAN, UNION, Scores
from node.batch.report.pictures import View

#: Gives what there is to see of a case by its key. Raises NodeError where its files cannot be read any more.
ViewOf = Callable[[str], View]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """A prediction: its name, its scores, and where its pictures come from (None: no pictures)."""

    name: str
    scores: Scores
    view: ViewOf | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a page says besides the results. `facts`: such as the model's digest, as pairs of name and value.

    `worst`: how many of the worst cases are shown.
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    worst: int = 6


def structures(scores: Scores, groups: Sequence[str] = (CLASS, MEAN, UNION)) -> tuple[tuple[str, str], ...]:
    """Return the group and name of every structure that has a Dice, in the order of the groups and of the scheme."""
    table = scores.scores
    table = table[(table["metric"] == "dice") & table["value"].notna()]
    return tuple(
        (group, str(name)) for group in groups for name in pd.unique(table.loc[table["group"] == group, "structure"])
    )


def leading(scores: Scores) -> tuple[tuple[str, str], ...]:
    """Return the few structures that a reader looks at first: the classes, or of many classes what sums them up."""
    classes = structures(scores, (CLASS,))
    return classes if len(classes) <= 3 else structures(scores, (MEAN, UNION)) or classes[:3]
