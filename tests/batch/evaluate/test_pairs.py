"""Which file is compared with which."""

import json
from pathlib import Path

import numpy as np
import pytest

from node.assemble.nifti import label_values
from node.batch.evaluate.pairs import (
    CleanedUp,
    NiftiFile,
    about_exam,
    paired,
    predictions_in,
    predictions_of_batch,
    references_in,
    references_of,
)
from node.batch.evaluate.scheme import load_scheme
from node.batch.midrc.exam import Annotation, Exam, MatchedBy, Place
from node.batch.runner.batch import occupied
from node.batch.runner.folder import case_folder
from node.batch.runner.ledger import LedgerWriter, Record, State
from node.batch.sources.keys import key_of
from node.domain.anatomy import StructureKind
from node.domain.geometry import Grid
from node.errors import InputError
from node.output.nifti import nifti_bytes_as_stored

GRID = Grid(shape=(2, 3, 4), affine=np.diag([4.0, 1.0, 1.0, 1.0]))
NAME = "593973-000003_Study-MR-3_Series-3"


def write(path: Path, labels=None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(nifti_bytes_as_stored(GRID, np.zeros(GRID.shape, np.uint8) if labels is None else labels))
    return path


def exam(key: str, root: Path, **asked) -> Exam:
    given = {
        "patient_id": "593973-000003",
        "study_uid": None,
        "series_uid": key,
        "dicom": None,
        "image": Place(container=root, name=f"images/{NAME}.nii.gz"),
        "mask": Place(container=root, name=f"masks/{NAME}_SEG.nii.gz"),
        "annotation": Annotation.EXPERT,
        "image_matched_by": MatchedBy.NAME,
        "mask_matched_by": MatchedBy.NAME,
        "columns": {"manufacturer": "Siemens", "sex": "Female", "age_at_index": 61.0, "magnetic_field_strength": 1.5},
        "defects": (),
    }
    return Exam(key=key, **{**given, **asked})


def test_names_match_without_the_endings_of_masks_and_channels(tmp_path):
    write(tmp_path / "pred" / "cspine_0_0000.nii.gz")
    write(tmp_path / "pred" / f"{NAME}.nii")
    write(tmp_path / "ref" / "cspine_0_mask.nii.gz")
    write(tmp_path / "ref" / f"{NAME}_seg.nii.gz")
    write(tmp_path / "image" / "cspine_0_0000.nii.gz")
    (tmp_path / "ref" / "readme.txt").write_text("no image")

    found = paired(predictions_in(tmp_path / "pred"), references_in(tmp_path / "ref", tmp_path / "image"))

    assert [pair.key for pair in found.pairs] == [NAME, "cspine_0"]
    assert [pair.image for pair in found.pairs] == [None, NiftiFile(path=tmp_path / "image" / "cspine_0_0000.nii.gz")]
    assert found.failures == ()


def test_a_file_without_its_counterpart_is_a_failure_with_its_name(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "pred" / f"{name}.nii.gz")
    for name in ("b", "c"):
        write(tmp_path / "ref" / f"{name}.nii.gz")

    found = paired(predictions_in(tmp_path / "pred"), references_in(tmp_path / "ref"), all_of_them=True)

    assert [pair.key for pair in found.pairs] == ["b"]
    assert [(one.key, one.code) for one in found.failures] == [("a", "no-reference"), ("c", "no-prediction")]


def test_an_exam_is_found_by_its_key_or_by_the_name_of_its_image_or_its_mask(tmp_path):
    for name in (f"{NAME}_0000", "1.2.3"):
        write(tmp_path / "pred" / f"{name}.nii.gz")

    exams = [exam("1.2.9", tmp_path), exam("1.2.3", tmp_path, image=None, annotation=Annotation.WEAK)]
    found = paired(predictions_in(tmp_path / "pred"), references_of([*exams, exam("1.2.1", tmp_path, mask=None)]))

    assert {pair.key: pair.about["annotation"] for pair in found.pairs} == {"1.2.3": "weak", "1.2.9": "expert"}
    assert found.failures == ()


def test_no_prediction_is_compared_twice(tmp_path):
    write(tmp_path / "pred" / f"{NAME}.nii.gz")
    found = paired(predictions_in(tmp_path / "pred"), references_of([exam(key, tmp_path) for key in ("1.1", "1.2")]))
    assert [pair.key for pair in found.pairs] == ["1.1"]
    assert [(one.key, one.code) for one in found.failures] == [("1.2", "no-prediction")]


def test_the_columns_of_an_exam_are_those_of_every_evaluation():
    about = about_exam(exam("1.2.3", Path()))

    assert about["manufacturer"] == "Siemens"
    assert (about["age"], about["sex"], about["patient_id"]) == (61.0, "Female", "593973-000003")
    assert about["magnetic_field_strength"] == 1.5


@pytest.mark.parametrize(
    ("columns", "age"),
    [
        ({"age_at_imaging": 61.0, "age_at_index": 60.0, "age_at_imaging_gt89": "No"}, 61.0),
        ({"age_at_imaging": None, "age_at_imaging_gt89": "Yes", "age_at_index": 89.0}, 90.0),
        ({"age_at_index": None, "age_at_index_gt89": True}, 90.0),
        ({"age_at_index": None, "age_at_index_gt89": "No"}, None),
        ({"age_at_imaging": "90+", "age_at_index": "61"}, 61.0),
        ({}, None),
    ],
)
def test_an_age_that_is_withheld_since_it_is_above_89_counts_as_90(columns, age):
    assert about_exam(exam("1.2.3", Path(), columns=columns))["age"] == age


def test_two_files_for_one_case_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        predictions_in(tmp_path / "none")
    for name in ("b", "b_SEG"):
        write(tmp_path / "ref" / f"{name}.nii.gz")
    with pytest.raises(InputError, match="are both for the case b"):
        references_in(tmp_path / "ref")


def batch(tmp_path, key, labels, kinds):
    folder = case_folder(tmp_path / "out", key)
    write(folder / "labels.nii.gz", labels)
    write(folder / "classes.nii.gz", (labels > 0).astype(np.uint8))
    document = {"structures": [{"label": label, "kind": kind} for label, kind in kinds.items()]}
    (folder / "findings.json").write_text(json.dumps(document))
    return folder


def ledger(out, **states):
    """Write the ledger of a batch: the state of each case."""
    with occupied(out, "a" * 64, None, anew=False):
        writer = LedgerWriter(out)
        for key, state in states.items():
            code, reason = ("", "") if state is State.DONE else ("geometry", "slices are missing")
            writer.append(
                Record(key=key, state=state, task="a" * 64, attempt=1, final=True, at=1.0, code=code, reason=reason)
            )
        writer.close()


def test_a_batch_is_paired_with_the_masks_of_its_exams(tmp_path):
    ledger(tmp_path / "out", **{"1.2.3": State.DONE, "1.2.9": State.DONE})
    exams = [exam("1.2.4", tmp_path, image=None), exam("1.2.3", tmp_path), exam("1.2.5", tmp_path, mask=None)]

    found = paired(predictions_of_batch(tmp_path / "out", load_scheme("cspineseg")), references_of(exams))

    classes = case_folder(tmp_path / "out", "1.2.3") / "classes.nii.gz"
    assert [(pair.key, pair.prediction) for pair in found.pairs] == [("1.2.3", NiftiFile(path=classes))]
    assert [(one.key, one.code) for one in found.failures] == [("1.2.4", "no-prediction")]
    with pytest.raises(InputError, match="no batch"):
        predictions_of_batch(tmp_path / "none", load_scheme("cspineseg"))


def test_what_lies_in_the_folder_of_a_case_without_results_is_not_compared(tmp_path):
    """It may be of another model: the ledger says what became of the case."""
    ledger(tmp_path / "out", failed=State.FAILED, refused=State.REFUSED)
    for key in ("failed", "refused", "earlier"):
        batch(tmp_path, key, np.zeros(GRID.shape, np.uint8), {})
        write(tmp_path / "ref" / f"{key}.nii.gz")

    found = paired(predictions_of_batch(tmp_path / "out", load_scheme("cspineseg")), references_in(tmp_path / "ref"))

    assert found.pairs == ()
    assert [(one.key, one.code, one.reason) for one in found.failures] == [
        ("earlier", "no-prediction", "there is no prediction for it"),
        ("failed", "geometry", "slices are missing"),
        ("refused", "geometry", "slices are missing"),
    ]


def test_a_batch_of_images_is_found_by_their_names_whatever_these_are(tmp_path):
    keys = [key_of(Path(name)) for name in ("cspine_0_0000.nii.gz", "case 1.nii.gz")]
    ledger(tmp_path / "out", **dict.fromkeys(keys, State.DONE))
    for name in ("cspine_0", "case 1"):
        write(tmp_path / "ref" / f"{name}.nii.gz")

    found = paired(predictions_of_batch(tmp_path / "out", load_scheme("cspineseg")), references_in(tmp_path / "ref"))

    assert [pair.key for pair in found.pairs] == ["case 1", "cspine_0"]


def test_a_name_that_two_cases_of_a_batch_have_is_a_failure_of_that_name_alone(tmp_path):
    ledger(tmp_path / "out", a_mask=State.DONE, a_0000=State.DONE, b=State.DONE)
    for name in ("a", "b"):
        write(tmp_path / "ref" / f"{name}.nii.gz")

    found = paired(predictions_of_batch(tmp_path / "out", load_scheme("cspineseg")), references_in(tmp_path / "ref"))

    assert [pair.key for pair in found.pairs] == ["b"]
    assert [(one.key, one.code, one.reason) for one in found.failures] == [
        ("a", "several-predictions", "a_0000 and a_mask are all for it")
    ]


def test_a_batch_over_images_and_masks_of_a_download_is_found_by_its_own_names_first(tmp_path):
    ledger(tmp_path / "out", **dict.fromkeys(("1.2.3", NAME, f"{NAME}_SEG"), State.DONE))
    predictions = predictions_of_batch(tmp_path / "out", load_scheme("cspineseg"))

    of_series = paired(predictions, references_of([exam("1.2.3", tmp_path)]))
    of_image = paired(predictions, references_of([exam("1.2.9", tmp_path)]))

    assert of_series.pairs[0].prediction is predictions["1.2.3"]
    assert of_image.pairs[0].prediction is predictions[NAME]


def test_structures_after_clean_up_are_taken_as_the_classes_that_the_findings_say(tmp_path):
    labels = np.zeros(GRID.shape, np.uint8)
    labels[0, 0] = [1, 2, 3, 0]
    batch(tmp_path, "1.2.3", labels, {1: "vertebral_body", 2: "intervertebral_disc", 3: "vertebral_body"})
    ledger(tmp_path / "out", **{"1.2.3": State.DONE})
    found = predictions_of_batch(tmp_path / "out", load_scheme("cspineseg"), "labels")

    classes = label_values(found["1.2.3"].load(tmp_path), "classes")

    assert classes[0, 0].tolist() == [1, 2, 1, 0]


def test_labels_that_the_findings_do_not_have_are_refused(tmp_path):
    labels = np.full(GRID.shape, 4, np.uint8)
    folder = batch(tmp_path, "1.2.3", labels, {1: "vertebral_body"})
    source = CleanedUp(folder=folder, values=dict.fromkeys(StructureKind, 1))

    with pytest.raises(InputError, match=r"findings\.json does not have"):
        source.load(tmp_path)
    (folder / "findings.json").write_text("{}")
    with pytest.raises(InputError, match="missing or broken"):
        source.load(tmp_path)
