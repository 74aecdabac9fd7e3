"""Tests between groups of cases, and between several predictions for the same cases.

A test takes one value a patient, the mean of the patient's exams: the tests stand on independent observations.

    Mann-Whitney U         two groups of different patients, two-sided (Mann and Whitney 1947). Effect: the
                           rank-biserial correlation 2 U / (n1 n2) - 1, -1 to 1 (Cliff's delta): positive where the
                           first has the larger values
    Wilcoxon signed-rank   two predictions for the same cases, two-sided, equal pairs left out (Wilcoxon 1945). Effect:
                           (sum of positive ranks - sum of negative ranks) / sum of ranks (Kerby 2014)

The paper compares its configurations by Mann-Whitney U although they answer for the same cases; that p value stands
beside the paired one, under its own name. Many tests find something by chance: p values of one table are corrected
together, by Holm (any false finding) and by Benjamini and Hochberg (the share of false findings).
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from node.batch.evaluate.factors import factor_levels, sorted_levels
from node.batch.evaluate.scores import CLASS, MEAN, UNION, Scores
from node.batch.evaluate.statistics import Resampling, interval
from node.domain.geometry import FloatArray

#: What is tested where nobody says otherwise.
TESTED = ("dice", "hd95_mm", "assd_mm", "nsd", "slice_mean_dice")

_GROUPS = (CLASS, UNION, MEAN)
_DEFAULTS = Resampling()


def holm(p: Sequence[float] | FloatArray) -> FloatArray:
    """Return p values corrected for being many (Holm, Scand J Stat 6:65, 1979); NaN stays NaN and does not count."""
    values = np.asarray(p, dtype=np.float64)
    corrected = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    steps = values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def benjamini_hochberg(p: Sequence[float] | FloatArray) -> FloatArray:
    """Return p values corrected for the share of false findings (J R Stat Soc B 57:289, 1995); NaN as in `holm`."""
    values = np.asarray(p, dtype=np.float64)
    corrected = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    if known.any():
        corrected[known] = stats.false_discovery_control(values[known], method="bh")
    return corrected


def compare_groups(
    scores: Scores, factor: str, metrics: Sequence[str] = TESTED, resampling: Resampling = _DEFAULTS
) -> pd.DataFrame:
    """Return Mann-Whitney tests between every two levels of a factor (`factors.factor_levels`).

    Columns: factor, first, second, structure, group, metric, n_first, n_second (patients), median_first, median_second,
    difference (of the medians, first - second), difference_low, difference_high, u, p, effect, p_holm, p_bh.
    """
    levels = factor_levels(scores.cases, factor)
    cases = scores.cases[["key", "patient_id"]].assign(level=levels).dropna(subset=["level"])
    table = _tested(scores, metrics).merge(cases, on="key", how="inner")
    names = sorted_levels(cases["level"])
    rows = []
    for (structure, group, metric), one in table.groupby(["structure", "group", "metric"], sort=False):
        by_level = {
            name: one[one["level"] == name].groupby("patient_id")["value"].mean().to_numpy(dtype=np.float64)
            for name in names
        }
        for first, second in combinations(names, 2):
            if len(by_level[first]) and len(by_level[second]):
                about: dict[str, object] = {"factor": factor, "first": first, "second": second}
                about |= {"structure": structure, "group": group, "metric": metric}
                rows.append({**about, **unpaired(by_level[first], by_level[second], resampling)})
    return _corrected(rows, "p")


def compare_runs(
    runs: Mapping[str, Scores], metrics: Sequence[str] = TESTED, resampling: Resampling = _DEFAULTS
) -> pd.DataFrame:
    """Return tests between every two evaluations of the same cases, such as 2d, 3d and ensemble; `runs`: by name.

    Only cases and structures with a value in both count. Columns: first, second, structure, group, metric, n
    (patients), median_difference (first - second), difference_low, difference_high (bootstrap), w, p (Wilcoxon),
    effect, p_mann_whitney (as published), p_holm, p_bh (of the Wilcoxon p).
    """
    rows = []
    for first, second in combinations(runs, 2):
        both = _tested(runs[first], metrics).merge(
            _tested(runs[second], metrics), on=["key", "structure", "group", "metric"], suffixes=("_first", "_second")
        )
        both = both.merge(runs[first].cases[["key", "patient_id"]], on="key", how="left")
        for (structure, group, metric), one in both.groupby(["structure", "group", "metric"], sort=False):
            values = one.groupby("patient_id")[["value_first", "value_second"]].mean().to_numpy(dtype=np.float64)
            about = {"first": first, "second": second, "structure": structure, "group": group, "metric": metric}
            rows.append({**about, **paired(values[:, 0], values[:, 1], resampling)})
    return _corrected(rows, "p")


def unpaired(first: FloatArray, second: FloatArray, resampling: Resampling = _DEFAULTS) -> dict[str, float]:
    """Return the Mann-Whitney row of two groups that are not empty."""
    test = stats.mannwhitneyu(first, second, alternative="two-sided")
    low, high = _interval_of_medians(first, second, resampling)
    return {
        "n_first": len(first),
        "n_second": len(second),
        "median_first": float(np.median(first)),
        "median_second": float(np.median(second)),
        "difference": float(np.median(first) - np.median(second)),
        "difference_low": low,
        "difference_high": high,
        "u": float(test.statistic),
        "p": float(test.pvalue),
        "effect": float(2 * test.statistic / (len(first) * len(second)) - 1),
    }


def paired(first: FloatArray, second: FloatArray, resampling: Resampling = _DEFAULTS) -> dict[str, float]:
    """Return the Wilcoxon row of two values for each patient; p is 1 and the effect 0 where all pairs are equal."""
    differences = first - second
    unequal = differences[differences != 0]
    w, p, effect = 0.0, 1.0, 0.0
    if len(unequal):
        test = stats.wilcoxon(unequal, alternative="two-sided")
        ranks = stats.rankdata(np.abs(unequal))
        w, p = float(test.statistic), float(test.pvalue)
        effect = float((ranks * np.sign(unequal)).sum() / ranks.sum())
    low, high = interval(differences, "median", resampling=resampling)
    return {
        "n": len(differences),
        "median_difference": float(np.median(differences)),
        "difference_low": low,
        "difference_high": high,
        "w": w,
        "p": p,
        "effect": effect,
        "p_mann_whitney": float(stats.mannwhitneyu(first, second, alternative="two-sided").pvalue),
    }


def _interval_of_medians(first: FloatArray, second: FloatArray, resampling: Resampling) -> tuple[float, float]:
    """Return the bootstrap interval of the difference of two medians, by percentiles as in the paper's notebook."""
    if min(len(first), len(second)) < 2:
        return float("nan"), float("nan")
    found = stats.bootstrap(
        (first, second),
        lambda one, other, axis: np.median(one, axis=axis) - np.median(other, axis=axis),
        n_resamples=resampling.resamples,
        confidence_level=resampling.confidence,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(resampling.seed),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _tested(scores: Scores, metrics: Sequence[str]) -> pd.DataFrame:
    """Return the scores that are tested and have a value."""
    table = scores.scores
    wanted = table["metric"].isin(list(metrics)) & table["group"].isin(_GROUPS) & table["value"].notna()
    return table[wanted]


def _corrected(rows: Sequence[Mapping[str, object]], column: str) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    if len(table):
        table["p_holm"] = holm(table[column].to_numpy())
        table["p_bh"] = benjamini_hochberg(table[column].to_numpy())
    return table
