"""The whole way from files to tables, with pairs that cannot be compared among them."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from node.assemble.nifti import NiftiImage
from node.batch.evaluate.evaluate import Options, evaluate, open_image, open_pair
from node.batch.evaluate.pairs import (
    ExamImage,
    ExamMask,
    NiftiFile,
    Pair,
    Pairs,
    about_exam,
    paired,
    predictions_in,
    references_in,
)
from node.batch.evaluate.scheme import load_scheme
from node.batch.evaluate.scores import CASE_COLUMNS, METRICS, read_scores, write_scores
from node.batch.midrc.inspection import inspect
from node.domain.geometry import Grid, turn
from node.errors import GridMismatch, InputError
from node.output.nifti import nifti_bytes_as_stored

CSPINESEG = load_scheme("cspineseg")
#: To the back, to the head, to the right; pixels of 0.5 mm, slices 4 mm apart.
PSR = np.array([[0, 0, -4.0, 30], [0.5, 0, 0, -40], [0, 0.5, 0, -50], [0, 0, 0, 1]])
SHAPE = (20, 40, 5)
GRID = Grid(shape=SHAPE, affine=PSR)


def write(path: Path, labels, grid=GRID) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(nifti_bytes_as_stored(grid, labels))
    return path


def mask():
    """Two bodies of 10 x 8 x 3 voxels, a disc of 10 x 4 x 3 between them."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[5:15, 4:12, 1:4] = labels[5:15, 16:24, 1:4] = 1
    labels[5:15, 12:16, 1:4] = 2
    return labels


def shorter():
    """The same with 2 of the 10 columns missing in front."""
    labels = mask()
    labels[5:7] = 0
    return labels


def value(scores, key, structure, metric, group="class"):
    table = scores.scores
    wanted = (table["key"] == key) & (table["structure"] == structure)
    found = table[wanted & (table["metric"] == metric) & (table["group"] == group)]["value"]
    assert len(found) == 1
    return float(found.iloc[0])


@pytest.fixture
def folders(tmp_path):
    write(tmp_path / "ref" / "good_SEG.nii.gz", mask())
    write(tmp_path / "pred" / "good.nii.gz", shorter())
    return tmp_path


def found_in(folders):
    return paired(predictions_in(folders / "pred"), references_in(folders / "ref"), all_of_them=True)


def test_every_figure_is_the_one_worked_out_by_hand(folders):
    scores = evaluate(found_in(folders), CSPINESEG, Options(levels=False))

    # bodies: 480 and 384 voxels of 1 mm3, the same share of every slice
    expected = {
        "dice": 768 / 864,
        "volume_reference_mm3": 480.0,
        "volume_prediction_mm3": 384.0,
        "slice_mean_dice": (3 * 768 / 864 + 2) / 5,
        "sagittal_slice_mean_dice": (3 * 768 / 864 + 2) / 5,
        "hd95_mm": 1.0,
    }
    for metric, wanted in expected.items():
        assert value(scores, "good", "vertebrae", metric) == pytest.approx(wanted, abs=1e-6)
    # borders of a body: 240 - 8 x 6 = 192 and 192 - 6 x 6 = 156 voxels. From the reference 24 in front at 1 mm and 18
    # at 0.5 mm; from the prediction 6 within its front face, at 0.5, 1, 1, 1, 1, 0.5 mm
    assert value(scores, "good", "vertebrae", "assd_mm") == pytest.approx((24 + 9 + 5) / 348, abs=1e-6)
    assert value(scores, "good", "vertebrae", "nsd") == 1.0
    assert value(scores, "good", "macro", "dice", "mean") == pytest.approx(768 / 864, abs=1e-6)
    assert value(scores, "good", "vertebrae", "true_positives", "detection") == 2
    assert value(scores, "good", "discs", "f1", "detection") == 1
    assert set(scores.scores["metric"]) <= METRICS.keys()
    assert (scores.scheme, scores.options) == (
        "cspineseg",
        {"tolerance_mm": 1.0, "least_iou": 0.5, "levels": False},
    )


