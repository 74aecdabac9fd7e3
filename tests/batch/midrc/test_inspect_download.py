"""Whatever of the download is missing or came otherwise: the reader says so, and still matches what is there."""

import gzip
import shutil
import zipfile
from pathlib import Path

import pytest
from cspineseg import PLANTED_IN_DATASET, ExamTruth, Truth, build
from cspineseg.verdicts import REQUIRED_OF_DATASET

from node.batch.midrc.exam import Annotation, Exam, MatchedBy, Place
from node.batch.midrc.files import exam_image, exam_mask, exam_series
from node.batch.midrc.inspection import inspect
from node.batch.midrc.manifest import MANIFEST_PARQUET, Manifest, read_manifest, write_manifest
from node.errors import InputError

#: A seed by which the two exams of one patient have the same series number: only tables and places tell them apart.
_SAME_NUMBERS = 7
#: What is said of the exams because of what is wrong with the whole.
_OF_EXAMS = {
    "without_imaging_files": {"dicom-missing"},
    "without_annotation": {"image-missing"},
    "without_segmentation": {"mask-missing"},
    "nnunet_names": {"file-without-row", "row-without-file", "annotation-unknown"},
}
_ANNOTATION = {True: Annotation.EXPERT, False: Annotation.WEAK, None: None}
_OTHERWISE_IN_ZIPS = ("extra_folder", "macos_junk", "without_annotation", "without_imaging_files", "without_structured")
_CHOICES = sorted(set(PLANTED_IN_DATASET) - {"imaging_zip_truncated"})


def last_of(place: Place | None) -> str | None:
    return None if place is None else place.name.rsplit("/", 1)[-1]


def matched(manifest: Manifest) -> set[tuple[str | None, str | None]]:
    return {(last_of(exam.image), last_of(exam.mask)) for exam in manifest.exams}


def belongs(truth: Truth) -> set[tuple[str | None, str | None]]:
    return {(exam.image, exam.mask) for exam in truth.exams}


def codes(manifest: Manifest) -> set[str]:
    return {defect.code for defect in manifest.defects}


def codes_of_exams(manifest: Manifest) -> set[str]:
    return {defect.code for exam in manifest.exams for defect in exam.defects}


def of(manifest: Manifest, exam: ExamTruth) -> Exam:
    (found,) = [one for one in manifest.exams if one.series_uid == exam.series_uid]
    return found


@pytest.mark.parametrize("zipped", [False, True])
def test_a_sound_download_has_no_defect(zipped: bool, dataset_small: Truth, dataset_small_zipped: Truth) -> None:
    truth = dataset_small_zipped if zipped else dataset_small
    manifest = inspect(truth.root)
    assert manifest.defects == ()
    assert manifest.orphans == ()
    assert codes_of_exams(manifest) == set()
    assert matched(manifest) == belongs(truth)
    assert [exam.annotation for exam in manifest.exams].count(Annotation.EXPERT) == 1


@pytest.mark.parametrize(
    ("name", "zipped"), [*((name, False) for name in _CHOICES), *((name, True) for name in _OTHERWISE_IN_ZIPS)]
)
def test_what_is_wrong_with_the_whole_is_told_and_the_rest_is_matched(name: str, zipped: bool, download: Path) -> None:
    truth = build(download, 4, seed=_SAME_NUMBERS, zipped=zipped, planted=[name])
    manifest = inspect(download)
    assert codes(manifest) == set(REQUIRED_OF_DATASET[name])
    assert codes_of_exams(manifest) <= _OF_EXAMS.get(name, set())
    assert manifest.orphans == ()
    for exam in truth.exams:
        found = of(manifest, exam)
        assert (last_of(found.image), last_of(found.mask)) == (exam.image, exam.mask)
        assert found.annotation is _ANNOTATION[exam.expert] or name == "nnunet_names"


@pytest.mark.parametrize("lacking", [(), ("without_structured",)])
def test_names_that_say_nothing_leave_it_to_places_to_tell(lacking: tuple[str, ...], download: Path) -> None:
    truth = build(download, 16, planted=["nnunet_names", *lacking])
    manifest = inspect(download)
    for exam in truth.exams:
        found = of(manifest, exam)
        assert (last_of(found.image), last_of(found.mask)) == (exam.image, exam.mask)
        assert found.image_matched_by is MatchedBy.GEOMETRY


