"""Write and read back DICOM Segmentations and TID 1500 reports of what was found in an MR series.

    source = SourceSeries.from_files(paths, slices)
    seg = build_segmentation(source=source, labels=labels, segments=segments, instance=seg_instance)
    report = build_report(source=source, segmentation=seg, report=ReportContent(...), instance=sr_instance)
    pictures = build_key_images(source=source, pictures=[KeyImage(...)], instance=key_instance)
    check = read_segmentation(seg, slices)

A segmentation is BINARY, LABELMAP or FRACTIONAL (`SegmentationForm`), a report one of three storage classes
(`ReportForm`), a picture a Secondary Capture.

Nothing of the present moment or of chance enters a result: its UIDs come from a `ResultIdentity`, its dates from the
caller, so that the same input gives the same bytes.

>>> identity = ResultIdentity(series_digest="a", bundle_digest="b", settings_digest="c", software_version="1.0")
>>> identity.uid("seg", "instance") == identity.uid("seg", "instance")
True
>>> identity.uid("seg", "instance") == identity.uid("sr", "instance")
False
>>> Measurement(concept=codes.VOLUME, value=1234.5, unit=codes.MM3).unit.value
'mm3'
"""

from pydicom.sr.coding import Code

from dicom_sr import codes
from dicom_sr.composite import to_bytes
from dicom_sr.errors import DicomSrError, EmptySegmentation, InvalidObject, InvalidResult, InvalidSource
from dicom_sr.identity import ResultIdentity, derive_uid
from dicom_sr.keyimages import KeyImage, build_key_images
from dicom_sr.model import (
    AlgorithmIdentity,
    AlgorithmType,
    CIELab,
    Equipment,
    FrameReference,
    ResultInstance,
    SegmentationForm,
    SegmentSpec,
)
from dicom_sr.readback import (
    ReadGroup,
    ReadKeyImage,
    ReadReport,
    ReadSegment,
    ReadSegmentation,
    is_own_result,
    read_key_image,
    read_report,
    read_segmentation,
)
from dicom_sr.report import build_report
from dicom_sr.reported import (
    Evaluation,
    MeasuredSegment,
    Measurement,
    MeasurementGroup,
    Modifier,
    ReportContent,
    ReportForm,
)
from dicom_sr.segmentation import build_segmentation
from dicom_sr.source import SourceSeries

__all__ = [
    "AlgorithmIdentity",
    "AlgorithmType",
    "CIELab",
    "Code",
    "DicomSrError",
    "EmptySegmentation",
    "Equipment",
    "Evaluation",
    "FrameReference",
    "InvalidObject",
    "InvalidResult",
    "InvalidSource",
    "KeyImage",
    "MeasuredSegment",
    "Measurement",
    "MeasurementGroup",
    "Modifier",
    "ReadGroup",
    "ReadKeyImage",
    "ReadReport",
    "ReadSegment",
    "ReadSegmentation",
    "ReportContent",
    "ReportForm",
    "ResultIdentity",
    "ResultInstance",
    "SegmentSpec",
    "SegmentationForm",
    "SourceSeries",
    "build_key_images",
    "build_report",
    "build_segmentation",
    "codes",
    "derive_uid",
    "is_own_result",
    "read_key_image",
    "read_report",
    "read_segmentation",
    "to_bytes",
]
