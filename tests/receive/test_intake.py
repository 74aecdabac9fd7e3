"""What comes in is counted, and what is refused is counted by its reason: at the door, and for each instance."""

import contextlib

import pytest
from certificates import Authority
from fakes import mr_image
from faults import wire
from faults.wire import Line
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import dsutils
from pynetdicom.sop_class import Verification

from node.domain.arrivals import Arrival, Quarantined
from node.errors import JournalError

MR = dsutils.encode(mr_image(), False, True)
STORE = wire.message(3, wire.store_command(b"1.2.3.1"), MR)
SERVERS = pytest.mark.parametrize("server", ["hardened", "stock"])


def told(desk) -> dict[str, int]:
    """Return every count that is not 0, by its kind and reason."""
    counts = desk.listener.intake.counts()
    groups = {
        "association": counts.associations_rejected,
        "connection": counts.connections_refused,
        "instance": counts.instances,
        "refused": counts.instances_refused,
    }
    found = {f"{group} {why}": count for group, by in groups.items() for why, count in by.items() if count}
    return {"accepted": counts.associations_accepted, **found}


def is_closed(line: Line) -> bool:
    """Wait for the end of a connection; an A-ABORT may come before it."""
    with contextlib.suppress(ConnectionResetError):
        while line.socket.recv(4096):
            pass
    return True


@SERVERS
def test_instances_are_counted_by_what_became_of_them(open_desk, server):
    desk = open_desk(server=server)
    association = desk.call()
    for number in (1, 2, 2):
        assert association.send_c_store(mr_image(number)).Status == 0x0000
    association.release()
    assert told(desk) == {"accepted": 1, "instance stored": 2, "instance duplicate": 1}
    assert desk.listener.intake.counts().bytes_received == 3 * len(dsutils.encode(mr_image(), False, True))


def test_bytes_that_are_no_instance_are_counted_apart(desk):
    with Line(desk.port) as line:
        assert line.associate()
        assert line.ask(wire.message(3, wire.store_command(b"1.2.3.1"), b"\xff" * 400)).status == 0x0000
        line.release()
    assert [type(taken) for taken in desk.reports.taken] == [Quarantined]
    assert told(desk) == {"accepted": 1, "instance quarantined": 1}


@SERVERS
@pytest.mark.parametrize("why", ["disk", "backlog", "journal"])
def test_while_nothing_is_taken_refusals_are_counted_by_the_shortage(open_desk, server, why):
    desk = open_desk(server=server)
    association = desk.call()
    desk.gate = why
    assert association.send_c_store(mr_image()).Status == 0xA700
    association.release()
    with Line(desk.port) as line:
        line.send(wire.associate_rq())
        assert line.receive()[0] == wire.ASSOCIATE_RJ
    assert told(desk) == {"accepted": 1, f"refused {why}": 1, f"association {why}": 1}


def test_a_stranger_is_counted_by_the_title_that_is_wrong(open_desk):
    desk = open_desk({"peer": [{"ae_title": "PACS"}]})
    with Line(desk.port) as line:
        line.send(wire.associate_rq(calling=b"STRANGER"))
        assert line.receive()[0] == wire.ASSOCIATE_RJ
    with Line(desk.port) as line:
        line.send(wire.associate_rq(calling=b"PACS", called=b"OTHER"))
        assert line.receive()[0] == wire.ASSOCIATE_RJ
    assert told(desk) == {"accepted": 0, "association calling-ae-title": 1, "association called-ae-title": 1}


def test_one_association_too_many_and_one_connection_too_many_are_counted_apart(open_desk):
    desk = open_desk(maximum_associations=1, maximum_connections=2, maximum_connections_per_address=1)
    first = desk.call((Verification, ImplicitVRLittleEndian))
    assert first.send_c_echo().Status == 0x0000
    with Line(desk.port) as refused:
        assert is_closed(refused)
    first.release()
    assert told(desk) == {"accepted": 1, "connection no-seat": 1}


def test_where_all_associations_are_taken_the_next_is_counted_as_rejected(open_desk):
    desk = open_desk(maximum_associations=1, maximum_connections=5, maximum_connections_per_address=5)
    first = desk.call((Verification, ImplicitVRLittleEndian))
    assert first.send_c_echo().Status == 0x0000
    with Line(desk.port) as line:
        line.send(wire.associate_rq())
        assert line.receive()[0] == wire.ASSOCIATE_RJ
    first.release()
    assert told(desk) == {"accepted": 1, "association no-seat": 1}


def test_an_instance_that_is_too_large_is_counted_once(open_desk):
    desk = open_desk(maximum_instance_mb=1)
    large = mr_image()
    large.PixelData = bytes(3 << 20)
    large["PixelData"].VR = "OW"
    association = desk.call()
    assert association.send_c_store(large).Status == 0xA700
    association.release()
    assert told(desk) == {"accepted": 1, "refused too-large": 1}


def test_an_instance_that_the_journal_did_not_take_is_counted(desk):
    desk.reports.fault = JournalError("the journal failed")
    association = desk.call()
    assert association.send_c_store(mr_image()).Status == 0xA700
    association.release()
    assert told(desk) == {"accepted": 1, "refused not-stored": 1}


def test_a_store_without_a_data_set_or_of_another_class_is_counted(desk):
    with Line(desk.port) as line:
        assert line.associate()
        assert (
            line.ask(wire.message(3, wire.store_command(b"1.2.3.1", sop_class=wire.VERIFICATION), MR)).status == 0x0122
        )
        empty = {**wire.store_command(b"1.2.3.1"), 0x0800: wire.NO_DATA_SET}
        assert line.ask(wire.message(3, empty)).status == 0xC000
        line.release()
    assert told(desk) == {"accepted": 1, "refused class-not-supported": 1, "refused no-data-set": 1}


def test_who_shows_no_certificate_is_counted(open_desk, tmp_path):
    authority = Authority(tmp_path / "ca", "hospital")
    own = authority.signs("node", dns=("localhost",), ips=("127.0.0.1",))
    files = {"certificate": str(own.certificate), "key": str(own.key), "authorities": str(authority.file)}
    desk = open_desk(plain=False, tls={**files, "port": 0})
    with Line(desk.port) as line:
        line.send(wire.associate_rq())
        assert is_closed(line)
    assert told(desk) == {"accepted": 0, "connection tls": 1}


def test_an_arrival_is_no_refusal(desk):
    with Line(desk.port) as line:
        assert line.associate()
        assert line.ask(STORE).status == 0x0000
        line.release()
    assert [type(taken) for taken in desk.reports.taken] == [Arrival]
    assert told(desk) == {"accepted": 1, "instance stored": 1}