def test_without_tables_names_and_places_tell_what_belongs_together(download: Path) -> None:
    truth = build(download, 4, seed=_SAME_NUMBERS, planted=["without_structured"])
    manifest = inspect(download)
    evidence = [of(manifest, exam).image_matched_by for exam in truth.exams]
    assert evidence == [MatchedBy.NAME, MatchedBy.GEOMETRY, MatchedBy.GEOMETRY, MatchedBy.NAME]
    assert {of(manifest, exam).patient_id for exam in truth.exams} == {exam.patient_id for exam in truth.exams}


@pytest.mark.parametrize("zipped", [False, True])
def test_of_the_imaging_files_alone_each_series_is_an_exam(zipped: bool, download: Path) -> None:
    lacking = ["without_structured", "without_annotation", "without_segmentation"]
    truth = build(download, 4, zipped=zipped, planted=lacking)
    manifest = inspect(download)
    assert {exam.key for exam in manifest.exams} == {exam.series_uid for exam in truth.exams}
    assert codes(manifest) == {"part-missing"}
    assert len([defect for defect in manifest.defects if defect.code == "part-missing"]) == 3


@pytest.mark.parametrize("zipped", [False, True])
def test_of_images_and_masks_alone_each_pair_is_an_exam(zipped: bool, download: Path) -> None:
    truth = build(download, 4, zipped=zipped, planted=["without_structured", "without_imaging_files"])
    manifest = inspect(download)
    assert matched(manifest) == belongs(truth)
    assert {exam.series_uid for exam in manifest.exams} == {None}
    assert {exam.patient_id for exam in manifest.exams} == {exam.patient_id for exam in truth.exams}
    assert len({exam.key for exam in manifest.exams}) == 4


def test_tables_alone_still_list_the_exams(download: Path) -> None:
    lacking = ["without_imaging_files", "without_annotation", "without_segmentation"]
    truth = build(download, 4, planted=lacking)
    manifest = inspect(download)
    assert {exam.key for exam in manifest.exams} == {exam.series_uid for exam in truth.exams}
    assert codes(manifest) == {"part-missing"}


def test_an_imaging_zip_that_ends_early_is_refused_and_the_rest_is_read(download: Path) -> None:
    truth = build(download, 4, zipped=True, planted=["imaging_zip_truncated"])
    manifest = inspect(download)
    assert "archive-refused" in codes(manifest)
    assert matched(manifest) == belongs(truth)


def test_series_of_a_patient_with_two_exams_of_one_number_are_told_apart(download: Path, tmp_path: Path) -> None:
    truth = build(download, 4, seed=_SAME_NUMBERS, planted=["without_annotation_file_table"])
    one, two = truth.exams[1:3]
    assert one.patient_id == two.patient_id
    manifest = inspect(download)
    assert last_of(of(manifest, one).image) == one.image
    assert last_of(of(manifest, two).image) == two.image


@pytest.mark.parametrize("name", ["extra_folder", "macos_junk", "half_unpacked", "zips_beside_folders"])
def test_files_are_found_however_the_parts_came(name: str, download: Path, tmp_path: Path) -> None:
    truth = build(download, 4, planted=[name])
    for number, exam in enumerate(truth.exams):
        found = of(inspect(download), exam)
        scratch = tmp_path / str(number)
        scratch.mkdir()
        assert len(exam_series(found, scratch).frames) == exam.shape[0]
        assert exam_image(found, scratch).voxels.shape == exam_mask(found, scratch).voxels.shape


def test_a_single_zip_of_the_download_is_read_as_well(dataset_small_zipped: Truth) -> None:
    manifest = inspect(dataset_small_zipped.root / "DukeCSpineSeg_segmentation.zip")
    assert {last_of(exam.mask) for exam in manifest.exams} == {exam.mask for exam in dataset_small_zipped.exams}


def test_the_whole_download_in_one_folder_deeper_is_found(dataset_small: Truth, tmp_path: Path) -> None:
    shutil.copytree(dataset_small.root, tmp_path / "Downloads" / "MIDRC" / "CSpineSeg")
    manifest = inspect(tmp_path / "Downloads")
    assert manifest.defects == ()
    assert matched(manifest) == belongs(dataset_small)


