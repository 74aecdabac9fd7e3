"""The reader finds what was planted in 60 exams, in folders and in zips, and nothing in the sound ones."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from cspineseg import PLANTED_IN_EXAMS, ExamTruth, Truth
from cspineseg.verdicts import ALLOWED, REQUIRED

from node.assemble.nifti import label_values
from node.batch.midrc.exam import Annotation, Exam, MatchedBy, Place
from node.batch.midrc.files import exam_image, exam_mask, exam_series
from node.batch.midrc.inspection import inspect
from node.batch.midrc.manifest import Manifest
from node.domain.geometry import lay_on

_SERIES_UNREADABLE = {name for name, codes in REQUIRED.items() if codes & {"dicom-unreadable", "archive-refused"}}
_OTHER_EVIDENCE = {
    "image_renamed": (MatchedBy.GEOMETRY, MatchedBy.TABLE),
    "mask_renamed": (MatchedBy.TABLE, MatchedBy.GEOMETRY),
    "not_in_annotation_file": (MatchedBy.NAME, MatchedBy.NAME),
}
_TABLES_BROKEN = ("not_in_mr_series", "submitter_id_twice", "image_elsewhere", "series_uid_differs")


@cache
def inspected(root: Path) -> Manifest:
    return inspect(root)


@pytest.fixture
def manifest(dataset_60: Truth) -> Manifest:
    return inspected(dataset_60.root)


def by_key(manifest: Manifest) -> Mapping[str, Exam]:
    return {exam.key: exam for exam in manifest.exams}


def codes(exam: Exam) -> set[str]:
    return {defect.code for defect in exam.defects}


def last_of(place: Place | None) -> str | None:
    return None if place is None else place.name.rsplit("/", 1)[-1]


def has(exam: ExamTruth, *names: str) -> bool:
    return bool(set(names) & set(exam.planted))


@pytest.mark.parametrize("name", [name for name, required in REQUIRED.items() if required])
def test_a_planted_defect_is_found(name: str, dataset_60: Truth, manifest: Manifest) -> None:
    found = codes(by_key(manifest)[dataset_60.having(name).series_uid])
    assert found & REQUIRED[name], f"{PLANTED_IN_EXAMS[name]}: {sorted(found)}"


@pytest.mark.parametrize("name", sorted(PLANTED_IN_EXAMS))
def test_of_an_exam_with_a_defect_nothing_else_is_said(name: str, dataset_60: Truth, manifest: Manifest) -> None:
    exam = dataset_60.having(name)
    allowed = frozenset().union(*(ALLOWED[planted] for planted in exam.planted))
    assert codes(by_key(manifest)[exam.series_uid]) <= allowed


def test_nothing_is_said_of_sound_exams(dataset_60: Truth, manifest: Manifest) -> None:
    found = by_key(manifest)
    assert {exam.series_uid: found[exam.series_uid].defects for exam in dataset_60.sound} == {
        exam.series_uid: () for exam in dataset_60.sound
    }


def test_each_series_is_one_exam_and_there_are_no_others(dataset_60: Truth, manifest: Manifest) -> None:
    keys = [exam.key for exam in manifest.exams]
    extra = set(keys) - {exam.series_uid for exam in dataset_60.exams}
    assert len(keys) == len(set(keys))
    assert {exam.series_uid for exam in dataset_60.exams} <= set(keys)
    without_series = {exam.key for exam in manifest.exams if exam.series_uid is None}
    assert extra <= {*dataset_60.ghosts, *without_series}
    assert {last_of(exam.image) for exam in manifest.exams if exam.series_uid is None} <= set(dataset_60.orphans)


def test_an_image_that_fits_no_series_is_told(dataset_60: Truth, manifest: Manifest) -> None:
    (orphan,) = dataset_60.orphans
    alone = [exam for exam in manifest.exams if last_of(exam.image) == orphan]
    told = [one.defect.code for one in manifest.orphans if last_of(one.place) == orphan]
    assert told or (len(alone) == 1 and alone[0].series_uid is None and "series-unknown" in codes(alone[0]))


def test_a_second_image_that_fits_as_well_is_told_and_not_taken(dataset_60: Truth, manifest: Manifest) -> None:
    exam = by_key(manifest)[dataset_60.having("image_twice").series_uid]
    beside = [one for one in manifest.orphans if last_of(one.place) == "averaged_0007.nii.gz"]
    alone = [other for other in manifest.exams if last_of(other.image) == "averaged_0007.nii.gz"]
    assert last_of(exam.image) == dataset_60.having("image_twice").image
    assert beside or alone or "file-twice" in codes(exam)


def test_series_images_and_masks_are_matched_as_they_belong(dataset_60: Truth, manifest: Manifest) -> None:
    found = by_key(manifest)
    wrong = {}
    for exam in dataset_60.exams:
        one = found[exam.series_uid]
        belongs = (exam.image, exam.mask)
        if (last_of(one.image), last_of(one.mask)) != belongs:
            wrong[exam.planted] = (last_of(one.image), last_of(one.mask), *belongs)
        dicom = last_of(one.dicom)
        if dicom != last_of(_place(exam.dicom)) and not has(exam, *_SERIES_UNREADABLE):
            wrong[exam.planted] = (dicom, exam.dicom)
    assert wrong == {}


def _place(name: str | None) -> Place | None:
    return None if name is None else Place(container=Path(), name=name)


def test_patient_study_and_series_are_those_of_folders_and_tables(dataset_60: Truth, manifest: Manifest) -> None:
    found = by_key(manifest)
    for exam in dataset_60.exams:
        one = found[exam.series_uid]
        assert (one.patient_id, one.study_uid, one.series_uid) == (exam.patient_id, exam.study_uid, exam.series_uid)


def test_the_strongest_evidence_is_named(dataset_60: Truth, manifest: Manifest) -> None:
    found = by_key(manifest)
    for exam in dataset_60.exams:
        by = next((_OTHER_EVIDENCE[name] for name in exam.planted if name in _OTHER_EVIDENCE), None)
        image_by, mask_by = by or (MatchedBy.TABLE, MatchedBy.TABLE)
        if has(exam, *_TABLES_BROKEN):
            continue
        assert found[exam.series_uid].image_matched_by is (image_by if exam.image else None), exam.planted
        assert found[exam.series_uid].mask_matched_by is (mask_by if exam.mask else None), exam.planted


def test_experts_masks_are_told_from_weak_ones(dataset_60: Truth, manifest: Manifest) -> None:
    expected = {True: Annotation.EXPERT, False: Annotation.WEAK, None: None}
    found = by_key(manifest)
    for exam in dataset_60.exams:
        if not has(exam, "annotation_contradictory", "mask_missing"):
            assert found[exam.series_uid].annotation is expected[exam.expert], exam.planted


def test_what_the_tables_say_is_kept_by_column(dataset_60: Truth, manifest: Manifest) -> None:
    for exam in dataset_60.sound:
        columns = by_key(manifest)[exam.series_uid].columns
        assert columns["number_of_instances"] == exam.shape[0]
        assert columns["mr_acquisition_type"] == ("3D" if exam.in_3d else "2D")
        assert columns["sex"] in {"Male", "Female"}
        assert columns["age_at_imaging"] == columns["age_at_index"]


def test_folders_and_zips_give_the_same_manifest(dataset_60_unpacked: Truth, dataset_60_zipped: Truth) -> None:
    def told(truth: Truth) -> list[tuple[object, ...]]:
        return [
            (
                exam.key,
                exam.patient_id,
                exam.study_uid,
                exam.series_uid,
                last_of(exam.dicom),
                last_of(exam.image),
                last_of(exam.mask),
                exam.annotation,
                exam.image_matched_by,
                exam.mask_matched_by,
                dict(exam.columns),
                sorted(codes(exam)),
            )
            for exam in inspected(truth.root).exams
        ]

    assert told(dataset_60_unpacked) == told(dataset_60_zipped)
    whole = [
        sorted(defect.code for defect in inspected(truth.root).defects)
        for truth in (dataset_60_unpacked, dataset_60_zipped)
    ]
    assert whole[0] == whole[1]


def test_reading_changes_nothing_and_writes_nothing_beside_the_dataset(dataset_60: Truth) -> None:
    def listing() -> dict[str, tuple[int, int]]:
        files = dataset_60.root.parent.rglob("*")
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.is_file()}

    before = listing()
    inspect(dataset_60.root)
    assert listing() == before
    assert not [path for path in listing() if "escaped" in path]


def test_progress_is_told_up_to_the_end(dataset_small: Truth) -> None:
    told: list[tuple[int, int]] = []
    inspect(dataset_small.root, lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] > 0


def test_the_files_of_an_exam_are_those_that_were_built(dataset_60: Truth, manifest: Manifest, tmp_path: Path) -> None:
    found = by_key(manifest)
    for number, exam in enumerate([*dataset_60.sound[:4], *(one for one in dataset_60.sound if one.in_3d)][:6]):
        one = found[exam.series_uid]
        scratch = tmp_path / str(number)
        scratch.mkdir()
        series, image, mask = exam_series(one, scratch), exam_image(one, scratch), exam_mask(one, scratch)
        assert str(series.series_instance_uid) == exam.series_uid
        assert len(series.frames) == exam.shape[0]
        assert sorted(image.voxels.shape) == sorted(exam.shape)
        assert lay_on(mask.voxels, mask.grid, image.grid) is not None
        assert np.unique(label_values(mask, "mask")).tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", ["series_extracted", "series_nested", "stray_files"])
def test_series_in_folders_deep_zips_and_among_junk_are_read_whole(
    name: str, dataset_60: Truth, manifest: Manifest, tmp_path: Path
) -> None:
    exam = dataset_60.having(name)
    series = exam_series(by_key(manifest)[exam.series_uid], tmp_path)
    assert len(series.frames) == exam.shape[0]


def test_a_mask_in_another_order_of_axes_lies_on_its_image(
    dataset_60: Truth, manifest: Manifest, tmp_path: Path
) -> None:
    exam = by_key(manifest)[dataset_60.having("mask_flipped").series_uid]
    image, mask = exam_image(exam, tmp_path), exam_mask(exam, tmp_path)
    assert mask.grid.orientation() != image.grid.orientation()
    laid = lay_on(mask.voxels, mask.grid, image.grid)
    assert laid is not None
    assert laid.shape == image.voxels.shape
