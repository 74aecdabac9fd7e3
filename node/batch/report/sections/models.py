"""Several predictions of the same cases against each other."""

from collections.abc import Sequence
from typing import Any

from node.batch.evaluate.comparisons import TESTED, compare_runs
from node.batch.evaluate.scores import METRICS
from node.batch.evaluate.statistics import Resampling
from node.batch.report.document import Cell, Paragraph, Section, Table, columns, head, words
from node.batch.report.sections.computed import Computed, only
from node.batch.report.subject import Subject, leading, structures
from node.batch.report.words import NOTHING, capital, decimals_of, interval, number, p_value, unit

_HOW = (
    "Only cases that both predictions have a figure for take part, one value a patient. The test is Wilcoxon's "
    "signed-rank test; its p is corrected over all rows by Holm, and by Benjamini and Hochberg. The paper tested its "
    "configurations by Mann-Whitney U although they answer for the same cases; that p stands beside, for "
    "comparison with it alone."
)


def model_section(computed: Sequence[Computed], resampling: Resampling) -> Section | None:
    """Return the table of paired tests; None where there is one prediction alone, or nothing in common."""
    if len(computed) < 2:
        return None
    tests = compare_runs({one.subject.name: _restricted(one.subject) for one in computed}, TESTED, resampling)
    if not len(tests):
        return None
    table = Table(
        caption="Paired comparison",
        columns=columns(
            "Predictions",
            "Structure",
            "Figure",
            ("n", "patients"),
            ("Median difference", "first less second"),
            ("Effect", "rank-biserial"),
            ("p", "Wilcoxon"),
            ("p", "Holm"),
            ("p", "Benjamini-Hochberg"),
            ("p", "Mann-Whitney U, as published"),
            words_first=3,
        ),
        rows=tuple(_row(row) for row in tests.itertuples()),
    )
    return Section(anchor="models", title="Comparison of the predictions", parts=(Paragraph(text=_HOW), table))


def _restricted(subject: Subject) -> Any:
    """Return the scores of the structures that a reader looks at first, so that few tests are corrected for."""
    named = {name for _, name in (*leading(subject.scores), *structures(subject.scores, ("mean",)))}
    return only(subject.scores, subject.scores.scores["structure"].isin(named))


def _row(row: Any) -> tuple[Cell, ...]:
    decimals = decimals_of(row.metric)
    span = interval(row.difference_low, row.difference_high, decimals)
    of = unit(row.metric)
    return (
        head(f"{row.first} / {row.second}"),
        words(capital(row.structure)),
        words(METRICS[row.metric].title + (f", {of}" if of else "")),
        Cell(text=number(row.n, 0)),
        Cell(text=number(row.median_difference, decimals), below="" if span == NOTHING else span),
        Cell(text=number(row.effect, 2)),
        *(Cell(text=p_value(value)) for value in (row.p, row.p_holm, row.p_bh, row.p_mann_whitney)),
    )
