"""Items of folders, zips and images: what is one item, in which order, and what is told of the rest."""

import os
import pickle
import shutil
import sqlite3
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from fakes import mr_image, save

from node.batch.sources import scan
from node.batch.sources.files import Folder, SeriesFiles, Zip
from node.batch.sources.paths import found_at, items_of_paths
from node.batch.sources.skipped import Skipped
from node.demo.source import write_series
from node.domain.product import MODEL_NAME
from node.errors import InputError, NiftiRefused, SystemFailed, TruncatedFile, UnsafeArchive
from node.train.phantom import generate


def series(folder: Path, uid: str, numbers=(1, 2, 3)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        save(mr_image(number, series=uid), folder / f"{number}.dcm")
    return folder


def zipped(path: Path, *files: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as content:
        for number, file in enumerate(files):
            content.write(file, f"in/{number}")
    return path


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.zeros((3, 4, 5), np.int16), np.eye(4)), path)
    return path


def found(*paths: Path, index: Path | None = None):
    told: list[Skipped] = []
    return list(items_of_paths(paths, told.append, index=index)), told


def keys(*paths: Path) -> list[str]:
    return [item.key for item in found(*paths)[0]]


def reasons(told: list[Skipped], root: Path) -> dict[str, str]:
    return {str(skipped.path.relative_to(root)): skipped.reason.text for skipped in told}


def test_series_come_by_uid_whatever_their_folders_are_called(tmp_path):
    series(tmp_path / "a", "1.9")
    series(tmp_path / "z", "1.10")
    series(tmp_path / "m" / "deep", "1.2")
    assert keys(tmp_path) == ["1.10", "1.2", "1.9"]


def test_the_mark_of_an_item_follows_what_is_there_of_it(tmp_path):
    series(tmp_path / "in" / "a", "1.9", (1, 2))
    image(tmp_path / "in" / "b.nii.gz")

    def marks():
        return [item.mark for item in found(tmp_path / "in")[0]]

    first = marks()
    assert marks() == first
    series(tmp_path / "in" / "a", "1.9", (3,))
    second = marks()
    (tmp_path / "in" / "b.nii.gz").write_bytes((tmp_path / "in" / "b.nii.gz").read_bytes() + b" ")
    third = marks()
    assert (first[0] == second[0], first[1] == second[1]) == (False, True)
    assert (second[0] == third[0], second[1] == third[1]) == (True, False)


def test_a_series_of_several_folders_and_zips_is_one_item(tmp_path):
    series(tmp_path / "a", "1.5", (1, 2))
    series(tmp_path / "b", "1.5", (3,))
    other = series(tmp_path / "elsewhere", "1.5", (4, 5))
    zipped(tmp_path / "b" / "rest.zip", other / "4.dcm", other / "5.dcm")
    shutil.rmtree(other)
    (item,), told = found(tmp_path)
    assert told == []
    assert item.source == SeriesFiles(
        series_uid="1.5",
        folders=(Folder(tmp_path / "a", ("1.dcm", "2.dcm")), Folder(tmp_path / "b", ("3.dcm",))),
        zips=(Zip(tmp_path / "b" / "rest.zip", (0, 1)),),
    )
    loaded = item.source.load(tmp_path / "scratch")
    assert [frame.sop_instance_uid for frame in loaded.frames] == ["1.5.1", "1.5.2", "1.5.3", "1.5.4", "1.5.5"]
    assert sorted(path.name for path in (tmp_path / "scratch" / "zip-0").iterdir()) == ["000000", "000001"]


def test_a_zip_of_several_series_is_an_item_each_and_only_its_files_are_unpacked(tmp_path):
    files = [series(tmp_path / "made" / uid, uid, (1,)) / "1.dcm" for uid in ("1.7", "1.6")]
    archive = zipped(tmp_path / "all.zip", *files)
    first, second = found(archive)[0]
    assert [first.key, second.key] == ["1.6", "1.7"]
    assert first.source.load(tmp_path / "scratch").series_instance_uid == "1.6"
    assert [path.name for path in (tmp_path / "scratch").rglob("0*")] == ["000001"]


def test_a_source_is_small_and_survives_pickling(tmp_path):
    (item,), _ = found(series(tmp_path / "in", "1.5", range(1, 21)))
    pickled = pickle.dumps(item)
    assert len(pickled) < 1000
    assert pickle.loads(pickled) == item


def test_a_phantom_series_is_loaded_as_it_was_written(tmp_path):
    phantom = generate(1, shape=(12, 64, 64))
    write_series(phantom.image, phantom.grid, tmp_path / "in", name="neck")
    (item,), _ = found(tmp_path / "in")
    loaded = item.source.load(tmp_path / "scratch")
    assert len(loaded.frames) == 12
    assert loaded.series_instance_uid == item.key