def test_a_prediction_in_another_order_of_axes_is_turned_and_not_resampled(folders):
    first = evaluate(found_in(folders), CSPINESEG)
    turned, grid = turn(shorter(), GRID, "LIP")
    write(folders / "pred" / "good.nii.gz", turned, grid)

    assert evaluate(found_in(folders), CSPINESEG).scores.equals(first.scores)


def test_pairs_that_cannot_be_compared_stand_among_the_failures_and_stop_no_other(folders):
    wide = Grid(shape=SHAPE, affine=PSR @ np.diag([1.1, 1, 1, 1]))
    write(folders / "pred" / "moved.nii.gz", mask(), wide)
    write(folders / "ref" / "moved.nii.gz", mask())
    write(folders / "pred" / "values.nii.gz", mask() * 2)
    write(folders / "ref" / "values.nii.gz", mask())
    (folders / "pred" / "broken.nii.gz").write_bytes(b"no gzip")
    write(folders / "ref" / "broken.nii.gz", mask())
    write(folders / "ref" / "alone.nii.gz", mask())
    told = []

    scores = evaluate(found_in(folders), CSPINESEG, progress=lambda done, total: told.append((done, total)))

    assert scores.cases["key"].tolist() == ["good"]
    assert scores.failures[["key", "code"]].values.tolist() == [
        ["alone", "no-prediction"],
        ["broken", "nifti-refused"],
        ["moved", "grid-mismatch"],
        ["values", "input-error"],
    ]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_an_empty_prediction_has_the_worst_figures_and_an_empty_class_of_both_none(folders):
    write(folders / "pred" / "good.nii.gz", np.where(mask() == 1, 0, 0).astype(np.uint8))
    write(folders / "ref" / "good_SEG.nii.gz", np.where(mask() == 1, 1, 0).astype(np.uint8))
    scores = evaluate(found_in(folders), CSPINESEG)
    diagonal = (9.5**2 + 19.5**2 + 16**2) ** 0.5

    assert value(scores, "good", "vertebrae", "dice") == 0.0
    assert value(scores, "good", "vertebrae", "hd95_mm") == pytest.approx(diagonal)
    assert np.isnan(value(scores, "good", "discs", "dice"))
    assert value(scores, "good", "discs", "slice_mean_dice") == 1.0
    assert value(scores, "good", "macro", "dice", "mean") == 0.0


def test_a_spine_of_25_labels_has_its_mean_and_the_whole(tmp_path):
    reference, prediction = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    reference[5:15, 0:4, 2], prediction[5:15, 0:4, 2] = 7, 7
    reference[5:15, 4:8, 2], prediction[5:15, 4:6, 2] = 8, 8
    prediction[5:15, 6:8, 2] = 7
    write(tmp_path / "ref" / "a.nii.gz", reference)
    write(tmp_path / "pred" / "a.nii.gz", prediction)

    scores = evaluate(found_in(tmp_path), load_scheme("ctspine1k"))

    assert value(scores, "a", "C7", "dice") == pytest.approx(0.8)  # 2 x 40 / (60 + 40)
    assert value(scores, "a", "T1", "dice") == pytest.approx(2 / 3)  # 2 x 20 / (20 + 40)
    assert value(scores, "a", "vertebrae", "dice", "mean") == pytest.approx((0.8 + 2 / 3) / 2)
    assert value(scores, "a", "spine", "dice", "union") == 1.0
    assert value(scores, "a", "vertebrae", "recall", "detection") == 1.0
    assert "slice_mean_dice" not in set(scores.scores["metric"])


def test_the_table_of_cases_has_its_columns_whatever_is_known(folders, tmp_path):
    scores = evaluate(found_in(folders), CSPINESEG)
    write_scores(scores, tmp_path / "out")

    assert tuple(scores.cases.columns) == CASE_COLUMNS
    assert scores.cases["patient_id"].tolist() == ["good"]
    assert read_scores(tmp_path / "out").cases["magnetic_field_strength"].isna().all()


