"""Result files as they are sent: as they lie on the disk, or decompressed for a peer that takes nothing else."""

from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.deliver.destination import Parcel
from node.errors import ResultDamaged, StoreFailed, StoreRefused

#: What a peer may take instead of the encoding of the file, the better first. Both hold the same values.
UNCOMPRESSED: tuple[str, ...] = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))

_NOT_DICOM = (InvalidDicomError, AttributeError, ValueError, KeyError, EOFError)


def read_parcel(path: Path) -> Parcel:
    """Return the result file at `path` as a parcel, from its own header. Raises ResultDamaged, or StoreFailed."""
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=list(_ASKED))
        uids = {name: str(header[keyword].value) for keyword, name in _ASKED.items()}
        syntax = str(header.file_meta.TransferSyntaxUID)
    except FileNotFoundError:
        raise ResultDamaged("the result file is gone") from None
    except OSError as error:
        raise StoreFailed(f"the result file cannot be read now: {type(error).__name__}") from None
    except _NOT_DICOM as error:
        raise ResultDamaged(f"the result file is damaged: {type(error).__name__}") from None
    return Parcel(path=path, transfer_syntax_uid=syntax, **uids)


_ASKED = {
    "SOPClassUID": "sop_class_uid",
    "SOPInstanceUID": "sop_instance_uid",
    "StudyInstanceUID": "study_uid",
    "SeriesInstanceUID": "series_uid",
}


def uncompressed(path: Path, transfer_syntax_uid: str) -> bytes:
    """Return the DICOM file at `path` in one of UNCOMPRESSED: every value is the same, and so is the UID (PS3.5 A.4).

    The same file gives the same bytes each time. Raises StoreRefused when the pixel data cannot be decoded.
    """
    try:
        data_set = dcmread(path)
        if data_set.file_meta.TransferSyntaxUID.is_encapsulated and "PixelData" in data_set:
            data_set.decompress(as_rgb=False, generate_instance_uid=False)
        data_set.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
        content = BytesIO()
        data_set.save_as(content, enforce_file_format=True)
    except (*_NOT_DICOM, OSError, RuntimeError, NotImplementedError) as error:
        raise StoreRefused(f"this object cannot be decompressed: {type(error).__name__}") from None
    return content.getvalue()


def as_data_set(content: bytes) -> Dataset:
    """Return the bytes of a DICOM file as a data set."""
    return dcmread(BytesIO(content))
