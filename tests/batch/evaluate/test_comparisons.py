"""Tests between groups and between predictions, against scipy and published tables."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from node.batch.evaluate.comparisons import benjamini_hochberg, compare_groups, compare_runs, holm, paired, unpaired
from node.batch.evaluate.scores import Scores
from node.batch.evaluate.statistics import Resampling

FEW = Resampling(resamples=499)


def scores(values, *, patients=None, **columns):
    keys = [f"case {number:02}" for number in range(len(values))]
    return Scores(
        cases=pd.DataFrame({"key": keys, "patient_id": patients or keys, **columns}),
        scores=pd.DataFrame(
            {"key": keys, "structure": "discs", "group": "class", "metric": "dice", "value": np.array(values, float)}
        ),
        failures=pd.DataFrame(columns=["key", "code", "reason"]),
        scheme="cspineseg",
        options={},
    )


def test_holm_multiplies_by_what_is_left_and_never_falls():
    # 4 x 0.005, 3 x 0.01, 2 x 0.03, then not below it
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_benjamini_and_hochberg_divide_by_the_rank():
    # 0.005 x 4 / 1, 0.01 x 4 / 2, 0.03 x 4 / 3, 0.04 x 4 / 4
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])


def test_a_test_that_has_no_p_does_not_count_as_one():
    assert holm([0.02, np.nan, 0.9]) == pytest.approx([0.04, np.nan, 0.9], nan_ok=True)
    assert benjamini_hochberg([0.02, np.nan, 0.9]) == pytest.approx([0.04, np.nan, 0.9], nan_ok=True)
    assert len(holm([])) == len(benjamini_hochberg([])) == 0


def test_groups_without_overlap_have_the_u_and_p_of_the_tables():
    # 5 and 5 values without overlap: U = 25, p = 2 / 252
    row = unpaired(np.array([6.0, 7, 8, 9, 10]), np.array([1.0, 2, 3, 4, 5]), FEW)

    assert (row["u"], row["effect"], row["difference"]) == (25.0, 1.0, 5.0)
    assert row["p"] == pytest.approx(2 / 252, abs=1e-12)


def test_pairs_that_all_differ_one_way_have_the_w_and_p_of_the_tables():
    # 6 pairs, all smaller: W = 0, p = 2 / 64
    first = np.array([1.0, 2, 3, 4, 5, 6])
    row = paired(first, first + np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), FEW)

    assert (row["w"], row["effect"], row["n"]) == (0.0, -1.0, 6)
    assert row["p"] == pytest.approx(2 / 64, abs=1e-12)


def test_pairs_that_are_all_equal_differ_by_nothing():
    row = paired(np.array([0.5, 0.7, 0.9]), np.array([0.5, 0.7, 0.9]), FEW)

    assert (row["p"], row["effect"], row["median_difference"]) == (1.0, 0.0, 0.0)


def test_the_interval_of_a_difference_of_medians_is_that_of_the_notebook():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.9, 0.05, 20), rng.normal(0.88, 0.05, 25)

    def median_diff(one, other):
        return np.median(one) - np.median(other)

    expected = stats.bootstrap(
        (first, second),
        median_diff,
        n_resamples=499,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(42),
    ).confidence_interval
    row = unpaired(first, second, FEW)

    assert (row["difference_low"], row["difference_high"]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_every_two_levels_of_a_factor_are_compared_and_corrected_together():
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(0.9, 0.02, 12), rng.normal(0.8, 0.02, 12), rng.normal(0.9, 0.02, 12)])
    makers = ["A"] * 12 + ["B"] * 12 + ["C"] * 12
    table = compare_groups(scores(values, manufacturer=makers), "manufacturer", resampling=FEW)

    assert table[["first", "second"]].values.tolist() == [["A", "B"], ["A", "C"], ["B", "C"]]
    assert table["p"].tolist() == pytest.approx(
        [stats.mannwhitneyu(values[first], values[second]).pvalue for first, second in _SLICES]
    )
    assert table["p_holm"].tolist() == pytest.approx(holm(table["p"].to_numpy()))
    assert (table["p_holm"] >= table["p"]).all()


_SLICES = [(slice(0, 12), slice(12, 24)), (slice(0, 12), slice(24, 36)), (slice(12, 24), slice(24, 36))]


def test_a_patient_with_two_exams_is_one_observation():
    found = scores([0.1, 0.3, 0.5, 0.8, 0.9], patients=["a", "a", "b", "c", "d"], sex=["F", "F", "F", "M", "M"])
    row = compare_groups(found, "sex", resampling=FEW).iloc[0]

    assert (row["n_first"], row["n_second"]) == (2, 2)
    assert row["median_first"] == pytest.approx(0.35)  # of 0.2 and 0.5


def test_predictions_for_the_same_cases_are_compared_in_pairs_and_as_published():
    rng = np.random.default_rng(2)
    first = rng.normal(0.9, 0.02, 20)
    second = first + rng.normal(0.004, 0.002, 20)
    row = compare_runs({"2d": scores(first), "ensemble": scores(second)}, resampling=FEW).iloc[0]

    assert (row["first"], row["second"], row["n"]) == ("2d", "ensemble", 20)
    assert row["p"] == pytest.approx(stats.wilcoxon(first, second).pvalue)
    assert row["p_mann_whitney"] == pytest.approx(stats.mannwhitneyu(first, second).pvalue)
    assert row["difference_low"] <= row["median_difference"] <= row["difference_high"] < 0


def test_cases_that_one_prediction_lacks_do_not_count():
    row = compare_runs({"a": scores([0.1, np.nan, 0.3]), "b": scores([0.2, 0.5])}, resampling=FEW).iloc[0]

    assert row["n"] == 1


def test_nothing_to_compare_is_an_empty_table():
    assert len(compare_runs({"a": scores([0.1])}, resampling=FEW)) == 0
    assert len(compare_groups(scores([0.1], sex=["F"]), "sex", resampling=FEW)) == 0
