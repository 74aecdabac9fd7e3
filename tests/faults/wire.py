"""DICOM's upper layer by hand (PS3.8 9.3), so that a test can send what no toolkit would; and a sender that uses it."""

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

APPLICATION = b"1.2.840.10008.3.1.1.1"
VERIFICATION = b"1.2.840.10008.1.1"
MR_IMAGE = b"1.2.840.10008.5.1.4.1.1.4"
COMMITMENT = b"1.2.840.10008.1.20.1"
COMMITMENT_INSTANCE = b"1.2.840.10008.1.20.1.1"
EXPLICIT = b"1.2.840.10008.1.2.1"
IMPLICIT = b"1.2.840.10008.1.2"
DEFLATED = b"1.2.840.10008.1.2.1.99"

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
#: Bits of a message control header (PS3.8 E.2).
COMMAND, LAST = 1, 2

C_STORE_RQ, C_FIND_RQ, C_MOVE_RQ, C_ECHO_RQ = 0x0001, 0x0020, 0x0021, 0x0030
N_EVENT_REPORT_RQ, N_ACTION_RQ, C_CANCEL_RQ = 0x0100, 0x0130, 0x0FFF
NO_DATA_SET, DATA_SET = 0x0101, 0x0001

#: Presentation context id -> abstract syntax, transfer syntaxes: what the sessions of the harnesses offer.
CONTEXTS: Mapping[int, tuple[bytes, Sequence[bytes]]] = {
    1: (VERIFICATION, (IMPLICIT,)),
    3: (MR_IMAGE, (EXPLICIT,)),
    5: (COMMITMENT, (IMPLICIT,)),
}

Pdv = tuple[int, int, bytes]
Value = int | bytes


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    """Return a PDU; `length` instead of the true one."""
    return struct.pack(">BBI", kind, 0, len(body) if length is None else length) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _titles(called: bytes, calling: bytes) -> bytes:
    return struct.pack(">HH16s16s32x", 1, 0, called.ljust(16), calling.ljust(16))


def associate_items(
    contexts: Mapping[int, tuple[bytes, Sequence[bytes]]] = CONTEXTS, maximum_pdu: int = 16384
) -> list[bytes]:
    """Return the variable items of an A-ASSOCIATE-RQ (PS3.8 9.3.2)."""
    offered = [
        _item(
            0x20,
            struct.pack(">BBBB", number, 0, 0, 0)
            + _item(0x30, abstract)
            + b"".join(_item(0x40, transfer) for transfer in transfers),
        )
        for number, (abstract, transfers) in contexts.items()
    ]
    roles = struct.pack(">H", len(COMMITMENT)) + COMMITMENT + b"\x01\x01"
    user = (
        _item(0x51, struct.pack(">I", maximum_pdu)) + _item(0x52, b"1.2.826.0.1.3680043.9.3811.99") + _item(0x54, roles)
    )
    return [_item(0x10, APPLICATION), *offered, _item(0x50, user)]


def associate_rq(items: Sequence[bytes] | None = None, *, called: bytes = b"CSPINE", calling: bytes = b"TEST") -> bytes:
    """Return an A-ASSOCIATE-RQ."""
    return pdu(ASSOCIATE_RQ, _titles(called, calling) + b"".join(associate_items() if items is None else items))


def pdv(item: Pdv, length: int | None = None) -> bytes:
    """Return a presentation data value item (PS3.8 9.3.5.1): context id, control header, fragment."""
    context, control, fragment = item
    return (
        struct.pack(">IBB", len(fragment) + 2 if length is None else length, context & 0xFF, control & 0xFF) + fragment
    )


def p_data(*items: Pdv) -> bytes:
    """Return a P-DATA-TF."""
    return pdu(P_DATA, b"".join(pdv(item) for item in items))


def release_rq() -> bytes:
    """Return an A-RELEASE-RQ."""
    return pdu(RELEASE_RQ, bytes(4))


def abort() -> bytes:
    """Return an A-ABORT of the service user."""
    return pdu(ABORT, bytes(4))


def element(group: int, number: int, value: bytes) -> bytes:
    """Return an element in Implicit VR Little Endian, padded to an even length."""
    padded = value + b"\0" * (len(value) % 2)
    return struct.pack("<HHI", group, number, len(padded)) + padded


def command(elements: Mapping[int, Value]) -> bytes:
    """Return a command set (PS3.7 6.3.1) with its group length; numbers are US."""
    body = b"".join(
        element(0, number, struct.pack("<H", value) if isinstance(value, int) else value)
        for number, value in sorted(elements.items())
    )
    return element(0, 0, struct.pack("<I", len(body))) + body


def echo_command(message: int = 1) -> dict[int, Value]:
    """Return the elements of a C-ECHO-RQ (PS3.7 9.3.5.1)."""
    return {0x0002: VERIFICATION, 0x0100: C_ECHO_RQ, 0x0110: message, 0x0800: NO_DATA_SET}


def store_command(instance_uid: bytes, message: int = 1, sop_class: bytes = MR_IMAGE) -> dict[int, Value]:
    """Return the elements of a C-STORE-RQ (PS3.7 9.3.1.1)."""
    return {
        0x0002: sop_class,
        0x0100: C_STORE_RQ,
        0x0110: message,
        0x0700: 0,
        0x0800: DATA_SET,
        0x1000: instance_uid,
    }


