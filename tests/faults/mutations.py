"""A seeded mutator that knows what sessions are made of: PDUs, fragments, commands, data sets (PS3.8 9.3, PS3.7 6.3).

Session `number` of `seed` is always the same bytes, so a session that breaks something can be sent again.
"""

import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from faults import wire
from faults.wire import COMMAND, LAST, Pdv, Value

#: What must never be seen outside the spool.
CANARY = b"ZZSECRET^NAME"
_HUGE = (0, 1, 2, 3, 5, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE, 1 << 27)
_NAMES = (b"", b"../../../etc/passwd", CANARY, b"1." * 40, b"1..2", b"\xff\xfe", b"1.2.3\0\0\0", b"0", b"1.2/3", b" ")


@dataclass(slots=True)
class Step:
    """One PDU of a session; what is not None stands in place of what is true."""

    kind: int
    pdvs: list[Pdv] = field(default_factory=list)
    body: bytes = b""
    length: int | None = None
    #: Index of a fragment and the length that it claims.
    claim: tuple[int, int] | None = None

    def encoded(self) -> bytes:
        if self.pdvs:
            body = b"".join(
                wire.pdv(item, self.claim[1] if self.claim and self.claim[0] == index else None)
                for index, item in enumerate(self.pdvs)
            )
        else:
            body = self.body
        return wire.pdu(self.kind & 0xFF, body, self.length)


Session = list[Step]
Mutation = Callable[[random.Random, Session], Session]


def data_set(instance_uid: bytes, series_uid: bytes = b"1.2.826.0.1.3680043.9.3811.7.1", filler: int = 600) -> bytes:
    """Return a small MR image in Explicit VR Little Endian whose patient has the name of the canary."""

    def short(group: int, number: int, vr: bytes, value: bytes) -> bytes:
        padded = value + (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
        return struct.pack("<HH2sH", group, number, vr, len(padded)) + padded

    pixels = bytes(filler + filler % 2)
    return b"".join(
        (
            short(0x0008, 0x0016, b"UI", wire.MR_IMAGE),
            short(0x0008, 0x0018, b"UI", instance_uid),
            short(0x0008, 0x0060, b"CS", b"MR"),
            short(0x0010, 0x0010, b"PN", CANARY),
            short(0x0010, 0x0020, b"LO", CANARY),
            short(0x0020, 0x000D, b"UI", b"1.2.826.0.1.3680043.9.3811.7"),
            short(0x0020, 0x000E, b"UI", series_uid),
            struct.pack("<HH2sxxI", 0x7FE0, 0x0010, b"OW", len(pixels)) + pixels,
        )
    )


def _steps(pdvs: Sequence[Pdv]) -> Session:
    return [Step(kind=wire.P_DATA, pdvs=[item]) for item in pdvs]


def recorded(which: int, number: int) -> Session:
    """Return a valid session after its handshake, the last PDU a release; `number` makes its UIDs its own."""
    uid = b"1.2.826.0.1.3680043.9.3811.8.%d" % number
    echo = wire.message(1, wire.echo_command(7))
    small = wire.message(3, wire.store_command(uid, 1), data_set(uid))
    long = wire.message(3, wire.store_command(uid + b".2", 2), data_set(uid + b".2", filler=20000), fragment=3000)
    asked = wire.message(5, wire.action_command(3), wire.commitment_data(uid + b".3", [uid, uid + b".2"]))
    told = wire.message(5, wire.report_command(4), wire.commitment_data(uid + b".4", [uid]))
    sessions: tuple[Session, ...] = (
        _steps(echo),
        _steps(small),
        _steps(long),
        [Step(kind=wire.P_DATA, pdvs=list(small))],
        _steps([*small, *echo, *long]),
        _steps(asked),
        _steps([*small, *asked]),
        _steps(told),
    )
    return [*sessions[which % len(sessions)], Step(kind=wire.RELEASE_RQ, body=bytes(4))]


def session(seed: int, number: int) -> bytes:
    """Return a mutated session, to be sent after a completed handshake."""
    chance = random.Random(f"{seed}:{number}")
    steps = recorded(chance.randrange(8), number)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5))):
        steps = chance.choice(MUTATIONS)(chance, steps)
    content = b"".join(step.encoded() for step in steps)
    return chance.choice(_ON_BYTES)(chance, content) if chance.random() < 0.15 else content


