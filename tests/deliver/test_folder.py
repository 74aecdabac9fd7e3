"""Delivery into a folder."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import mr_image, save

from node.deliver import folder
from node.deliver.encoding import read_parcel
from node.deliver.folder import FileTreeDestination
from node.errors import DestinationMisconfigured, OutOfResources, PeerUnreachable, ResultDamaged, StoreRefused


@pytest.fixture
def parcel(tmp_path: Path):
    return read_parcel(save(mr_image(), tmp_path / "1.dcm"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "share").mkdir()
    return tmp_path / "share"


def errors(root: Path, *parcels):
    return [answer.error for answer in FileTreeDestination(root).deliver(parcels)]


def test_an_object_lies_under_its_study_and_series_byte_by_byte(root, parcel):
    assert errors(root, parcel) == [None]
    assert [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()] == [
        "1.2/1.2.3/1.2.3.1.dcm"
    ]
    assert (root / "1.2/1.2.3/1.2.3.1.dcm").read_bytes() == parcel.path.read_bytes()


def test_to_deliver_again_changes_nothing(root, parcel):
    assert errors(root, parcel) == [None]
    before = (root / "1.2/1.2.3/1.2.3.1.dcm").stat()
    assert errors(root, parcel) == [None]
    assert (root / "1.2/1.2.3/1.2.3.1.dcm").stat() == before


def test_another_file_of_the_uid_is_never_overwritten(root, parcel):
    target = root / "1.2/1.2.3/1.2.3.1.dcm"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"somebody else's")
    [error] = errors(root, parcel)
    assert type(error) is StoreRefused
    assert target.read_bytes() == b"somebody else's"
    assert [item.found for item in FileTreeDestination(root).confirm([parcel])] == [False]


@pytest.mark.parametrize("uid", ["", "..", "../../x", "1.2/3", "1.2\n", "1" * 65])
@pytest.mark.parametrize("field", ["study_uid", "series_uid", "sop_instance_uid"])
def test_what_is_no_uid_becomes_no_path(root, parcel, field, uid):
    [error] = errors(root, replace(parcel, **{field: uid}))
    assert type(error) is StoreRefused
    assert list(root.rglob("*")) == []


def test_a_folder_that_is_not_there_is_not_made(tmp_path, parcel):
    for ask in (
        lambda where: list(where.deliver([parcel])),
        lambda where: list(where.confirm([parcel])),
        lambda where: where.reach(),
    ):
        with pytest.raises(PeerUnreachable, match="is not there"):
            ask(FileTreeDestination(tmp_path / "lost mount"))
    assert not (tmp_path / "lost mount").exists()


def test_a_result_that_is_gone_is_damaged(root, parcel):
    parcel.path.unlink()
    assert [type(error) for error in errors(root, parcel)] == [ResultDamaged]


def test_a_full_disk_is_out_of_resources_and_what_concerns_the_whole_way_is_raised(root, parcel, monkeypatch):
    def failing(number):
        def write(_path, _chunks):
            raise OSError(number, "foreign words")

        return write

    monkeypatch.setattr(folder, "write_durably", failing(errno.ENOSPC))
    [error] = errors(root, parcel)
    assert type(error) is OutOfResources
    assert str(error) == f"{root}: No space left on device"
    for number, kind in ((errno.EACCES, DestinationMisconfigured), (errno.EIO, PeerUnreachable)):
        monkeypatch.setattr(folder, "write_durably", failing(number))
        with pytest.raises(kind):
            errors(root, parcel)


def test_what_is_there_is_confirmed_by_its_content(root, parcel):
    where = FileTreeDestination(root)
    where.reach()
    assert [item.found for item in where.confirm([parcel])] == [False]
    list(where.deliver([parcel]))
    assert [item.found for item in where.confirm([parcel])] == [True]
    with pytest.raises(DestinationMisconfigured):
        where.ask_commitment("2.25.1", [parcel])
