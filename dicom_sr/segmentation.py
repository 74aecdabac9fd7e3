"""Write a label map as a Segmentation or Label Map Segmentation (PS3.3 A.51).

    BINARY       Explicit VR Little Endian; a frame for each segment and slice that it is in
    LABELMAP     RLE Lossless, one frame for each slice; Background described last, under number 0
    FRACTIONAL   Explicit VR Little Endian; a frame for each segment and slice with a probability above 0

Every frame refers to the source image, or source frame, that it lies on, and has its position. Frames are sorted by
segment, then along the normal of the slices.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID, RLELossless, SegmentationStorage

from dicom_sr import pixels
from dicom_sr.composite import CompositeClass, new_composite, seal
from dicom_sr.errors import EmptySegmentation, InvalidResult
from dicom_sr.frames import Frames, add_frames
from dicom_sr.items import EncodedItem, attach, item
from dicom_sr.model import ResultInstance, SegmentationForm, SegmentSpec
from dicom_sr.segments import background, describe
from dicom_sr.source import SourceSeries

LabelMap = NDArray[np.uint8] | NDArray[np.uint16]
Fractions = NDArray[np.uint8]

_STORAGE_CLASSES: Mapping[SegmentationForm, CompositeClass] = MappingProxyType(
    {
        SegmentationForm.BINARY: CompositeClass(uid=SegmentationStorage, modality="SEG"),
        SegmentationForm.LABELMAP: CompositeClass(
            uid=UID("1.2.840.10008.5.1.4.1.1.66.7"), modality="SEG", transfer_syntax=RLELossless
        ),
        SegmentationForm.FRACTIONAL: CompositeClass(uid=SegmentationStorage, modality="SEG"),
    }
)


def build_segmentation(
    *,
    source: SourceSeries,
    labels: LabelMap,
    segments: Sequence[SegmentSpec],
    instance: ResultInstance,
    form: SegmentationForm = SegmentationForm.BINARY,
    fractions: Fractions | None = None,
) -> Dataset:
    """Return the SEG of a label map.

    `labels`: uint8 or uint16 `(slices, rows, columns)` on the grid of `source`, 0 = background, else the number of a
    segment. `fractions`: for FRACTIONAL only, uint8 `(segments, slices, rows, columns)`, the probability of each
    segment, 255 = 1. Raises EmptySegmentation when no voxel is labelled, InvalidResult when shape, type, labels,
    fractions and segments do not fit each other.
    """
    present = _present(source, labels, segments)
    _check_fractions(labels, segments, form, fractions)
    dataset = new_composite(source, instance, _STORAGE_CLASSES[form])
    _add_references(dataset, source)
    _add_description(dataset, segments, instance, form)
    order = source.order_along_normal()
    if form is SegmentationForm.BINARY:
        frames = Frames.by_segment(present, order)
        pixels.add_binary(dataset, labels, frames)
    elif fractions is not None:
        frames = Frames.by_segment(np.asarray(fractions.any(axis=(2, 3))).T, order)
        pixels.add_fractional(dataset, fractions, frames)
    else:
        frames = Frames.by_slice(order)
        pixels.add_labelmap(dataset, labels, frames)
    add_frames(dataset, source, frames, instance)
    seal(dataset, source, instance, (segment.algorithm for segment in segments))
    return dataset


def _present(source: SourceSeries, labels: LabelMap, segments: Sequence[SegmentSpec]) -> NDArray[np.bool_]:
    """Return which segment is in which slice, bool `(slices, segments)`, once everything fits."""
    if labels.dtype not in (np.uint8, np.uint16):
        raise InvalidResult(f"a label map is uint8 or uint16, not {labels.dtype}")
    if labels.shape != source.shape:
        raise InvalidResult(f"the label map has shape {labels.shape}, the source {source.shape}")
    highest = int(labels.max(initial=0))
    if highest == 0:
        raise EmptySegmentation("no voxel is labelled")
    counts = np.stack([np.bincount(plane.ravel(), minlength=highest + 1) for plane in labels])
    present: NDArray[np.bool_] = counts[:, 1:] > 0
    numbers = [segment.number for segment in segments]
    if numbers != list(range(1, len(numbers) + 1)):
        raise InvalidResult(f"segments are numbered from 1 without gaps (PS3.3 C.8.20.2), not {numbers}")
    found = (np.flatnonzero(present.any(axis=0)) + 1).tolist()
    if found != numbers:
        raise InvalidResult(f"the label map holds {found}, the segments are {numbers}")
    return present


def _check_fractions(
    labels: LabelMap, segments: Sequence[SegmentSpec], form: SegmentationForm, fractions: Fractions | None
) -> None:
    if (fractions is None) is (form is SegmentationForm.FRACTIONAL):
        raise InvalidResult("fractions belong to a FRACTIONAL segmentation, and to no other")
    if fractions is None:
        return
    if fractions.dtype != np.uint8 or fractions.shape != (len(segments), *labels.shape):
        raise InvalidResult(
            f"fractions are uint8 {(len(segments), *labels.shape)}, not {fractions.dtype} {fractions.shape}"
        )
    if not fractions.any(axis=(1, 2, 3)).all():
        raise InvalidResult("a segment has no voxel with a fraction above 0")


def _add_references(dataset: Dataset, source: SourceSeries) -> None:
    """Add the references to the source: Common Instance Reference (PS3.3 C.12.2) and Source Image Sequence."""
    images = [
        item(ReferencedSOPClassUID=header.SOPClassUID, ReferencedSOPInstanceUID=header.SOPInstanceUID)
        for header in source.headers
    ]
    header = source.headers[0]
    attach(
        dataset,
        "ReferencedSeriesSequence",
        [item(SeriesInstanceUID=header.SeriesInstanceUID, ReferencedInstanceSequence=images)],
    )
    attach(dataset, "SourceImageSequence", images)
    dataset.FrameOfReferenceUID = header.FrameOfReferenceUID
    dataset.PositionReferenceIndicator = header.get("PositionReferenceIndicator")


def _add_description(
    dataset: Dataset, segments: Sequence[SegmentSpec], instance: ResultInstance, form: SegmentationForm
) -> None:
    """Add Segmentation Image (PS3.3 C.8.20.2) and Content Identification (PS3.3 10.9)."""
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.LossyImageCompression = "00"
    dataset.SegmentationType = form.value
    dataset.ContentLabel = "SEGMENTATION"
    dataset.ContentDescription = instance.series_description
    dataset.ContentCreatorName = ""
    described: list[EncodedItem] = [describe(segment) for segment in segments]
    if form is SegmentationForm.LABELMAP:
        described.append(background(segments[0]))
    attach(dataset, "SegmentSequence", described)
