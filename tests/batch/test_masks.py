"""The dataset's masks as a batch: what goes in, what comes out, and what is refused by name."""

import gzip
import json
import pickle
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from cspineseg import Truth
from cspineseg.truth import ExamTruth
from oracle import write_neck
from published import PSR, RAS, segmenter_of, spine_series, stored, volume_of

from node.assemble.headers import gather
from node.assemble.nifti import NiftiImage
from node.assemble.volume import build_volume
from node.batch.masks.origin import RELEASE, algorithm_of, origin_of
from node.batch.masks.segmenter import MaskSegmenter
from node.batch.masks.task import MaskedExam, MaskTask, mask_items
from node.batch.midrc.exam import Annotation, Exam, Place
from node.batch.midrc.files import exam_mask
from node.batch.runner.task import WorkerPlace, WorkItem
from node.domain.findings import Origin
from node.domain.geometry import Grid, lay_on, turn
from node.domain.identifiers import Digest
from node.errors import GridMismatch, InputError, NiftiRefused, NodeError

PLACE = WorkerPlace(index=0, threads=1)


def exam_of(truth: Truth, exam: ExamTruth) -> Exam:
    """Return an exam as the manifest would tell it."""

    def place(part: str, name: str | None) -> Place | None:
        return None if name is None else Place(container=truth.root / f"DukeCSpineSeg_{part}", name=name)

    annotation = None if exam.expert is None else Annotation.EXPERT if exam.expert else Annotation.WEAK
    return Exam(
        key=exam.series_uid,
        patient_id=exam.patient_id,
        study_uid=exam.study_uid,
        series_uid=exam.series_uid,
        dicom=place("imaging_files", exam.dicom),
        image=place("annotation", exam.image),
        mask=place("segmentation", exam.mask),
        annotation=annotation,
        image_matched_by=None,
        mask_matched_by=None,
        columns={"manufacturer": "GE"},
        defects=(),
    )


def convert(item: WorkItem, folder: Path) -> dict:
    scratch = folder.parent / f"{folder.name}-scratch"
    scratch.mkdir(parents=True)
    with MaskTask().ready(PLACE) as work:
        return dict(work(item, scratch, folder))


@pytest.mark.parametrize("orientation", [PSR, RAS, "LIP", "AIR"])
def test_a_mask_is_laid_on_its_series_however_it_is_stored(tmp_path: Path, orientation: str) -> None:
    spine, paths = spine_series(tmp_path / "series")
    [series], _ = gather(paths)
    volume = build_volume(series)
    mask = stored(spine.classes, spine.grid, orientation, tmp_path / "mask.nii.gz")
    segmenter = MaskSegmenter(mask, Annotation.EXPERT, RELEASE)
    answer = segmenter.segment(volume)
    assert np.array_equal(answer.classes, lay_on(spine.classes, spine.grid, volume.grid))
    assert answer.classes.dtype == np.uint8
    for value, kind in answer.meanings.items():
        assert set(np.unique(answer.probabilities[kind])) == {0, 255}
        assert np.array_equal(answer.probabilities[kind] == 255, answer.classes == value)
    assert (answer.opinions, answer.run.mode, answer.origin) == ({}, "mask", Origin.MANUAL_MASK)
    assert answer.algorithm == segmenter.algorithm == segmenter_of(spine.classes, spine.grid).algorithm


def small() -> tuple[np.ndarray, Grid]:
    affine = np.array([[3.5, 0, 0, -10.0], [0, 0, 1.0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1]])
    classes = np.zeros((4, 12, 10), np.uint8)
    classes[1:3, 3:6, 2:8] = 1
    return classes, Grid(shape=classes.shape, affine=affine)


