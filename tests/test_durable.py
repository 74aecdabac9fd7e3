"""Durable writes: whole files or none, in the order that survives a power cut."""

import os
import threading
from pathlib import Path

import pytest

from node import durable
from node.durable import GrowingFile, make_folder_durably, new_folder_durably, write_durably, write_files_durably


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_chunks_are_written_one_after_the_other_and_nothing_else_is_left(tmp_path):
    write_durably(tmp_path / "a", [b"one ", memoryview(b"two"), b""])
    assert (tmp_path / "a").read_bytes() == b"one two"
    assert names(tmp_path) == ["a"]


def test_several_files_are_each_on_the_disk_before_their_names_and_the_folder_after_all(tmp_path, monkeypatch):
    done = []
    sync, replace = os.fsync, Path.replace
    folder = tmp_path / "case"

    def synced(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        done.append("folder" if path == folder else "file" if path.parent == folder else "above")
        sync(descriptor)

    def renamed(path, target):
        done.append(target.name)
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write_files_durably(folder, {"a": b"1", "b": b"2"})
    assert [step for step in done if step != "above"] == ["file", "a", "file", "b", "folder"]
    assert {name: (folder / name).read_bytes() for name in names(folder)} == {"a": b"1", "b": b"2"}


def test_missing_folders_are_made(tmp_path):
    write_durably(tmp_path / "x" / "y" / "z" / "a", [b"1"])
    assert (tmp_path / "x" / "y" / "z" / "a").read_bytes() == b"1"


def test_a_file_that_exists_is_replaced_and_its_open_readers_keep_the_old_bytes(tmp_path):
    write_durably(tmp_path / "a", [b"old"])
    with (tmp_path / "a").open("rb") as reader:
        write_durably(tmp_path / "a", [b"new and longer"])
        assert reader.read() == b"old"
    assert (tmp_path / "a").read_bytes() == b"new and longer"


def test_only_the_owner_may_read_the_file(tmp_path):
    write_durably(tmp_path / "a", [b"1"])
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def failing_chunks():
    yield b"half"
    raise OSError(28, "No space left on device")


def test_a_failure_while_writing_leaves_the_old_file_and_no_temporary_one(tmp_path):
    write_durably(tmp_path / "a", [b"old"])
    with pytest.raises(OSError, match="No space left"):
        write_durably(tmp_path / "a", failing_chunks())
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_of_fsync_or_rename_leaves_the_old_file_and_no_temporary_one(tmp_path, monkeypatch, call):
    def fail(*_arguments):
        raise OSError(5, "Input/output error")

    write_durably(tmp_path / "a", [b"old"])
    if call == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_durably(tmp_path / "a", [b"new"])
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_an_interrupt_leaves_no_temporary_file(tmp_path):
    def interrupted():
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_durably(tmp_path / "a", interrupted())
    assert names(tmp_path) == []


def test_the_file_is_on_the_disk_before_its_name_and_its_name_before_the_return(tmp_path, monkeypatch):
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def recorded_fsync(descriptor):
        target = Path(f"/proc/self/fd/{descriptor}").resolve()
        calls.append(f"fsync {'folder ' + target.name if target.is_dir() else 'file'}")
        fsync(descriptor)

    def recorded_replace(self, target):
        calls.append(f"rename to {Path(target).name}")
        return replace(self, target)

    (tmp_path / "state").mkdir()
    make_folder_durably(tmp_path)
    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "replace", recorded_replace)
    write_durably(tmp_path / "state" / "spool" / "series" / "a", [b"1"])
    above = (
        f"fsync folder {tmp_path.name}"  # the folder "state" was there, and nobody knows whether its name is durable
    )
    written = ["fsync file", "rename to a", "fsync folder series"]
    assert calls == [above, "fsync folder state", "fsync folder spool", *written]
    calls.clear()
    write_durably(tmp_path / "state" / "spool" / "series" / "a", [b"1"])
    assert calls == written


def test_a_folder_where_a_file_lies_is_an_os_error(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(OSError):
        write_durably(tmp_path / "x" / "a", [b"1"])


def test_a_thread_waits_for_the_folder_that_another_is_putting_on_the_disk(tmp_path, monkeypatch):
    reached, go_on, second_done = threading.Event(), threading.Event(), threading.Event()
    fsync_folder = durable.fsync_folder

    def held(folder):
        reached.set()
        assert go_on.wait(20)
        fsync_folder(folder)

    def second():
        make_folder_durably(tmp_path / "series")
        second_done.set()

    monkeypatch.setattr(durable, "fsync_folder", held)
    threads = [
        threading.Thread(target=make_folder_durably, args=[tmp_path / "series"]),
        threading.Thread(target=second),
    ]
    threads[0].start()
    assert reached.wait(20)
    threads[1].start()
    assert not second_done.wait(0.1)
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert second_done.is_set()


def test_a_new_folder_appears_whole_at_the_end(tmp_path):
    with new_folder_durably(tmp_path / "x" / "a") as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_bytes(b"1")
        assert not (tmp_path / "x" / "a").exists()
        assert folder.name.startswith(".a-")
    assert (tmp_path / "x" / "a" / "inner" / "file").read_bytes() == b"1"
    assert names(tmp_path / "x") == ["a"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_new_folder_that_fails_is_gone(tmp_path, error):
    with pytest.raises(error), new_folder_durably(tmp_path / "a") as folder:
        (folder / "file").write_bytes(b"1")
        raise error
    assert names(tmp_path) == []


def test_a_new_folder_never_covers_another(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"1")
    with pytest.raises(OSError, match="not empty"), new_folder_durably(tmp_path / "a"):
        pass
    assert (tmp_path / "a" / "file").read_bytes() == b"1"
    assert names(tmp_path) == ["a"]


def test_a_growing_file_is_hidden_until_it_is_kept(tmp_path):
    file = GrowingFile(tmp_path / "x")
    file.write(b"one ")
    file.write(memoryview(b"two"))
    assert (file.size, file.read(4, 99)) == (7, b"two")
    assert [name.startswith(".") and name.endswith(".part") for name in names(tmp_path / "x")] == [True]
    file.keep(tmp_path / "y" / "a")
    assert (names(tmp_path / "x"), (tmp_path / "y" / "a").read_bytes()) == ([], b"one two")
    assert (tmp_path / "y" / "a").stat().st_mode & 0o777 == 0o600
    file.discard()
    assert names(tmp_path / "y") == ["a"]


def test_a_growing_file_that_is_thrown_away_leaves_nothing(tmp_path):
    file = GrowingFile(tmp_path)
    file.write(b"1")
    file.discard()
    file.discard()
    assert names(tmp_path) == []
    with pytest.raises(ValueError, match="thrown away"):
        file.keep(tmp_path / "a")


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, chunk: real(descriptor, bytes(chunk)[:3]))
    file = GrowingFile(tmp_path)
    file.write(b"abcdefgh")
    file.keep(tmp_path / "a")
    assert (file.size, (tmp_path / "a").read_bytes()) == (8, b"abcdefgh")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_growing_file_that_cannot_be_kept_leaves_nothing(tmp_path, monkeypatch, call):
    def fail(*_arguments):
        raise OSError(5, "Input/output error")

    file = GrowingFile(tmp_path)
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="Input/output error"):
        file.keep(tmp_path / "a")
    assert names(tmp_path) == []
