"""Zip archives: hostile, damaged and sound ones."""

import io
import random
import zipfile
from pathlib import Path

import pytest

from node.errors import UnsafeArchive
from node.receive import archive
from node.receive.archive import unpack, unpack_tree


def zipped(path: Path, entries, compression=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as content:
        for name, data in entries:
            content.writestr(name, data)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "out" / "inner"
    made.mkdir(parents=True)
    return made


def everything(tmp_path: Path) -> list[str]:
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())


def test_files_are_unpacked_under_numbers_in_the_order_of_the_archive(tmp_path, folder):
    path = zipped(tmp_path / "a.zip", [("b/2.dcm", b"two"), ("b/", b""), ("a/1.dcm", b"one"), ("a/1.dcm2", b"")])
    unpacked = unpack(path, folder)
    assert [item.name for item in unpacked] == ["000000", "000001", "000002"]
    assert [item.read_bytes() for item in unpacked] == [b"two", b"one", b""]
    assert all(item.parent == folder for item in unpacked)


@pytest.mark.parametrize(
    "name", ["../../evil", "/etc/evil", "..\\..\\evil", "C:\\evil", "a/../../evil", "a\0b", "~/evil", "."]
)
def test_no_name_of_an_archive_leads_anywhere(tmp_path, folder, name):
    path = zipped(tmp_path / "a.zip", [(name, b"evil")])
    (unpacked,) = unpack(path, folder)
    assert unpacked.read_bytes() == b"evil"
    assert everything(tmp_path) == ["a.zip", "out/inner/000000"]


def test_a_link_is_unpacked_as_the_text_that_it_is(tmp_path, folder):
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    (unpacked,) = unpack(zipped(tmp_path / "a.zip", [(link, "/etc/passwd")]), folder)
    assert not unpacked.is_symlink()
    assert unpacked.read_bytes() == b"/etc/passwd"


def test_one_name_twice_is_two_files(tmp_path, folder):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = zipped(tmp_path / "a.zip", [("x", b"1"), ("x", b"2")])
    assert [item.read_bytes() for item in unpack(path, folder)] == [b"1", b"2"]


