"""Breakdowns: is it as good on every scanner, for every patient, against every kind of reference."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from node.batch.evaluate.comparisons import compare_groups
from node.batch.evaluate.factors import FACTORS, factor_levels, sorted_levels
from node.batch.evaluate.scores import Scores
from node.batch.evaluate.statistics import SMALL, Resampling, breakdown
from node.batch.report.document import (
    Cell,
    Drawing,
    Folded,
    Gallery,
    Paragraph,
    Part,
    Section,
    Subtitle,
    Table,
    columns,
    head,
    words,
)
from node.batch.report.plots import Span, span_plot
from node.batch.report.sections.computed import Computed, only
from node.batch.report.subject import leading
from node.batch.report.words import NOTHING, capital, counted, figure, interval, number, p_value

_TITLES: Mapping[str, str] = {
    "manufacturer": "Manufacturer",
    "magnetic_field_strength": "Field strength",
    "slice_thickness": "Slice thickness",
    "sex": "Sex",
    "age": "Age",
    "annotation": "Reference, expert or weak",
}
_MOST_TESTS = 8
_METRIC = "dice"
_HOW = (
    "Volumetric Dice by what is known about the exams: mean and 95 % interval (bootstrap over patients). Tests are "
    "Mann-Whitney U between every two groups, on one value a patient; p is corrected by Holm over the tests of one "
    f"factor. A group of fewer than {SMALL} patients is marked: its figures say little, and a test that finds nothing "
    "proves nothing. Groups were not assigned at random and may differ in more than their name."
)


def group_section(computed: Sequence[Computed], resampling: Resampling) -> Section | None:
    """Return a plot, tables and tests for each factor of each subject; None where no case has a figure."""
    parts: list[Part] = []
    for place, one in enumerate(computed, start=1):
        found = leading(one.subject.scores)
        if found:
            if len(computed) > 1:
                parts.append(Subtitle(text=one.subject.name))
            parts += _parts(one, found, resampling, place)
    return Section(anchor="groups", title="Breakdown", parts=(Paragraph(text=_HOW), *parts)) if parts else None


def _parts(one: Computed, found: Sequence[tuple[str, str]], resampling: Resampling, place: int) -> Iterator[Part]:
    """Yield plots of all factors, their tables, what is unknown, and the tests."""
    scores = _restricted(one.subject.scores, found)
    silent = {factor: _nothing_to_compare(scores.cases, factor) for factor in FACTORS}
    known = [factor for factor, complaint in silent.items() if not complaint]
    tables = {factor: breakdown(scores, factor, resampling) for factor in known}
    drawings = (
        _overview(f"groups{place}-{number_of}", one, tables, key) for number_of, key in enumerate(found, start=1)
    )
    if drawn := tuple(drawing for drawing in drawings if drawing is not None):
        yield Gallery(drawings=drawn)
    if known:
        yield _table(tables, found)
    for factor, complaint in silent.items():
        if complaint or (complaint := _unknown(scores.cases, factor)):
            yield Paragraph(text=f"{_TITLES[factor]}: {complaint}")
    yield from _all_tests({factor: compare_groups(scores, factor, (_METRIC,), resampling) for factor in known})


def _restricted(scores: Scores, found: Sequence[tuple[str, str]]) -> Scores:
    table = scores.scores
    wanted = (table["metric"] == _METRIC) & pd.Series(
        [pair in set(found) for pair in zip(table["group"], table["structure"], strict=True)], index=table.index
    )
    return only(scores, wanted)


def _nothing_to_compare(cases: pd.DataFrame, factor: str) -> str:
    """Return why there is nothing to break down, in a sentence; nothing where there is."""
    if factor not in cases.columns or cases[factor].isna().all():
        return "unknown for every case; the tables do not say."
    levels = sorted_levels(factor_levels(cases, factor))
    if len(levels) == 1:
        return f"every case of which it is known is of one group ({levels[0]}); there is nothing to compare."
    return ""


def _unknown(cases: pd.DataFrame, factor: str) -> str:
    missing = int(cases[factor].isna().sum())
    return f"unknown for {counted(missing, 'case')}, left out of its groups." if missing else ""


def _table(tables: Mapping[str, pd.DataFrame], found: Sequence[tuple[str, str]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    quiet = set()
    for factor, broken in tables.items():
        for level in dict.fromkeys(broken["level"]):
            one = broken[broken["level"] == level].set_index(["group", "structure"])
            patients, small = int(one["patients"].max()), bool(one["small"].all())
            if small:
                quiet.add(len(rows))
            rows.append(
                (
                    head(str(level), _TITLES[factor] + (", few patients" if small else "")),
                    Cell(text=number(int(one["n"].max()), 0), below=counted(patients, "patient")),
                    *(_mean(one, key) for key in found),
                )
            )
    names = columns("Group", ("n", "cases"), *((capital(name), "Dice") for _, name in found))
    return Table(caption="Dice by group", columns=names, rows=tuple(rows), quiet_rows=frozenset(quiet))


def _mean(one: pd.DataFrame, key: Any) -> Cell:
    if key not in one.index:
        return Cell(text=NOTHING)
    row: Any = one.loc[key]
    if not row["n"]:
        return Cell(text=NOTHING)
    span = interval(row["mean_low"], row["mean_high"], 3)
    return Cell(text=figure(_METRIC, row["mean"]), below="" if span == NOTHING else span)


def _all_tests(tests: Mapping[str, pd.DataFrame]) -> Iterator[Part]:
    """Yield one table of the factors with few groups, and one to open for each that has many."""
    short = {factor: table for factor, table in tests.items() if 0 < len(table) <= _MOST_TESTS}
    if rows := [row for factor, table in short.items() for row in _rows(factor, table)]:
        yield _tests("Tests between groups", rows)
    for factor, table in tests.items():
        if factor not in short and len(table):
            title = f"All {len(table)} tests by {_TITLES[factor].lower()}"
            few = f"Smallest corrected p: {p_value(float(table['p_holm'].min()))}."
            yield Folded(title=f"{title}. {few}", parts=(_tests(title, _rows(factor, table)),))


def _rows(factor: str, tests: pd.DataFrame) -> list[tuple[Cell, ...]]:
    return [
        (
            head(f"{row.first} / {row.second}", _TITLES[factor]),
            words(capital(str(row.structure))),
            Cell(text=f"{row.n_first} / {row.n_second}"),
            Cell(text=number(row.difference, 3), below=_span(row)),
            Cell(text=number(row.effect, 2)),
            Cell(text=p_value(row.p)),
            Cell(text=p_value(row.p_holm)),
        )
        for row in _typed(tests)
    ]


def _tests(title: str, rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        caption=title,
        columns=columns(
            "Groups",
            "Structure",
            ("n", "patients"),
            ("Difference", "of medians, first less second"),
            ("Effect", "rank-biserial"),
            ("p", "Mann-Whitney U"),
            ("p", "corrected (Holm)"),
            words_first=2,
        ),
        rows=tuple(rows),
    )


def _typed(table: pd.DataFrame) -> list[Any]:
    return list(table.itertuples())


def _span(row: Any) -> str:
    span = interval(row.difference_low, row.difference_high, 3)
    return "" if span == NOTHING else span


def _overview(anchor: str, one: Computed, tables: Mapping[str, pd.DataFrame], key: tuple[str, str]) -> Drawing | None:
    """Return the plot of one structure: every group of every factor, with its interval."""
    spans = []
    for factor, broken in tables.items():
        table = broken[(broken["group"] == key[0]) & (broken["structure"] == key[1]) & (broken["n"] > 0)]
        spans += [
            Span(
                name=f"{row.level}, n = {row.patients}{' (few)' if row.small else ''}",
                value=row.mean,
                low=row.mean_low,
                high=row.mean_high,
                block=factor,
            )
            for row in _typed(table)
        ]
    whole = one.mean(_METRIC, *key)
    if not spans or whole is None:
        return None
    name = capital(key[1])
    alt = f"Mean Dice of {name} with intervals for {counted(len(spans), 'group')}; the table below has the numbers"
    return Drawing(
        svg=span_plot(anchor, f"volumetric Dice, {key[1]}", spans, whole, alt),
        caption=f"{name}: mean and 95 % interval of every group, n patients; the dashed line is the mean of all cases.",
    )
