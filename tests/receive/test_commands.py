"""Command sets by hand, against pynetdicom's."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom import dsutils

from node.receive.server.commands import Command, MalformedCommand, command_pdus, parse_command, store_response


def request(**more: object) -> bytes:
    ds = Dataset()
    ds.AffectedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    ds.CommandField, ds.MessageID, ds.Priority, ds.CommandDataSetType = 1, 7, 0, 1
    ds.AffectedSOPInstanceUID = "1.2.3.1"
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return dsutils.encode(ds, True, True)


def test_a_c_store_request_is_read():
    command = parse_command(request(MoveOriginatorApplicationEntityTitle="PACS", MoveOriginatorMessageID=3))
    assert (command.field, command.message_id, command.has_data_set) == (1, 7, True)
    assert (command.sop_class_uid, command.sop_instance_uid) == ("1.2.840.10008.5.1.4.1.1.4", "1.2.3.1")


def test_the_response_is_what_pynetdicom_would_read():
    response = dsutils.decode(io.BytesIO(store_response(parse_command(request()), 0xA700)), True, True)
    assert [(element.keyword, element.value) for element in response] == [
        ("CommandGroupLength", len(store_response(parse_command(request()), 0xA700)) - 12),
        ("AffectedSOPClassUID", "1.2.840.10008.5.1.4.1.1.4"),
        ("CommandField", 0x8001),
        ("MessageIDBeingRespondedTo", 7),
        ("CommandDataSetType", 0x0101),
        ("Status", 0xA700),
        ("AffectedSOPInstanceUID", "1.2.3.1"),
    ]


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\0" * 7,
        request()[:-1],
        request() + b"\x08\0\x18\0\0\0\0\0",
        request(CommandField=None),
        request(CommandDataSetType=None),
        struct.pack("<HHL", 0, 0x0100, 0xFFFFFFFF),
        struct.pack("<HHLL", 0, 0x0100, 4, 1),
    ],
)
def test_what_is_no_command_set_is_malformed(encoded):
    with pytest.raises(MalformedCommand):
        parse_command(encoded)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_command_or_malformed(encoded):
    try:
        parsed = parse_command(encoded)
    except MalformedCommand:
        return
    assert isinstance(parsed, Command)


@given(st.binary(min_size=1, max_size=400), st.sampled_from([0, 1, 7, 8, 50, 16384]))
def test_a_command_set_is_cut_as_the_peer_wants_and_its_last_piece_says_so(command_set, maximum):
    pdus = list(command_pdus(5, command_set, maximum))
    assert all(struct.unpack(">BBL", pdu[:6]) == (4, 0, len(pdu) - 6) for pdu in pdus)
    assert all(struct.unpack(">LB", pdu[6:11]) == (len(pdu) - 10, 5) for pdu in pdus)
    assert [pdu[11] for pdu in pdus] == [1] * (len(pdus) - 1) + [3]
    assert b"".join(pdu[12:] for pdu in pdus) == command_set
    assert maximum < 8 or all(len(pdu) - 6 <= maximum for pdu in pdus)