def request(seed: int, number: int) -> bytes:
    """Return a mutated A-ASSOCIATE-RQ."""
    chance = random.Random(f"rq:{seed}:{number}")
    items = wire.associate_items()
    for _ in range(chance.choice((1, 1, 2, 3))):
        items = chance.choice(_ON_ITEMS)(chance, items)
    called = chance.choice((b"CSPINE", b"CSPINE", CANARY, b"", b"\xff" * 16, b"\0" * 16))
    calling = chance.choice((b"TEST", b"TEST", b"TEST", b"", b"\\" * 16, b"../../../../etc"))
    content = wire.associate_rq(items, called=called, calling=calling)
    if chance.random() < 0.3:
        content = struct.pack(">BBI", *_header(chance, len(content) - 6)) + content[6:]
    return chance.choice(_ON_BYTES)(chance, content) if chance.random() < 0.4 else content


def _header(chance: random.Random, length: int) -> tuple[int, int, int]:
    return (
        chance.choice((1, 1, 1, 2, 4, 5, 7, 8, 255)),
        chance.choice((0, 255)),
        chance.choice((length, length + 1, *_HUGE)),
    )


# --- on PDUs and fragments -------------------------------------------------------------------------------------------


def _data_step(chance: random.Random, steps: Session) -> int:
    return chance.choice([index for index, step in enumerate(steps) if step.pdvs] or [0])


def _pdu_length(chance: random.Random, steps: Session) -> Session:
    index = chance.randrange(len(steps))
    true = len(steps[index].encoded()) - 6
    steps[index].length = chance.choice((*_HUGE, true - 1, true + 1, true // 2, true + 100)) & 0xFFFFFFFF
    return steps


def _pdu_type(chance: random.Random, steps: Session) -> Session:
    steps[chance.randrange(len(steps))].kind = chance.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x44, 0xFF))
    return steps


def _pdu_inserted(chance: random.Random, steps: Session) -> Session:
    """Requests, releases, aborts and unknown PDUs where none belongs: the collisions of PS3.8 9.2.3."""
    strange = Step(
        kind=chance.choice((1, 2, 3, 5, 5, 6, 6, 7, 8, 0xAA)),
        body=chance.choice((b"", bytes(4), bytes(3), bytes(70), chance.randbytes(chance.randrange(200)))),
    )
    if chance.random() < 0.3:
        strange = Step(kind=wire.ASSOCIATE_RQ, body=wire.associate_rq()[6:])
    steps.insert(chance.randrange(len(steps) + 1), strange)
    return steps


def _pdus_shuffled(chance: random.Random, steps: Session) -> Session:
    first, second = chance.randrange(len(steps)), chance.randrange(len(steps))
    steps[first], steps[second] = steps[second], steps[first]
    return steps


def _pdu_dropped(chance: random.Random, steps: Session) -> Session:
    if len(steps) > 1:
        del steps[chance.randrange(len(steps))]
    return steps


def _pdu_doubled(chance: random.Random, steps: Session) -> Session:
    index = chance.randrange(len(steps))
    steps[index:index] = [replace(steps[index])] * chance.choice((1, 1, 2, 20))
    return steps


def _fragment_length(chance: random.Random, steps: Session) -> Session:
    step = steps[_data_step(chance, steps)]
    if step.pdvs:
        index = chance.randrange(len(step.pdvs))
        true = len(step.pdvs[index][2]) + 2
        step.claim = index, chance.choice((*_HUGE, true - 1, true + 1, true + 2)) & 0xFFFFFFFF
    return steps


def _on_fragment(change: Callable[[random.Random, Pdv], list[Pdv]]) -> Mutation:
    def mutation(chance: random.Random, steps: Session) -> Session:
        step = steps[_data_step(chance, steps)]
        if step.pdvs:
            index = chance.randrange(len(step.pdvs))
            step.pdvs[index : index + 1] = change(chance, step.pdvs[index])
        return steps

    return mutation


def _control(chance: random.Random, item: Pdv) -> list[Pdv]:
    return [(item[0], chance.choice((0, 1, 2, 3, 4, 7, 0x80, 0xFF)), item[2])]


