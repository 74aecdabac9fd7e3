"""What the cases are broken down by, and how readers name the levels of it."""

from typing import Any

import pandas as pd

#: What the cases are broken down by: columns of `cases`; "age" in bands of ten years.
FACTORS = ("manufacturer", "magnetic_field_strength", "slice_thickness", "sex", "age", "annotation")

_AGES = (30, 40, 50, 60, 70, 80)
#: Usual fields of scanners, T, and how near is near.
_FIELDS_T, _NEAR = (0.5, 1.0, 1.5, 3.0, 7.0), 0.1


def factor_levels(cases: pd.DataFrame, factor: str) -> pd.Series:
    """Return the level of each case as readers name it: "1.5 T", "3 mm" (to the whole mm), "40-49 years", "expert".

    A field goes by its usual name: 2.8936 T is "3 T". Empty where nobody knows. Any other column of `cases` is taken
    as it is.
    """
    column = cases[factor]
    if factor == "magnetic_field_strength":
        return column.map(lambda tesla: f"{_usual_field(tesla):g} T", na_action="ignore")
    if factor == "slice_thickness":
        return column.map(lambda mm: f"{mm:.0f} mm", na_action="ignore")
    if factor == "age":
        return column.map(_age_band, na_action="ignore")
    return column.map(str, na_action="ignore")


def sorted_levels(levels: "pd.Series[Any]") -> list[str]:
    """Return each level once, in the order of readers: numbers by size, "under 30" first, words by the alphabet."""

    def rank(level: str) -> tuple[float, str]:
        number = level.removeprefix("under ").split(" ")[0].split("-")[0]
        try:
            return (float(number) - level.startswith("under"), level)
        except ValueError:
            return (float("inf"), level)

    return sorted({str(level) for level in levels.dropna()}, key=rank)


def _usual_field(tesla: float) -> float:
    """Return the field by which a scanner goes, where one is near: those that are sold as 3 T have 2.9 and more."""
    return next((usual for usual in _FIELDS_T if abs(tesla - usual) <= _NEAR * usual), tesla)


def _age_band(age: float) -> str:
    if age < _AGES[0]:
        return f"under {_AGES[0]} years"
    if age >= _AGES[-1]:
        return f"{_AGES[-1]} years and over"
    low = max(first for first in _AGES if first <= age)
    return f"{low}-{low + 9} years"
