"""The dataset of phantoms is what the facts about the download say, held against dcm2niix, nibabel, pydicom and csv."""

import csv
import gzip
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from cspineseg import PLANTED_IN_DATASET, PLANTED_IN_EXAMS, ExamTruth, Truth, build, clean
from cspineseg.necks import picture
from peers import program
from scipy import ndimage

from node.train.phantom import LABELS

_ENDING = "_RSNA_20250321.tsv"


def table(truth: Truth, name: str) -> list[dict[str, str]]:
    path = truth.root / "DukeCSpineSeg_structured" / (name + _ENDING)
    return list(csv.DictReader(io.StringIO(path.read_text()), delimiter="\t"))


def series_of(truth: Truth, exam: ExamTruth) -> list[pydicom.Dataset]:
    with zipfile.ZipFile(truth.root / "DukeCSpineSeg_imaging_files" / str(exam.dicom)) as archive:
        return [pydicom.dcmread(io.BytesIO(archive.read(name))) for name in archive.namelist()]


def image_of(truth: Truth, exam: ExamTruth) -> nib.Nifti1Image:
    return nib.load(truth.root / "DukeCSpineSeg_annotation" / str(exam.image))


def mask_of(truth: Truth, exam: ExamTruth) -> nib.Nifti1Image:
    return nib.load(truth.root / "DukeCSpineSeg_segmentation" / str(exam.mask))


