"""A seeded mutator that knows the structure of DICOM files (PS3.5 7, 8, A.4; PS3.10 7.1).

It reads the elements by a small reader of its own, which stops where it understands no more; so a file that is mutated
already can be mutated again.
"""

import contextlib
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

from fakes import CANARY

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END, _PIXELS = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x7FE00010
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_VRS = [*_LONG, *b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split(), b"XX", b"\0\0", b"??"]
_LENGTHS = (0, 1, 2, 3, 7, 8, 0x7FFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, _UNDEFINED)
_TAGS = (
    _ITEM,
    _ITEM_END,
    _SEQUENCE_END,
    _PIXELS,
    0x7FE00001,
    0x7FE00002,
    0x7FE00008,
    0x00020010,
    0x00100010,
    0,
    1 << 31,
)
#: Rows, Columns, the bits, SamplesPerPixel, NumberOfFrames, PhotometricInterpretation.
_IMAGE = (0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280002, 0x00280008, 0x00280004)
_DECIMALS = (0x00200032, 0x00200037, 0x00280030, 0x00281052, 0x00281053, 0x00180081, 0x00180080, 0x00189082, 0x00189087)
_WORDS = (0, 1, 2, 3, 7, 8, 12, 15, 16, 17, 24, 31, 32, 33, 39, 64, 255, 256, 512, 4096, 16384, 32768, 65535)
_NUMBERS = (
    b"nan inf -inf 1e308 -1e308 1e400 1e-320 -0 0 1_0 0x10 1,5 1.5mm 1e30 65536 4294967296 -1 20001 99999999".split()
)
_COUNTS = b"0 -1 1 2 3 4 1000 19999 20001 2147483647 99999999999999999999 1e300 2.5".split()
_FLOATS = (float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 5e-324, 0.0, 1e30, 1e-30, 3.4e38)
_CHARACTER_SETS = (
    b"ISO_IR\\100 \\ISO\\2022\\IR\\87 ISO_2022_IR_149 GB18030 GBK utf-7 idna zlib_codec ISO_IR_192 undefined".split()
)
_SYNTAXES = [
    f"1.2.840.10008.1.2{tail}".encode()
    for tail in (
        "",
        ".1",
        ".2",
        ".5",
        ".1.99",
        ".1.98",
        *(f".4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203, 102, 110)),
    )
] + [b"", b"1.2.3", b"nonsense", b"\xff\xfe", CANARY.encode()]
#: Markers of JPEG, JPEG-LS and JPEG 2000 code streams.
_MARKERS = [
    bytes([0xFF, code]) for code in (0x51, 0x52, 0x5C, 0x90, 0x93, 0xC0, 0xC1, 0xC3, 0xC4, 0xDA, 0xDB, 0xF7, 0xF8)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An element, item or delimiter: its header starts at `at`, its value at `start` and has `length` bytes."""

    tag: int
    vr: bytes
    at: int
    start: int
    length: int
    depth: int
    order: str
    #: The elements of known length that hold it, the outermost first.
    holders: "tuple[Place, ...]"

    @property
    def end(self) -> int:
        """Where the value ends; its start where no length is given."""
        return self.start + (0 if self.length == _UNDEFINED else self.length)

    @property
    def length_field(self) -> tuple[int, str]:
        """Where the length stands, and how it is packed."""
        short = bool(self.vr) and self.vr not in _LONG
        return (self.start - 2, self.order + "H") if short else (self.start - 4, self.order + "I")


def mutated(raw: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Return `raw` with one to four faults; `others` are files that it may be spliced with."""
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        with contextlib.suppress(struct.error, IndexError):  # nothing is left where it wanted to write
            rng.choice(MUTATIONS)(data, others, rng)
    return bytes(data)


def places(data: bytes | bytearray) -> list[Place]:
    """Return everything that has a header, as far as it can be read."""
    found: list[Place] = []
    try:
        at = 132 if data[128:132] == b"DICM" else 0
        syntax = b"1.2.840.10008.1.2"
        while bytes(data[at : at + 2]) == b"\x02\0":
            place = _place(data, at, "<", False, ())
            found.append(place)
            at = place.end
            if place.tag == 0x00020010:
                syntax = bytes(data[place.start : place.end]).rstrip(b"\0 ")
        order = ">" if syntax.endswith(b".1.2.2") else "<"
        _walk(data, at, len(data), (order, syntax == b"1.2.840.10008.1.2"), (), found)
    except (struct.error, RecursionError):
        pass
    return found


def _place(data: bytes | bytearray, at: int, order: str, implicit: bool, holders: tuple[Place, ...]) -> Place:
    group, element = struct.unpack_from(order + "HH", data, at)
    vr, start = b"", at + 8
    if group == 0xFFFE or implicit:
        (length,) = struct.unpack_from(order + "I", data, at + 4)
    elif (vr := bytes(data[at + 4 : at + 6])) in _LONG:
        (length,) = struct.unpack_from(order + "I", data, at + 8)
        start = at + 12
    else:
        (length,) = struct.unpack_from(order + "H", data, at + 6)
    return Place(
        tag=group << 16 | element,
        vr=vr,
        at=at,
        start=start,
        length=length,
        depth=len(holders),
        order=order,
        holders=holders,
    )


def _walk(
    data: bytes | bytearray, at: int, end: int, syntax: tuple[str, bool], holders: tuple[Place, ...], found: list[Place]
) -> int:
    """Collect the elements, or items, from `at` to `end` or to a delimiter; return where they end."""
    while at < end:
        place = _place(data, at, *syntax, holders)
        found.append(place)
        if place.tag in (_ITEM_END, _SEQUENCE_END):
            return place.start
        nested = place.tag == _ITEM or place.vr == b"SQ" or place.length == _UNDEFINED
        if nested and not (place.tag == _ITEM and any(holder.tag == _PIXELS for holder in holders)):
            limit = end if place.length == _UNDEFINED else place.end
            at = _walk(data, place.start, limit, syntax, (*holders, place), found)
        else:
            at = place.end
    return at


def _pick(data: bytearray, rng: random.Random, tags: tuple[int, ...] = ()) -> Place | None:
    found = [place for place in places(data) if not tags or place.tag in tags]
    return rng.choice(found) if found else None


def _put(data: bytearray, place: Place, value: bytes, *, fix: bool) -> None:
    """Replace a value and its length; the lengths of what holds it too, when `fix`."""
    data[place.start : place.end] = value
    grown = len(value) - (place.end - place.start)
    for one, length in ((place, len(value)), *((h, h.length + grown) for h in place.holders if fix)):
        at, form = one.length_field
        if one.length != _UNDEFINED:
            struct.pack_into(form, data, at, min(max(length, 0), 0xFFFF if form[1] == "H" else 0xFFFFFFFF))


def _length(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    if place := _pick(data, rng):
        at, form = place.length_field
        value = rng.choice((*_LENGTHS, place.length + 1, place.length - 1, place.length * 2, len(data) - place.start))
        struct.pack_into(form, data, at, value & (0xFFFF if form[1] == "H" else 0xFFFFFFFF))


def _vr(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    place = _pick(data, rng)
    if place and place.vr:
        data[place.at + 4 : place.at + 6] = rng.choice(_VRS)


def _tag(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    place, other = _pick(data, rng), _pick(data, rng)
    if place and other:
        tag = rng.choice((*_TAGS, other.tag, other.tag, rng.getrandbits(32)))
        struct.pack_into(place.order + "HH", data, place.at, tag >> 16, tag & 0xFFFF)


def _drop(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    if place := _pick(data, rng):
        del data[place.at : place.end]


def _double(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    place, where = _pick(data, rng), _pick(data, rng)
    if place and where:
        data[where.at : where.at] = data[place.at : place.end] * rng.choice((1, 1, 2, 50))


def _nest(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    """Open sequences in sequences, most of them without an end."""
    if place := _pick(data, rng):
        tag = rng.choice((0x00081140, 0x52009229, 0x52009230, 0x00189114, 0x00091001))
        vr = rng.choice((b"SQ", b"UN")) if place.vr or place.tag == _ITEM else b""
        head = struct.pack(place.order + "HH", tag >> 16, tag & 0xFFFF)
        head += (vr + b"\0\0" if vr else b"") + b"\xff\xff\xff\xff"
        item = struct.pack(place.order + "HHI", 0xFFFE, 0xE000, _UNDEFINED)
        close = struct.pack(place.order + "HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
        count = rng.choice((1, 2, 15, 16, 17, 100, 1100, 5000))
        data[place.at : place.at] = (head + item) * count + close * rng.choice((0, count, count - 1))


def _many(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    """A sequence with very many items, or a data set with very many elements."""
    if place := _pick(data, rng):
        items = struct.pack(place.order + "HHI", 0xFFFE, 0xE000, 0) * rng.choice((10, 1000, 50_000))
        head = struct.pack(place.order + "HH", 0x5200, rng.choice((0x9229, 0x9230)))
        if place.vr:
            data[place.at : place.at] = head + b"SQ\0\0" + struct.pack(place.order + "I", len(items)) + items
        else:
            data[place.at : place.at] = head + struct.pack(place.order + "I", len(items)) + items


def _image(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    """What the image says of itself."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        if place := _pick(data, rng, _IMAGE):
            if place.length == 2 and place.tag != 0x00280008:
                struct.pack_into(place.order + "H", data, place.start, rng.choice(_WORDS))
            else:
                _put(data, place, _even(rng.choice((*_COUNTS, b"RGB", b"MONOCHROME1", b"PALETTE COLOR"))), fix=True)


def _decimal(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    """Geometry, rescale and timing."""
    if place := _pick(data, rng, _DECIMALS):
        if place.length == 8 and rng.random() < 0.5:
            struct.pack_into(place.order + "d", data, place.start, rng.choice(_FLOATS))
            return
        values = bytes(data[place.start : place.end]).split(b"\\")
        if rng.random() < 0.1:
            values = values * rng.choice((0, 2, 3000))
        else:
            values[rng.randrange(len(values))] = rng.choice(
                (*_NUMBERS, b"", b" ", b"9" * rng.choice((17, 400, 60_000)))
            )
        _put(data, place, _even(b"\\".join(values)[:65_534]), fix=True)


def _text(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    short = [p for p in places(data) if p.vr in (b"", *_VRS[len(_LONG) :]) and 0 < p.length < 1000]
    if short:
        junk = rng.choice(
            (
                CANARY.encode(),
                b"\x1b$B\x1b(J",
                b"\0\r\n\x07\x1b[2J",
                b"\\" * 9,
                b"\xff\xfe\xfd",
                b"a" * 65_000,
                b"%s{0}",
            )
        )
        _put(data, rng.choice(short), _even(junk * rng.choice((1, 1, 3)))[:65_534], fix=True)


def _characters(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    if place := _pick(data, rng, (0x00080005,)):
        _put(data, place, _even(rng.choice(_CHARACTER_SETS).replace(b"\\", b" ").replace(b"  ", b"\\")), fix=True)


def _uid(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    found = [place for place in places(data) if place.vr == b"UI"]
    if found:
        bad = (
            b"",
            b"../../etc/passwd",
            b"1." * 40,
            b"1..2",
            b"1.2/3",
            b"1.2 3",
            b"\xd9\xa1.2",
            CANARY.encode(),
            b"9" * 65_000,
        )
        _put(data, rng.choice(found), _even(rng.choice(bad)), fix=True)


def _syntax(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    if place := _pick(data, rng, (0x00020010,)):
        _put(data, place, _even(rng.choice(_SYNTAXES)), fix=True)


def _cut(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    place = _pick(data, rng)
    at = (
        rng.choice((place.at, place.start, place.end)) if place and rng.random() < 0.5 else rng.randrange(len(data) + 1)
    )
    del data[at:]


def _flip(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 8, 30)) if data else 0):
        data[rng.randrange(len(data))] = rng.getrandbits(8)


def _block(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    at, size = rng.randrange(len(data) + 1), rng.choice((1, 2, 8, 100, 4000))
    data[at : at + rng.choice((0, size))] = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size), b""))


def _delimiter(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    if place := _pick(data, rng):
        tag, length = rng.choice((0xE000, 0xE00D, 0xE0DD)), rng.choice((0, 0, 4, _UNDEFINED))
        data[place.at : place.at] = struct.pack(place.order + "HHI", 0xFFFE, tag, length)


def _splice(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    other = rng.choice(others)
    here, there = _pick(data, rng), _pick(bytearray(other), rng)
    if here and there:
        data[here.at :] = other[there.at :]


def _fragments(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    """Offset tables and fragments (PS3.5 A.4)."""
    found = [p for p in places(data) if p.tag == _ITEM and any(holder.tag == _PIXELS for holder in p.holders)]
    if not found:
        return
    table, place = found[0], rng.choice(found)
    numbers = [
        rng.choice((0, 4, 8, rng.randrange(len(data)), 0x7FFFFFFF, _UNDEFINED)) for _ in range(rng.choice((1, 3, 3000)))
    ]
    value = bytes(data[place.start : place.end])
    half = len(value) // 4 * 2
    match rng.randrange(6):
        case 0:
            _put(data, table, struct.pack(f"<{len(numbers)}I", *numbers), fix=False)
        case 1:
            _put(data, place, b"", fix=False)
        case 2:
            _put(data, place, value[:half], fix=False)
        case 3:
            data[place.at : place.at] = data[place.at : place.end] * rng.choice((1, 5))
        case 4:
            _put(data, place, value[:half], fix=False)
            data[place.start + half : place.start + half] = (
                struct.pack("<HHI", 0xFFFE, 0xE000, len(value) - half) + value[half:]
            )
        case _:
            wide = struct.pack(f"<{len(numbers)}Q", *(number << rng.choice((0, 31)) for number in numbers))
            holder = next(holder for holder in place.holders if holder.tag == _PIXELS)
            tables = b"".join(struct.pack("<HH2sHI", 0x7FE0, n, b"OV", 0, len(wide)) + wide for n in (1, 2))
            data[holder.at : holder.at] = tables


def _code(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    """The header of a code stream: sizes, precisions, tables behind a marker; or the lengths of RLE segments."""
    found = [p for p in places(data) if p.tag == _ITEM and p.length > 64 and any(h.tag == _PIXELS for h in p.holders)]
    if not found:
        return
    place = rng.choice(found)
    ats = [at for marker in _MARKERS if (at := data.find(marker, place.start, place.end)) > 0] or [place.start]
    at = rng.choice(ats)
    for _ in range(rng.choice((1, 2, 5))):
        data[min(at + rng.randrange(40), len(data) - 1)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.getrandbits(8)))


def _even(value: bytes) -> bytes:
    return value + b" " * (len(value) % 2)


Mutation = Callable[[bytearray, list[bytes], random.Random], None]
MUTATIONS: tuple[Mutation, ...] = (
    *(_length, _vr, _tag, _drop, _double, _nest, _many, _image, _image, _decimal, _decimal, _text, _characters, _uid),
    *(_syntax, _cut, _flip, _block, _delimiter, _splice, _fragments, _fragments, _code, _code, _code),
)
