"""Command sets, as bytes: the C-STORE-RQ is read and the C-STORE-RSP written by hand (PS3.7 6.3.1, 9.3.1).

A command set is always in implicit VR little endian.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

C_STORE_RQ = 0x0001
C_CANCEL_RQ = 0x0FFF
_C_STORE_RSP = 0x8001
#: Command Data Set Type (0000,0800): no data set follows.
_NO_DATA_SET = 0x0101

_HEADER = struct.Struct("<HHL")
_NUMBER = struct.Struct("<HHLH")

_AFFECTED_CLASS, _FIELD, _MESSAGE_ID, _RESPONDED_TO = 0x0002, 0x0100, 0x0110, 0x0120
_DATA_SET_TYPE, _STATUS, _AFFECTED_INSTANCE = 0x0800, 0x0900, 0x1000


class MalformedCommand(Exception):
    """The bytes are no command set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What the server itself needs to know of a command set."""

    field: int
    message_id: int
    has_data_set: bool
    #: As they came, with their padding.
    affected_sop_class: bytes
    affected_sop_instance: bytes

    @property
    def sop_class_uid(self) -> str:
        """Affected SOP Class UID, which may be anything."""
        return self.affected_sop_class.decode("latin-1").strip(" \0")

    @property
    def sop_instance_uid(self) -> str:
        """Affected SOP Instance UID, which may be anything."""
        return self.affected_sop_instance.decode("latin-1").strip(" \0")


def parse_command(encoded: bytes | bytearray) -> Command:
    """Read a command set. Raises MalformedCommand."""
    values: dict[int, bytes] = {}
    offset, end = 0, len(encoded)
    while offset < end:
        if end - offset < 8:
            raise MalformedCommand
        group, element, length = _HEADER.unpack_from(encoded, offset)
        offset += 8
        if group != 0 or length > end - offset:
            raise MalformedCommand
        values[element] = bytes(encoded[offset : offset + length])
        offset += length
    return Command(
        field=_number(values, _FIELD),
        message_id=_number(values, _MESSAGE_ID) if _MESSAGE_ID in values else 0,
        has_data_set=_number(values, _DATA_SET_TYPE) != _NO_DATA_SET,
        affected_sop_class=values.get(_AFFECTED_CLASS, b""),
        affected_sop_instance=values.get(_AFFECTED_INSTANCE, b""),
    )


def _number(values: dict[int, bytes], element: int) -> int:
    """Return an element of VR US. Raises MalformedCommand."""
    value = values.get(element, b"")
    if len(value) != 2:
        raise MalformedCommand
    return int.from_bytes(value, "little")


def store_response(command: Command, status: int) -> bytes:
    """Return the command set of the C-STORE-RSP to `command`."""
    elements = b"".join(
        (
            _HEADER.pack(0, _AFFECTED_CLASS, len(command.affected_sop_class)) + command.affected_sop_class,
            _NUMBER.pack(0, _FIELD, 2, _C_STORE_RSP),
            _NUMBER.pack(0, _RESPONDED_TO, 2, command.message_id),
            _NUMBER.pack(0, _DATA_SET_TYPE, 2, _NO_DATA_SET),
            _NUMBER.pack(0, _STATUS, 2, status),
            _HEADER.pack(0, _AFFECTED_INSTANCE, len(command.affected_sop_instance)) + command.affected_sop_instance,
        )
    )
    return _HEADER.pack(0, 0, 4) + len(elements).to_bytes(4, "little") + elements


def command_pdus(context_id: int, command_set: bytes, maximum_length: int) -> Iterator[bytes]:
    """Yield the P-DATA-TF PDUs of a command set (PS3.8 9.3.5, annex E); `maximum_length` is the peer's, 0 for any."""
    room = max(maximum_length - 6, 1) if maximum_length else len(command_set)
    for start in range(0, len(command_set), room):
        part = command_set[start : start + room]
        control = 3 if start + room >= len(command_set) else 1
        yield struct.pack(">BBLLBB", 4, 0, len(part) + 6, len(part) + 2, context_id, control) + part
