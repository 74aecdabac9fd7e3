"""A bounded reader of the DICOM elements that are wanted, and of nothing else.

Files come from strangers. Every length is held against the file before a byte is read, sequences nest to a limit, and
elements nobody asked for (the Patient Module among them) are passed over unread. What is wrong is named by an error of
the node; no value is ever part of a message.

Source: PS3.5 7.1 (data elements), 7.5 (sequences), A.4 (encapsulated pixel data), PS3.10 7.1 (file meta information).
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from node.assemble.values import DICTIONARY, Elements
from node.errors import InputError, NotDicom, TruncatedFile, UnsupportedTransferSyntax

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
NATIVE = frozenset({EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG})
#: RLE, JPEG baseline, extended, lossless (two), JPEG-LS (two), JPEG 2000 (two), HTJ2K (three). Deflated data is left
#: out on purpose: half a megabyte of it can unfold to a gigabyte before the first element is seen.
ENCAPSULATED = frozenset(
    ["1.2.840.10008.1.2.5"] + [f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)],
)
#: Deeper than any standard IOD: the functional groups of Enhanced MR need five.
MAX_NESTING = 16
#: A thousand frames of Enhanced MR hold some 300,000 elements.
MAX_ELEMENTS = 4_000_000
#: Values and items that are kept in memory, some 200 bytes each: a frame of Enhanced MR has about 20.
MAX_KEPT = 500_000
#: All values together.
MAX_KEPT_BYTES = 32 << 20
#: Longest value that is read; descriptions hold 64 characters, UI 64, multi-valued DS a few hundred.
MAX_VALUE_BYTES = 65_536

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_UID = re.compile(rb"[0-9.]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelPlace:
    """Where the pixel data lies: bytes `offset` to `offset + length` of the file.

    `fragments` is the number of items after the offset table in encapsulated data (PS3.5 A.4), None in native data.
    """

    keyword: str
    vr: str
    offset: int
    length: int
    fragments: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """The wanted elements of a file up to its pixel data."""

    transfer_syntax_uid: str
    meta: Elements
    elements: Elements
    pixels: PixelPlace | None
    has_preamble: bool


@dataclass(frozen=True, slots=True)
class _Syntax:
    implicit: bool
    little: bool

    @property
    def order(self) -> str:
        return "<" if self.little else ">"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """What is known of a file before its data set begins, at `offset`."""

    transfer_syntax_uid: str
    syntax: _Syntax
    meta: Elements
    offset: int
    has_preamble: bool


@dataclass(frozen=True, slots=True)
class _Header:
    tag: int
    vr: bytes
    length: int
    start: int


_IMPLICIT, _EXPLICIT = _Syntax(True, True), _Syntax(False, True)


def read_elements(path: Path) -> DataSet:
    """Return the wanted elements of the file at `path`.

    Raises NotDicom, TruncatedFile, UnsupportedTransferSyntax, or InputError for nesting or counts beyond the limits.
    A file without preamble is taken when it begins with group 0002 or 0008 (PS3.10 7.1 asks for one, archives differ).
    """
    with path.open("rb") as file:
        reader = _Reader(file=file, size=file.seek(0, 2))
        return reader.data_set(reader.start())


def read_beginning(path: Path) -> tuple[str, int]:
    """Return the Transfer Syntax UID of the file at `path`, and where its data set begins, after the meta.

    Raises NotDicom, TruncatedFile, UnsupportedTransferSyntax or InputError as `read_elements` does for these.
    """
    with path.open("rb") as file:
        start = _Reader(file=file, size=file.seek(0, 2)).start()
        return start.transfer_syntax_uid, start.offset


@dataclass(slots=True)
class _Reader:
    file: BinaryIO
    size: int
    count: int = field(default=0)
    kept: int = field(default=0)
    kept_bytes: int = field(default=0)

    def start(self) -> _Start:
        first = self._bytes(0, min(132, self.size))
        has_preamble = first[128:] == b"DICM"
        if not has_preamble and first[:2] not in (b"\x02\0", b"\x08\0"):
            raise NotDicom("neither a DICOM preamble nor a data set")
        meta, at = self._meta(132 if has_preamble else 0)
        declared = meta.text("TransferSyntaxUID")
        if declared is not None and declared not in NATIVE | ENCAPSULATED:
            known = declared if _UID.fullmatch(declared.encode()) else "of no valid UID"
            raise UnsupportedTransferSyntax(f"nothing here decodes transfer syntax {known}")
        syntax = self._syntax(at, declared)
        uid = declared or (IMPLICIT_LITTLE if syntax.implicit else EXPLICIT_LITTLE)
        return _Start(transfer_syntax_uid=uid, syntax=syntax, meta=meta, offset=at, has_preamble=has_preamble)

    def data_set(self, start: _Start) -> DataSet:
        elements = Elements(little=start.syntax.little)
        pixels = None
        for header in self._elements(start.offset, self.size, start.syntax):
            if header.tag in _PIXELS:
                pixels = self._pixels(header)
                break
            self._take(header, self.size, elements, start.syntax, 0)
        return DataSet(
            transfer_syntax_uid=start.transfer_syntax_uid,
            meta=start.meta,
            elements=elements,
            pixels=pixels,
            has_preamble=start.has_preamble,
        )

    def _meta(self, at: int) -> tuple[Elements, int]:
        """Read group 0002, always Explicit VR Little Endian; its stated length is not relied upon."""
        meta = Elements(little=True)
        while at + 8 <= self.size and self._bytes(at, 2) == b"\x02\0":
            header = self._header(at, self.size, _EXPLICIT)
            at = self._take(header, self.size, meta, _EXPLICIT, 0)
        return meta, at

    def _syntax(self, at: int, declared: str | None) -> _Syntax:
        """Believe the first element's VR over the declared syntax: both kinds of mislabelled file are about."""
        if declared == EXPLICIT_BIG:
            return _Syntax(False, False)
        vr = self._bytes(at + 4, 2) if at + 8 <= self.size else b"\0\0"
        return _EXPLICIT if vr in _LONG_VRS | _SHORT_VRS else _IMPLICIT

    def _bytes(self, at: int, length: int) -> bytes:
        if at + length > self.size:
            raise TruncatedFile("the file ends inside an element")
        self.file.seek(at)
        return self.file.read(length)

    def _header(self, at: int, end: int, syntax: _Syntax) -> _Header:
        """Read tag, VR and length (PS3.5 7.1.2, 7.1.3); an element without a VR among explicit ones is implicit."""
        self.count += 1
        if self.count > MAX_ELEMENTS:
            raise InputError(f"more than {MAX_ELEMENTS} elements in one file")
        if at + 8 > end:
            raise TruncatedFile("the data set ends inside an element")
        raw = self._bytes(at, 8)
        group, element = struct.unpack_from(syntax.order + "HH", raw)
        tag, vr, start = group << 16 | element, b"", at + 8
        if group == 0xFFFE or syntax.implicit or not raw[4:6].isalpha():
            (length,) = struct.unpack_from(syntax.order + "I", raw, 4)
        elif raw[4:6] in _LONG_VRS:
            vr, start = raw[4:6], at + 12
            (length,) = struct.unpack(syntax.order + "I", self._bytes(at + 8, 4))
        else:
            vr = raw[4:6]
            (length,) = struct.unpack_from(syntax.order + "H", raw, 6)
        if length != _UNDEFINED and start + length > end:
            raise TruncatedFile("an element is longer than what holds it")
        return _Header(tag, vr, length, start)

    def _elements(self, at: int, end: int, syntax: _Syntax) -> Iterator[_Header]:
        """Yield top-level headers; zeros behind the last element are padding of the medium."""
        while at < end and any(self._bytes(at, min(8, end - at))):
            header = self._header(at, end, syntax)
            yield header
            at = self._skip(header, end, syntax, 0)

    def _skip(self, header: _Header, end: int, syntax: _Syntax, depth: int) -> int:
        if header.length != _UNDEFINED:
            return header.start + header.length
        return self._sequence(header, end, syntax, depth, None)

    def _take(self, header: _Header, end: int, into: Elements, syntax: _Syntax, depth: int) -> int:
        """Keep the element when it is wanted; return where the next one starts."""
        known = DICTIONARY.get(header.tag)
        if known is None or (known == "SQ" and header.vr not in (b"SQ", b"UN", b"")):
            return self._skip(header, end, syntax, depth)
        if known == "SQ":
            items: list[Elements] = []
            at = self._sequence(header, end, syntax, depth, items)
            into.keep_items(header.tag, tuple(items))
            return at
        if header.length == _UNDEFINED:
            return self._skip(header, end, syntax, depth)
        if header.length <= MAX_VALUE_BYTES:
            self._keep(header.length)
            vr = known if header.vr in (b"", b"UN") else header.vr.decode("ascii", "replace")
            into.keep(header.tag, vr, self._bytes(header.start, header.length))
        return header.start + header.length

    def _keep(self, length: int) -> None:
        self.kept += 1
        self.kept_bytes += length
        if self.kept > MAX_KEPT or self.kept_bytes > MAX_KEPT_BYTES:
            raise InputError("the elements that are needed take more memory than any sound file asks for")

    def _sequence(
        self,
        header: _Header,
        end: int,
        syntax: _Syntax,
        depth: int,
        items: list[Elements] | None,
    ) -> int:
        """Walk the items of a sequence (PS3.5 7.5), collecting them into `items` when given."""
        if depth >= MAX_NESTING:
            raise InputError(f"sequences nest deeper than {MAX_NESTING}")
        inner = _IMPLICIT if header.vr == b"UN" else syntax
        bounded = header.length != _UNDEFINED
        end = header.start + header.length if bounded else end
        at = header.start
        while not bounded or at < end:
            item = self._header(at, end, inner)
            if item.tag == _SEQUENCE_END:
                return item.start
            if item.tag != _ITEM:
                raise InputError("a sequence holds something that is not an item")
            into = None if items is None else Elements(little=inner.little)
            if into is not None:
                self._keep(0)
            at = self._item(item, end, inner, depth, into)
            if items is not None and into is not None:
                items.append(into)
        return end

    def _item(self, item: _Header, end: int, syntax: _Syntax, depth: int, into: Elements | None) -> int:
        bounded = item.length != _UNDEFINED
        if bounded and into is None:
            return item.start + item.length
        end = item.start + item.length if bounded else end
        at = item.start
        while not bounded or at < end:
            header = self._header(at, end, syntax)
            if header.tag == _ITEM_END:
                return header.start
            at = (
                self._skip(header, end, syntax, depth + 1)
                if into is None
                else self._take(header, end, into, syntax, depth + 1)
            )
        return end

    def _pixels(self, header: _Header) -> PixelPlace:
        vr = header.vr.decode("ascii", "replace") or "OW"
        length, fragments = header.length, None
        if header.length == _UNDEFINED:
            fragments, at = -1, header.start
            while (item := self._header(at, self.size, _EXPLICIT)).tag == _ITEM and item.length != _UNDEFINED:
                fragments, at = fragments + 1, item.start + item.length
            if item.tag != _SEQUENCE_END:
                raise TruncatedFile("the encapsulated pixel data has no end")
            length = item.start - header.start
        return PixelPlace(keyword=_PIXELS[header.tag], vr=vr, offset=header.start, length=length, fragments=fragments)
