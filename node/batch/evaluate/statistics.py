"""What the figures of many cases say together: means and medians with intervals, by group, and volumes side by side.

Intervals are bootstrapped over patients: where a patient has several exams, they are drawn together, since they are
not independent of each other (cluster bootstrap: Field and Welsh, J R Stat Soc B 69:369, 2007).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from node.batch.evaluate.detection import Detection, pooled
from node.batch.evaluate.factors import factor_levels, sorted_levels
from node.batch.evaluate.scores import CLASS, DETECTION, METRICS, UNION, Scores
from node.domain.geometry import FloatArray

#: A group of fewer patients is marked as small: its interval says little.
SMALL = 10

_Z = 1.959963984540054  # 97.5th percentile of the normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """How to bootstrap. The same seed gives the same interval. The paper has percentile intervals at 95 %.

    "BCa" corrects for bias and skew; it is not defined (NaN) where leaving out one patient changes nothing.
    """

    resamples: int = 9999
    confidence: float = 0.95
    seed: int = 42
    method: Literal["percentile", "BCa"] = "percentile"


_DEFAULTS = Resampling()


def interval(
    values: Sequence[float] | FloatArray,
    statistic: Literal["mean", "median"],
    patients: Sequence[str] | None = None,
    resampling: Resampling = _DEFAULTS,
) -> tuple[float, float]:
    """Return a bootstrap interval of the mean or median of `values`; `patients`: whose each is, each its own if None.

    NaN, NaN where there are fewer than two patients. (scipy.stats.bootstrap over the patients.)
    """
    exams = np.asarray(values, dtype=np.float64)
    owner = np.arange(len(exams)) if patients is None else pd.factorize(np.asarray(patients, dtype=object))[0]
    count = len(np.unique(owner))
    if count < 2:
        return float("nan"), float("nan")
    if exams.min() == exams.max():
        return float(exams[0]), float(exams[0])
    order = np.argsort(exams, kind="stable")
    exams, owner = exams[order], owner[order]
    of_exams = _mean_of_exams if statistic == "mean" else _median_of_exams

    def of_patients(drawn: NDArray[np.int64], axis: int) -> FloatArray:
        rows = np.moveaxis(drawn, axis, -1)
        flat = rows.reshape(-1, rows.shape[-1])
        numbered = flat + count * np.arange(len(flat))[:, np.newaxis]
        times = np.bincount(numbered.ravel(), minlength=count * len(flat)).reshape(-1, count)
        return of_exams(exams, times[:, owner]).reshape(rows.shape[:-1])

    found = stats.bootstrap(
        (np.arange(count),),
        of_patients,
        n_resamples=resampling.resamples,
        confidence_level=resampling.confidence,
        method=resampling.method,
        batch=max(1, 2_000_000 // len(exams)),
        vectorized=True,
        rng=np.random.default_rng(resampling.seed),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def summary(scores: Scores, resampling: Resampling = _DEFAULTS) -> pd.DataFrame:
    """Return one row for each structure, group and metric, in the order of the scores.

    Columns: structure, group, metric, n (cases), patients, undefined (cases without a value), mean, mean_low,
    mean_high, sd (n - 1; NaN for one case), median, median_low, median_high, q25, q75, minimum, maximum.
    """
    about = scores.scores.merge(scores.cases[["key", "patient_id"]], on="key", how="left")
    return _summarised(about, resampling)


def breakdown(scores: Scores, factor: str, resampling: Resampling = _DEFAULTS) -> pd.DataFrame:
    """Return the summary for each level of a factor (`factor_levels`), with the columns factor, level and small first.

    Cases of which the level is not known are left out. `small`: fewer than `SMALL` patients.
    """
    levels = factor_levels(scores.cases, factor)
    known = scores.cases.assign(level=levels).dropna(subset=["level"])
    about = scores.scores.merge(known[["key", "patient_id", "level"]], on="key", how="inner")
    tables = []
    for level in sorted_levels(known["level"]):
        table = _summarised(about[about["level"] == level], resampling)
        table.insert(0, "factor", factor)
        table.insert(1, "level", level)
        table.insert(2, "small", table["patients"] < SMALL)
        tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["factor", "level", "small"])


def pooled_detection(scores: Scores) -> pd.DataFrame:
    """Return precision, recall and F1 over the structures of all cases together.

    Columns: structure, cases, true_positives, false_positives, false_negatives, precision, recall, f1. The means over
    cases stand in `summary`; there each case weighs the same.
    """
    table = scores.scores[scores.scores["group"] == DETECTION]
    rows = []
    for structure, one in table.groupby("structure", sort=False):
        counts = one.pivot_table(index="key", columns="metric", values="value")
        every = pooled(
            [
                Detection(true_positives=int(hit), false_positives=int(extra), false_negatives=int(missed))
                for hit, extra, missed in counts[["true_positives", "false_positives", "false_negatives"]].to_numpy()
            ]
        )
        rows.append(
            {
                "structure": structure,
                "cases": len(counts),
                "true_positives": every.true_positives,
                "false_positives": every.false_positives,
                "false_negatives": every.false_negatives,
                "precision": every.precision,
                "recall": every.recall,
                "f1": every.f1,
            }
        )
    return pd.DataFrame(rows)


def volumes(scores: Scores) -> pd.DataFrame:
    """Return the volumes for Bland-Altman plots, in mm3, of every case where prediction or reference has any.

    Columns: key, structure, prediction, reference, mean, difference (prediction - reference).
    """
    wanted = scores.scores["metric"].isin(["volume_prediction_mm3", "volume_reference_mm3"])
    wanted &= scores.scores["group"].isin([CLASS, UNION])
    table = scores.scores[wanted].pivot_table(index=["structure", "key"], columns="metric", values="value", sort=False)
    table = table[(table > 0).any(axis="columns")]
    prediction, reference = table["volume_prediction_mm3"], table["volume_reference_mm3"]
    return pd.DataFrame(
        {
            "prediction": prediction,
            "reference": reference,
            "mean": (prediction + reference) / 2,
            "difference": prediction - reference,
        }
    ).reset_index()


def bland_altman(scores: Scores) -> pd.DataFrame:
    """Return bias and limits of agreement of the volumes of each structure, in mm3 (Bland and Altman, 1986 and 1999).

    Columns: structure, n, bias (mean difference, prediction - reference), sd (n - 1), bias_low, bias_high, lower and
    upper (bias -+ 1.96 sd), each with _low and _high, bias_percent (bias of the mean of both volumes). 95 % intervals
    by Student's t; the variance of a limit is sd2 (1/n + 1.96^2 / (2 (n - 1))). NaN for fewer than two cases.
    """
    rows = []
    for structure, one in volumes(scores).groupby("structure", sort=False):
        rows.append({"structure": structure, **agreement(one["difference"].to_numpy(), float(one["mean"].mean()))})
    return pd.DataFrame(rows)


def agreement(differences: FloatArray, mean: float) -> dict[str, float]:
    """Return the row of `bland_altman` for `differences` in mm3; `mean`: of both volumes over all cases, mm3."""
    n = len(differences)
    bias = float(np.mean(differences))
    sd = float(np.std(differences, ddof=1)) if n > 1 else float("nan")
    t = float(stats.t.ppf(0.975, n - 1)) if n > 1 else float("nan")
    of_bias, of_limit = t * sd / np.sqrt(n), t * sd * np.sqrt(1 / n + _Z**2 / (2 * max(n - 1, 1)))
    lower, upper = bias - _Z * sd, bias + _Z * sd
    return {
        "n": n,
        "bias": bias,
        "bias_low": bias - of_bias,
        "bias_high": bias + of_bias,
        "sd": sd,
        "lower": lower,
        "lower_low": lower - of_limit,
        "lower_high": lower + of_limit,
        "upper": upper,
        "upper_low": upper - of_limit,
        "upper_high": upper + of_limit,
        "bias_percent": 100 * bias / mean if mean else float("nan"),
    }


def worst_cases(scores: Scores, metric: str, *, group: str, structure: str, count: int = 10) -> pd.DataFrame:
    """Return the cases with the worst values of a metric, the worst first: key, structure, value, columns of `cases`.

    Raises KeyError for a metric of which neither more nor less is better.
    """
    better = METRICS[metric].more_is_better
    if better is None:
        raise KeyError(metric)
    table = scores.values(metric, group=group, structure=structure)
    return table.sort_values(["value", "key"], ascending=[better, True]).head(count).reset_index(drop=True)


def _summarised(about: pd.DataFrame, resampling: Resampling) -> pd.DataFrame:
    rows = []
    for (structure, group, metric), one in about.groupby(["structure", "group", "metric"], sort=False):
        known = one.dropna(subset=["value"])
        rows.append(
            {
                "structure": structure,
                "group": group,
                "metric": metric,
                "n": len(known),
                "patients": known["patient_id"].nunique(),
                "undefined": len(one) - len(known),
                **_described(known["value"].to_numpy(dtype=np.float64), known["patient_id"].tolist(), resampling),
            }
        )
    return pd.DataFrame(rows)


def _described(values: FloatArray, patients: Sequence[str], resampling: Resampling) -> dict[str, float]:
    if not len(values):
        return {}
    mean_low, mean_high = interval(values, "mean", patients, resampling)
    median_low, median_high = interval(values, "median", patients, resampling)
    q25, median, q75 = np.percentile(values, (25, 50, 75))
    return {
        "mean": float(values.mean()),
        "mean_low": mean_low,
        "mean_high": mean_high,
        "sd": float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
        "median": float(median),
        "median_low": median_low,
        "median_high": median_high,
        "q25": float(q25),
        "q75": float(q75),
        "minimum": float(values.min()),
        "maximum": float(values.max()),
    }


def _mean_of_exams(exams: FloatArray, times: NDArray[np.int64]) -> FloatArray:
    """Return the mean of `exams`, (n,), each taken as often as a row of `times`, (resamples, n), says."""
    return np.asarray(times @ exams / times.sum(axis=1), dtype=np.float64)


def _median_of_exams(exams: FloatArray, times: NDArray[np.int64]) -> FloatArray:
    """Return the median in the same way; `exams` rise."""
    upto = np.cumsum(times, axis=1)
    total = upto[:, -1:]
    low, high = ((upto <= place).sum(axis=1) for place in ((total - 1) // 2, total // 2))
    return np.asarray((exams[low] + exams[high]) / 2, dtype=np.float64)