def _context(chance: random.Random, item: Pdv) -> list[Pdv]:
    return [(chance.choice((0, 1, 2, 3, 4, 5, 7, 127, 254, 255)), item[1], item[2])]


def _emptied(chance: random.Random, item: Pdv) -> list[Pdv]:
    return [(item[0], item[1], b"")]


def _split(chance: random.Random, item: Pdv) -> list[Pdv]:
    """In two or many, of which some may be empty or claim to be the last."""
    context, control, content = item
    step = chance.choice((1, 2, 7, max(1, len(content) // 2)))
    parts = [content[start : start + step] for start in range(0, min(len(content), step * 40), step)] or [b""]
    parts.insert(chance.randrange(len(parts) + 1), b"")
    open_control = control & ~LAST
    return [(context, control if index == len(parts) - 1 else open_control, part) for index, part in enumerate(parts)]


def _garbled(chance: random.Random, item: Pdv) -> list[Pdv]:
    content = bytearray(item[2])
    for _ in range(chance.choice((1, 1, 3, 10, 50))):
        if content:
            content[chance.randrange(len(content))] = chance.choice((0, 1, 0xFF, chance.randrange(256)))
    return [(item[0], item[1], bytes(content))]


def _cut(chance: random.Random, item: Pdv) -> list[Pdv]:
    return [(item[0], item[1], item[2][: chance.randrange(len(item[2]) + 1)])]


def _grown(chance: random.Random, item: Pdv) -> list[Pdv]:
    at = chance.randrange(len(item[2]) + 1)
    return [(item[0], item[1], item[2][:at] + chance.choice((bytes(8), CANARY, chance.randbytes(300))) + item[2][at:])]


def _interleaved(chance: random.Random, steps: Session) -> Session:
    """Two messages at once over two contexts."""
    other = _steps(
        wire.message(chance.choice((1, 3, 5)), wire.store_command(b"1.2.3.9", 9), data_set(b"1.2.3.9", filler=9000))
    )
    for step in other:
        steps.insert(chance.randrange(len(steps) + 1), step)
    return steps


# --- on commands and data sets ---------------------------------------------------------------------------------------

_COMMANDS = (0x0001, 0x8001, 0x0010, 0x8010, 0x0020, 0x0021, 0x8021, 0x0030, 0x8030, 0x0100, 0x8100, 0x0110, 0x0120)
_FIELDS = (*_COMMANDS, 0x0130, 0x8130, 0x0140, 0x0150, 0x0FFF, 0x0000, 0xFFFF, 0x1234)


def _elements(chance: random.Random) -> dict[int, Value]:
    made: tuple[dict[int, Value], ...] = (
        wire.echo_command(),
        wire.store_command(b"1.2.3.4"),
        wire.action_command(),
        wire.report_command(),
    )
    elements = dict(chance.choice(made))
    for _ in range(chance.choice((1, 1, 2, 4))):
        number = chance.choice(list(elements) or [0x0100])
        match chance.randrange(6):
            case 0:
                elements.pop(number, None)
            case 1:
                elements[number] = chance.choice(_NAMES)
            case 2:
                elements[0x0100] = chance.choice(_FIELDS)
            case 3:
                elements[0x0800] = chance.choice((0x0000, 0x0001, 0x0101, 0x0102, b"", b"\1"))
            case 4:
                elements[chance.choice((0x0901, 0x0902, 0x0903, 0x1002, 0x1005, 0x1030, 0x1031, 0x9999))] = CANARY
            case _:
                elements[number] = chance.choice((0, 1, 0xFFFF, CANARY, b"", bytes(3), b"\xff" * 100))
    return elements


def _other_command(chance: random.Random, steps: Session) -> Session:
    """A command with elements missing, wrong, strange or of another service, in place of a fragment or beside it."""
    content = wire.command(_elements(chance))
    if chance.random() < 0.3:
        content = wire.element(0, 0, struct.pack("<I", chance.choice(_HUGE))) + content[12:]
    strange = Step(kind=wire.P_DATA, pdvs=[(chance.choice((1, 3, 5)), COMMAND | LAST, content)])
    index = _data_step(chance, steps)
    if chance.random() < 0.7:
        steps[index] = strange
    else:
        steps.insert(index, strange)
    return steps


def _nested(depth: int) -> bytes:
    opening = struct.pack("<HHI", 0x0008, 0x1199, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    return opening * depth


def _broken_data(chance: random.Random) -> bytes:
    whole = wire.commitment_data(chance.choice((b"1.2.3", *_NAMES)), [b"1.2.3.4", chance.choice(_NAMES)])
    return chance.choice(
        (
            b"",
            whole[: chance.randrange(len(whole))],
            wire.element(8, 0x1199, b""),
            wire.element(8, 0x1195, b"1.2.3"),
            wire.element(8, 0x1199, b"\xfe\xff\x00\xe0" + struct.pack("<I", chance.choice(_HUGE))),
            _nested(chance.choice((5, 300, 1200))),
            chance.randbytes(chance.randrange(400)),
            wire.commitment_data(b"1.2.3", [b"1.2.3.%d" % index for index in range(500)]),
        )
    )


def _broken_request(chance: random.Random, steps: Session) -> Session:
    """N-ACTION and N-EVENT-REPORT with data sets that are none."""
    elements = chance.choice((wire.action_command(), wire.report_command(event=chance.choice((1, 2, 3, 0)))))
    steps[0:0] = _steps(wire.message(chance.choice((5, 5, 5, 3)), elements, _broken_data(chance)))
    return steps


def _broken_instance(chance: random.Random, steps: Session) -> Session:
    """C-STORE of bytes that are no data set, or of no bytes."""
    whole = data_set(chance.choice(_NAMES), chance.choice(_NAMES))
    content = chance.choice((b"", whole[: chance.randrange(len(whole))], chance.randbytes(500), _nested(1200), whole))
    steps[0:0] = _steps(wire.message(3, wire.store_command(chance.choice((b"1.2.3.4.5", *_NAMES))), content))
    return steps


MUTATIONS: tuple[Mutation, ...] = (
    _pdu_length,
    _pdu_type,
    _pdu_inserted,
    _pdu_inserted,
    _pdus_shuffled,
    _pdu_dropped,
    _pdu_doubled,
    _fragment_length,
    *map(_on_fragment, (_control, _context, _emptied, _split, _garbled, _garbled, _cut, _grown)),
    _interleaved,
    _other_command,
    _other_command,
    _broken_request,
    _broken_request,
    _broken_instance,
)


# --- on bytes and items ----------------------------------------------------------------------------------------------


def _truncated(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _flipped(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 2, 8))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _extended(chance: random.Random, content: bytes) -> bytes:
    return content + chance.randbytes(chance.choice((1, 5, 6, 300)))


_ON_BYTES = (_truncated, _flipped, _extended)


def _item_garbled(chance: random.Random, items: list[bytes]) -> list[bytes]:
    index = chance.randrange(len(items))
    return [*items[:index], chance.choice(_ON_BYTES)(chance, items[index]), *items[index + 1 :]]


def _item_dropped(chance: random.Random, items: list[bytes]) -> list[bytes]:
    index = chance.randrange(len(items))
    return [*items[:index], *items[index + 1 :]] or items


def _item_repeated(chance: random.Random, items: list[bytes]) -> list[bytes]:
    return items + [chance.choice(items)] * chance.choice((1, 2, 130))


def _item_length(chance: random.Random, items: list[bytes]) -> list[bytes]:
    index = chance.randrange(len(items))
    changed = items[index][:2] + struct.pack(">H", chance.choice((0, 1, 0xFFFF, 0x7FFF))) + items[index][4:]
    return [*items[:index], changed, *items[index + 1 :]]


def _item_strange(chance: random.Random, items: list[bytes]) -> list[bytes]:
    content = chance.choice((b"", CANARY, chance.randbytes(60)))
    kind = chance.choice((0x10, 0x20, 0x21, 0x30, 0x40, 0x50, 0x51, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0xFE))
    return [*items, struct.pack(">BBH", kind, 0, len(content)) + content]


_ON_ITEMS = (_item_garbled, _item_garbled, _item_dropped, _item_repeated, _item_length, _item_strange)