def test_images_have_their_keys_from_their_names(tmp_path):
    image(tmp_path / "593973-000003_Study-MR-3_Series-3.nii.gz")
    image(tmp_path / "sub" / "a b.nii")
    assert keys(tmp_path) == ["593973-000003_Study-MR-3_Series-3", "sub_a_b-fe3dcafe6fe2"]


def test_keys_are_unique_where_names_are_not(tmp_path):
    series(tmp_path / "dicom", "1.5")
    for path in ("x.nii", "x.nii.gz", "y.nii.gz", "1.5.nii.gz"):
        image(tmp_path / path)
    found_keys = keys(tmp_path)
    assert found_keys[0] == "1.5"
    assert [key.rpartition("-")[0] or key for key in found_keys] == ["1.5", "1.5", "x", "x", "y"]
    assert len(set(found_keys)) == 5
    assert found_keys == keys(tmp_path)


def test_an_image_is_loaded_as_it_is_stored(tmp_path):
    (item,), _ = found(image(tmp_path / "x.nii.gz"))
    assert item.source.load(tmp_path).grid.shape == (3, 4, 5)


def test_a_broken_image_fails_when_it_is_loaded(tmp_path):
    (tmp_path / "x.nii.gz").write_bytes(b"no image")
    (item,), told = found(tmp_path)
    assert told == []
    with pytest.raises(NiftiRefused):
        item.source.load(tmp_path)


def test_a_hostile_zip_is_an_item_that_fails_by_name(tmp_path):
    (tmp_path / "evil.zip").write_bytes(b"PK\3\4 but no zip")
    whole = zipped(tmp_path / "whole.zip", series(tmp_path / "made", "1.5", (1,)) / "1.dcm")
    content = bytearray(whole.read_bytes())
    content[60:80] = bytes(20)
    (tmp_path / "damaged.zip").write_bytes(content)
    items, told = found(tmp_path)
    assert [item.key for item in items] == ["1.5", "damaged", "evil"]
    assert told == []
    for item in items[1:]:
        with pytest.raises(UnsafeArchive, match=item.key):
            item.source.load(tmp_path)


def test_a_damaged_slice_fails_its_series_when_it_is_loaded(tmp_path):
    damaged = series(tmp_path / "in", "1.5") / "2.dcm"
    damaged.write_bytes(damaged.read_bytes()[:-10])
    (item,), told = found(tmp_path)
    assert told == []
    with pytest.raises(TruncatedFile):
        item.source.load(tmp_path)


def test_a_series_that_went_away_after_the_scan_is_the_machine_s_fault(tmp_path):
    (item,), _ = found(series(tmp_path / "in", "1.5"))
    shutil.rmtree(tmp_path / "in")
    with pytest.raises(SystemFailed, match="FileNotFoundError"):
        item.source.load(tmp_path)


def test_every_file_that_is_no_input_is_told_with_its_reason(tmp_path):
    series(tmp_path / "in", "1.5")
    (tmp_path / "readme.txt").write_text("nothing")
    (tmp_path / ".DS_Store").write_text("nothing")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "round").symlink_to(tmp_path, target_is_directory=True)
    zipped(tmp_path / "empty.zip")
    report = mr_image(1, series="1.6")
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    del report.PixelData, report.Rows, report.Columns
    save(report, tmp_path / "report.dcm")
    own = mr_image(1, series="1.7")
    own.ManufacturerModelName = MODEL_NAME
    save(own, tmp_path / "own.dcm")
    items, told = found(tmp_path)
    assert [item.key for item in items] == ["1.5"]
    assert reasons(told, tmp_path) == {
        ".DS_Store": "a hidden file or folder",
        "empty.zip": "an empty archive",
        "gone": "a link that leads nowhere",
        "own.dcm": "a result of this software",
        "pipe": "neither a file nor a folder",
        "readme.txt": "neither a DICOM preamble nor a data set",
        "report.dcm": "SOP Class 1.2.840.10008.5.1.4.1.1.88.33: an object without an image",
        "round": "a link to a folder that it lies in",
    }


