"""The figures of the page. Each is given numbers that others computed, and returns an SVG element."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from node.batch.report.svg import INK, MUTED, PAPER, SERIES, drawn, inline_svg

#: Up to so many values, each is drawn beside its box (`sections.distribution` says so).
_MOST_POINTS = 80
_ROW_INCHES = 0.3
_FRAME_INCHES = 0.75
_BOX_HEIGHT = 0.62


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """A row of a box plot: its name, and for each series its values; a series without values has none."""

    name: str
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What a Bland-Altman plot shows, in one unit: mean and difference of each case, bias and limits of agreement."""

    means: tuple[float, ...]
    differences: tuple[float, ...]
    bias: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A row of an interval plot; None where the group is too small for one."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    #: Parts the rows into blocks, such as "Sex".
    block: str = ""


def box_plot(name: str, label: str, rows: Sequence[Boxes], series: Sequence[str], alt: str) -> str:
    """Return horizontal boxes, the first row on top: median, quartiles, whiskers to 1.5 times their distance.

    `label`: of the axis of values. Of few values each is drawn, of many those beyond the whiskers.
    """
    count = len(series)
    height = _FRAME_INCHES + _ROW_INCHES * max(2, len(rows) * count) + (0.25 if count > 1 else 0.0)
    with drawn(4.6, height) as figure:
        axes = figure.add_subplot()
        for number, row in enumerate(rows):
            for place, values in enumerate(row.values):
                if values:
                    middle = number + (place - (count - 1) / 2) * 0.8 / count
                    _box(axes, values, middle, 0.8 / count * _BOX_HEIGHT / 0.8, SERIES[place % len(SERIES)])
        _name_rows(axes, [row.name for row in rows])
        axes.set_xlabel(label)
        if count > 1:
            _key(figure, axes, series)
        return inline_svg(figure, name, alt)


def level_plot(name: str, label: str, rows: Sequence[Boxes], series: Sequence[str], alt: str) -> str:
    """Return `box_plot` of levels from the head to the feet, each in the series of its kind: bodies and discs."""
    with drawn(6.4, _FRAME_INCHES + 0.25 + 0.24 * max(3, len(rows))) as figure:
        axes = figure.add_subplot()
        for number, row in enumerate(rows):
            for place, values in enumerate(row.values):
                if values:
                    _box(axes, values, number, _BOX_HEIGHT, SERIES[place % len(SERIES)])
        _name_rows(axes, [row.name for row in rows])
        axes.set_xlabel(label)
        _key(figure, axes, series)
        return inline_svg(figure, name, alt)


def agreement_plot(name: str, title: str, unit: str, shown: Agreement, alt: str) -> str:
    """Return a Bland-Altman plot: difference over mean, with bias and limits of agreement."""
    with drawn(4.2, 3.2) as figure:
        axes = figure.add_subplot()
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.scatter(shown.means, shown.differences, s=11, color=SERIES[0], alpha=0.65, linewidths=0)
        for value, words, style in (
            (shown.high, "+1.96 SD", (0, (4, 3))),
            (shown.bias, "bias", "solid"),
            (shown.low, "\N{MINUS SIGN}1.96 SD", (0, (4, 3))),
        ):
            if not np.isfinite(value):
                continue
            axes.axhline(value, color=SERIES[1], linewidth=1.1, linestyle=style)
            axes.annotate(
                f"{words}\n{value:z.2f}".replace("-", "\N{MINUS SIGN}"),
                (1.0, value),
                xycoords=("axes fraction", "data"),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
                color=INK,
            )
        axes.margins(y=0.12)
        axes.set_title(title)
        axes.set_xlabel(f"mean of prediction and reference, {unit}")
        axes.set_ylabel(f"prediction \N{MINUS SIGN} reference, {unit}")
        return inline_svg(figure, name, alt)


def span_plot(name: str, label: str, rows: Sequence[Span], whole: float, alt: str) -> str:
    """Return means with their intervals, one row a group, in blocks; `whole`, the mean of all, is a line."""
    with drawn(5.2, _FRAME_INCHES + 0.23 * max(2, len(rows))) as figure:
        axes = figure.add_subplot()
        axes.axvline(whole, color=SERIES[1], linewidth=1.0, linestyle=(0, (4, 3)))
        for number, row in enumerate(rows):
            if number and row.block != rows[number - 1].block:
                axes.axhline(number - 0.5, color=MUTED, linewidth=0.5)
            if row.value is not None:
                if row.low is not None and row.high is not None:
                    axes.plot((row.low, row.high), (number, number), color=SERIES[0], linewidth=1.6)
                axes.plot((row.value,), (number,), marker="o", markersize=4.5, color=SERIES[0], linestyle="none")
        _name_rows(axes, [row.name for row in rows])
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(label)
        return inline_svg(figure, name, alt)


def _box(axes: Any, values: Sequence[float], middle: float, height: float, colour: str) -> None:
    few = len(values) <= _MOST_POINTS
    axes.boxplot(
        [list(values)],
        positions=[middle],
        widths=height,
        orientation="horizontal",
        manage_ticks=False,
        patch_artist=True,
        showfliers=not few,
        boxprops={"facecolor": colour, "alpha": 0.35, "edgecolor": colour, "linewidth": 0.9},
        medianprops={"color": INK, "linewidth": 1.6},
        whiskerprops={"color": colour, "linewidth": 0.9},
        capprops={"color": colour, "linewidth": 0.9},
        flierprops={"marker": "o", "markersize": 2.6, "markeredgecolor": colour, "markerfacecolor": PAPER},
    )
    if few:
        axes.scatter(values, middle + _spread(len(values)) * height * 0.7, s=5.0, color=colour, alpha=0.8, linewidths=0)


def _spread(count: int) -> Any:
    """Return places between -0.5 and 0.5 that keep points apart, always the same (multiples of the golden ratio)."""
    return np.arange(1, count + 1) * 0.6180339887498949 % 1.0 - 0.5


def _name_rows(axes: Any, names: Sequence[str]) -> None:
    """Name the rows at the left, the first on top."""
    axes.set_yticks(range(len(names)), labels=[name.replace("$", r"\$") for name in names])
    axes.set_ylim(max(1, len(names)) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _key(figure: Figure, axes: Any, series: Sequence[str]) -> None:
    for place, words in enumerate(series):
        axes.plot([], [], color=SERIES[place % len(SERIES)], linewidth=5, alpha=0.6, label=words.replace("$", r"\$"))
    figure.legend(loc="outside upper left", ncols=2, handlelength=1.2)
