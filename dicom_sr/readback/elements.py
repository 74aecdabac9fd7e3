"""Data elements of a sequence, parsed at once into plain values (PS3.5 7.1.2, 7.5).

A SEG and an SR hold thousands of small elements, of which a check looks at most. pydicom gives each an object that
knows its dictionary entry and validates it; here an element is its bytes until it is asked for.
"""

import struct
from functools import cache

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_sequence
from pydicom.sr.coding import Code

from dicom_sr.errors import InvalidObject

_HEADER = struct.Struct("<HH2sH")
_LENGTH = struct.Struct("<I")
_ITEM = struct.Struct("<HHI")
_UNDEFINED = 0xFFFFFFFF
_DELIMITERS = 0xFFFE
_ITEM_START = 0xE000
#: PS3.5 table 7.1-1.
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_NUMBERS = {2: "<H", 4: "<I"}


class Item:
    """An item of a sequence. Values are asked for by keyword; what a caller needs and is not there is an error."""

    __slots__ = ("_elements",)

    def __init__(self, elements: "dict[int, bytes | list[Item]]") -> None:
        self._elements = elements

    def __contains__(self, keyword: str) -> bool:
        """Return whether the element is there and not empty."""
        return bool(self._elements.get(_tag(keyword)))

    def text(self, keyword: str) -> str:
        """Return a text or a UID without its padding."""
        return self._value(keyword).rstrip(b" \0").decode("latin-1")

    def integer(self, keyword: str) -> int:
        """Return a binary number of 16 or 32 bits (VR US, UL)."""
        value = self._value(keyword)
        if len(value) not in _NUMBERS:
            raise InvalidObject(f"{keyword} is no single number")
        return int(struct.unpack(_NUMBERS[len(value)], value)[0])

    def integers(self, keyword: str, count: int) -> tuple[int, ...]:
        """Return `count` binary numbers of 16 bits (VR US)."""
        value = self._value(keyword)
        if len(value) != 2 * count:
            raise InvalidObject(f"{keyword} does not hold {count} numbers")
        return struct.unpack(f"<{count}H", value)

    def number(self, keyword: str) -> int:
        """Return an integer string (VR IS)."""
        try:
            return int(self.text(keyword))
        except ValueError as error:
            raise InvalidObject(f"{keyword} is no number") from error

    def decimals(self, keyword: str, count: int) -> tuple[float, ...]:
        """Return `count` decimal strings (VR DS)."""
        try:
            numbers = tuple(float(value) for value in self.text(keyword).split("\\"))
        except ValueError as error:
            raise InvalidObject(f"{keyword} is no number") from error
        if len(numbers) != count:
            raise InvalidObject(f"{keyword} holds {len(numbers)} numbers")
        return numbers

    def double(self, keyword: str) -> float:
        """Return a binary number of 64 bits (VR FD)."""
        value = self._value(keyword)
        if len(value) != 8:
            raise InvalidObject(f"{keyword} is no single number")
        return float(struct.unpack("<d", value)[0])

    def items(self, keyword: str) -> "list[Item]":
        """Return the items of a sequence, none where it is absent."""
        found = self._elements.get(_tag(keyword), [])
        return found if isinstance(found, list) else []

    def first(self, keyword: str) -> "Item":
        """Return the first item of a sequence."""
        found = self.items(keyword)
        if not found:
            raise InvalidObject(f"{keyword} is absent")
        return found[0]

    def code(self, keyword: str) -> Code:
        """Return the coded concept in a code sequence (PS3.3 8.8)."""
        coded = self.first(keyword)
        version = coded.text("CodingSchemeVersion") if "CodingSchemeVersion" in coded else None
        return Code(coded.text("CodeValue"), coded.text("CodingSchemeDesignator"), coded.text("CodeMeaning"), version)

    def _value(self, keyword: str) -> bytes:
        value = self._elements.get(_tag(keyword))
        if not isinstance(value, bytes):
            raise InvalidObject(f"{keyword} is absent")
        return value


def sequence(dataset: Dataset, keyword: str) -> list[Item]:
    """Return the items of a sequence of `dataset`, whatever its transfer syntax; none where it is absent.

    Raises InvalidObject where the bytes contradict their lengths.
    """
    tag = _tag(keyword)
    if tag not in dataset:
        return []
    element = dataset.get_item(tag)
    if isinstance(element, RawDataElement) and not element.is_implicit_VR and element.is_little_endian:
        value = element.value or b""
    else:
        value = _encoded(dataset, tag)
    try:
        return _items(value, 0, len(value))[0]
    except struct.error as error:
        raise InvalidObject(f"{keyword} ends too early") from error


@cache
def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


def _encoded(dataset: Dataset, tag: int) -> bytes:
    """Return the value of a sequence that pydicom parsed, in Explicit VR Little Endian."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_sequence(buffer, dataset[tag], ["iso8859"])
    return bytes(buffer.getvalue())


def _items(data: bytes, at: int, length: int) -> tuple[list[Item], int]:
    end = len(data) if length == _UNDEFINED else at + length
    if end > len(data):
        raise InvalidObject("a sequence is longer than what holds it")
    found: list[Item] = []
    while at < end:
        group, element, size = _ITEM.unpack_from(data, at)
        at += 8
        if group != _DELIMITERS:
            raise InvalidObject("a sequence holds something else than items")
        if element != _ITEM_START:
            return found, at
        elements, at = _elements(data, at, size)
        found.append(Item(elements))
    return found, end


def _elements(data: bytes, at: int, length: int) -> tuple[dict[int, bytes | list[Item]], int]:
    end = len(data) if length == _UNDEFINED else at + length
    if end > len(data):
        raise InvalidObject("an item is longer than what holds it")
    elements: dict[int, bytes | list[Item]] = {}
    while at < end:
        group, element, vr, size = _HEADER.unpack_from(data, at)
        at += 8
        if group == _DELIMITERS:
            return elements, at
        if vr in _LONG:
            (size,) = _LENGTH.unpack_from(data, at)
            at += 4
        if vr == b"SQ":
            elements[group << 16 | element], at = _items(data, at, size)
            continue
        if at + size > end:
            raise InvalidObject("a value is longer than what holds it")
        elements[group << 16 | element] = data[at : at + size]
        at += size
    return elements, end
