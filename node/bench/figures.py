"""Arithmetic of repeated measurements."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

_DIGITS = 4

First = TypeVar("First")
Second = TypeVar("Second")


def median(values: Sequence[float]) -> float:
    """Return the middle value, or the mean of the two in the middle.

    >>> median([3.0, 1.0, 2.0, 10.0])
    2.5
    """
    return float(np.median(values))


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile, linear between neighbours (Hyndman and Fan 1996, type 7).

    >>> p95([float(value) for value in range(21)])
    19.0
    """
    return float(np.percentile(values, 95))


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Return every single value with median and 95th percentile, as it stands in the JSON."""
    return {
        "values": [round(value, _DIGITS) for value in values],
        "median": round(median(values), _DIGITS),
        "p95": round(p95(values), _DIGITS),
    }


def summaries(runs: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Return the summary of each name over `runs`; a run without a name counts as 0 there."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: summary([run.get(name, 0.0) for run in runs]) for name in names}


def alternating(
    first: Callable[[], First], second: Callable[[], Second], repetitions: int
) -> Iterator[tuple[First, Second]]:
    """Call one after the other, A B A B ...: a machine that grows slower or warmer does so for both."""
    for _ in range(repetitions):
        yield first(), second()
