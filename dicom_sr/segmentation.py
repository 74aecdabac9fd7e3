"""Write a label map as a Segmentation (PS3.3 A.51): BINARY, Explicit VR Little Endian, a segment for each structure.

Frames without a voxel are omitted. Every frame refers to the source image, or source frame, that it lies on, and has
its position and orientation.
"""

from collections.abc import Sequence

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_sr.equipment import instance_keywords, settle
from dicom_sr.errors import EmptySegmentation, InvalidResult
from dicom_sr.identity import derive_uid
from dicom_sr.model import ResultInstance, SegmentSpec
from dicom_sr.source import SourceSeries

LabelMap = NDArray[np.uint8] | NDArray[np.uint16]


def build_segmentation(
    *, source: SourceSeries, labels: LabelMap, segments: Sequence[SegmentSpec], instance: ResultInstance
) -> Dataset:
    """Return the SEG of a label map.

    `labels`: uint8 or uint16 `(slices, rows, columns)` on the grid of `source`, 0 = background, else the number of a
    segment. Raises EmptySegmentation when no voxel is labelled, InvalidResult when shape, type, labels and segments do
    not fit each other.
    """
    _check(source, labels, segments)
    dataset = hd.seg.Segmentation(
        source_images=list(source.headers),
        pixel_array=_on_source_frames(source, labels),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(segment) for segment in segments],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=True,
        content_label="SEGMENTATION",
        content_description=instance.series_description,
        specific_character_set=None,
        **instance_keywords(instance),
    )
    settle(dataset, source, instance, (segment.algorithm for segment in segments))
    dataset.ContentCreatorName = ""  # Type 2 (PS3.3 10.9), left out by the library when unknown
    organization_uid = derive_uid("dimension organization", instance.sop_instance_uid)
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization_uid
    return dataset


def _check(source: SourceSeries, labels: LabelMap, segments: Sequence[SegmentSpec]) -> None:
    if labels.dtype not in (np.uint8, np.uint16):
        raise InvalidResult(f"a label map is uint8 or uint16, not {labels.dtype}")
    if labels.shape != source.shape:
        raise InvalidResult(f"the label map has shape {labels.shape}, the source {source.shape}")
    present = np.flatnonzero(np.bincount(labels.ravel())[1:]) + 1
    if present.size == 0:
        raise EmptySegmentation("no voxel is labelled")
    numbers = [segment.number for segment in segments]
    if numbers != list(range(1, len(numbers) + 1)):
        raise InvalidResult(f"segments are numbered from 1 without gaps (PS3.3 C.8.20.2), not {numbers}")
    if present.tolist() != numbers:
        raise InvalidResult(f"the label map holds {present.tolist()}, the segments are {numbers}")


def _on_source_frames(source: SourceSeries, labels: LabelMap) -> LabelMap:
    """Return the labels in the order of the source's instances, or spread over all frames of a multi-frame source."""
    if not source.multi_frame:
        return labels
    frames = np.zeros((int(source.headers[0].NumberOfFrames), *labels.shape[1:]), dtype=labels.dtype)
    for reference, plane in zip(source.slices, labels, strict=True):
        frames[(reference.frame_number or 1) - 1] = plane
    return frames


def _describe(segment: SegmentSpec) -> hd.seg.SegmentDescription:
    algorithm = hd.AlgorithmIdentificationSequence(
        name=segment.algorithm.name, family=segment.algorithm.family, version=segment.algorithm.version
    )
    return hd.seg.SegmentDescription(
        segment_number=segment.number,
        segment_label=segment.label,
        segmented_property_category=segment.property_category,
        segmented_property_type=segment.property_type,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        tracking_uid=segment.tracking_uid,
        tracking_id=segment.tracking_id,
        anatomic_regions=[segment.anatomic_region] if segment.anatomic_region else None,
        display_color=hd.color.CIELabColor(segment.color.lightness, segment.color.a, segment.color.b),
    )
