"""Dice by level, from the head to the feet: where along the neck a model is weak."""

from collections.abc import Sequence

from node.batch.evaluate.scores import LEVEL
from node.batch.report.document import Cell, Drawing, Gallery, Paragraph, Part, Section, Subtitle, Table, columns, head
from node.batch.report.plots import Boxes, level_plot
from node.batch.report.sections.computed import Computed
from node.batch.report.words import NOTHING, counted, figure, interval, number
from node.domain.anatomy import VERTEBRAE

_DICE, _PAPER = "dice", "paper_disc_dice"
_KINDS = ("vertebral bodies", "discs")
_WHAT = (
    "Both masks are parted into structures and named alike, each by itself; structures of the same name are compared. "
    "A name that one side alone has counts 0: a row of zeros is a shift of names rather than a bad outline."
)
_NOTE = (
    "Mean with its 95 % interval (bootstrap over patients). At 0: the name stands on one side alone, or nothing "
    "overlaps. The last column is the paper's figure for discs: 2D Dice in the middle slice, its discs numbered by "
    "rank from the head; a case in which either mask has fewer than six of them there is left out."
)


def level_section(computed: Sequence[Computed]) -> Section | None:
    """Return a box plot and a table for each subject; None where no structure has a name."""
    parts: list[Part] = [Paragraph(text=_WHAT)]
    for place, one in enumerate(computed, start=1):
        levels = sorted({*one.names(_DICE, LEVEL), *one.names(_PAPER, LEVEL)}, key=from_the_head)
        if levels:
            if len(computed) > 1:
                parts.append(Subtitle(text=one.subject.name))
            values = _values(one)
            parts += [_plot(values, place)] if values else []
            parts.append(_table(one, levels, values))
    return Section(anchor="levels", title="Dice by level", parts=tuple(parts)) if len(parts) > 1 else None


def from_the_head(level: str) -> tuple[int, int, int]:
    """Return what sorts names of levels from the head to the feet; what is no level comes last.

    >>> sorted(["C3", "C2/C3", "T1", "C2", "C2-C3"], key=from_the_head)
    ['C2', 'C2-C3', 'C2/C3', 'C3', 'T1']
    """
    first, _, last = level.replace("/", "-").partition("-")
    if first not in VERTEBRAE:
        return len(VERTEBRAE), 0, 0
    return VERTEBRAE.index(first), int("/" in level), VERTEBRAE.index(last) if last in VERTEBRAE else 0


def _values(one: Computed) -> dict[str, tuple[float, ...]]:
    """Return the Dice of every case by level, from the head."""
    found: dict[str, list[float]] = {}
    table = one.subject.scores.values(_DICE, group=LEVEL)
    for structure, value in zip(table["structure"], table["value"], strict=True):
        found.setdefault(str(structure), []).append(float(value))
    return {level: tuple(found[level]) for level in sorted(found, key=from_the_head)}


def _plot(values: dict[str, tuple[float, ...]], place: int) -> Gallery:
    rows = [Boxes(name=level, values=((), some) if "/" in level else (some, ())) for level, some in values.items()]
    alt = f"Box plot of the Dice of {counted(len(rows), 'level')} from the head to the feet; the table has the numbers"
    drawing = Drawing(
        svg=level_plot(f"levels{place}", "volumetric Dice", rows, _KINDS, alt),
        caption="Median, quartiles, whiskers to 1.5 times their distance; head at the top.",
    )
    return Gallery(drawings=(drawing,))


def _table(one: Computed, levels: Sequence[str], values: dict[str, tuple[float, ...]]) -> Table:
    rows = []
    for level in levels:
        row = one.row(_DICE, LEVEL, level)
        zeros = sum(value == 0 for value in values.get(level, ()))
        rows.append(
            (
                head(level),
                Cell(text=NOTHING if row is None else number(row["n"], 0)),
                _mean(one, _DICE, level),
                *(
                    Cell(text=figure(_DICE, None if row is None else row[name]))
                    for name in ("median", "q25", "minimum")
                ),
                Cell(text=number(zeros, 0)),
                _mean(one, _PAPER, level, counts=True),
            )
        )
    names = columns(
        "Level", ("n", "cases"), "Mean", "Median", "Lower quartile", "Lowest", "At 0", ("Middle slice", "as published")
    )
    return Table(caption="Volumetric Dice by level", columns=names, rows=tuple(rows), note=_NOTE)


def _mean(one: Computed, metric: str, level: str, *, counts: bool = False) -> Cell:
    if (row := one.row(metric, LEVEL, level)) is None:
        return Cell(text=NOTHING)
    span = interval(row["mean_low"], row["mean_high"], 3)
    below = "" if span == NOTHING else span
    return Cell(
        text=figure(metric, row["mean"]), below=f"{below}; n = {number(row['n'], 0)}" if counts and below else below
    )
