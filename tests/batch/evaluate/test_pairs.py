"""Which file is compared with which."""

import json
from pathlib import Path

import numpy as np
import pytest

from node.assemble.nifti import label_values
from node.batch.evaluate.pairs import CleanedUp, NiftiFile, about_exam, pairs_of_batch, pairs_of_folders
from node.batch.evaluate.scheme import load_scheme
from node.batch.midrc.exam import Annotation, Exam, MatchedBy, Place
from node.batch.runner.folder import case_folder
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
    write(tmp_path / "pred" / "cspine_0.nii.gz")
    write(tmp_path / "pred" / f"{NAME}.nii")
    write(tmp_path / "ref" / "cspine_0_SEG.nii.gz")
    write(tmp_path / "ref" / f"{NAME}_seg.nii.gz")
    write(tmp_path / "image" / "cspine_0_0000.nii.gz")
    (tmp_path / "ref" / "readme.txt").write_text("no image")

    found = pairs_of_folders(tmp_path / "pred", tmp_path / "ref", tmp_path / "image")

    assert [pair.key for pair in found.pairs] == [NAME, "cspine_0"]
    assert [pair.image for pair in found.pairs] == [None, NiftiFile(path=tmp_path / "image" / "cspine_0_0000.nii.gz")]
    assert found.failures == ()


def test_a_file_without_its_counterpart_is_a_failure_with_its_name(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "pred" / f"{name}.nii.gz")
    for name in ("b", "c"):
        write(tmp_path / "ref" / f"{name}.nii.gz")

    found = pairs_of_folders(tmp_path / "pred", tmp_path / "ref")

    assert [pair.key for pair in found.pairs] == ["b"]
    assert [(one.key, one.code) for one in found.failures] == [("a", "no-reference"), ("c", "no-prediction")]


def test_what_is_known_of_an_exam_is_found_by_the_name_of_its_image_or_by_its_key(tmp_path):
    for name in (NAME, "1.2.3", "other"):
        write(tmp_path / "pred" / f"{name}.nii.gz")
        write(tmp_path / "ref" / f"{name}.nii.gz")

    exams = [exam("1.2.9", tmp_path), exam("1.2.3", tmp_path, image=None, mask=None, annotation=Annotation.WEAK)]
    found = pairs_of_folders(tmp_path / "pred", tmp_path / "ref", exams=exams)

    assert {pair.key: pair.about.get("annotation") for pair in found.pairs} == {
        NAME: "expert",
        "1.2.3": "weak",
        "other": None,
    }


def test_the_columns_of_an_exam_are_those_of_every_evaluation():
    about = about_exam(exam("1.2.3", Path()))

    assert about["manufacturer"] == "Siemens"
    assert (about["age"], about["sex"], about["patient_id"]) == (61.0, "Female", "593973-000003")
    assert about["magnetic_field_strength"] == 1.5


def test_two_files_for_one_case_nothing_that_matches_and_a_missing_folder_are_refused(tmp_path):
    write(tmp_path / "pred" / "a.nii.gz")
    write(tmp_path / "ref" / "b.nii.gz")
    with pytest.raises(InputError, match="has the name of one of"):
        pairs_of_folders(tmp_path / "pred", tmp_path / "ref")
    with pytest.raises(InputError, match="no such folder"):
        pairs_of_folders(tmp_path / "none", tmp_path / "ref")
    write(tmp_path / "ref" / "b_SEG.nii.gz")
    with pytest.raises(InputError, match="are both for the case b"):
        pairs_of_folders(tmp_path / "pred", tmp_path / "ref")


def batch(tmp_path, key, labels, kinds):
    folder = case_folder(tmp_path / "out", key)
    write(folder / "labels.nii.gz", labels)
    write(folder / "classes.nii.gz", (labels > 0).astype(np.uint8))
    document = {"structures": [{"label": label, "kind": kind} for label, kind in kinds.items()]}
    (folder / "findings.json").write_text(json.dumps(document))
    return folder


def test_a_batch_is_paired_with_the_masks_of_its_exams(tmp_path):
    batch(tmp_path, "1.2.3", np.zeros(GRID.shape, np.uint8), {})
    exams = [exam("1.2.4", tmp_path), exam("1.2.3", tmp_path), exam("1.2.5", tmp_path, mask=None)]

    found = pairs_of_batch(tmp_path / "out", exams, load_scheme("cspineseg"))

    assert [pair.key for pair in found.pairs] == ["1.2.3"]
    assert [(one.key, one.code) for one in found.failures] == [("1.2.4", "no-prediction")]
    with pytest.raises(InputError, match="no exam with a mask has a result"):
        pairs_of_batch(tmp_path / "none", exams, load_scheme("cspineseg"))


def test_structures_after_clean_up_are_taken_as_the_classes_that_the_findings_say(tmp_path):
    labels = np.zeros(GRID.shape, np.uint8)
    labels[0, 0] = [1, 2, 3, 0]
    batch(tmp_path, "1.2.3", labels, {1: "vertebral_body", 2: "intervertebral_disc", 3: "vertebral_body"})
    found = pairs_of_batch(tmp_path / "out", [exam("1.2.3", tmp_path)], load_scheme("cspineseg"), "labels")

    classes = label_values(found.pairs[0].prediction.load(tmp_path), "classes")

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
