"""The listener, against a real SCU on a free loopback port."""

import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fakes import CANARY, mr_image
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
)
from pynetdicom import dsutils
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import Verification

from node.domain.arrivals import Arrival, Quarantined
from node.errors import JournalError
from node.receive.listener import Listener
from node.receive.traffic import Ending

PRIVATE_SYNTAX = "1.2.840.113619.5.2"
WORKLIST = "1.2.840.10008.5.1.4.31"
PRIVATE_CLASS = "1.3.46.670589.11.0.0.12.1"


def store_bytes(association, data_set: bytes, uid: str = "1.2.3.1", abstract: str = MRImageStorage) -> int:
    """Send a C-STORE with these very bytes and return the status."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = abstract
    request._affected_sop_instance_uid = uid
    request.DataSet = dsutils.BytesIO(data_set)
    (context,) = [item for item in association.accepted_contexts if item.abstract_syntax == abstract]
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, context.context_id)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return int(response.Status)


def encoded(ds: Dataset) -> bytes:
    return dsutils.encode(ds, False, True)


def test_an_echo_is_answered(desk):
    association = desk.call()
    assert association.send_c_echo().Status == 0x0000
    association.release()
    assert desk.files() == []


def test_an_instance_is_stored_as_it_came_and_reported(desk):
    association = desk.call()
    assert association.send_c_store(mr_image()).Status == 0x0000
    association.release()
    (taken,) = desk.reports.taken
    assert isinstance(taken, Arrival)
    assert (taken.sop_instance_uid, taken.series_uid, taken.study_uid) == ("1.2.3.1", "1.2.3", "1.2")
    assert (taken.calling_ae, taken.own_result) == ("PACS", False)
    assert desk.files() == [taken.path]
    content = (desk.state_dir / taken.path).read_bytes()
    assert content.endswith(encoded(mr_image()))
    assert content[128:132] == b"DICM"


def test_success_is_answered_only_when_the_file_and_the_report_exist(desk):
    reached, go_on = threading.Event(), threading.Event()
    seen: list[bool] = []

    def before(taken):
        seen.append((desk.state_dir / taken.path).is_file())
        reached.set()
        assert go_on.wait(20)

    desk.reports.before = before
    association = desk.call()
    with ThreadPoolExecutor(1) as pool:
        status = pool.submit(association.send_c_store, mr_image())
        assert reached.wait(20)
        assert seen == [True]
        assert not status.done()
        go_on.set()
        assert status.result(20).Status == 0x0000
    association.release()
    assert len(desk.reports.taken) == 1


@pytest.mark.parametrize("fault", [JournalError("the journal failed"), OSError(28, "No space left on device")])
def test_a_report_that_fails_is_answered_with_out_of_resources_and_the_next_instance_is_taken(desk, fault):
    association = desk.call()
    desk.reports.fault = fault
    assert association.send_c_store(mr_image()).Status == 0xA700
    desk.reports.fault = None
    assert association.send_c_store(mr_image()).Status == 0x0000
    association.release()
    assert len(desk.reports.taken) == 1


def test_a_file_that_cannot_be_written_is_answered_with_out_of_resources(desk):
    desk.state_dir.mkdir()
    (desk.state_dir / "spool").write_bytes(b"in the way")
    association = desk.call()
    assert association.send_c_store(mr_image()).Status == 0xA700
    association.release()
    assert desk.reports.taken == []


@pytest.mark.parametrize(
    ("data_set", "code"),
    [
        (b"ZZSECRET^NAME is no data set", "not-dicom"),
        (encoded(mr_image())[:30], "not-dicom"),
        (b"\x08\x00\x18\x00UI", "not-dicom"),
        (b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 3000, "not-dicom"),
    ],
    ids=["text", "cut off", "cut within a header", "nested without end"],
)
def test_bytes_that_cannot_be_parsed_are_kept_in_quarantine_and_answered_with_success(desk, data_set, code):
    association = desk.call()
    assert store_bytes(association, data_set) == 0x0000
    assert association.send_c_echo().Status == 0x0000
    association.release()
    (taken,) = desk.reports.taken
    assert isinstance(taken, Quarantined)
    assert (taken.code, taken.calling_ae) == (code, "PACS")
    assert desk.files() == [f"quarantine/{taken.digest}.dcm"]
    assert (desk.state_dir / taken.path).read_bytes().endswith(data_set)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize("uid", ["../../../x", "/etc/passwd", CANARY])
def test_a_hostile_uid_ends_in_quarantine_and_never_in_a_path(desk, tmp_path, keyword, uid):
    data_set = encoded(mr_image())
    old = str(mr_image()[keyword].value).encode()
    old = (
        mr_image()[keyword].tag.group.to_bytes(2, "little")
        + mr_image()[keyword].tag.element.to_bytes(2, "little")
        + (b"UI" + (len(old) + len(old) % 2).to_bytes(2, "little") + old + b"\0" * (len(old) % 2))
    )
    assert data_set.count(old) == 1
    new = uid.encode() + b"\0" * (len(uid) % 2)
    association = desk.call()
    hostile = data_set.replace(old, old[:6] + len(new).to_bytes(2, "little") + new)
    affected = uid if keyword == "SOPInstanceUID" else "1.2.3.1"
    assert store_bytes(association, hostile, uid=affected) == 0x0000
    association.release()
    (taken,) = desk.reports.taken
    assert (type(taken), taken.code) == (Quarantined, "invalid-identifier")
    assert desk.files() == [f"quarantine/{taken.digest}.dcm"]
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert uid not in taken.text


def test_a_duplicate_is_answered_with_success_and_is_no_arrival(desk):
    times = iter(range(100))
    desk.traffic._clock = lambda: next(times)
    association = desk.call()
    assert association.send_c_store(mr_image()).Status == 0x0000
    before = desk.traffic._series["1.2.3"].last_s
    assert association.send_c_store(mr_image()).Status == 0x0000
    assert desk.traffic._series["1.2.3"].last_s == before
    assert association.send_c_store(mr_image(2)).Status == 0x0000
    assert desk.traffic._series["1.2.3"].last_s > before
    association.release()
    assert len(desk.files()) == 2


@pytest.mark.parametrize(
    ("syntax", "accepted"),
    [
        (ExplicitVRLittleEndian, True),
        (ImplicitVRLittleEndian, True),
        (ExplicitVRBigEndian, True),
        (JPEG2000Lossless, True),
        (PRIVATE_SYNTAX, True),
        ("1.2.3.4.5.6", True),
        (DeflatedExplicitVRLittleEndian, False),
        ("1.2.840.10008.1.2.4.95", False),
        ("1.2.840.10008.1.2.4.205", False),
        ("1.2.840.10008.1.2.8.1", False),
    ],
)
def test_every_encoding_but_a_deflated_one_is_accepted(desk, syntax, accepted):
    association = desk.call((MRImageStorage, syntax), (Verification, ImplicitVRLittleEndian))
    assert [item.abstract_syntax for item in association.accepted_contexts] == (
        [MRImageStorage, Verification] if accepted else [Verification]
    )
    association.release()


def test_of_several_encodings_explicit_little_endian_is_chosen(desk):
    association = desk.call(
        (
            MRImageStorage,
            [DeflatedExplicitVRLittleEndian, JPEG2000Lossless, ImplicitVRLittleEndian, ExplicitVRLittleEndian],
        )
    )
    assert [item.transfer_syntax for item in association.accepted_contexts] == [[ExplicitVRLittleEndian]]
    association.release()


def test_an_instance_in_an_unknown_encoding_is_kept_with_its_encoding(desk):
    association = desk.call((MRImageStorage, PRIVATE_SYNTAX))
    assert store_bytes(association, encoded(mr_image())) == 0x0000
    association.release()
    (taken,) = desk.reports.taken
    content = (desk.state_dir / taken.path).read_bytes()
    assert PRIVATE_SYNTAX.encode() in content[:400]
    assert content.endswith(encoded(mr_image()))


@pytest.mark.parametrize("abstract", [WORKLIST, PRIVATE_CLASS, "1.2.840.10008.5.1.4.1.2.2.1"])
def test_a_class_that_is_no_storage_is_not_accepted(desk, abstract):
    association = desk.call((abstract, ImplicitVRLittleEndian), (CTImageStorage, ImplicitVRLittleEndian))
    assert [item.abstract_syntax for item in association.accepted_contexts] == [CTImageStorage]
    association.release()


def test_only_the_named_calling_ae_titles_may_store(open_desk):
    desk = open_desk({"peer": [{"ae_title": "PACS"}, {"ae_title": "SCANNER 1"}]})
    for calling, established in (("PACS", True), ("SCANNER 1", True), ("pacs", False), ("STRANGER", False)):
        association = desk.call(calling=calling)
        assert association.is_established is established  # pynetdicom takes a quick rejection for a failed connection
        if established:
            association.release()


def test_no_more_associations_than_allowed_are_open_at_once(open_desk):
    desk = open_desk(maximum_associations=1)
    first, second = desk.call(), desk.call()
    assert (first.is_established, second.is_established) == (True, False)
    first.release()


@pytest.mark.parametrize(("end", "aborted"), [("release", False), ("abort", True), ("drop", True)])
def test_traffic_knows_how_an_association_ended(desk, end, aborted):
    association = desk.call()
    association.send_c_store(mr_image())
    assert desk.traffic.of("1.2.3").open_association_s == 0.0
    if end == "release":
        association.release()
    elif end == "abort":
        association.abort()
    else:
        association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
    desk.traffic.wait_for_endings(2)
    assert Ending.ABORTED in desk.traffic.endings
    assert (desk.traffic.of("1.2.3").open_association_s, desk.traffic.of("1.2.3").aborted) == (None, aborted)


def test_associations_that_have_ended_are_forgotten(desk):
    for count in range(1, 4):
        association = desk.call()
        association.send_c_echo()
        association.release()
        desk.traffic.wait_for_endings(2 * count)
    assert len(desk.traffic._associations) == 1


def test_several_associations_store_at_once_and_none_is_lost(desk):
    def send(first: int) -> list[int]:
        association = desk.call()
        statuses = [association.send_c_store(mr_image(number)).Status for number in range(first, first + 6)]
        association.release()
        return statuses

    with ThreadPoolExecutor(4) as pool:
        statuses = [status for answer in pool.map(send, (0, 6, 12, 18)) for status in answer]
    assert statuses == [0x0000] * 24
    assert sorted(int(taken.sop_instance_uid.rpartition(".")[2]) for taken in desk.reports.taken) == list(range(24))
    assert len(desk.files()) == 24


def test_a_port_that_is_taken_is_an_os_error(desk):
    node = desk.settings.node.model_copy(update={"port": desk.port})
    taken = desk.settings.model_copy(update={"node": node})
    with pytest.raises(OSError, match="in use"):
        Listener(taken, desk.spool, desk.traffic, lambda: None, desk.commitments).start()


def test_after_the_stop_nobody_is_heard(desk):
    association = desk.call()
    desk.listener.stop()
    assert not desk.call().is_established
    desk.traffic.wait_for_endings(1)
    association.abort()


LISTENING = """
import logging, sys
from pathlib import Path
from node import log
from node.receive.listener import Listener
from node.receive.spool import Spool
from node.receive.traffic import Traffic
from node.settings import parse_settings

