"""C-STORE at the listener: streamed to the spool, answered by hand, and refused while there is no room."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pydicom
import pytest
from fakes import mr_image, save
from faults import wire
from faults.wire import Line
from peers import program
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage
from pynetdicom import dsutils
from pynetdicom.sop_class import Verification

from node.domain.arrivals import Arrival
from node.receive.traffic import Ending

MR = dsutils.encode(mr_image(), False, True)
SERVERS = pytest.mark.parametrize("server", ["hardened", "stock"])


def large(megabytes: int, number: int = 1) -> bytes:
    ds = mr_image(number)
    ds.PixelData = bytes(megabytes << 20)
    ds["PixelData"].VR = "OW"
    return dsutils.encode(ds, False, True)


@SERVERS
def test_the_file_says_who_sent_it(open_desk, server):
    desk = open_desk(server=server)
    association = desk.call(calling="SCANNER")
    assert association.send_c_store(mr_image()).Status == 0x0000
    association.release()
    (taken,) = desk.reports.taken
    meta = pydicom.filereader.read_file_meta_info(desk.state_dir / taken.path)
    assert (meta.SourceApplicationEntityTitle, meta.TransferSyntaxUID) == ("SCANNER", ExplicitVRLittleEndian)
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (MRImageStorage, "1.2.3.1")
    assert pydicom.dcmread(desk.state_dir / taken.path).SOPInstanceUID == "1.2.3.1"
    desk.traffic.wait_for_endings(2)
    assert desk.traffic.endings == [Ending.RELEASED, Ending.ABORTED] or server == "stock"


@pytest.mark.parametrize("fragment", [2, 7, 100])
def test_an_instance_may_come_in_pieces_of_any_size(desk, fragment):
    with Line(desk.port) as line:
        assert line.associate()
        line.send(wire.p_data(*wire.message(3, wire.store_command(b"1.2.3.1", 77), MR, fragment)))
        assert line.answer() == wire.Answered(field=0x8001, status=0)
        line.release()
    (taken,) = desk.reports.taken
    assert (desk.state_dir / taken.path).read_bytes().endswith(MR)


def test_a_command_may_come_in_pieces_and_messages_may_follow_at_once(desk):
    command = wire.command(wire.store_command(b"1.2.3.1"))
    with Line(desk.port) as line:
        assert line.associate()
        first = [(3, 1, command[:20]), (3, 3, command[20:]), (3, 0, b""), (3, 2, MR)]
        line.send(b"".join(wire.p_data(item) for item in first) + wire.p_data(*wire.message(1, wire.echo_command())))
        assert [line.answer().field for _ in range(2)] == [0x8001, 0x8030]
        line.release()


def test_the_data_set_decides_what_arrived_not_the_command(desk):
    with Line(desk.port) as line:
        assert line.associate()
        assert line.ask(wire.message(3, wire.store_command(b"9.9.9"), MR)).status == 0x0000
        line.release()
    (taken,) = desk.reports.taken
    assert isinstance(taken, Arrival)
    assert taken.sop_instance_uid == "1.2.3.1"


@pytest.mark.parametrize(
    ("elements", "data_set", "status"),
    [
        (wire.store_command(b"1.2.3.1", sop_class=b"1.2.840.10008.5.1.4.1.1.2"), MR, 0x0122),
        (wire.store_command(b"1.2.3.1") | {0x0800: wire.NO_DATA_SET}, b"", 0xC000),
    ],
    ids=["another class than that of the context", "no data set"],
)
def test_a_request_that_makes_no_sense_is_answered_so(desk, elements, data_set, status):
    with Line(desk.port) as line:
        assert line.associate()
        assert line.ask(wire.message(3, elements, data_set)).status == status
        assert line.ask(wire.message(1, wire.echo_command())).status == 0x0000
        line.release()
    assert desk.files() == []


@pytest.mark.parametrize("end", ["close", "abort", "release", "reset"])
def test_of_an_instance_that_breaks_off_nothing_is_left(desk, end):
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Line(desk.port) as line:
        assert line.associate()
        line.send(wire.p_data(wire.message(3, wire.store_command(b"1.2.3.1"))[0]) + wire.p_data((3, 0, MR[:200])))
        if end == "abort":
            line.send(wire.abort())
        elif end == "release":
            line.release()
        elif end == "reset":
            line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    desk.traffic.wait_for_endings(1)
    desk.listener.stop()
    assert desk.files() == []
    assert desk.reports.taken == []
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("Acceptor")]


def test_the_end_of_the_node_lets_an_instance_be_kept_and_throws_half_of_one_away(desk):
    with Line(desk.port) as line:
        assert line.associate()
        assert line.ask(wire.message(3, wire.store_command(b"1.2.3.1"), MR)).status == 0x0000
        line.send(wire.p_data(wire.message(3, wire.store_command(b"1.2.3.2"))[0]) + wire.p_data((3, 0, MR[:200])))
        desk.listener.stop()
        assert line.receive()[0] == wire.ABORT
    assert desk.files() == [desk.reports.taken[0].path]


def test_an_instance_that_is_too_large_is_refused_and_the_next_one_taken(open_desk):
    desk = open_desk(maximum_instance_mb=1)
    with Line(desk.port) as line:
        assert line.associate()
        assert line.ask(wire.message(3, wire.store_command(b"1.2.3.1"), large(2), 65000)).status == 0xA700
        assert desk.files() == []
        assert line.ask(wire.message(3, wire.store_command(b"1.2.3.1"), MR)).status == 0x0000
        line.release()


@SERVERS
def test_while_there_is_no_room_instances_are_refused_and_taken_again_after(open_desk, server):
    desk = open_desk(server=server)
    association = desk.call()
    for gate, status in ((None, 0x0000), ("disk", 0xA700), ("backlog", 0xA700), (None, 0x0000)):
        desk.gate = gate
        assert association.send_c_store(mr_image(2)).Status == status
        assert association.send_c_echo().Status == 0x0000
    association.release()
    assert len(desk.files()) == 1


@SERVERS
def test_while_there_is_no_room_associations_that_store_are_rejected_for_now(open_desk, server):
    desk = open_desk(server=server)
    desk.gate = "disk"
    with Line(desk.port) as rejected:
        rejected.send(wire.associate_rq())
        kind, body = rejected.receive()
        assert (kind, tuple(body[1:4])) == (wire.ASSOCIATE_RJ, (2, 3, 2))
    echoing = desk.call((Verification, ImplicitVRLittleEndian))
    assert echoing.send_c_echo().Status == 0x0000
    echoing.release()
    desk.gate = None
    accepted = desk.call()
    assert accepted.is_established
    accepted.release()


def test_a_disk_that_fails_in_the_middle_is_answered_at_the_end_and_the_next_instance_is_taken(desk, monkeypatch):
    real, left = os.write, iter([False, False, True])

    def failing(descriptor, content):
        if os.fstat(descriptor).st_size >= 1 << 20 and next(left, False):
            raise OSError(28, "No space left on device")
        return real(descriptor, content)

    monkeypatch.setattr(os, "write", failing)
    with Line(desk.port) as line:
        assert line.associate()
        assert line.ask(wire.message(3, wire.store_command(b"1.2.3.1"), large(3), 65000)).status == 0xA700
        assert desk.files() == []
        assert line.ask(wire.message(3, wire.store_command(b"1.2.3.1"), MR)).status == 0x0000
        line.release()


@pytest.mark.parametrize(
    ("ae_title", "called", "verdict"),
    [
        ("PACS", "CSPINE", None),
        ("STRANGER", "CSPINE", (1, 1, 3)),
        ("PACS", "OTHER", (1, 1, 7)),
        ("FAR", "CSPINE", (1, 1, 3)),
    ],
)
@SERVERS
def test_only_known_peers_are_let_in(open_desk, server, ae_title, called, verdict):
    peers = [{"ae_title": "PACS", "networks": ["127.0.0.0/8"]}, {"ae_title": "FAR", "networks": ["10.0.0.0/8"]}]
    desk = open_desk({"peer": peers}, server=server)
    with Line(desk.port) as line:
        line.send(wire.associate_rq(calling=ae_title.encode(), called=called.encode()))
        kind, body = line.receive()
    assert (kind, tuple(body[1:4]) if verdict else None) == (
        wire.ASSOCIATE_RJ if verdict else wire.ASSOCIATE_AC,
        verdict,
    )


def test_a_peer_that_may_not_store_is_offered_no_storage(open_desk):
    desk = open_desk({"peer": [{"ae_title": "PACS", "may": []}]})
    association = desk.call()
    assert [context.abstract_syntax for context in association.accepted_contexts] == [Verification]
    association.release()


MEASURED = """
import sys, resource, threading
from pathlib import Path
from node.receive.listener import Listener
from node.receive.spool import Spool
from node.receive.traffic import Traffic
from node.settings import parse_settings

