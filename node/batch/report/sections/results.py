"""The table that a reader looks for: every class with its figures, and the paper's own beside them."""

from collections.abc import Iterator, Sequence
from typing import Any

from node.batch.evaluate.scores import METRICS, Scores
from node.batch.report.document import Cell, Column, Paragraph, Part, Section, Table, head
from node.batch.report.published import PUBLISHED, WHY_HIGHER, Published
from node.batch.report.sections.computed import Computed
from node.batch.report.subject import structures
from node.batch.report.words import NOTHING, capital, decimals_of, figure, interval, number, titled

_METRICS = ("dice", "hd95_mm", "assd_mm", "nsd")
_PAPER = "slice_mean_dice"
_SAGITTAL = "sagittal_slice_mean_dice"
_NOTE = (
    "Mean over the cases, below it the 95 % interval (bootstrap over patients). A case in which one mask alone has a "
    "class counts with Dice 0, NSD 0 and, as its distance, the diagonal of the image; one such case can move a mean "
    "distance by several mm, and the box plots show it."
)


def result_section(computed: Sequence[Computed]) -> Section:
    """Return the main table: a row a structure and prediction, and the published row below each structure."""
    first = computed[0].subject.scores
    published = PUBLISHED.get(first.scheme)
    metrics = [metric for metric in (*_METRICS, _PAPER, _SAGITTAL) if _is_shown(computed, metric)]
    rows: list[tuple[Cell, ...]] = []
    quiet = []
    for group, name in _all_structures(computed):
        rows += _rows(computed, metrics, group, name)
        if published and _PAPER in metrics and name in published.values:
            quiet.append(len(rows))
            rows.append(_published_row(published, name, metrics))
    if not rows:
        return Section(anchor="results", title="Results", parts=(Paragraph(text="No case has a figure.", warns=True),))
    parts: list[Part] = [
        Table(
            caption="Figures by class",
            columns=(
                Column(name="Structure", is_number=False),
                Column(name="n", below="cases"),
                *_columns(first, metrics),
            ),
            rows=tuple(rows),
            note=_NOTE,
            quiet_rows=frozenset(quiet),
        )
    ]
    if _PAPER in metrics:
        parts.append(Paragraph(text=WHY_HIGHER))
    if published and quiet:
        parts.append(
            Paragraph(
                text=f"Published row: {published.citation}; {published.cases} exams of a random split that was not "
                "published, so that they are other exams than here."
            )
        )
    return Section(anchor="results", title="Results", parts=tuple(parts))


def headline(computed: Computed) -> str:
    """Return the result in a sentence."""
    scores = computed.subject.scores
    told = []
    for group, name in structures(scores)[:3]:
        if (row := computed.row("dice", group, name)) is not None:
            span = interval(row["mean_low"], row["mean_high"], 3)
            told.append(f"{name} {figure('dice', row['mean'])}{f' ({span})' if span != NOTHING else ''}")
    return f"Volumetric Dice: {', '.join(told)}." if told else "No case could be compared."


def _all_structures(computed: Sequence[Computed]) -> Iterator[tuple[str, str]]:
    yield from dict.fromkeys(found for one in computed for found in structures(one.subject.scores))


def _is_shown(computed: Sequence[Computed], metric: str) -> bool:
    """Return whether a metric has values; the mean over sagittal slices is shown where it differs from the paper's."""
    there = any(
        one.mean(metric, group, name) is not None for one in computed for group, name in _all_structures(computed)
    )
    if metric != _SAGITTAL or not there:
        return there
    return any(
        one.mean(metric, group, name) != one.mean(_PAPER, group, name)
        for one in computed
        for group, name in _all_structures(computed)
    )


def _columns(scores: Scores, metrics: Sequence[str]) -> Iterator[Column]:
    for metric in metrics:
        below = "more is better" if METRICS[metric].more_is_better else "less is better"
        if metric == "nsd" and (tolerance := scores.options.get("tolerance_mm")) is not None:
            below = f"within {float(tolerance):g} mm; {below}"
        yield Column(name="Volumetric Dice" if metric == "dice" else titled(METRICS[metric]), below=below)


def _rows(computed: Sequence[Computed], metrics: Sequence[str], group: str, name: str) -> Iterator[tuple[Cell, ...]]:
    for one in computed:
        found: dict[str, Any] = {metric: one.row(metric, group, name) for metric in metrics}
        if (dice := found["dice"]) is not None:
            below = one.subject.name if len(computed) > 1 else ""
            yield (
                head(capital(name), below),
                Cell(text=number(dice["n"], 0)),
                *(_cell(metric, row) for metric, row in found.items()),
            )


def _cell(metric: str, row: Any) -> Cell:
    if row is None:
        return Cell(text=NOTHING)
    span = interval(row["mean_low"], row["mean_high"], decimals_of(metric))
    return Cell(text=figure(metric, row["mean"]), below="" if span == NOTHING else span)


def _published_row(published: Published, name: str, metrics: Sequence[str]) -> tuple[Cell, ...]:
    value = figure(published.metric, published.values[name])
    cells = (Cell(text=value if metric == published.metric else NOTHING) for metric in metrics)
    return (head(capital(name), published.name), Cell(text=number(published.cases, 0)), *cells)
