"""Scores of sixty cases that nobody computed: drawn from a seed, with the tables' columns as `evaluate` fills them."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest

from node.batch.evaluate.scores import CASE_COLUMNS, FAILURE_COLUMNS, SCORE_COLUMNS, Scores

CLASSES = {"vertebrae": (0.925, 38000.0, 9), "discs": (0.900, 6500.0, 8)}
LEVELS = ("C2", "C2/C3", "C3", "C3/C4", "C4", "C4/C5", "C5", "C5/C6", "C6", "C6/C7", "C7", "C7/T1", "T1")
OPTIONS: dict[str, str | float | bool | None] = {"tolerance_mm": 1.0}


@pytest.fixture(scope="session")
def drawn() -> Callable[..., Scores]:
    return draw


def draw(count: int = 60, seed: int = 1, better_by: float = 0.0) -> Scores:
    """Return scores of `count` cases of `count - 2` patients (two have two exams) and two failures."""
    rng = np.random.default_rng(seed)
    keys = [f"593973-{number:06d}_Study-MR-1_Series-{number % 7 + 1}" for number in range(1, count + 1)]
    rows = [row for key in keys for row in _rows(rng, key, better_by)]
    cases = pd.DataFrame(
        {
            "key": keys,
            "patient_id": [f"593973-{max(1, number - number // 30):06d}" for number in range(1, count + 1)],
            "manufacturer": rng.choice(["GE", "SIEMENS"], count, p=[0.4, 0.6]),
            "magnetic_field_strength": rng.choice([1.5, 3.0], count, p=[0.6, 0.4]),
            "slice_thickness": rng.choice([3.0, 4.0], count, p=[0.5, 0.5]),
            "sex": rng.choice(["Female", "Male"], count),
            "age": rng.integers(25, 85, count).astype(float),
            "annotation": ["expert" if number % 20 else "weak" for number in range(count)],
        }
    )[list(CASE_COLUMNS)]
    failures = pd.DataFrame(
        [
            ("593973-000901_Study-MR-1_Series-3", "grid-mismatch", "prediction and reference do not lie on one grid"),
            ("593973-000902_Study-MR-1_Series-4", "nifti-refused", "its voxels cannot be read: EOFError"),
        ],
        columns=list(FAILURE_COLUMNS),
    )
    scores = pd.DataFrame(rows, columns=list(SCORE_COLUMNS))
    return Scores(cases=cases, scores=scores, failures=failures, scheme="cspineseg", options=OPTIONS)


def _rows(rng: np.random.Generator, key: str, better_by: float) -> Iterator[tuple[str, str, str, str, float]]:
    case = rng.normal(0, 0.012)
    dice_of = {}
    for structure, (mean, volume, count) in CLASSES.items():
        dice = float(np.clip(mean - abs(rng.normal(0, 0.02)) + case + better_by, 0, 1))
        dice_of[structure] = dice
        reference = volume * float(rng.uniform(0.7, 1.4))
        missed, extra = int(rng.random() < 0.1), int(rng.random() < 0.05)
        found = count - missed
        yield key, structure, "class", "dice", dice
        yield key, structure, "class", "hd95_mm", float(rng.gamma(4, 0.35))
        yield key, structure, "class", "assd_mm", float(rng.gamma(5, 0.07))
        yield key, structure, "class", "nsd", float(np.clip(dice + 0.05, 0, 1))
        yield key, structure, "class", "slice_mean_dice", 0.55 + 0.45 * dice
        yield key, structure, "class", "sagittal_slice_mean_dice", 0.55 + 0.45 * dice
        yield key, structure, "class", "volume_reference_mm3", reference
        yield key, structure, "class", "volume_prediction_mm3", reference * float(rng.normal(0.985, 0.03))
        yield key, structure, "detection", "true_positives", float(found)
        yield key, structure, "detection", "false_positives", float(extra)
        yield key, structure, "detection", "false_negatives", float(missed)
        yield key, structure, "detection", "precision", found / (found + extra)
        yield key, structure, "detection", "recall", found / count
        yield key, structure, "detection", "f1", 2 * found / (2 * found + missed + extra)
    macro = sum(dice_of.values()) / 2
    yield key, "macro", "mean", "dice", macro
    yield key, "macro", "mean", "hd95_mm", float(rng.gamma(4, 0.35))
    yield key, "macro", "mean", "assd_mm", float(rng.gamma(5, 0.07))
    yield key, "macro", "mean", "nsd", float(np.clip(macro + 0.05, 0, 1))
    yield key, "macro", "mean", "slice_mean_dice", 0.55 + 0.45 * macro
    yield key, "macro", "mean", "sagittal_slice_mean_dice", 0.55 + 0.45 * macro
    for level in LEVELS:
        near = dice_of["discs" if "/" in level else "vertebrae"]
        yield key, level, "level", "dice", float(np.clip(near + rng.normal(-0.01, 0.02), 0, 1))
        if level in LEVELS[1:12:2]:
            yield key, level, "level", "paper_disc_dice", float(np.clip(near + rng.normal(0.01, 0.02), 0, 1))