def test_several_processes_find_the_same(folders):
    write(folders / "pred" / "other.nii.gz", mask())
    write(folders / "ref" / "other.nii.gz", shorter())
    alone = evaluate(found_in(folders), CSPINESEG)

    together = evaluate(found_in(folders), CSPINESEG, workers=2)

    assert together.scores.equals(alone.scores)
    assert together.cases.equals(alone.cases)


@dataclass(frozen=True)
class Deadly:
    """A file that kills who reads it."""

    def load(self, scratch: Path) -> NiftiImage:
        os._exit(1)


def test_a_pair_that_kills_its_process_fails_alone(folders):
    good = found_in(folders).pairs[0]
    pairs = (Pair(key="deadly", prediction=Deadly(), reference=good.reference), good)

    scores = evaluate(Pairs(pairs=pairs, failures=()), CSPINESEG, workers=2)

    assert scores.cases["key"].tolist() == ["good"]
    assert scores.failures[["key", "code"]].values.tolist() == [["deadly", "system-failed"]]


@dataclass(frozen=True)
class Faulty:
    """A fault that nobody foresaw."""

    def load(self, scratch: Path) -> NiftiImage:
        raise ZeroDivisionError("Doe^Jane")


def test_an_error_that_nobody_foresaw_fails_its_pair_without_its_words(folders):
    good = found_in(folders).pairs[0]
    pairs = (Pair(key="faulty", prediction=Faulty(), reference=good.reference), good)

    failures = evaluate(Pairs(pairs=pairs, failures=()), CSPINESEG).failures

    assert failures["code"].tolist() == ["unexpected"]
    assert "Doe" not in failures["reason"].iloc[0]


def test_an_image_is_shown_only_where_it_lies_on_the_mask(folders):
    labels = NiftiFile(path=write(folders / "a.nii.gz", mask()))
    turned, grid = turn(mask(), GRID, "RAS")
    fits = NiftiFile(path=write(folders / "b.nii.gz", turned, grid))
    moved = NiftiFile(path=write(folders / "c.nii.gz", mask(), Grid(shape=SHAPE, affine=PSR * 1.2)))

    assert np.array_equal(
        open_image(Pair(key="a", prediction=labels, reference=labels, image=fits), GRID, folders), mask()
    )
    assert open_image(Pair(key="a", prediction=labels, reference=labels, image=moved), GRID, folders) is None
    assert open_image(Pair(key="a", prediction=labels, reference=labels), GRID, folders) is None
    with pytest.raises(GridMismatch):
        open_pair(Pair(key="a", prediction=moved, reference=labels), CSPINESEG, folders)


def test_the_masks_of_a_download_agree_with_themselves(dataset_small, tmp_path):
    exams = [exam for exam in inspect(dataset_small.root).exams if exam.mask]
    pairs = tuple(
        Pair(
            key=exam.key,
            prediction=ExamMask(exam=exam),
            reference=ExamMask(exam=exam),
            image=ExamImage(exam=exam),
            about=about_exam(exam),
        )
        for exam in exams
    )
    scores = evaluate(Pairs(pairs=pairs, failures=()), CSPINESEG)
    table = scores.values("dice", group="class")

    assert len(exams) >= 2
    assert (len(scores.failures), set(table["value"])) == (0, {1.0})
    assert set(scores.cases["manufacturer"]) <= {"GE", "Siemens"}
    assert scores.cases["magnetic_field_strength"].isin([1.5, 3.0]).all()
    with pytest.raises(InputError, match="no mask is there"):
        ExamMask(exam=type(exams[0])(**{**_fields(exams[0]), "mask": None})).load(tmp_path)


def _fields(exam):
    return {name: getattr(exam, name) for name in exam.__slots__}