def tree_of(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_files_lie_where_the_download_has_them(dataset_small: Truth) -> None:
    exam = dataset_small.exams[0]
    found = set(tree_of(dataset_small.root))
    stem = f"{exam.patient_id}_Study-MR-1_Series-{series_of(dataset_small, exam)[0].SeriesNumber}"
    assert {
        f"DukeCSpineSeg_imaging_files/case_image/{exam.patient_id}/{exam.study_uid}/{exam.series_uid}.zip",
        f"DukeCSpineSeg_annotation/{stem}.nii.gz",
        f"DukeCSpineSeg_segmentation/{stem}_SEG.nii.gz",
        "DukeCSpineSeg_structured/annotation_file_RSNA_20250321.tsv",
    } <= found
    assert len(found) == 4 * 3 + 6


def test_patients_and_uids_are_below_the_root_of_the_dataset(dataset_small: Truth) -> None:
    for exam in dataset_small.exams:
        assert exam.patient_id.startswith("593973-")
        assert len(exam.patient_id) == 13
        for uid in (exam.study_uid, exam.series_uid, *(one.SOPInstanceUID for one in series_of(dataset_small, exam))):
            assert uid.startswith("1.2.826.0.1.3680043.10.474.593973.")
            assert pydicom.uid.UID(uid).is_valid


def test_four_zips_hold_the_same_files_as_four_folders(dataset_small: Truth, dataset_small_zipped: Truth) -> None:
    inside: dict[str, str] = {}
    for path in dataset_small_zipped.root.iterdir():
        with zipfile.ZipFile(path) as archive:
            inside |= {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    assert inside == tree_of(dataset_small.root)
    assert sorted(path.name for path in dataset_small_zipped.root.iterdir()) == [
        "DukeCSpineSeg_annotation.zip",
        "DukeCSpineSeg_imaging_files.zip",
        "DukeCSpineSeg_segmentation.zip",
        "DukeCSpineSeg_structured.zip",
    ]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_exams(tmp_path: Path) -> None:
    names = ("image_twice", "mask_label_3", "series_zip_truncated")
    for name in ("one", "two"):
        build(tmp_path / name, 5, planted=names)
    other = build(tmp_path / "other", 5, seed=2, planted=names)
    assert tree_of(tmp_path / "one") == tree_of(tmp_path / "two")
    assert not set(tree_of(tmp_path / "one")) & {str(exam.image) for exam in other.exams}


def test_tables_have_the_columns_and_rows_of_the_download(dataset_small: Truth) -> None:
    cases, series = table(dataset_small, "case"), table(dataset_small, "mr_series")
    assert (len(cases), len(cases[0])) == (3, 21)
    assert (len(series), len(series[0])) == (4, 40)
    assert list(series[0])[:3] == ["imaging_studies.submitter_id", "angio_flag", "case_ids"]
    assert list(series[0])[-1] == "number_of_instances"
    assert len(table(dataset_small, "imaging_study")) == 4
    assert len(table(dataset_small, "annotation_file")) == 8
    assert len(table(dataset_small, "clinical_manifest")) == 5


def test_tables_join_as_those_of_the_download_do(dataset_small: Truth) -> None:
    cases = {row["submitter_id"] for row in table(dataset_small, "case")}
    studies = {row["submitter_id"]: row["case_ids"] for row in table(dataset_small, "imaging_study")}
    series = {row["submitter_id"]: row["imaging_studies.submitter_id"] for row in table(dataset_small, "mr_series")}
    assert set(studies.values()) == cases
    assert set(series.values()) == set(studies)
    assert {row["mr_series_files.submitter_id"] for row in table(dataset_small, "annotation_file")} == set(series)


def test_expert_masks_are_marked_and_are_about_as_many_as_in_the_dataset(dataset_60_unpacked: Truth) -> None:
    methods = {row["file_name"]: row["annotation_method"] for row in table(dataset_60_unpacked, "annotation_file")}
    for exam in dataset_60_unpacked.sound:
        assert methods[str(exam.mask)] == ("Retrospective_expert" if exam.expert else "Retrospective_auto")
    assert sum(exam.expert is True for exam in dataset_60_unpacked.exams) in range(18, 26)


def test_manifests_hold_sizes_and_md5_of_series_and_tables(dataset_small: Truth) -> None:
    for row in table(dataset_small, "image_manifest"):
        path = dataset_small.root / "DukeCSpineSeg_imaging_files" / "case_image" / row["file_name"]
        assert int(row["file_size"]) == path.stat().st_size
        assert row["md5sum"] == hashlib.md5(path.read_bytes()).hexdigest()
    for row in table(dataset_small, "clinical_manifest"):
        path = dataset_small.root / "DukeCSpineSeg_structured" / row["file_name"]
        assert row["md5sum"] == hashlib.md5(path.read_bytes()).hexdigest()


def test_headers_and_tables_say_the_same_and_thickness_is_whole_in_the_table(dataset_60_unpacked: Truth) -> None:
    rows = {row["series_uid"]: row for row in table(dataset_60_unpacked, "mr_series")}
    for exam in dataset_60_unpacked.sound:
        header, row = series_of(dataset_60_unpacked, exam)[0], rows[exam.series_uid]
        assert row["manufacturer"].upper() == header.Manufacturer
        assert int(row["slice_thickness"]) == int(header.SliceThickness)
        assert float(row["magnetic_field_strength"]) == header.MagneticFieldStrength
        assert int(row["number_of_instances"]) == exam.shape[0]
    assert {row["manufacturer"] for row in rows.values()} == {"GE MEDICAL SYSTEMS", "SIEMENS", "Siemens"}


@pytest.mark.peer("dcm2niix")
@pytest.mark.parametrize("number", range(8))
def test_images_are_what_dcm2niix_makes_of_the_series(dataset_60_unpacked: Truth, tmp_path: Path, number: int) -> None:
    in_3d = [exam for exam in dataset_60_unpacked.sound if exam.in_3d]
    exam = [*in_3d[:2], *dataset_60_unpacked.sound][number]
    with zipfile.ZipFile(dataset_60_unpacked.root / "DukeCSpineSeg_imaging_files" / str(exam.dicom)) as archive:
        archive.extractall(tmp_path / "series")
    (tmp_path / "out").mkdir()
    converter = program("dcm2niix")
    assert converter is not None
    command = [converter, "-b", "n", "-z", "y", "-m", "y", "-o", str(tmp_path / "out"), str(tmp_path / "series")]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = (tmp_path / "out").glob("*.nii.gz")
    theirs, ours = nib.load(path), image_of(dataset_60_unpacked, exam)
    assert np.array_equal(np.asarray(theirs.dataobj), np.asarray(ours.dataobj))
    assert np.allclose(theirs.affine, ours.affine, atol=1e-3)
    assert nib.aff2axcodes(ours.affine) == tuple("RAS" if exam.in_3d else "PSR")


def test_a_2d_series_has_its_slices_on_axis_2_and_a_3d_one_on_axis_0(dataset_small: Truth) -> None:
    for exam in dataset_small.exams:
        slices, rows, columns = exam.shape
        expected = (slices, columns, rows) if exam.in_3d else (columns, rows, slices)
        assert image_of(dataset_small, exam).shape == expected
    assert [exam.in_3d for exam in dataset_small.exams] == [False, False, False, True]


def test_masks_lie_on_their_images_and_hold_bodies_and_discs(dataset_small: Truth) -> None:
    for exam in dataset_small.exams:
        mask, image = mask_of(dataset_small, exam), image_of(dataset_small, exam)
        assert mask.shape == image.shape
        assert np.array_equal(mask.affine, image.affine)
        assert np.unique(np.asarray(mask.dataobj)).tolist() == [0, 1, 2]


def test_fused_bodies_are_one_block_without_their_disc(dataset_small: Truth) -> None:
    (fused,) = [exam for exam in dataset_small.exams if exam.fused]
    apart = picture(1, (12, 112, 112), fused=False, seed=10_002)
    block = picture(1, (12, 112, 112), fused=True, seed=10_002)
    count = [
        [ndimage.label(shown.labels == LABELS[name])[1] for name in ("vertebrae", "inter-vetebral disc")]
        for shown in (apart, block)
    ]
    assert count[0][0] == 10
    assert count[1][0] == 9
    assert count[1][1] < count[0][1]
    kept = np.asarray(mask_of(dataset_small, fused).dataobj)
    assert (kept == 2).sum() == (block.labels == 2).sum()


def test_no_two_sound_series_lie_on_the_same_grid(dataset_60_unpacked: Truth) -> None:
    affines = [image_of(dataset_60_unpacked, exam).affine for exam in dataset_60_unpacked.sound]
    for index, one in enumerate(affines):
        for other in affines[:index]:
            assert np.abs(one - other).max() > 1.0


def test_everything_that_can_be_planted_is_there_and_some_exams_are_left_sound(dataset_60_unpacked: Truth) -> None:
    assert sorted(name for exam in dataset_60_unpacked.exams for name in exam.planted) == sorted(PLANTED_IN_EXAMS)
    assert len(dataset_60_unpacked.sound) >= 12


def test_one_exam_has_at_most_two_things_wrong(dataset_60_unpacked: Truth) -> None:
    assert max(len(exam.planted) for exam in dataset_60_unpacked.exams) == 2


@pytest.mark.parametrize("name", sorted(PLANTED_IN_DATASET))
def test_what_is_wrong_with_the_whole_can_be_built_by_name(name: str, download: Path) -> None:
    zipped = name == "imaging_zip_truncated"
    truth = build(download, 4, zipped=zipped, planted=[name])
    assert truth.planted == (name,)
    untouched = clean(download.parent / "untouched", 4, zipped=zipped)
    assert tree_of(download) != tree_of(untouched.root)


def test_more_than_the_exams_can_hold_is_refused(download: Path) -> None:
    with pytest.raises(ValueError, match="to plant"):
        build(download, 4)
    with pytest.raises(ValueError, match="nobody knows colour"):
        build(download, 4, planted=["colour"])


def test_a_dataset_can_be_made_by_hand(download: Path) -> None:
    tests = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "cspineseg", str(download), "--exams", "3", "--planted", "mask_empty", "--zipped"]
    path = os.pathsep.join([str(tests.parent), str(tests)])
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert done.stdout.split("\t")[1:] == ["mask_empty", "the mask is empty\n"]
    assert len(list(download.iterdir())) == 4


def test_hostile_zips_are_small_and_hostile(dataset_60_unpacked: Truth) -> None:
    folder = dataset_60_unpacked.root / "DukeCSpineSeg_imaging_files"
    bomb = folder / str(dataset_60_unpacked.having("series_zip_bomb").dicom)
    assert bomb.stat().st_size < 1 << 20
    with zipfile.ZipFile(bomb) as archive:
        assert max(entry.file_size for entry in archive.infolist()) == 64 << 30
    locked = folder / str(dataset_60_unpacked.having("series_zip_encrypted").dicom)
    with zipfile.ZipFile(locked) as archive, pytest.raises(RuntimeError, match="encrypted"):
        archive.read(archive.namelist()[0])
    with zipfile.ZipFile(folder / str(dataset_60_unpacked.having("series_zip_traversal").dicom)) as archive:
        assert all(name.startswith("../") for name in archive.namelist())
    truncated = folder / str(dataset_60_unpacked.having("series_zip_truncated").dicom)
    assert not zipfile.is_zipfile(truncated)


def test_a_zip_whose_md5_differs_is_sound_and_of_the_same_size(dataset_60_unpacked: Truth) -> None:
    exam = dataset_60_unpacked.having("md5_differs")
    path = dataset_60_unpacked.root / "DukeCSpineSeg_imaging_files" / str(exam.dicom)
    (row,) = [row for row in table(dataset_60_unpacked, "image_manifest") if row["series_uid"] == exam.series_uid]
    assert int(row["file_size"]) == path.stat().st_size
    assert row["md5sum"] != hashlib.md5(path.read_bytes()).hexdigest()
    assert len(series_of(dataset_60_unpacked, exam)) == exam.shape[0]


def test_a_truncated_image_is_no_gzip_any_more(dataset_60_unpacked: Truth) -> None:
    exam = dataset_60_unpacked.having("image_unreadable")
    with pytest.raises(EOFError):
        gzip.decompress((dataset_60_unpacked.root / "DukeCSpineSeg_annotation" / str(exam.image)).read_bytes())
