"""Measurements along the spine: a table of the structures, and plots of what is measured of them, from head to feet.

A plot is made of places in a drawing, in its own units; the template draws it as SVG. What a plot shows of structures
stands in the table too, and slips in the titles of their marks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from node.domain.anatomy import StructureKind
from node.domain.findings import Quantity
from node.errors import ResultDamaged

_PAIR = "pair"
BODY, DISC = StructureKind.VERTEBRAL_BODY.value, StructureKind.INTERVERTEBRAL_DISC.value

#: Units of the drawing: the place of the plot in it, a row of a level, and what lies over and under the rows.
_LEFT, _RIGHT, _WIDTH = 62.0, 14.0, 340.0
_ROW, _TOP, _BOTTOM = 18.0, 8.0, 28.0
#: Steps of an axis: the smallest that gives no more than this many.
_MOST_STEPS = 5
_STEPS = (1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A structure in the table; `measures` by the key of a quantity, in its unit."""

    name: str
    kind: str
    level_confidence: float
    truncated: bool
    measures: Mapping[str, float]

    def cell(self, key: str) -> str:
        """Return a measure with as many digits as it is worth, "" where it has none."""
        if key not in self.measures:
            return ""
        value = self.measures[key]
        return f"{value:.0f}" if abs(value) >= 100 else f"{round(value, 2) + 0.0:.2f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A value in a plot."""

    x: float
    y: float
    value: float
    level: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The values of one quantity along the spine."""

    name: str
    dots: tuple[Dot, ...]

    @property
    def points(self) -> str:
        """The line through them, as SVG writes it."""
        return " ".join(f"{dot.x},{dot.y}" for dot in self.dots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A plot: levels from the head down, values to the right. `levels`, `ticks`: where each is written, and what."""

    title: str
    unit: str
    width: float
    height: float
    left: float
    right: float
    bottom: float
    levels: tuple[tuple[float, str], ...]
    ticks: tuple[tuple[float, str], ...]
    #: Where 0 lies, in a plot of values of either sign.
    zero: float | None
    lines: tuple[Line, ...]

    @property
    def told(self) -> str:
        """What it shows, in a sentence, for those who do not see it."""
        values = [dot.value for line in self.lines for dot in line.dots]
        names = ", ".join(line.name for line in self.lines)
        return (
            f"{self.title} ({names}) from {self.lines[0].dots[0].level} to {self.lines[0].dots[-1].level}: "
            f"{min(values):.3g} to {max(values):.3g} {self.unit}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A plot that is wanted: its lines as (name, kind or "pair", quantity)."""

    title: str
    unit: str
    lines: tuple[tuple[str, str, Quantity], ...]
    signed: bool = False
    #: How far the axis reaches at least.
    least: float = 0.0
    scale: float = 1.0


_HEIGHTS = (
    ("anterior", Quantity.HEIGHT_ANTERIOR),
    ("middle", Quantity.HEIGHT_MIDDLE),
    ("posterior", Quantity.HEIGHT_POSTERIOR),
)
_WANTED = (
    Wanted(title="Height of the bodies", unit="mm", lines=tuple((name, BODY, one) for name, one in _HEIGHTS)),
    Wanted(title="Height of the discs", unit="mm", lines=tuple((name, DISC, one) for name, one in _HEIGHTS)),
    Wanted(
        title="Depth, front to back",
        unit="mm",
        lines=(("bodies", BODY, Quantity.DEPTH), ("discs", DISC, Quantity.DEPTH)),
    ),
    Wanted(
        title="T2 signal, disc over body",
        unit="ratio",
        lines=(("mean", DISC, Quantity.T2_RATIO_MEAN), ("median", DISC, Quantity.T2_RATIO_MEDIAN)),
    ),
    Wanted(
        title="Volume",
        unit="cm\N{SUPERSCRIPT THREE}",
        lines=(("bodies", BODY, Quantity.VOLUME), ("discs", DISC, Quantity.VOLUME)),
        scale=1e-3,
    ),
    Wanted(title="Slip on the body below", unit="mm", lines=(("slip", _PAIR, Quantity.SLIP),), signed=True, least=1.0),
)


#: Columns of the table: key, title, unit.
QUANTITIES: Sequence[tuple[str, str, str]] = (
    (Quantity.VOLUME.key, "Volume", "mm\N{SUPERSCRIPT THREE}"),
    (Quantity.HEIGHT_ANTERIOR.key, "Height anterior", "mm"),
    (Quantity.HEIGHT_MIDDLE.key, "middle", "mm"),
    (Quantity.HEIGHT_POSTERIOR.key, "posterior", "mm"),
    (Quantity.DEPTH.key, "Depth", "mm"),
    (Quantity.WEDGE_ANGLE.key, "Wedge angle", "\N{DEGREE SIGN}"),
    (Quantity.DISC_HEIGHT_INDEX.key, "Disc height index", ""),
    (Quantity.T2_RATIO_MEAN.key, "T2 ratio, mean", ""),
    (Quantity.T2_RATIO_MEDIAN.key, "median", ""),
)


def rows_of(document: Mapping[str, Any]) -> tuple[Row, ...]:
    """Return the structures of a `findings.json`, head to feet. Raises ResultDamaged for one that is none."""
    try:
        return tuple(
            Row(
                name=_name(item),
                kind=item["kind"],
                level_confidence=float(item["level_confidence"]),
                truncated=bool(item["truncated"]),
                measures={
                    Quantity.VOLUME.key: float(item["volume_mm3"]),
                    **{key: float(value) for key, value in item["measures"].items()},
                },
            )
            for item in document["structures"]
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultDamaged("findings.json is not what the node writes") from error


def plots_of(document: Mapping[str, Any]) -> tuple[Plot, ...]:
    """Return the plots for which a `findings.json` has values; all have the same levels, so that one reads across.

    Raises ResultDamaged for one that is none.
    """
    rows = rows_of(document)
    places = {row.name: _TOP + _ROW * (number + 0.5) for number, row in enumerate(rows)}
    slips = _slips(document, places)
    plots = []
    for wanted in _WANTED:
        lines = {
            name: slips if kind == _PAIR else _values(rows, places, kind, quantity, wanted.scale)
            for name, kind, quantity in wanted.lines
        }
        if any(lines.values()):
            plots.append(_plot(wanted, places, {name: values for name, values in lines.items() if values}))
    return tuple(plots)


def _name(item: Mapping[str, Any]) -> str:
    kind = "body" if item["kind"] == BODY else "disc"
    return str(item["level"] or f"{kind} {int(item['ordinal'])}")


def _values(
    rows: Sequence[Row], places: Mapping[str, float], kind: str, quantity: Quantity, scale: float
) -> list[tuple[str, float, float]]:
    """Return (level, place, value) of each structure of a kind that has the quantity."""
    return [
        (row.name, places[row.name], row.measures[quantity.key] * scale)
        for row in rows
        if row.kind == kind and quantity.key in row.measures
    ]


def _slips(document: Mapping[str, Any], places: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Return the slip of each body that has a neighbour below, placed between the two."""
    try:
        names = {item["label"]: _name(item) for item in document["structures"]}
        pairs = [(names[pair["upper"]], names[pair["lower"]], pair["measures"]) for pair in document["pairs"]]
        return [
            (f"{upper} on {lower}", (places[upper] + places[lower]) / 2, float(measures[Quantity.SLIP.key]))
            for upper, lower, measures in pairs
            if Quantity.SLIP.key in measures
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ResultDamaged("findings.json is not what the node writes") from error


def _plot(wanted: Wanted, places: Mapping[str, float], lines: Mapping[str, Sequence[tuple[str, float, float]]]) -> Plot:
    everything = [value for values in lines.values() for _, _, value in values]
    low, high, step = axis(min(everything), max(everything), signed=wanted.signed, least=wanted.least)
    bottom, right = _TOP + _ROW * len(places), _WIDTH - _RIGHT
    ticks = [low + step * number for number in range(round((high - low) / step) + 1)]

    def x(value: float) -> float:
        return round(_LEFT + (right - _LEFT) * (value - low) / (high - low), 1)

    return Plot(
        title=wanted.title,
        unit=wanted.unit,
        width=_WIDTH,
        height=bottom + _BOTTOM,
        left=_LEFT,
        right=right,
        bottom=bottom,
        levels=tuple((place, name) for name, place in places.items()),
        ticks=tuple((x(tick), f"{tick:g}") for tick in ticks),
        zero=x(0.0) if wanted.signed else None,
        lines=tuple(
            Line(
                name=name,
                dots=tuple(Dot(x=x(value), y=place, value=value, level=level) for level, place, value in values),
            )
            for name, values in lines.items()
        ),
    )


def axis(low: float, high: float, *, signed: bool, least: float = 0.0) -> tuple[float, float, float]:
    """Return the ends and the step of an axis for values from `low` to `high`; a `signed` one is even about 0.

    It reaches at least to `least`, lest the noise of nothing look like something.

    >>> axis(3.9, 6.6, signed=False)
    (0.0, 8.0, 2.0)
    >>> axis(-0.4, 1.2, signed=True)
    (-1.5, 1.5, 0.5)
    """
    largest = max(abs(low), abs(high), least) or 1.0
    span = 2 * largest if signed else largest
    size = 10.0
    while size > span:
        size /= 10
    while size * 10 <= span:
        size *= 10
    step = next(
        size * factor * scale
        for scale in (0.1, 1.0)
        for factor in _STEPS
        if size * factor * scale * _MOST_STEPS >= span
    )
    steps = -int(-largest // step)
    return (-step * steps if signed else 0.0), step * steps, step
