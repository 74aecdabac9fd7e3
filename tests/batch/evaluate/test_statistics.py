"""Statistics over cases, against scipy and numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from node.batch.evaluate.factors import factor_levels, sorted_levels
from node.batch.evaluate.scores import Scores
from node.batch.evaluate.statistics import (
    Resampling,
    agreement,
    bland_altman,
    breakdown,
    interval,
    pooled_detection,
    summary,
    worst_cases,
)

FEW = Resampling(resamples=499)


def scores(values, *, patients=None, metric="dice", structure="discs", group="class", **columns):
    keys = [f"case {number:02}" for number in range(len(values))]
    return Scores(
        cases=pd.DataFrame({"key": keys, "patient_id": patients or keys, **columns}),
        scores=pd.DataFrame(
            {"key": keys, "structure": structure, "group": group, "metric": metric, "value": np.array(values, float)}
        ),
        failures=pd.DataFrame(columns=["key", "code", "reason"]),
        scheme="cspineseg",
        options={},
    )


VALUES = [0.91, 0.95, 0.88, 0.93, 0.70, 0.96, 0.90, 0.94]


@pytest.mark.parametrize(
    ("name", "function", "method"),
    [("mean", np.mean, "percentile"), ("mean", np.mean, "BCa"), ("median", np.median, "percentile")],
)
def test_the_interval_is_that_of_scipy_where_each_patient_has_one_exam(name, function, method):
    expected = stats.bootstrap((VALUES,), function, method=method, n_resamples=499, rng=np.random.default_rng(7))

    found = interval(VALUES, name, resampling=Resampling(resamples=499, seed=7, method=method))

    assert found == pytest.approx(tuple(expected.confidence_interval), abs=1e-12)


def test_the_same_seed_gives_the_same_interval_and_another_one_another():
    assert interval(VALUES, "mean", resampling=FEW) == interval(VALUES, "mean", resampling=FEW)
    assert interval(VALUES, "mean", resampling=FEW) != interval(
        VALUES, "mean", resampling=Resampling(resamples=499, seed=1)
    )


@pytest.mark.parametrize(("name", "function"), [("mean", np.mean), ("median", np.median)])
def test_exams_of_one_patient_are_drawn_together(name, function):
    exams = [[0.91, 0.95], [0.88], [0.5, 0.6, 0.7], [0.96], [0.90, 0.94]]

    def over(*drawn):
        return function(np.concatenate([exams[int(patient)] for patient in np.ravel(drawn)]))

    expected = stats.bootstrap(
        (np.arange(5),), over, n_resamples=499, method="percentile", vectorized=False, rng=np.random.default_rng(42)
    )
    patients = [f"patient {number}" for number, values in enumerate(exams) for _ in values]

    found = interval(np.concatenate(exams), name, patients, FEW)

    assert found == pytest.approx(tuple(expected.confidence_interval), abs=1e-12)


def test_one_patient_has_no_interval_and_equal_values_have_one_of_no_width():
    assert np.isnan(interval([0.5, 0.7], "mean", ["a", "a"], FEW)).all()
    assert interval([0.5, 0.5], "mean", resampling=FEW) == (0.5, 0.5)


def test_a_summary_counts_cases_patients_and_what_is_not_defined():
    table = summary(scores([0.2, 0.4, 0.9, np.nan], patients=["a", "a", "b", "c"]), FEW)
    row = table.iloc[0]

    assert len(table) == 1
    assert (row["n"], row["patients"], row["undefined"]) == (3, 2, 1)
    assert (row["mean"], row["median"], row["minimum"], row["maximum"]) == pytest.approx((0.5, 0.4, 0.2, 0.9))
    assert (row["q25"], row["q75"]) == pytest.approx((0.3, 0.65))
    assert row["sd"] == pytest.approx(0.13**0.5)  # (0.09 + 0.01 + 0.16) / 2


def test_a_figure_that_no_case_has_is_summed_up_as_none():
    row = summary(scores([np.nan, np.nan]), FEW).iloc[0]

    assert (row["n"], row["undefined"]) == (0, 2)


def test_a_breakdown_has_a_row_for_each_level_and_marks_small_groups():
    found = scores([0.1] * 12 + [0.9, 0.7], sex=["Female"] * 12 + ["Male"] * 2)
    table = breakdown(found, "sex", FEW)

    assert table[["factor", "level", "small", "n"]].values.tolist() == [
        ["sex", "Female", False, 12],
        ["sex", "Male", True, 2],
    ]
    assert table["mean"].tolist() == pytest.approx([0.1, 0.8])


def test_levels_are_named_with_their_units():
    cases = pd.DataFrame(
        {
            "magnetic_field_strength": [1.5, 3.0, np.nan],
            "slice_thickness": [3.0, 3.6, np.nan],
            "age": [29.9, 40.0, 89.0],
            "manufacturer": ["GE", None, "SIEMENS"],
        }
    )

    assert factor_levels(cases, "magnetic_field_strength").dropna().tolist() == ["1.5 T", "3 T"]
    others = pd.DataFrame({"magnetic_field_strength": [2.8936, 1.494, 1.2, 0.35]})
    assert factor_levels(others, "magnetic_field_strength").tolist() == ["3 T", "1.5 T", "1.2 T", "0.35 T"]
    assert factor_levels(cases, "slice_thickness").dropna().tolist() == ["3 mm", "4 mm"]
    assert factor_levels(cases, "age").tolist() == ["under 30 years", "40-49 years", "80 years and over"]
    assert factor_levels(cases, "manufacturer").dropna().tolist() == ["GE", "SIEMENS"]


def test_levels_are_in_the_order_of_readers():
    ages = pd.Series(["80 years and over", "30-39 years", "under 30 years", None])

    assert sorted_levels(ages) == ["under 30 years", "30-39 years", "80 years and over"]
    assert sorted_levels(pd.Series(["10 mm", "3 mm"])) == ["3 mm", "10 mm"]
    assert sorted_levels(pd.Series(["weak", "expert"])) == ["expert", "weak"]


def test_a_factor_of_which_nothing_is_known_has_no_rows():
    assert len(breakdown(scores([0.5], sex=[None]), "sex", FEW)) == 0


def test_detection_is_pooled_over_structures_and_not_over_cases():
    parts = [
        scores([2.0, 1.0], metric="true_positives", group="detection"),
        scores([0.0, 3.0], metric="false_positives", group="detection"),
        scores([1.0, 0.0], metric="false_negatives", group="detection"),
    ]
    found = Scores(
        cases=parts[0].cases,
        scores=pd.concat([part.scores for part in parts]),
        failures=parts[0].failures,
        scheme="cspineseg",
        options={},
    )
    row = pooled_detection(found).iloc[0]

    assert (row["structure"], row["cases"], row["true_positives"]) == ("discs", 2, 3)
    assert (row["precision"], row["recall"], row["f1"]) == pytest.approx((3 / 6, 3 / 4, 6 / 10))


def test_bias_and_limits_of_agreement_are_those_worked_out_by_hand():
    # differences 1, 2, 3: bias 2, sd 1; t(0.975, 2) = 4.302653, limits 2 -+ 1.959964
    row = agreement(np.array([1.0, 2.0, 3.0]), 50.0)

    assert (row["n"], row["bias"], row["sd"], row["bias_percent"]) == pytest.approx((3, 2.0, 1.0, 4.0))
    assert (row["lower"], row["upper"]) == pytest.approx((0.0400360, 3.9599640), abs=1e-6)
    assert (row["bias_low"], row["bias_high"]) == pytest.approx((-0.4841377, 4.4841377), abs=1e-6)
    # 4.302653 x sqrt(1/3 + 3.841459 / 4) = 4.893...
    assert row["upper_high"] - row["upper"] == pytest.approx(4.302652730 * (1 / 3 + 3.841458821 / 4) ** 0.5, abs=1e-6)


def test_volumes_are_compared_case_by_case_where_one_side_has_any():
    parts = [
        scores([110.0, 190.0, 300.0, 0.0], metric="volume_prediction_mm3"),
        scores([100.0, 200.0, 300.0, 0.0], metric="volume_reference_mm3"),
    ]
    found = Scores(
        cases=parts[0].cases,
        scores=pd.concat([part.scores for part in parts]),
        failures=parts[0].failures,
        scheme="cspineseg",
        options={},
    )
    row = bland_altman(found).iloc[0]

    assert (row["structure"], row["n"], row["bias"], row["sd"]) == ("discs", 3, 0.0, 10.0)


def test_one_difference_has_a_bias_and_no_limits():
    row = agreement(np.array([5.0]), 0.0)

    assert row["bias"] == 5.0
    assert np.isnan([row["lower"], row["bias_low"], row["bias_percent"]]).all()


def test_the_worst_cases_come_first_whichever_way_is_better():
    table = worst_cases(scores([0.9, 0.1, np.nan, 0.5]), "dice", group="class", structure="discs", count=2)
    far = worst_cases(scores([1.0, 9.0], metric="hd95_mm"), "hd95_mm", group="class", structure="discs")

    assert table["key"].tolist() == ["case 01", "case 03"]
    assert far["key"].tolist() == ["case 01", "case 00"]
