"""The arithmetic of repeated measurements, and their order."""

import pytest

from node.bench.figures import alternating, median, p95, summaries, summary


@pytest.mark.parametrize(
    ("values", "middle", "high"),
    [
        ([4.0], 4.0, 4.0),
        ([1.0, 3.0], 2.0, 2.9),
        ([5.0, 1.0, 3.0], 3.0, 4.8),
        ([float(value) for value in range(1, 11)], 5.5, 9.55),
        ([1.0] * 19 + [100.0], 1.0, 5.95),
    ],
)
def test_median_and_95th_percentile_are_linear_between_neighbours(
    values: list[float], middle: float, high: float
) -> None:
    assert median(values) == pytest.approx(middle)
    assert p95(values) == pytest.approx(high)


def test_a_summary_keeps_every_single_value_in_its_order() -> None:
    assert summary([3.0, 1.0, 2.00004]) == {"values": [3.0, 1.0, 2.0], "median": 2.0, "p95": 2.9}


def test_a_stage_that_a_run_lacks_counts_as_nothing() -> None:
    assert summaries([{"network": 2.0, "back": 1.0}, {"network": 4.0}]) == {
        "network": {"values": [2.0, 4.0], "median": 3.0, "p95": 3.9},
        "back": {"values": [1.0, 0.0], "median": 0.5, "p95": 0.95},
    }


def test_the_two_sides_take_turns() -> None:
    order: list[str] = []
    pairs = list(alternating(lambda: order.append("commands"), lambda: order.append("engine"), 3))
    assert order == ["commands", "engine"] * 3
    assert len(pairs) == 3
