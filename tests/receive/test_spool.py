"""The spool: bytes on the disk under safe names, reported once they are there."""

import hashlib
import os
import stat
import zlib
from io import BytesIO

import pydicom
import pytest
from fakes import mr_image

from node.domain.arrivals import Arrival, Quarantined
from node.errors import JournalError
from node.receive.spool import Received, Spool, StoreRequest, encoded_file_meta, sweep


def received(number: int = 1, *, calling_ae: str = "PACS", tail: bytes = b"") -> Received:
    ds = mr_image(number)
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    content = buffer.getvalue()
    start = 132 + 12 + int.from_bytes(content[140:144], "little")
    return Received(file_meta=content[:start], data_set=content[start:] + tail, calling_ae=calling_ae)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_instance_lies_in_the_folder_of_its_series_under_its_digest(tmp_path, reports):
    item = received()
    taken = Spool(tmp_path, reports).take(item)
    assert isinstance(taken, Arrival)
    digest = hashlib.sha256(b"1.2.840.10008.1.2.1\n" + item.data_set).hexdigest()
    folder = hashlib.sha256(b"1.2.3").hexdigest()[:32]
    assert taken.path == f"spool/{folder}/{digest}.dcm"
    assert taken.digest == digest
    assert files(tmp_path) == [taken.path]
    assert (tmp_path / taken.path).read_bytes() == item.file_meta + item.data_set
    assert reports.taken == [taken]


def test_the_file_is_there_before_the_report(tmp_path, reports):
    seen = []
    reports.before = lambda taken: seen.append((tmp_path / taken.path).read_bytes())
    Spool(tmp_path, reports).take(received())
    assert seen == [received().file_meta + received().data_set]


def test_a_duplicate_is_none_and_one_file(tmp_path, reports):
    spool = Spool(tmp_path, reports)
    assert spool.take(received()) is not None
    assert spool.take(received(calling_ae="OTHER")) is None
    assert len(files(tmp_path)) == 1


def test_another_content_is_another_file_and_the_first_stays(tmp_path, reports):
    spool = Spool(tmp_path, reports)
    first = spool.take(received())
    padding = b"\xfc\xff\xfc\xffOB\0\0\x02\0\0\0\0\0"
    second = spool.take(received(tail=padding))
    assert first.sop_instance_uid == second.sop_instance_uid
    assert files(tmp_path) == sorted([first.path, second.path])


def test_rubbish_goes_to_quarantine_with_its_reason(tmp_path, reports):
    taken = Spool(tmp_path, reports).take(Received(file_meta=b"", data_set=b"rubbish", calling_ae="PACS"))
    digest = hashlib.sha256(b"\nrubbish").hexdigest()
    assert isinstance(taken, Quarantined)
    assert (taken.path, taken.code, taken.calling_ae) == (f"quarantine/{digest}.dcm", "not-dicom", "PACS")
    assert files(tmp_path) == [taken.path]


@pytest.mark.parametrize("fault", [JournalError("no"), OSError(5, "Input/output error")])
def test_a_report_that_fails_is_raised_and_the_bytes_may_stay(tmp_path, reports, fault):
    reports.fault = fault
    with pytest.raises(type(fault)):
        Spool(tmp_path, reports).take(received())
    reports.fault = None
    assert Spool(tmp_path, reports).take(received()) is not None
    assert len(files(tmp_path)) == 1


def test_nothing_is_reported_when_the_bytes_cannot_be_written(tmp_path, reports):
    (tmp_path / "spool").write_bytes(b"")
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        Spool(tmp_path, reports).take(received())
    assert reports.taken == []


def request(**more):
    fields = {
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.4",
        "sop_instance_uid": "1.2.3.1",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "calling_ae": "PACS",
    }
    return StoreRequest(**(fields | more))


@pytest.mark.parametrize("size", [1, 13, 100_000])
def test_an_instance_in_pieces_is_the_instance(tmp_path, reports, size):
    spool, item = Spool(tmp_path, reports), received()
    whole = spool.take(item)
    incoming = spool.open(request())
    for start in range(0, len(item.data_set), size):
        incoming.write(memoryview(item.data_set)[start : start + size])
    assert incoming.keep() is None
    assert reports.taken == [whole, whole]
    assert files(tmp_path) == [whole.path]


