"""Items of sequences in Explicit VR Little Endian (PS3.5 7.1.2, 7.5), encoded once and then shared.

A report repeats some two hundred coded concepts thousands of times, and a segmentation the reference to a slice in
every frame. Encoded items are immutable, so that each is made once; a data set takes them as the raw value of a
sequence, which pydicom writes as it is and parses when somebody looks.

Texts are ASCII, and are therefore the same in every character set.
"""

import struct
from collections.abc import Iterable
from functools import cache
from typing import NewType

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.tag import Tag

#: One item with its item tag and its length.
EncodedItem = NewType("EncodedItem", bytes)

Value = str | int | float | tuple[str | int | float, ...] | list[EncodedItem]

#: PS3.5 7.5: item tag (FFFE,E000).
_ITEM_TAG = b"\xfe\xff\x00\xe0"
#: Value representations whose length has four bytes and stands behind two reserved ones (PS3.5 table 7.1-1).
_LONG = frozenset({"OB", "OD", "OF", "OL", "OW", "SQ", "UC", "UN", "UR", "UT"})
_NUMBERS = {"US": "<H", "UL": "<I", "FD": "<d"}


def item(**elements: Value) -> EncodedItem:
    """Return an item of the elements named by keyword, in the order of their tags (PS3.5 7.1).

    A text, a number or a tuple of them is a value, a list a sequence.
    """
    parts = [_element(keyword, value) for keyword, value in elements.items()]
    body = b"".join(encoded for _, encoded in sorted(parts))
    return EncodedItem(_ITEM_TAG + struct.pack("<I", len(body)) + body)


def code_item(code: Code) -> EncodedItem:
    """Return an item of a code sequence (PS3.3 8.8)."""
    return _code_item(*code)


@cache
def _code_item(value: str, scheme_designator: str, meaning: str, scheme_version: str | None) -> EncodedItem:
    """Return a code item. Cached by its texts, since codes count as equal whatever their meaning."""
    version = {"CodingSchemeVersion": scheme_version} if scheme_version else {}
    return item(CodeValue=value, CodingSchemeDesignator=scheme_designator, CodeMeaning=meaning, **version)


def attach(dataset: Dataset, keyword: str, items: Iterable[EncodedItem]) -> None:
    """Give `dataset` the sequence `keyword` of these items."""
    tag = Tag(keyword)
    value = b"".join(items)
    dataset[tag] = RawDataElement(tag, "SQ", len(value), value, 0, is_implicit_VR=False, is_little_endian=True)


@cache
def _tag_and_vr(keyword: str) -> tuple[int, bytes, str]:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag, struct.pack("<HH", tag >> 16, tag & 0xFFFF), dictionary_VR(tag)


def _element(keyword: str, value: Value) -> tuple[int, bytes]:
    tag, encoded_tag, vr = _tag_and_vr(keyword)
    if isinstance(value, list):
        encoded = b"".join(value)
    elif vr == "AT" and isinstance(value, int):
        encoded = struct.pack("<HH", value >> 16, value & 0xFFFF)
    elif vr in _NUMBERS:
        numbers = value if isinstance(value, tuple) else (value,)
        encoded = b"".join(struct.pack(_NUMBERS[vr], number) for number in numbers)
    else:
        text = "\\".join(map(str, value)) if isinstance(value, tuple) else str(value)
        encoded = text.encode("ascii")
        if len(encoded) % 2:
            encoded += b"\0" if vr == "UI" else b" "
    length = struct.pack("<HI", 0, len(encoded)) if vr in _LONG else struct.pack("<H", len(encoded))
    return tag, encoded_tag + vr.encode() + length + encoded