def test_a_mask_of_other_voxels_is_refused_with_both_grids() -> None:
    classes, grid = small()
    volume = volume_of(classes, grid)
    moved = grid.affine.copy()
    moved[2, 3] += 3.0
    for other in (Grid(shape=grid.shape, affine=moved), Grid(shape=(4, 12, 9), affine=grid.affine)):
        with pytest.raises(GridMismatch) as caught:
            segmenter_of(classes[:, :, : other.shape[2]], other).segment(volume)
        assert "4 x 12 x 10 voxels of 3.5 x 1 x 1 mm around (-4.8, 4.5, -5.5)" in str(caught.value)
        assert "nothing is resampled" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "told"),
    [(3, "the mask holds the value 3"), (0.5, "whole numbers"), (-1, "whole numbers"), (np.nan, "whole numbers")],
)
def test_other_values_than_0_1_and_2_are_refused(value: float, told: str) -> None:
    classes, grid = small()
    voxels = classes.astype(np.float32)
    voxels[0, 0, 0] = value
    with pytest.raises(NiftiRefused, match=told):
        MaskSegmenter(NiftiImage(grid=grid, voxels=voxels), Annotation.EXPERT, RELEASE)


def test_whole_numbers_as_floating_point_are_the_same_mask() -> None:
    classes, grid = small()
    image = NiftiImage(grid=grid, voxels=classes.astype(np.float64))
    assert MaskSegmenter(image, Annotation.EXPERT, RELEASE).algorithm == segmenter_of(classes, grid).algorithm


def test_the_digest_follows_the_voxels_the_release_and_who_made_it() -> None:
    classes, grid = small()
    turned, its_grid = turn(classes, grid, PSR)
    other = classes.copy()
    other[1, 3, 2] = 2
    image = NiftiImage(grid=grid, voxels=classes)
    same = {segmenter_of(classes, grid), segmenter_of(turned, its_grid)}
    assert len({one.algorithm.bundle_digest for one in same}) == 1
    different = [
        *same,
        segmenter_of(other, grid),
        segmenter_of(classes, grid, Annotation.WEAK),
        MaskSegmenter(image, Annotation.EXPERT, "20260101"),
    ]
    assert len({one.algorithm.bundle_digest for one in different}) == 4


def test_people_and_networks_are_told_apart() -> None:
    assert [origin_of(annotation) for annotation in (Annotation.EXPERT, Annotation.WEAK)] == [
        Origin.MANUAL_MASK,
        Origin.AUTOMATIC_MASK,
    ]
    expert = algorithm_of(Annotation.EXPERT, RELEASE, Digest("a" * 64))
    assert (expert.bundle_name, expert.bundle_version) == ("Duke CSpineSeg expert mask", "20250321")
    assert expert.members == ()


def test_every_exam_of_a_clean_dataset_becomes_dicom_and_label_maps(dataset_small: Truth, tmp_path: Path) -> None:
    assert {exam.in_3d for exam in dataset_small.exams} == {False, True}
    assert any(exam.fused for exam in dataset_small.exams)
    for number, exam in enumerate(dataset_small.exams):
        known = exam_of(dataset_small, exam)
        [item] = mask_items([known])
        folder = tmp_path / str(number)
        returned = convert(item, folder)
        assert {path.name for path in folder.iterdir()} == {
            *("seg.dcm", "sr.dcm", "findings.json", "measurements.tsv", "overlay.png"),
            *("labels.nii.gz", "classes.nii.gz"),
        }
        document = json.loads((folder / "findings.json").read_text())
        assert document["origin"] == ("manual mask" if exam.expert else "automatic mask")
        assert returned["annotation"] == ("expert" if exam.expert else "weak")
        assert returned["bodies"] + returned["discs"] == len(document["structures"])
        assert returned["rows"] == len((folder / "measurements.tsv").read_text().splitlines()) - 1
        mask = exam_mask(known, tmp_path)
        classes, labels = (as_image(folder / f"{name}.nii.gz") for name in ("classes", "labels"))
        assert np.array_equal(lay_on(mask.voxels, mask.grid, classes.grid), classes.voxels)
        kinds = {found["label"]: 1 if found["kind"] == "vertebral_body" else 2 for found in document["structures"]}
        assert np.array_equal(
            np.vectorize(lambda label, kinds=kinds: kinds.get(label, 0))(labels.voxels), classes.voxels
        )


def as_image(path: Path) -> NiftiImage:
    """Read a NIfTI file without the node's own reader."""
    image = nib.Nifti1Image.from_bytes(gzip.decompress(path.read_bytes()))
    shape = tuple(int(size) for size in image.shape)
    grid = Grid(shape=shape, affine=np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)
    return NiftiImage(grid=grid, voxels=np.asarray(image.dataobj))