def test_what_is_discarded_leaves_nothing(tmp_path, reports):
    incoming = Spool(tmp_path, reports).open(request())
    incoming.write(b"half")
    assert len(files(tmp_path)) == 1
    incoming.discard()
    incoming.discard()
    assert (files(tmp_path), reports.taken) == ([], [])


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_cannot_be_put_on_the_disk_leaves_nothing_and_is_not_reported(tmp_path, reports, monkeypatch, call):
    spool = Spool(tmp_path, reports)
    spool.take(received(2))
    before = files(tmp_path)
    incoming = spool.open(request())
    incoming.write(received().data_set)

    def fail(*_arguments):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="Input/output error"):
        incoming.keep()
    assert (files(tmp_path), len(reports.taken)) == (before, 1)


def calls(monkeypatch):
    """Note fsync and rename, each by the kind of what it was done to."""
    noted, real_fsync, real_replace = [], os.fsync, os.replace

    def fsync(descriptor):
        noted.append("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        real_fsync(descriptor)

    def replace(source, target):
        noted.append("rename")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    return noted


def test_file_then_name_then_folder_then_report_is_the_order(tmp_path, reports, monkeypatch):
    spool = Spool(tmp_path, reports)
    spool.take(received(2))
    noted = calls(monkeypatch)
    reports.before = lambda taken: noted.append("report")
    spool.take(received())
    assert noted == ["fsync file", "rename", "fsync folder", "report"]


def test_a_duplicate_is_written_again_only_where_nobody_knows_that_it_is_safe(tmp_path, reports, monkeypatch):
    spool = Spool(tmp_path, reports)
    taken = spool.take(received())
    noted = calls(monkeypatch)
    assert spool.take(received()) is None
    assert noted == []
    assert Spool(tmp_path, reports).take(received()) is None
    assert noted[-3:] == ["fsync file", "rename", "fsync folder"]
    noted.clear()
    (tmp_path / taken.path).unlink()
    assert spool.take(received()) is None
    assert noted == ["fsync file", "rename", "fsync folder"]


def test_what_was_not_reported_is_not_safe(tmp_path, reports, monkeypatch):
    spool = Spool(tmp_path, reports)
    reports.fault = JournalError("no")
    with pytest.raises(JournalError):
        spool.take(received())
    reports.fault = None
    noted = calls(monkeypatch)
    assert spool.take(received()) is not None
    assert noted == ["fsync file", "rename", "fsync folder"]


@pytest.mark.parametrize("uid", ["../../../x", "ZZSECRET^NAME", "", "1" * 65])
def test_a_uid_that_is_none_is_left_out_of_the_file_meta_information(uid):
    meta = pydicom.dcmread(BytesIO(encoded_file_meta(request(sop_instance_uid=uid)))).file_meta
    assert "MediaStorageSOPInstanceUID" not in meta
    assert (meta.TransferSyntaxUID, meta.SourceApplicationEntityTitle) == ("1.2.840.10008.1.2.1", "PACS")


def test_an_identity_behind_much_private_data_is_found(tmp_path, reports):
    block = (
        b"\x09\x00\x10\x00LO\x04\x00TEST" + b"\x09\x00\x01\x10OB\0\0" + (1 << 20).to_bytes(4, "little") + bytes(1 << 20)
    )
    data_set = received().data_set
    place = data_set.index(b"\x10\x00\x10\x00PN")
    incoming = Spool(tmp_path, reports).open(request())
    incoming.write(data_set[:place] + block + data_set[place:])
    assert incoming.keep().series_uid == "1.2.3"


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95"])
def test_a_deflated_data_set_is_not_unfolded(tmp_path, reports, syntax):
    incoming = Spool(tmp_path, reports).open(request(transfer_syntax_uid=syntax))
    incoming.write(zlib.compress(received().data_set, wbits=-15))
    taken = incoming.keep()
    assert isinstance(taken, Quarantined)
    assert taken.text == "the data set is deflated"


def test_old_leftovers_are_swept_and_nothing_else(tmp_path, reports):
    kept = Spool(tmp_path, reports).take(received())
    for name, age_s in (
        ("spool/.old.part", 100),
        ("quarantine/.old.part", 100),
        ("spool/.new.part", 10),
        ("x/.a.part", 100),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
        os.utime(path, (1000 - age_s, 1000 - age_s))
    os.utime(tmp_path / kept.path, (0, 0))
    assert sweep([tmp_path], older_than_s=50, now_s=1000) == 3
    assert files(tmp_path) == sorted(["spool/.new.part", kept.path])


def test_an_empty_state_folder_has_nothing_to_sweep(tmp_path):
    assert sweep([tmp_path], older_than_s=0, now_s=1e12) == 0