def action_command(message: int = 1) -> dict[int, Value]:
    """Return the elements of an N-ACTION-RQ that asks for storage commitment (PS3.4 J.3.2)."""
    return {
        0x0003: COMMITMENT,
        0x0100: N_ACTION_RQ,
        0x0110: message,
        0x0800: DATA_SET,
        0x1001: COMMITMENT_INSTANCE,
        0x1008: 1,
    }


def report_command(message: int = 1, event: int = 1) -> dict[int, Value]:
    """Return the elements of an N-EVENT-REPORT-RQ (PS3.4 J.3.3)."""
    return {
        0x0002: COMMITMENT,
        0x0100: N_EVENT_REPORT_RQ,
        0x0110: message,
        0x0800: DATA_SET,
        0x1000: COMMITMENT_INSTANCE,
        0x1002: event,
    }


def commitment_data(transaction_uid: bytes, instance_uids: Sequence[bytes]) -> bytes:
    """Return the data set of an N-ACTION or N-EVENT-REPORT about MR images (PS3.3 C.14)."""
    items = b"".join(
        struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body
        for body in (element(8, 0x1150, MR_IMAGE) + element(8, 0x1155, uid) for uid in instance_uids)
    )
    return element(8, 0x1195, transaction_uid) + element(8, 0x1199, items)


def message(context: int, elements: Mapping[int, Value], data_set: bytes = b"", fragment: int = 8192) -> list[Pdv]:
    """Return the fragments of a DIMSE message, one PDV each: the command, then the data set."""
    parts = [data_set[start : start + fragment] for start in range(0, len(data_set), fragment)]
    pdvs: list[Pdv] = [(context, COMMAND | LAST, command(elements))]
    return pdvs + [(context, LAST if part is parts[-1] else 0, part) for part in parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A DIMSE response: its command field and its status."""

    field: int
    status: int


class Line:
    """One TCP or TLS connection to a listener, for as long as the block."""

    def __init__(self, port: int, *, patience_s: float = 20.0, tls: ssl.SSLContext | None = None) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=patience_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket = tls.wrap_socket(plain, server_hostname="localhost") if tls else plain
        except OSError:
            plain.close()
            raise
        self.accepted: frozenset[int] = frozenset()

    def __enter__(self) -> "Line":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def send(self, content: bytes) -> None:
        """Send bytes. Raises OSError."""
        self.socket.sendall(content)

    def receive(self) -> tuple[int, bytes]:
        """Return kind and body of the next PDU. Raises EOFError at the end of the line, OSError when it is silent."""
        kind, length = struct.unpack(">BxI", self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        parts = []
        while count:
            part = self.socket.recv(count)
            if not part:
                raise EOFError("the listener closed the connection")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def associate(self, request: bytes | None = None) -> bool:
        """Ask for an association; False when it is rejected. Raises EOFError or OSError."""
        self.send(request or associate_rq())
        kind, body = self.receive()
        if kind != ASSOCIATE_AC:
            return False
        self.accepted = frozenset(_accepted(body))
        return True

    def ask(self, pdvs: Sequence[Pdv]) -> Answered:
        """Send one message, a PDU a fragment, and return the response."""
        for item in pdvs:
            self.send(p_data(item))
        return self.answer()

    def answer(self) -> Answered:
        """Return the next response. Raises EOFError or OSError."""
        kind, body = self.receive()
        if kind != P_DATA:
            raise EOFError(f"PDU of type {kind} instead of an answer")
        return _answered(body[6:])

    def release(self) -> None:
        """Release the association and wait for the answer."""
        self.send(release_rq())
        self.receive()


def _accepted(body: bytes) -> Iterator[int]:
    at = 68
    while at + 8 <= len(body):
        kind, length = struct.unpack_from(">BxH", body, at)
        if kind == 0x21 and body[at + 6] == 0:
            yield body[at + 4]
        at += 4 + length


def _answered(command_set: bytes) -> Answered:
    values: dict[int, bytes] = {}
    at = 0
    while at + 8 <= len(command_set):
        number, length = struct.unpack_from("<2xHI", command_set, at)
        values[number] = command_set[at + 8 : at + 8 + length]
        at += 8 + length
    return Answered(field=_number(values[0x0100]), status=_number(values[0x0900]))


def _number(value: bytes) -> int:
    return int.from_bytes(value[:2], "little")


def echo(port: int, *, patience_s: float = 20.0, tls: ssl.SSLContext | None = None) -> bool:
    """C-ECHO over an association of its own; False for whatever went wrong."""
    with contextlib.suppress(OSError, EOFError), Line(port, patience_s=patience_s, tls=tls) as line:
        if line.associate():
            answered = line.ask(message(1, echo_command()))
            line.release()
            return answered.status == 0
    return False


def store(port: int, instance_uid: str, data_set: bytes) -> int | None:
    """C-STORE of an MR image in Explicit VR; the status, or None when no answer came."""
    with contextlib.suppress(OSError, EOFError), Line(port) as line:
        if line.associate():
            answered = line.ask(message(3, store_command(instance_uid.encode()), data_set))
            line.release()
            return answered.status
    return None
