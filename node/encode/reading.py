"""A SEG read back onto the slices of its series, for somebody who looks at both.

It shares nothing with what drew the pictures of a case: the labels come out of the bytes that destinations get, and
each frame must lie where the image lies that it refers to.
"""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

import dicom_sr
from node.domain.series import Frame
from node.errors import ResultDamaged

#: How far a place may change by being written as decimal text, in mm; and how far the directions of frames may differ
#: that count as parallel (`node.assemble.planes`), of which a SEG has one for all.
_PLACE_MM = 1e-3
_COSINE = 2e-3
#: What pydicom raises for bytes that are no data set.
_UNPARSEABLE = (InvalidDicomError, EOFError, ValueError, KeyError, AttributeError, TypeError, OSError, struct.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentShown:
    """A segment as a viewer shows it. `colour`: sRGB, 0 to 255 each, as the SEG recommends; None where it does not."""

    number: int
    name: str
    colour: tuple[int, int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelsShown:
    """A SEG as a label map: uint16 `(slices, rows, columns)`, 0 = background, else the number of a segment."""

    labels: NDArray[np.uint16]
    segments: tuple[SegmentShown, ...]


def read_labels(content: bytes, frames: Sequence[Frame]) -> LabelsShown:
    """Read a SEG of any form as a label map whose slice `i` lies on `frames[i]`.

    Raises ResultDamaged when it is no SEG that can be read, refers to an image that is not among `frames`, or lies
    elsewhere than the images that it refers to.
    """
    slices = [
        dicom_sr.FrameReference(sop_instance_uid=frame.sop_instance_uid, frame_number=frame.frame_number)
        for frame in frames
    ]
    try:
        read = dicom_sr.read_segmentation(dcmread(io.BytesIO(content)), slices)
    except dicom_sr.DicomSrError as error:
        raise ResultDamaged(f"the SEG cannot be read: {error}") from error
    except _UNPARSEABLE as error:
        raise ResultDamaged(f"the SEG cannot be read: {type(error).__name__}") from error
    if read.labels.shape[1:] != (frames[0].rows, frames[0].columns):
        raise ResultDamaged("the SEG has another size than its images")
    _require_same_place(read, frames)
    return LabelsShown(
        labels=read.labels,
        segments=tuple(
            SegmentShown(number=segment.number, name=segment.label, colour=segment.color) for segment in read.segments
        ),
    )


def _require_same_place(read: dicom_sr.ReadSegmentation, frames: Sequence[Frame]) -> None:
    """Raise ResultDamaged unless position, orientation and pixel spacing of the frames are those of their images."""
    placed = ~np.isnan(read.image_positions).any(axis=1)
    positions = np.array([frame.position_lps_mm for frame in frames], dtype=np.float64)
    axes = np.array([[frame.row_cosines, frame.column_cosines] for frame in frames], dtype=np.float64)
    spacings = np.array([frame.pixel_spacing_mm for frame in frames], dtype=np.float64)
    found = read.image_orientation.reshape(2, 3)
    found = found / np.linalg.norm(found, axis=1, keepdims=True)
    same = (
        np.allclose(read.image_positions[placed], positions[placed], rtol=0, atol=_PLACE_MM)
        and np.allclose(axes, found, rtol=0, atol=_COSINE)
        and np.allclose(spacings, read.pixel_spacing_mm, rtol=_COSINE, atol=0)
    )
    if not same:
        raise ResultDamaged("the SEG does not lie where its images lie")
