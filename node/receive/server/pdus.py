"""PDUs from the wire (PS3.8 9.3): their length is looked at before anything is allocated, their time is limited."""

import struct
import time
from typing import Any, Protocol

from node.receive.server.connection import Connection, Filled

_HEADER = struct.Struct(">BBL")
_ITEM = struct.Struct(">LBB")
_VARIABLE_ITEM = struct.Struct(">BBH")

_ASSOCIATE_RQ, _ASSOCIATE_AC, _ASSOCIATE_RJ, _DATA, _RELEASE_RQ, _RELEASE_RP, _ABORT = range(1, 8)
#: 128 presentation contexts with forty transfer syntaxes each fit.
_MOST_ASSOCIATE_RQ = 512 << 10
#: 128 contexts of an abstract and sixty transfer syntaxes each.
_MOST_ITEMS = 8000
#: Header and fixed fields of an A-ASSOCIATE-RQ, and of a presentation context item.
_FIXED_PART, _PRESENTATION_CONTEXT = 74, 4
#: What is read of others.
_MOST = {_RELEASE_RQ: 4, _ABORT: 4}
#: Some peers leave the headers of the items out of the count.
_SLACK = 64

#: What the state machine is told of PDUs that no acceptor expects, or not now; their content does not matter.
_UNEXPECTED = {
    _ASSOCIATE_RQ: "Evt6",
    _ASSOCIATE_AC: "Evt3",
    _ASSOCIATE_RJ: "Evt4",
    _DATA: "Evt10",
    _RELEASE_RP: "Evt13",
}
_INVALID = "Evt19"


class PduLimits(Protocol):
    """Limits of a PDU."""

    @property
    def pdu_timeout_s(self) -> float:
        """Seconds from its first byte to its last."""

    @property
    def maximum_pdu_bytes(self) -> int:
        """Length of a P-DATA-TF PDU."""


class Fragments(Protocol):
    """Takes the fragments of messages."""

    def fragment(self, context_id: int, control: int, content: memoryview) -> bool:
        """Take a piece of a fragment; False when it may not come now, or is too much."""

    def fragment_ended(self, context_id: int, control: int) -> bool:
        """Act on a fragment that has ended; False when its message is none."""


def has_few_items(variable: bytes | bytearray, left: int = _MOST_ITEMS) -> bool:
    """Say whether the variable items of an A-ASSOCIATE-RQ (PS3.8 9.3.2) are few enough to be built.

    pynetdicom makes an object of each, and half a megabyte holds a hundred thousand. What is no item is left to it.
    """
    offset = 0
    while offset + 4 <= len(variable):
        left -= 1
        kind, _, length = _VARIABLE_ITEM.unpack_from(variable, offset)
        inner = _PRESENTATION_CONTEXT if kind == 0x20 else 0 if kind == 0x50 else length
        within = offset + 4 + inner
        while within + 4 <= min(offset + 4 + length, len(variable)):
            left -= 1
            within += 4 + _VARIABLE_ITEM.unpack_from(variable, within)[2]
        offset += 4 + length
    return left >= 0


class PduReader:
    """Reads one PDU after the other."""

    def __init__(self, connection: Connection, messages: Fragments, limits: PduLimits) -> None:
        self._connection = connection
        self._messages = messages
        self._limits = limits

    def read(self, upper_layer: Any, deadline: float) -> str | Filled | None:
        """Read a PDU that begins before `deadline`; return the event of the state machine that it makes.

        None after a P-DATA-TF of an established association, whose fragments have been handed on. What is not an event
        is why there is no whole PDU.
        """
        ended = self._at_least(1, deadline)
        if ended is None:
            if upper_layer.state != "Sta2":
                deadline = time.monotonic() + self._limits.pdu_timeout_s
            ended = self._at_least(6, deadline)
        if ended is not None:
            return ended
        kind, _, length = _HEADER.unpack(self._connection.peek(6))
        self._connection.skip(6)
        state = upper_layer.state
        if kind == _DATA and state == "Sta6":
            if not 0 < length <= self._limits.maximum_pdu_bytes + _SLACK:
                return _INVALID
            return self._data(upper_layer, length, deadline)
        most = _MOST_ASSOCIATE_RQ if (kind, state) == (_ASSOCIATE_RQ, "Sta2") else _MOST.get(kind)
        if most is None or length > most:
            return _UNEXPECTED.get(kind, _INVALID) if most is None else _INVALID
        return self._whole(upper_layer, struct.pack(">BBL", kind, 0, length), length, deadline)

    def _at_least(self, size: int, deadline: float) -> Filled | None:
        """Wait until so many bytes are available, or return why they are not."""
        while self._connection.available < size:
            filled = self._connection.fill(deadline)
            if filled is not Filled.BYTES:
                return filled
        return None

    def _whole(self, upper_layer: Any, header: bytes, length: int, deadline: float) -> str | Filled:
        """Read a PDU that pynetdicom decodes."""
        content = bytearray(header)
        while length:
            ended = self._at_least(1, deadline)
            if ended is not None:
                return ended
            part = self._connection.peek(length)
            content += part
            length -= len(part)
            self._connection.skip(len(part))
        if content[0] == _ASSOCIATE_RQ and not has_few_items(content[_FIXED_PART:]):
            return _INVALID
        try:
            pdu, event = upper_layer._decode_pdu(content)
        except Exception:  # noqa: BLE001 - foreign bytes raise anything; as in pynetdicom the PDU is then invalid
            return _INVALID
        upper_layer._recv_pdu.put(pdu)
        return str(event)

    def _data(self, upper_layer: Any, left: int, deadline: float) -> str | Filled | None:
        """Hand on the fragments of a P-DATA-TF PDU (PS3.8 9.3.5), unless a message among them ends the association."""
        while left and upper_layer.state == "Sta6":
            ended = self._at_least(6, deadline) if left >= 6 else None
            if ended is not None:
                return ended
            if left < 6:
                return _INVALID
            length, context_id, control = _ITEM.unpack(self._connection.peek(6))
            self._connection.skip(6)
            if not 2 <= length <= left - 4:
                return _INVALID
            left -= 4 + length
            outcome = self._fragment(context_id, control, length - 2, deadline)
            if outcome is not None:
                return outcome
        return None

    def _fragment(self, context_id: int, control: int, left: int, deadline: float) -> str | Filled | None:
        while left:
            ended = self._at_least(1, deadline)
            if ended is not None:
                return ended
            part = self._connection.peek(left)
            if not self._messages.fragment(context_id, control, part):
                return _INVALID
            left -= len(part)
            self._connection.skip(len(part))
        return None if self._messages.fragment_ended(context_id, control) else _INVALID
