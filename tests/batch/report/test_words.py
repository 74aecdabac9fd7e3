"""Numbers and names as readers want them."""

import math

import pytest

from node.batch.report.sections.levels import from_the_head
from node.batch.report.words import NOTHING, capital, counted, figure, interval, number, p_value


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.92949, 3, "0.929"),
        (1.0, 3, "1.000"),
        (-0.5, 2, "\N{MINUS SIGN}0.50"),
        (-0.0004, 3, "0.000"),
        (12345.6, 0, "12\N{NARROW NO-BREAK SPACE}346"),
        (math.nan, 3, NOTHING),
        (math.inf, 3, NOTHING),
        (None, 3, NOTHING),
    ],
)
def test_numbers_have_the_digits_that_they_bear(value, decimals, text):
    assert number(value, decimals) == text


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("dice", 0.9, "0.900"),
        ("hd95_mm", 1.234, "1.23"),
        ("volume_reference_mm3", 999.6, "1\N{NARROW NO-BREAK SPACE}000"),
        ("true_positives", 9.0, "9"),
    ],
)
def test_each_metric_has_its_own_digits(metric, value, text):
    assert figure(metric, value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "< 0.001"), (0.00099, "< 0.001"), (0.001, "0.001"), (0.5, "0.500"), (math.nan, NOTHING)]
)
def test_small_p_values_are_bounds(value, text):
    assert p_value(value) == text


def test_an_interval_lacks_where_one_end_does():
    assert interval(0.9, 0.95, 3) == "0.900 to 0.950"
    assert interval(math.nan, 0.95, 3) == NOTHING


def test_nouns_follow_their_count():
    assert [counted(count, "case") for count in (0, 1, 2)] == ["0 cases", "1 case", "2 cases"]
    assert capital("discs") == "Discs"
    assert capital("") == ""


def test_levels_are_sorted_from_the_head_and_strangers_come_last():
    names = ["T1", "spine", "C7/T1", "C2-C3", "C2/C3", "C10", "C2", "L5/S1", "C3"]
    assert sorted(names, key=from_the_head) == ["C2", "C2-C3", "C2/C3", "C3", "C7/T1", "T1", "L5/S1", "spine", "C10"]
