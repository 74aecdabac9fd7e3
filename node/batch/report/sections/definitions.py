"""What every figure is: the words of the code that computes it, so that the two cannot drift apart."""

import inspect
import re
from collections.abc import Iterator
from types import ModuleType

from node.batch.evaluate import comparisons, detection, slices, statistics, surfaces
from node.batch.evaluate.scores import METRICS, Scores
from node.batch.report.document import Definitions, Paragraph, Part, Section, Subtitle

_DICE = (
    "Volumetric Dice: twice the voxels that both masks have, over the voxels of the one and of the other, over the "
    "whole volume. Two empty masks have none and enter no mean."
)
_SOURCES = (
    ("Distances of surfaces", surfaces),
    ("Detection of structures", detection),
    ("The figures of the CSpineSeg paper", slices),
    ("Intervals", statistics),
    ("Tests", comparisons),
)
_TERM = re.compile(r"^ {4}(\S.*?)  +(\S.*)$")


def definition_section(scores: Scores) -> Section:
    """Return the definitions of all figures, and the options that they were made with."""
    options = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sorted(scores.options.items()))
    parts: list[Part] = [Subtitle(text="Overlap"), Paragraph(text=_DICE)]
    for title, module in _SOURCES:
        parts.append(Subtitle(text=title))
        parts += explained(module)
    parts += [Subtitle(text="Options of this evaluation"), Paragraph(text=options or "None.")]
    return Section(anchor="definitions", title="What the figures are", parts=tuple(parts))


def explained(module: ModuleType) -> Iterator[Part]:
    """Yield the description of a module as paragraphs; lines of a term and its meaning become definitions."""
    for block in re.split(r"\n\s*\n", inspect.getdoc(module) or ""):
        lines = block.splitlines()
        if not all(line.startswith(" " * 4) for line in lines):
            yield Paragraph(text=_plain(" ".join(lines)))
            continue
        terms: list[tuple[str, str]] = []
        for line in lines:
            if found := _TERM.match(line):
                terms.append((found.group(1), found.group(2)))
            elif terms:
                terms[-1] = (terms[-1][0], f"{terms[-1][1]} {line.strip()}")
        yield Definitions(terms=tuple((_plain(term), _plain(text)) for term, text in terms))


def _plain(text: str) -> str:
    """Return text without the marks that set code apart; metrics are called as in the tables."""
    for metric in METRICS.values():
        text = text.replace(f"`{metric.key}`", f'"{metric.title}"')
    return text.replace("`", "").strip()
