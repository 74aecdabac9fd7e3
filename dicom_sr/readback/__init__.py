"""Read results back, so that each can be checked before it leaves, and known again when it returns.

These readers look at the data elements themselves and share no code with the writers.
"""

from dicom_sr.readback.keyimage import ReadKeyImage, read_key_image
from dicom_sr.readback.provenance import is_own_result
from dicom_sr.readback.report import ReadGroup, ReadReport, read_report
from dicom_sr.readback.segmentation import ReadSegment, ReadSegmentation, read_segmentation

__all__ = [
    "ReadGroup",
    "ReadKeyImage",
    "ReadReport",
    "ReadSegment",
    "ReadSegmentation",
    "is_own_result",
    "read_key_image",
    "read_report",
    "read_segmentation",
]
