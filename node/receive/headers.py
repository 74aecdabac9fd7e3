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

_WANTED = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "ManufacturerModelName"]


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


def read_identity(file_format: bytes) -> Identity:
    """Read the identity from the bytes of a DICOM file (PS3.10 7). Raises NotDicom or InvalidIdentifier."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings quote element values
        try:
            header = pydicom.dcmread(io.BytesIO(file_format), stop_before_pixels=True, specific_tags=list(_WANTED))
            values = {name: str(header.get(name, "") or "") for name in _WANTED}
            transfer_syntax_uid = str(header.file_meta.get("TransferSyntaxUID", ""))
        except _UNPARSEABLE as error:
            raise NotDicom(f"the data set cannot be parsed: {type(error).__name__}") from error
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


def digest_of(transfer_syntax_uid: str, data_set: bytes) -> Digest:
    """Return the SHA-256 of a data set and of its encoding: the same bytes mean something else in another one."""
    return Digest(hashlib.sha256(transfer_syntax_uid.encode() + b"\n" + data_set).hexdigest())
