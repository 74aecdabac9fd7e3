"""Items of the CSpineSeg download: its exams as DICOM or as NIfTI."""

import pickle
import shutil
from dataclasses import replace

import pytest

from node.assemble.nifti import NiftiImage
from node.batch.masks.task import mask_items
from node.batch.midrc.exam import Place
from node.batch.midrc.files import looks_of_place
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


def test_the_mark_of_a_series_in_a_folder_follows_its_files_and_not_what_a_system_leaves(tmp_path):
    place = Place(container=tmp_path, name="series")
    (tmp_path / "series" / "part").mkdir(parents=True)
    for name in ("1.dcm", "part/2.dcm"):
        (tmp_path / "series" / name).write_bytes(b"")
    before = looks_of_place(place)
    (tmp_path / "series" / ".DS_Store").write_bytes(b"")
    (tmp_path / "series" / "Thumbs.db").write_bytes(b"")
    assert looks_of_place(place) == before
    (tmp_path / "series" / "part" / "3.dcm").write_bytes(b"")
    assert looks_of_place(place) not in {before, None}


@pytest.mark.parametrize("use", ["dicom", "nifti"])
def test_exams_on_a_disk_that_is_not_there_have_no_mark(dataset_small, tmp_path, use):
    shutil.copytree(dataset_small.root, tmp_path / "download")
    exams = inspect(tmp_path / "download", thorough=False).exams
    (tmp_path / "download").rename(tmp_path / "elsewhere")
    assert {item.mark for item in items_of_exams(exams, use)} == {""}
    assert {item.mark for item in mask_items(exams)} == {""}


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
