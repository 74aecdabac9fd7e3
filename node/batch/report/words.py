"""Numbers and names as readers want them: digits that the figure bears, a true minus, a word where there is nothing."""

import math

from node.batch.evaluate.scores import METRICS, Metric

#: Stands where there is no figure.
NOTHING = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"
_THIN = "\N{NARROW NO-BREAK SPACE}"

#: Digits behind the point, by unit of the metric: a Dice is read to a thousandth, a distance to a hundredth of a mm.
_DECIMALS = {"": 3, "mm": 2, "mm3": 0}
_COUNTS = frozenset({"true_positives", "false_positives", "false_negatives"})
_UNITS = {"mm3": "mm\N{SUPERSCRIPT THREE}"}


def number(value: float | None, decimals: int) -> str:
    """Return a number with so many digits behind the point, thousands parted by thin spaces.

    >>> number(0.92949, 3), number(float("nan"), 3) == NOTHING
    ('0.929', True)
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:z,.{decimals}f}".replace(",", _THIN).replace("-", _MINUS)


def decimals_of(metric: str) -> int:
    """Return how many digits of a metric mean something."""
    return 0 if metric in _COUNTS else _DECIMALS[METRICS[metric].unit]


def figure(metric: str, value: float | None) -> str:
    """Return a value of a metric without its unit.

    >>> figure("dice", 0.92949), figure("hd95_mm", 2.0)
    ('0.929', '2.00')
    """
    return number(value, decimals_of(metric))


def interval(low: float | None, high: float | None, decimals: int) -> str:
    """Return an interval.

    >>> interval(0.921, 0.936, 3), interval(float("nan"), 1.0, 3) == NOTHING
    ('0.921 to 0.936', True)
    """
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return NOTHING
    return f"{number(low, decimals)} to {number(high, decimals)}"


def p_value(value: float | None) -> str:
    """Return a p value.

    >>> p_value(0.00002), p_value(0.0421), p_value(1.0)
    ('< 0.001', '0.042', '1.000')
    """
    if value is not None and value < 0.001:
        return "< 0.001"
    return number(value, 3)


def unit(metric: str) -> str:
    """Return the unit of a metric, or nothing."""
    return _UNITS.get(METRICS[metric].unit, METRICS[metric].unit)


def titled(metric: Metric) -> str:
    """Return the name of a metric with its unit.

    >>> titled(METRICS["hd95_mm"])
    'HD95, mm'
    """
    return f"{metric.title}, {unit(metric.key)}" if metric.unit else metric.title


def capital(text: str) -> str:
    """Return `text` with its first letter as a capital.

    >>> capital("vertebrae"), capital("C5/C6")
    ('Vertebrae', 'C5/C6')
    """
    return text[:1].upper() + text[1:]


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun.

    >>> counted(1, "case"), counted(60, "case"), counted(0, "body", "bodies")
    ('1 case', '60 cases', '0 bodies')
    """
    return f"{number(count, 0)} {one if count == 1 else many or one + 's'}"