logging.basicConfig(level=logging.DEBUG)
log.configure(level="debug", key=b"k")
state = Path(sys.argv[1])
settings = parse_settings({"node": {"state_dir": str(state), "port": 0}}, name="test")
listener = Listener(settings, Spool(state, lambda _: True), Traffic(lambda: 0.0), lambda: None, None)
print(listener.start(), flush=True)
sys.stdin.read()
listener.stop()
"""


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_the_name_of_a_patient_is_never_printed_or_in_a_name(open_desk, tmp_path):
    command = [sys.executable, "-W", "always", "-c", LISTENING, str(tmp_path / "other")]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with child:
        desk = open_desk()
        desk.port = int(child.stdout.readline())
        association = desk.call()
        data_set = encoded(mr_image(2))
        statuses = [
            association.send_c_store(mr_image()).Status,
            store_bytes(association, b"ZZSECRET^NAME is no data set"),
            store_bytes(association, data_set.replace(b"1.2.3.2\0", b"ZZSECRET"), uid=CANARY),
            store_bytes(association, data_set.replace(b"CS\x02\0MR", b"CS\x02\0M^")),
        ]
        association.release()
        out, err = child.communicate(timeout=60)
    assert statuses == [0x0000] * 4
    files = [path for path in (tmp_path / "other").rglob("*") if path.is_file()]
    assert len(files) == 4
    assert all(b"ZZSECRET" in path.read_bytes() for path in files)
    assert err.count("bytes quarantined") == 2
    assert "ZZSECRET" not in out + err + "".join(map(str, files))
