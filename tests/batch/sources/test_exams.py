"""Items of the CSpineSeg download: its exams as DICOM or as NIfTI."""

import pickle
import shutil
from dataclasses import replace

import pytest

from node.assemble.nifti import NiftiImage
from node.batch.midrc.inspection import inspect
from node.batch.sources.exams import items_of_exams
from node.domain.series import Series
from node.errors import InputError


@pytest.mark.parametrize("fixture", ["dataset_small", "dataset_small_zipped"])
def test_each_exam_is_an_item_in_both_of_its_forms(fixture, request, tmp_path):
    exams = inspect(request.getfixturevalue(fixture).root, thorough=False).exams
    dicom, nifti = list(items_of_exams(exams, "dicom")), list(items_of_exams(exams, "nifti"))
    assert [item.key for item in dicom] == [item.key for item in nifti] == [exam.series_uid for exam in exams]
    series, image = dicom[0].source.load(tmp_path), nifti[0].source.load(tmp_path)
    assert isinstance(series, Series)
    assert isinstance(image, NiftiImage)
    assert series.series_instance_uid == dicom[0].key
    assert sorted(image.grid.shape) == sorted((len(series.frames), series.frames[0].rows, series.frames[0].columns))


def test_the_mark_of_an_exam_follows_its_form_and_its_files(dataset_small, tmp_path):
    shutil.copytree(dataset_small.root, tmp_path / "download")
    manifest = inspect(tmp_path / "download", thorough=False)

    def marks(use):
        return [item.mark for item in items_of_exams(manifest.exams, use)]

    before = marks("nifti")
    assert marks("nifti") == before
    assert not set(marks("dicom")) & set(before)
    place = manifest.exams[0].image
    path = place.container / place.name
    path.write_bytes(path.read_bytes() + b" ")
    assert [old == new for old, new in zip(before, marks("nifti"), strict=True)] == [False, *[True] * (len(before) - 1)]


@pytest.mark.parametrize("use", ["dicom", "nifti"])
def test_an_exam_without_its_input_fails_by_name_when_it_is_loaded(dataset_small, tmp_path, use):
    exam = replace(inspect(dataset_small.root, thorough=False).exams[0], dicom=None, image=None)
    (item,) = items_of_exams([exam], use)
    assert item.key == exam.key
    with pytest.raises(InputError, match="is there"):
        item.source.load(tmp_path)


def test_an_item_holds_nothing_of_the_tables(dataset_small):
    (item, *_) = items_of_exams(inspect(dataset_small.root, thorough=False).exams, "dicom")
    pickled = pickle.dumps(item)
    assert len(pickled) < 1500
    assert pickle.loads(pickled) == item
    assert item.source.exam.columns == {}
