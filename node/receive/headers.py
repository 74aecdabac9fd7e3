"""The few elements that say what an arriving instance is. Everything else is read later, from the spool."""

import hashlib
import io
import struct
import warnings
import zlib
from dataclasses import dataclass

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError

from node.domain.identifiers import Digest, parse_uid
from node.domain.product import MODEL_NAME
from node.errors import NotDicom
from node.receive.elements import Fetch, Unusual, Walk

#: What pydicom raises for bytes that are no data set; a sequence nested a thousand deep ends in RecursionError.
_UNPARSEABLE = (
    InvalidDicomError,
    BytesLengthException,
    EOFError,
    ValueError,
    KeyError,
    NotImplementedError,
    AttributeError,
    TypeError,
    OSError,
    RecursionError,
    struct.error,
    zlib.error,
)

#: A deflated data set of 400 KB can unfold to a gigabyte before its first element is read.
DEFLATED = frozenset(
    {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205", "1.2.840.10008.1.2.8.1"}
)

_IMPLICIT, _BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_WANTED = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "ManufacturerModelName"]
_WANTED_TAGS = {
    0x00080016: "SOPClassUID",
    0x00080018: "SOPInstanceUID",
    0x00081090: "ManufacturerModelName",
    0x0020000D: "StudyInstanceUID",
    0x0020000E: "SeriesInstanceUID",
}
_LAST_WANTED = 0x0020000E
_TRANSFER_SYNTAX_UID = 0x00020010
#: More than any UID or name may have.
_LONGEST_VALUE = 1024
#: So much of a file is given to pydicom where its header is unusual.
_UNUSUAL_BYTES = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an instance is (PS3.3 C.12.1, C.7.2.1, C.7.3.1), and whether this software made it."""

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    #: Empty where there is no file meta information.
    transfer_syntax_uid: str
    own_result: bool


def read_identity(fetch: Fetch, known: tuple[str, int] | None = None) -> Identity:
    """Read the identity of a DICOM file of any size, in bounded memory. Raises NotDicom or InvalidIdentifier.

    `known`: its Transfer Syntax UID and where its data set begins. A file with an unusual header is looked at up to
    its first 256 KB; a deflated one is not looked into.
    """
    syntax, _ = known = known or _file_meta_or_nothing(fetch)
    if syntax in DEFLATED:
        raise NotDicom("the data set is deflated")
    syntax, offset = known
    try:
        values = _walked(fetch, offset, syntax)
    except Unusual:
        syntax, values = _parsed(bytes(fetch(0, _UNUSUAL_BYTES)))
    return _identity(syntax, values)


def read_transfer_syntax(fetch: Fetch) -> str:
    """Return the Transfer Syntax UID of the file meta information (PS3.10 7.1); empty where there is none."""
    try:
        return _file_meta_or_nothing(fetch)[0]
    except NotDicom:
        return ""


def read_file_meta(fetch: Fetch) -> tuple[str, int]:
    """Return the Transfer Syntax UID, and where the data set begins (PS3.10 7.1). Raises NotDicom."""
    try:
        syntax, begins = _file_meta(fetch)
    except Unusual:
        syntax, begins = "", 0
    if not syntax:
        raise NotDicom("the file meta information names no transfer syntax")
    return syntax, begins


def digest_of(transfer_syntax_uid: str, data_set: bytes | memoryview) -> Digest:
    """Return the SHA-256 of a data set and of its encoding: the same bytes mean something else in another one."""
    digest = new_digest(transfer_syntax_uid)
    digest.update(data_set)
    return Digest(digest.hexdigest())


def new_digest(transfer_syntax_uid: str) -> "hashlib._Hash":
    """Return the digest of a data set that is still to come, in pieces."""
    return hashlib.sha256(transfer_syntax_uid.encode() + b"\n")


def _file_meta_or_nothing(fetch: Fetch) -> tuple[str, int]:
    """Return the same, with an empty syntax where the file meta information is unusual. Raises NotDicom."""
    try:
        return _file_meta(fetch)
    except Unusual:
        return "", 0


def _file_meta(fetch: Fetch) -> tuple[str, int]:
    """Return the transfer syntax, and where the data set begins. Raises Unusual, or NotDicom without a DICM prefix."""
    if bytes(fetch(128, 4)) != b"DICM":
        raise NotDicom("the data set cannot be parsed: InvalidDicomError")
    syntax, offset = "", 132
    for element in Walk(fetch, implicit=False).group(132, 0x0002):
        if element.tag == _TRANSFER_SYNTAX_UID:
            syntax = _text(fetch, element.offset, element.length)
        offset = element.offset + (element.length or 0)
    return syntax, offset


def _walked(fetch: Fetch, offset: int, syntax: str) -> dict[str, str]:
    """Return the wanted values of a data set in little endian. Raises Unusual."""
    if syntax == _BIG_ENDIAN or syntax in DEFLATED or not syntax:
        raise Unusual
    values = dict.fromkeys(_WANTED, "")
    for element in Walk(fetch, implicit=syntax == _IMPLICIT).elements(offset):
        keyword = _WANTED_TAGS.get(element.tag)
        if keyword is not None:
            values[keyword] = _text(fetch, element.offset, element.length)
        if element.tag >= _LAST_WANTED:
            break
    return values


def _text(fetch: Fetch, offset: int, length: int | None) -> str:
    if length is None or length > _LONGEST_VALUE:
        raise Unusual
    value = bytes(fetch(offset, length))
    if len(value) != length:
        raise Unusual
    return value.decode("latin-1").strip(" \0")


def _parsed(head: bytes) -> tuple[str, dict[str, str]]:
    """Return transfer syntax and wanted values as pydicom reads them. Raises NotDicom."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings quote element values
        try:
            header = pydicom.dcmread(io.BytesIO(head), stop_before_pixels=True, specific_tags=list(_WANTED))
            values = {name: str(header.get(name, "") or "") for name in _WANTED}
            return str(header.file_meta.get("TransferSyntaxUID", "")), values
        except _UNPARSEABLE as error:
            raise NotDicom(f"the data set cannot be parsed: {type(error).__name__}") from error


def _identity(transfer_syntax_uid: str, values: dict[str, str]) -> Identity:
    missing = [name for name in _WANTED[:4] if not values[name]]
    if missing:
        raise NotDicom(f"the data set lacks {', '.join(missing)}")
    return Identity(
        sop_class_uid=parse_uid(values["SOPClassUID"]),
        sop_instance_uid=parse_uid(values["SOPInstanceUID"]),
        study_uid=parse_uid(values["StudyInstanceUID"]),
        series_uid=parse_uid(values["SeriesInstanceUID"]),
        transfer_syntax_uid=transfer_syntax_uid,
        own_result=values["ManufacturerModelName"] == MODEL_NAME,
    )
