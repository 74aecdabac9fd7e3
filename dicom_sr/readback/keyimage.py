"""Read a key image back."""

from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from dicom_sr.errors import InvalidObject
from dicom_sr.model import FrameReference
from dicom_sr.readback.elements import sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadKeyImage:
    """A key image: its number in the series, its size in pixels and the images that it shows."""

    number: int
    rows: int
    columns: int
    sources: tuple[FrameReference, ...]


def read_key_image(dataset: Dataset) -> ReadKeyImage:
    """Read a Secondary Capture. Raises InvalidObject for another class, or pixels that are not all there."""
    if dataset.get("SOPClassUID") != SecondaryCaptureImageStorage:
        raise InvalidObject("not a Secondary Capture")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if len(dataset.get("PixelData", b"")) < rows * columns * int(dataset.SamplesPerPixel):
        raise InvalidObject("Pixel Data is too short")
    sources = tuple(
        FrameReference(
            sop_instance_uid=source.text("ReferencedSOPInstanceUID"),
            frame_number=source.number("ReferencedFrameNumber") if "ReferencedFrameNumber" in source else None,
        )
        for source in sequence(dataset, "SourceImageSequence")
    )
    return ReadKeyImage(number=int(dataset.InstanceNumber), rows=rows, columns=columns, sources=sources)