def test_the_same_exam_gives_the_same_bytes(dataset_small: Truth, tmp_path: Path) -> None:
    [item] = mask_items([exam_of(dataset_small, dataset_small.exams[0])])
    for name in ("first", "second"):
        convert(item, tmp_path / name)
    for name in ("seg.dcm", "sr.dcm", "labels.nii.gz", "classes.nii.gz", "measurements.tsv"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


LACKING = {
    "dicom": "the download has no DICOM series of this exam",
    "mask": "the download has no mask of this exam",
    "annotation": "no table says whether the mask is an expert's or a network's",
}


@pytest.mark.parametrize(("lacks", "told"), LACKING.items())
def test_what_an_exam_lacks_it_fails_for_by_name(dataset_small: Truth, tmp_path: Path, lacks: str, told: str) -> None:
    exam = exam_of(dataset_small, dataset_small.exams[0])
    known = Exam(**{**{name: getattr(exam, name) for name in exam.__slots__}, lacks: None})
    [item] = mask_items([known])
    with pytest.raises(InputError, match=told):
        convert(item, tmp_path / "case")
    assert not (tmp_path / "case").exists()


def test_an_exam_that_nobody_tells_about_is_taken_for_what_the_caller_says(
    dataset_small: Truth, tmp_path: Path
) -> None:
    exam = exam_of(dataset_small, dataset_small.exams[0])
    known = Exam(**{**{name: getattr(exam, name) for name in exam.__slots__}, "annotation": None})
    [item] = mask_items([known], unmarked=Annotation.WEAK)
    assert convert(item, tmp_path / "case")["annotation"] == "weak"


def test_a_mask_that_is_said_to_be_made_otherwise_has_another_mark(dataset_small: Truth) -> None:
    exam = exam_of(dataset_small, dataset_small.exams[0])
    unknown = replace(exam, annotation=None)
    marks = [
        next(mask_items([one], unmarked=said)).mark
        for one, said in ((unknown, None), (unknown, Annotation.WEAK), (unknown, Annotation.EXPERT))
    ]
    assert len(set(marks)) == 3
    assert next(mask_items([replace(exam, annotation=Annotation.WEAK)])).mark == marks[1]


def test_only_masks_of_one_kind_are_taken_where_that_is_asked(dataset_small: Truth) -> None:
    exams = [exam_of(dataset_small, exam) for exam in dataset_small.exams]
    experts = [item.key for item in mask_items(exams, only=Annotation.EXPERT)]
    assert experts == [exam.series_uid for exam in dataset_small.exams if exam.expert]
    assert len(list(mask_items(exams))) == len(exams)


def test_an_item_is_pickled_without_what_the_tables_say(dataset_small: Truth) -> None:
    [item] = mask_items([exam_of(dataset_small, dataset_small.exams[0])])
    assert isinstance(item.source, MaskedExam)
    assert item.source.exam.columns == {}
    assert pickle.loads(pickle.dumps(item)) == item


def test_the_task_follows_its_release() -> None:
    assert MaskTask().digest == MaskTask(release=RELEASE).digest != MaskTask(release="20260101").digest


def test_a_source_without_a_mask_is_refused(tmp_path: Path) -> None:
    class Bare:
        def load(self, scratch: Path):
            [series], _ = gather(write_neck(scratch))
            return series

    with pytest.raises(InputError, match="this source has no mask"):
        convert(WorkItem(key="1.2", source=Bare()), tmp_path / "case")


def test_planted_defects_of_masks_are_refused_by_code(dataset_60_unpacked: Truth, tmp_path: Path) -> None:
    codes = {}
    for name in ("mask_label_3", "mask_fractional", "mask_shifted", "mask_shape_differs", "mask_unreadable"):
        exam = dataset_60_unpacked.having(name)
        [item] = mask_items([exam_of(dataset_60_unpacked, exam)], unmarked=Annotation.WEAK)
        with pytest.raises(NodeError) as caught:
            convert(item, tmp_path / name)
        codes[name] = caught.value.code
    assert codes == {
        "mask_label_3": "nifti-refused",
        "mask_fractional": "nifti-refused",
        "mask_shifted": "grid-mismatch",
        "mask_shape_differs": "grid-mismatch",
        "mask_unreadable": "nifti-refused",
    }