@pytest.mark.parametrize("above", ["spine_segmentation", "segmentation/masks of the neck"])
def test_what_the_folders_above_are_called_makes_no_image_a_mask(
    above: str, dataset_small: Truth, tmp_path: Path
) -> None:
    shutil.copytree(dataset_small.root, tmp_path / above / "CSpineSeg")
    manifest = inspect(tmp_path)
    assert manifest.defects == ()
    assert matched(manifest) == belongs(dataset_small)


def test_an_image_beside_its_unpacked_copy_is_one_exam_and_the_copy_is_told(download: Path) -> None:
    truth = build(download, 4, planted=["without_structured", "without_imaging_files"])
    (image,) = download.rglob(str(truth.exams[0].image))
    (image.parent / image.name.removesuffix(".gz")).write_bytes(gzip.decompress(image.read_bytes()))
    manifest = inspect(download)
    assert len(manifest.exams) == 4
    assert codes_of_exams(manifest) >= {"file-twice"}
    assert [orphan.defect.code for orphan in manifest.orphans] == ["file-twice"]


def test_an_image_named_after_another_patient_than_the_tables_say_is_told(download: Path) -> None:
    truth = build(download, 4, planted=["without_imaging_files"])
    name, patient = str(truth.exams[0].image), truth.exams[0].patient_id
    other = name.replace(patient, "999999-000001")
    (image,), (table,) = download.rglob(name), download.rglob("annotation_file*.tsv")
    image.rename(image.with_name(other))
    table.write_text(table.read_text().replace(name, other))
    (exam,) = [exam for exam in inspect(download).exams if last_of(exam.image) == other]
    assert "patient-differs" in {defect.code for defect in exam.defects}


def test_numbers_that_a_table_spells_otherwise_are_numbers_and_the_manifest_is_written(
    download: Path, tmp_path: Path
) -> None:
    build(download, 4, planted=())
    (table,) = download.rglob("mr_series*.tsv")
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    at = rows[0].index("magnetic_field_strength")
    for row, said in zip(rows[1:], ("1,5", "3T", "unknown", "15000 G"), strict=False):
        row[at] = said
    table.write_text("".join("\t".join(row) + "\n" for row in rows))
    manifest = inspect(download)
    write_manifest(manifest, tmp_path)
    fields = [exam.columns["magnetic_field_strength"] for exam in read_manifest(tmp_path / MANIFEST_PARQUET).exams]
    assert set(fields) == {1.5, 3.0}
    told = {exam.columns["mr_series.magnetic_field_strength"] for exam in manifest.exams}
    assert told == {"1,5", "3T", "unknown", "15000 G"}


def test_names_that_lead_out_of_a_part_are_refused(dataset_small_zipped: Truth, tmp_path: Path) -> None:
    root = tmp_path / "a" / "b" / "hostile"
    shutil.copytree(dataset_small_zipped.root, root)
    with zipfile.ZipFile(root / "DukeCSpineSeg_annotation.zip", "a") as archive:
        archive.writestr("../../escaped.nii.gz", b"escaped")
        archive.writestr("/escaped.nii.gz", b"escaped")
    manifest = inspect(root)
    assert "archive-refused" in codes(manifest) or manifest.orphans
    assert not list(tmp_path.rglob("escaped*"))
    assert not Path("/escaped.nii.gz").exists()


def test_a_link_in_a_part_is_not_followed(dataset_small_zipped: Truth, tmp_path: Path) -> None:
    root = tmp_path / "hostile"
    shutil.copytree(dataset_small_zipped.root, root)
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    link = zipfile.ZipInfo("DukeCSpineSeg_annotation/593973-000001_Study-MR-77_Series-2.nii.gz")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(root / "DukeCSpineSeg_annotation.zip", "a") as archive:
        archive.writestr(link, str(secret))
    manifest = inspect(root)
    for exam in manifest.exams:
        if exam.image is not None and "Study-MR-77" in exam.image.name:
            with pytest.raises(InputError):
                exam_image(exam, tmp_path)


def test_a_folder_without_any_of_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(InputError):
        inspect(tmp_path)