def test_more_files_than_allowed_are_refused_before_any_is_written(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(archive, "_MOST_FILES", 3)
    assert len(unpack(zipped(tmp_path / "a.zip", [(str(n), b"x") for n in range(3)]), folder)) == 3
    for item in folder.iterdir():
        item.unlink()
    with pytest.raises(UnsafeArchive, match="more than 3 files"):
        unpack(zipped(tmp_path / "b.zip", [(str(n), b"x") for n in range(4)]), folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("sizes", [(1001,), (600, 401), (1000, 1)])
def test_more_bytes_than_allowed_are_refused_over_all_files_together(tmp_path, folder, monkeypatch, sizes):
    monkeypatch.setattr(archive, "_MOST_BYTES", 1000)
    entries = [(str(number), bytes(size)) for number, size in enumerate(sizes)]
    with pytest.raises(UnsafeArchive, match="unpacks to more than it may"):
        unpack(zipped(tmp_path / "a.zip", entries), folder)
    assert sum(item.stat().st_size for item in folder.iterdir()) <= 1000


def test_a_size_that_the_archive_lies_about_does_not_help_it(tmp_path, folder, monkeypatch):
    path = zipped(tmp_path / "a.zip", [("bomb", bytes(5 << 20))])
    content = path.read_bytes()
    path.write_bytes(content.replace((5 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    monkeypatch.setattr(archive, "_MOST_BYTES", 1 << 20)
    with pytest.raises(UnsafeArchive):
        unpack(path, folder)
    assert sum(item.stat().st_size for item in folder.iterdir()) <= 1 << 20


def test_a_full_disk_ends_the_unpacking(tmp_path, folder, monkeypatch):
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UnsafeArchive, match="than the disk holds"):
        unpack(zipped(tmp_path / "a.zip", [("x", b"1")]), folder)
    assert everything(folder) == ["000000"]


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip", b"PK\x05\x06" + bytes(10), bytes(1000)])
def test_what_is_no_zip_is_refused_by_name(tmp_path, folder, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(UnsafeArchive, match=r"a\.zip: cannot be unpacked"):
        unpack(tmp_path / "a.zip", folder)


def test_an_encrypted_file_is_refused(tmp_path, folder):
    path = zipped(tmp_path / "a.zip", [("x", b"1" * 100)], zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(UnsafeArchive, match="RuntimeError"):
        unpack(path, folder)


def test_an_archive_that_is_not_there_is_an_os_error(tmp_path, folder):
    with pytest.raises(FileNotFoundError):
        unpack(tmp_path / "absent.zip", folder)


def test_a_disk_that_fails_is_no_fault_of_the_archive(tmp_path, folder, monkeypatch):
    def fail(*_arguments):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(archive.shutil, "disk_usage", fail)
    with pytest.raises(OSError, match="Input/output error"):
        unpack(zipped(tmp_path / "a.zip", [("x", b"1")]), folder)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_is_unpacked_or_refused(tmp_path, folder, compression):
    chance = random.Random(3)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as content:
        content.writestr("a", chance.randbytes(200) + bytes(300))
        content.writestr("b/c", b"y" * 50)
    refused = 0
    for _ in range(150):
        damaged = bytearray(buffer.getvalue())
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 255, chance.randrange(256)))
        (tmp_path / "a.zip").write_bytes(damaged)
        try:
            unpack(tmp_path / "a.zip", folder)
        except UnsafeArchive:
            refused += 1
    assert 50 < refused < 150
    assert {path.name for path in folder.iterdir()} <= {"000000", "000001"}


def test_a_tree_keeps_the_names_of_the_archive(tmp_path, folder):
    path = zipped(tmp_path / "a.zip", [("model/", b""), ("model/fold_0/x.pth", b"1"), ("plans.json", b"2")])
    unpack_tree(path, folder)
    found = {item.relative_to(folder).as_posix(): item.read_bytes() for item in folder.rglob("*") if item.is_file()}
    assert found == {"model/fold_0/x.pth": b"1", "plans.json": b"2"}


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "a\\x", "c:x", "..", "a\n", "a/" * 20 + "x", "é" * 200])
def test_a_tree_takes_no_name_that_leads_elsewhere(tmp_path, folder, name):
    with pytest.raises(UnsafeArchive, match="leads out of the folder"):
        unpack_tree(zipped(tmp_path / "a.zip", [(name, b"evil")]), folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", [0o120777, 0o020666, 0o010666, 0o140777])
def test_a_tree_takes_no_link_and_no_device(tmp_path, folder, kind):
    entry = zipfile.ZipInfo("plans.json")
    entry.external_attr = kind << 16
    with pytest.raises(UnsafeArchive, match="no plain file"):
        unpack_tree(zipped(tmp_path / "a.zip", [(entry, b"/etc/passwd")]), folder)


@pytest.mark.parametrize("names", [("a", "a"), ("a", "./a"), ("a", "a/b"), ("a/b", "a")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_tree_takes_no_name_twice(tmp_path, folder, names):
    with pytest.raises(UnsafeArchive):
        unpack_tree(zipped(tmp_path / "a.zip", [(name, b"x") for name in names]), folder)


def test_a_tree_has_its_own_cap_and_shares_that_of_bytes(tmp_path, folder, monkeypatch):
    monkeypatch.setattr("node.receive.archive._MOST_FILES_IN_TREE", 2)
    with pytest.raises(UnsafeArchive, match="more than 2 files"):
        unpack_tree(zipped(tmp_path / "a.zip", [(str(n), b"x") for n in range(3)]), folder)
    monkeypatch.setattr("node.receive.archive._MOST_BYTES", 1)
    with pytest.raises(UnsafeArchive, match="unpacks to more than it may"):
        unpack_tree(zipped(tmp_path / "b.zip", [("a", b"x"), ("b", b"x")]), folder)


def test_of_a_zip_the_wanted_files_alone_are_unpacked_under_the_same_numbers(tmp_path, folder):
    path = zipped(tmp_path / "a.zip", [("a", b"one"), ("b/", b""), ("b/c", b"two"), ("d", b"three")])
    unpacked = unpack(path, folder, {1, 2})
    assert [(item.name, item.read_bytes()) for item in unpacked] == [("000001", b"two"), ("000002", b"three")]


def test_the_beginnings_of_files_are_read_without_unpacking(tmp_path):
    path = zipped(tmp_path / "a.zip", [("a", b"one"), ("b/", b""), ("b/c", b"three"), ("d", bytes(10 << 20))])
    assert list(archive.heads(path, 4)) == [(0, b"one"), (1, b"thre"), (2, bytes(4))]


def test_beginnings_of_a_damaged_zip_are_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\3\4 but no zip")
    with pytest.raises(UnsafeArchive):
        list(archive.heads(tmp_path / "a.zip", 4))


def test_an_open_archive_gives_its_files_one_by_one(tmp_path):
    path = zipped(tmp_path / "a.zip", [("b/", b""), ("b/2.dcm", b"two"), ("1.dcm", b"x" * 5000)])
    with archive.OpenArchive(path) as opened:
        assert list(opened.files.items()) == [("b/2.dcm", 3), ("1.dcm", 5000)]
        opened.copy("b/2.dcm", tmp_path / "two", 3)
        assert opened.copy_head("1.dcm", tmp_path / "head", 10) is False
        assert opened.copy_head("b/2.dcm", tmp_path / "whole", 10) is True
        with pytest.raises(UnsafeArchive, match="claims more than"):
            opened.copy("1.dcm", tmp_path / "one", 4999)
    assert (tmp_path / "two").read_bytes() == (tmp_path / "whole").read_bytes() == b"two"
    assert (tmp_path / "head").read_bytes() == b"x" * 10 + bytes(4990)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a\\b", "C:evil", "a/../../b"])
def test_an_archive_with_a_name_that_leads_out_is_not_opened(tmp_path, name):
    path = zipped(tmp_path / "a.zip", [("sound", b""), (name, b"evil")])
    with pytest.raises(UnsafeArchive, match="leads out"):
        archive.OpenArchive(path)


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x05\x06"])
def test_what_is_no_archive_is_not_opened(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(UnsafeArchive, match="cannot be unpacked"):
        archive.OpenArchive(tmp_path / "a.zip")
