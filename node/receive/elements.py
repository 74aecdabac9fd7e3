"""The elements of an encoded data set (PS3.5 7), walked over without building anything.

pydicom makes an object of each element and item: a few megabytes of empty items become a gigabyte. Here a hostile
data set costs time in proportion to its bytes, and no memory. What is unusual is given up on, never guessed at.
"""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

#: VRs whose length has 32 bits in explicit VR (PS3.5 7.1.2).
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SHORT = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS"}
    | {b"LO", b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_DEEPEST = 16
#: Far more than any header holds; what has more is read in another way, or not at all.
_MOST_ELEMENTS = 200_000

_TAG, _LENGTH_16, _LENGTH_32 = struct.Struct("<HH"), struct.Struct("<H"), struct.Struct("<L")

#: Returns up to `size` bytes at `offset`; fewer only at the end of what there is.
Fetch = Callable[[int, int], bytes | bytearray | memoryview]


class Unusual(Exception):
    """The data set is damaged, or encoded in a way that is not followed here."""


class Element(NamedTuple):
    """One element, by the place of its value. `length` is None where the length is undefined (PS3.5 7.1.1)."""

    tag: int
    #: Empty in implicit VR.
    vr: bytes
    offset: int
    length: int | None


class Walk:
    """Walks over a data set in little endian.

    Defined lengths are skipped without a look at what is in them; undefined ones are walked through to their end.
    """

    def __init__(self, fetch: Fetch, *, implicit: bool) -> None:
        self._fetch = fetch
        self._implicit = implicit
        self._left = _MOST_ELEMENTS

    def elements(self, offset: int, end: int | None = None) -> Iterator[Element]:
        """Yield the elements from `offset` on, in ascending order of their tags, up to `end` or the end of the bytes.

        Raises Unusual.
        """
        before = -1
        while end is None or offset < end:
            header = self._fetch(offset, 12)
            if not header and end is None:
                self._must_reach(offset)
                return
            element = self._element(header, offset)
            if element.tag <= before:
                raise Unusual
            before = element.tag
            yield element
            offset = self._end_of(element, 0)
        if offset != end:
            raise Unusual

    def group(self, offset: int, number: int) -> Iterator[Element]:
        """Yield the elements of one group, that begins at `offset`, all with defined lengths. Raises Unusual."""
        while True:
            header = self._fetch(offset, 12)
            if len(header) < 2 or int.from_bytes(header[:2], "little") != number:
                return
            element = self._element(header, offset)
            if element.length is None:
                raise Unusual
            yield element
            offset = element.offset + element.length

    def items(self, sequence: Element) -> Iterator[Iterator[Element]]:
        """Yield, for each item of a sequence, its elements. Raises Unusual."""
        offset = sequence.offset
        end = None if sequence.length is None else offset + sequence.length
        while end is None or offset < end:
            tag, length = self._item(offset)
            offset += 8
            if tag == _SEQUENCE_END and end is None:
                return
            if tag != _ITEM:
                raise Unusual
            if length is not None:
                yield self.elements(offset, offset + length)
                offset += length
            else:
                past = self._end_of_item(offset, 1)
                yield self.elements(offset, past - 8)
                offset = past

    def _must_reach(self, offset: int) -> None:
        """Raise Unusual where the last value is cut off."""
        if offset and not self._fetch(offset - 1, 1):
            raise Unusual

    def _element(self, header: bytes | bytearray | memoryview, offset: int) -> Element:
        self._left -= 1
        if len(header) < 8 or self._left < 0:
            raise Unusual
        group, number = _TAG.unpack_from(header)
        vr = b"" if self._implicit else bytes(header[4:6])
        length: int | None
        if vr in _SHORT:
            size, (length,) = 8, _LENGTH_16.unpack_from(header, 6)
        elif self._implicit:
            size, (length,) = 8, _LENGTH_32.unpack_from(header, 4)
        elif vr in _LONG and len(header) == 12:
            size, (length,) = 12, _LENGTH_32.unpack_from(header, 8)
        else:
            raise Unusual
        if group == 0xFFFE:
            raise Unusual
        return Element(group << 16 | number, vr, offset + size, None if length == _UNDEFINED else length)

    def _item(self, offset: int) -> tuple[int, int | None]:
        """Return tag and length of the item, or of the delimiter, at `offset`."""
        header = self._fetch(offset, 8)
        self._left -= 1
        if len(header) < 8 or self._left < 0:
            raise Unusual
        group, number = _TAG.unpack_from(header)
        (length,) = _LENGTH_32.unpack_from(header, 4)
        return group << 16 | number, None if length == _UNDEFINED else length

    def _end_of(self, element: Element, depth: int) -> int:
        """Return where the element that follows `element` begins."""
        if element.length is not None:
            return element.offset + element.length
        if element.vr not in {b"", b"SQ"} or depth >= _DEEPEST:
            raise Unusual  # fragments of pixel data, a sequence of unknown VR, or one within too many others
        offset = element.offset
        while True:
            tag, length = self._item(offset)
            offset += 8
            if tag == _SEQUENCE_END:
                return offset
            if tag != _ITEM:
                raise Unusual
            offset = offset + length if length is not None else self._end_of_item(offset, depth + 1)

    def _end_of_item(self, offset: int, depth: int) -> int:
        """Return where an item of undefined length, whose content begins at `offset`, has ended."""
        while True:
            header = self._fetch(offset, 12)
            if header[:4] == b"\xfe\xff\x0d\xe0":
                return offset + 8
            offset = self._end_of(self._element(header, offset), depth)
