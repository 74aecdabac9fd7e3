"""Volumes of prediction and reference side by side (Bland and Altman): is it too large, too small, and by how much."""

from collections.abc import Sequence
from typing import Any

from node.batch.evaluate.scores import Scores
from node.batch.evaluate.statistics import bland_altman, volumes
from node.batch.report.document import Cell, Drawing, Folded, Gallery, Part, Section, Subtitle, Table, columns, head
from node.batch.report.plots import Agreement, agreement_plot
from node.batch.report.subject import Subject
from node.batch.report.words import NOTHING, capital, counted, interval, number

_CM3 = "cm\N{SUPERSCRIPT THREE}"
_MM3_A_CM3 = 1000.0
#: More plots than these a reader opens who wants them.
_FEW_PLOTS = 4
_NOTE = (
    "Difference: prediction less reference. Limits of agreement: bias \N{PLUS-MINUS SIGN} 1.96 standard deviations; "
    "95 % of the differences of such cases lie between them if they are normal. 95 % intervals by Student's t."
)


def agreement_section(subjects: Sequence[Subject]) -> Section | None:
    """Return a table of bias and limits and a plot a structure; None where there are no volumes."""
    parts: list[Part] = []
    for place, subject in enumerate(subjects, start=1):
        if (subject.scores.scores["metric"] == "volume_reference_mm3").any():
            found = bland_altman(subject.scores)
            if len(subjects) > 1:
                parts.append(Subtitle(text=subject.name))
            rows: list[dict[str, Any]] = [
                {str(name): cell for name, cell in row.items()} for row in found.to_dict("records")
            ]
            parts.append(_table(rows))
            gallery = Gallery(drawings=_drawings(subject.scores, rows, place))
            few = len(gallery.drawings) <= _FEW_PLOTS
            parts.append(gallery if few else Folded(title=f"Plots of all {len(rows)} structures", parts=(gallery,)))
    return Section(anchor="volumes", title="Agreement of volumes", parts=tuple(parts)) if parts else None


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    return Table(
        caption=f"Bland-Altman analysis of the volumes, {_CM3}",
        columns=columns(
            "Structure", ("n", "cases"), "Bias", ("Bias", "% of the mean volume"), "Lower limit", "Upper limit"
        ),
        rows=tuple(
            (
                head(capital(str(row["structure"]))),
                Cell(text=number(row["n"], 0)),
                *(
                    _cell(row, "bias"),
                    Cell(text=number(row["bias_percent"], 1)),
                    _cell(row, "lower"),
                    _cell(row, "upper"),
                ),
            )
            for row in rows
        ),
        note=_NOTE,
    )


def _cell(row: dict[str, Any], name: str) -> Cell:
    span = interval(row[f"{name}_low"] / _MM3_A_CM3, row[f"{name}_high"] / _MM3_A_CM3, 2)
    return Cell(text=number(row[name] / _MM3_A_CM3, 2), below="" if span == NOTHING else span)


def _drawings(scores: Scores, rows: Sequence[dict[str, Any]], place: int) -> tuple[Drawing, ...]:
    every = volumes(scores)
    drawings = []
    for number_of, row in enumerate(rows, start=1):
        one = every.loc[every["structure"] == row["structure"], ["mean", "difference"]] / _MM3_A_CM3
        name = capital(str(row["structure"]))
        drawings.append(_drawing(f"agreement{place}-{number_of}", name, one, row))
    return tuple(drawings)


def _drawing(anchor: str, name: str, one: Any, row: dict[str, Any]) -> Drawing:
    bias, low, high = (row[key] / _MM3_A_CM3 for key in ("bias", "lower", "upper"))
    shown = Agreement(means=tuple(one["mean"]), differences=tuple(one["difference"]), bias=bias, low=low, high=high)
    alt = f"Bland-Altman plot of the volume of {name}, {counted(len(one), 'case')}; the table has the numbers"
    return Drawing(
        svg=agreement_plot(anchor, name, _CM3, shown, alt), caption=f"{name}: bias {number(bias, 2)} {_CM3}."
    )