def test_files_of_a_zip_that_are_no_images_are_told_by_their_numbers(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing")
    image_file = series(tmp_path / "made", "1.5", (1,)) / "1.dcm"
    archive = zipped(tmp_path / "in.zip", tmp_path / "readme.txt", image_file)
    items, told = found(archive)
    assert [item.key for item in items] == ["1.5"]
    assert [(skipped.path, skipped.member) for skipped in told] == [(archive, 0)]


def test_a_file_without_preamble_is_found_in_folders_and_in_zips(tmp_path):
    plain = series(tmp_path / "in", "1.5", (1,)) / "1.dcm"
    plain.write_bytes(plain.read_bytes()[132:])
    zipped(tmp_path / "in" / "again.zip", plain)
    (item,), told = found(tmp_path)
    assert told == []
    assert item.source.zips == (Zip(tmp_path / "in" / "again.zip", (0,)),)
    assert len(item.source.load(tmp_path / "scratch").frames) == 1


def test_the_results_of_a_batch_are_no_input(tmp_path):
    series(tmp_path / "in", "1.5")
    image(tmp_path / "out" / "cases" / "labels.nii.gz")
    (tmp_path / "out" / "ledger").mkdir()
    (tmp_path / "out" / "batch.json").write_text("{}")
    items, told = found(tmp_path)
    assert [item.key for item in items] == ["1.5"]
    assert reasons(told, tmp_path) == {"out": "the results of a batch"}


def test_paths_within_others_and_repeated_ones_count_once(tmp_path):
    image(tmp_path / "a" / "x.nii.gz")
    assert keys(tmp_path, tmp_path / "a", tmp_path / "a" / "x.nii.gz", tmp_path) == ["a_x-a3e52d421513"]


def test_a_path_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        found(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    series(tmp_path / "in", "1.5")
    locked = tmp_path / "locked"
    locked.mkdir()
    look = os.scandir

    def scandir(path):
        if path == locked:
            raise PermissionError(13, "Permission denied")
        return look(path)

    monkeypatch.setattr(os, "scandir", scandir)
    items, told = found(tmp_path)
    assert [item.key for item in items] == ["1.5"]
    assert reasons(told, tmp_path) == {"locked": "a folder cannot be read: PermissionError"}


def test_the_number_of_items_is_known_before_the_first(tmp_path):
    series(tmp_path / "a", "1.5")
    image(tmp_path / "x.nii.gz")
    done: list[int] = []
    with found_at([tmp_path], progress=done.append) as what:
        assert len(what) == 2
    assert done[-1] == 4


class TestIndex:
    """An index that is kept."""

    @pytest.fixture
    def index(self, tmp_path) -> Path:
        return tmp_path / "out" / "index.sqlite"

    @pytest.fixture
    def tree(self, tmp_path) -> Path:
        series(tmp_path / "in" / "a", "1.5")
        series(tmp_path / "in" / "b", "1.6")
        (tmp_path / "in" / "b" / "readme.txt").write_text("nothing")
        return tmp_path / "in"

    @pytest.fixture
    def read(self, monkeypatch) -> list[str]:
        """Names of the files whose headers are read."""
        names: list[str] = []
        look = scan.series_of_file

        def series_of_file(path):
            names.append(f"{path.parent.name}/{path.name}")
            return look(path)

        monkeypatch.setattr(scan, "series_of_file", series_of_file)
        return names

    def test_what_has_not_changed_is_not_read_again_and_found_and_told_again(self, tree, index, read):
        first = found(tree, index=index)
        read.clear()
        assert found(tree, index=index) == first
        assert read == []

    def test_a_folder_that_has_changed_is_read_again(self, tree, index, read):
        found(tree, index=index)
        read.clear()
        save(mr_image(4, series="1.7"), tree / "a" / "4.dcm")
        items, _ = found(tree, index=index)
        assert [item.key for item in items] == ["1.5", "1.6", "1.7"]
        assert sorted(read) == ["a/1.dcm", "a/2.dcm", "a/3.dcm", "a/4.dcm"]

    def test_what_is_gone_is_forgotten(self, tree, index):
        found(tree, index=index)
        shutil.rmtree(tree / "b")
        items, told = found(tree, index=index)
        assert [item.key for item in items] == ["1.5"]
        assert told == []

    def test_a_file_that_could_not_be_read_is_tried_again(self, tree, index, monkeypatch):
        def failing(path):
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patched:
            patched.setattr(scan, "series_of_file", failing)
            items, told = found(tree, index=index)
        assert items == []
        assert {skipped.reason.code for skipped in told} == {"system-failed"}
        assert [item.key for item in found(tree, index=index)[0]] == ["1.5", "1.6"]

    def test_a_scan_that_was_killed_is_taken_up(self, tree, index, read, monkeypatch):
        def killed(path):
            raise KeyboardInterrupt

        found(tree / "a", index=index)
        read.clear()
        with monkeypatch.context() as patched:
            patched.setattr(scan, "series_of_file", killed)
            with pytest.raises(KeyboardInterrupt):
                found(tree, index=index)
        assert [item.key for item in found(tree, index=index)[0]] == ["1.5", "1.6"]

    def test_an_index_that_is_none_is_named(self, tree, index):
        index.parent.mkdir()
        index.write_bytes(b"no database" * 1000)
        with pytest.raises(SystemFailed, match="cannot be used"):
            found(tree, index=index)
        assert index.read_bytes() == b"no database" * 1000

    def test_an_index_in_use_by_another_is_named(self, tree, index, monkeypatch):
        found(tree, index=index)
        save(mr_image(4, series="1.7"), tree / "a" / "4.dcm")
        connect = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", lambda path, **kw: connect(path, timeout=0.01, **kw))
        other = connect(index)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SystemFailed, match="cannot be used"):
            found(tree, index=index)
        other.close()
