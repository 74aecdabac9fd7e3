"""The files of an exam: what cannot be read is named by its place in the download."""

import zipfile

import pytest

from node.batch.midrc.exam import Exam, Place
from node.batch.midrc.files import exam_image, exam_series
from node.errors import NiftiRefused, UnsafeArchive


def exam(place: Place) -> Exam:
    return Exam(
        key="1.2.3",
        patient_id=None,
        study_uid=None,
        series_uid="1.2.3",
        dicom=place,
        image=place,
        mask=None,
        annotation=None,
        image_matched_by=None,
        mask_matched_by=None,
        columns={},
        defects=(),
    )


def test_a_damaged_zip_within_a_zip_is_named_as_the_download_names_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as outer:
        outer.writestr("case_image/p/s/1.2.3.zip", b"no zip at all")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(UnsafeArchive) as raised:
        exam_series(
            exam(Place(container=tmp_path / "images.zip", name="case_image/p/s/1.2.3.zip")), tmp_path / "scratch"
        )
    assert str(raised.value).startswith("case_image/p/s/1.2.3.zip: ")
    assert "scratch" not in str(raised.value)


def test_a_damaged_image_within_a_zip_is_named_as_the_download_names_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as outer:
        outer.writestr("a/b.nii.gz", b"no image at all")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(NiftiRefused, match=r"^a/b\.nii\.gz: not a readable NIfTI image$"):
        exam_image(exam(Place(container=tmp_path / "images.zip", name="a/b.nii.gz")), tmp_path / "scratch")