state = Path(sys.argv[1])
settings = parse_settings({"node": {"state_dir": str(state), "port": 0}}, name="test")
listener = Listener(settings, Spool(state, lambda _: True), Traffic(lambda: 0.0), lambda: None, None)
print(listener.start(), flush=True)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
sys.stdin.read()
print(peak() - before)
listener.stop()
"""


def test_an_instance_of_64_megabytes_costs_little_memory(tmp_path):
    command = [sys.executable, "-c", MEASURED, str(tmp_path / "state")]
    data_set = large(64)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        with Line(int(child.stdout.readline()), patience_s=120) as line:
            assert line.associate()
            pdvs = wire.message(3, wire.store_command(b"1.2.3.1"), data_set, 120_000)
            assert line.ask(pdvs).status == 0x0000
            line.release()
        out, _ = child.communicate(timeout=60)
    assert float(out) < 20
    (file,) = (tmp_path / "state").rglob("*.dcm")
    assert file.stat().st_size > 64 << 20
    file.unlink()


@pytest.mark.peer("dcmtk")
@SERVERS
@pytest.mark.parametrize("pdu", ["4096", "131072"])
def test_dcmtk_echoes_and_stores(open_desk, tmp_path: Path, server, pdu):
    desk = open_desk(server=server)
    files = [str(save(mr_image(number), tmp_path / f"{number}.dcm")) for number in range(1, 6)]
    for name, more in (("echoscu", []), ("storescu", ["-xe", "--max-send-pdu", pdu, *files])):
        command = [program(name), *more[:3], "-aet", "DCMTK", "-aec", "CSPINE", "127.0.0.1", str(desk.port), *more[3:]]
        assert subprocess.run(command, check=False, timeout=60).returncode == 0
    assert sorted(taken.sop_instance_uid for taken in desk.reports.taken) == [f"1.2.3.{n}" for n in range(1, 6)]
    assert {taken.calling_ae for taken in desk.reports.taken} == {"DCMTK"}
