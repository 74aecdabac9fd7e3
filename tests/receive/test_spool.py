"""The spool: bytes on the disk under safe names, reported once they are there."""

import hashlib
import os
from io import BytesIO

import pytest
from fakes import mr_image

from node.domain.arrivals import Arrival, Quarantined
from node.errors import JournalError
from node.receive.spool import Received, Spool, sweep


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
