"""Written bytes against findings: an object that says anything else never leaves.

The bytes are parsed again, and what they say is compared voxel by voxel, number by number, code by code with what was
to be said. Volumes are counted once more in the label map that a reader of the SEG gets.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

import dicom_sr
from node.domain.case import SegmentationForm
from node.encode.segments import LabelMap, Part
from node.errors import EncodingError

#: How far a place or a direction may change by being written as decimal text (VR DS, 16 characters).
_PLACE_MM = 1e-3
_COSINE = 1e-5

#: A volume is the number of voxels times the volume of one.
_VOLUME = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Claim:
    """What the objects of a case are to say.

    `labels`: segment numbers, `(slices, rows, columns)`. `specs`: the segments, one for each of `parts`. `fractions`:
    uint8 `(segments, slices, rows, columns)`, where a FRACTIONAL SEG is made.
    """

    source: dicom_sr.SourceSeries
    voxel_volume_mm3: float
    parts: tuple[Part, ...]
    specs: tuple[dicom_sr.SegmentSpec, ...]
    labels: LabelMap
    fractions: NDArray[np.uint8] | None
    content: dicom_sr.ReportContent


def prove_segmentation(content: bytes, claim: Claim, form: SegmentationForm | None) -> None:
    """Read a SEG back. Raises EncodingError at the first difference.

    Compared are the form, the description of each segment, every voxel, the volume of each segment in voxels, and the
    place of every frame with the place of the image that it refers to.
    """
    read = dicom_sr.read_segmentation(dcmread(io.BytesIO(content)), claim.source.slices)
    if form is None or read.form.name != form.name:
        raise EncodingError("the SEG has another form than the one that was asked for")
    _prove_segments(read.segments, claim.specs)
    labels = read.labels if read.fractions is None else _covered(read.fractions, claim)
    if not np.array_equal(labels, claim.labels):
        raise EncodingError("the SEG does not hold the labels that were found")
    _prove_volumes(labels, claim)
    _prove_places(read, claim.source)


def prove_report(content: bytes, claim: Claim, segmentation: Dataset | None) -> None:
    """Read a SR back. Raises EncodingError at the first difference.

    Compared are all groups with their tracking identifiers, segments, sites, methods, measurements and evaluations,
    those of the whole, the remarks, and what the report names as its evidence.
    """
    read = dicom_sr.read_report(dcmread(io.BytesIO(content)))
    uid = None if segmentation is None else str(segmentation.SOPInstanceUID)
    segments = [_read_as(group, uid) for group in claim.content.segments]
    if [group for group in read.groups if group.segment_number is not None] != segments:
        raise EncodingError("the SR does not hold the measurements of the segments")
    groups = [_read_as(group, None) for group in claim.content.groups]
    if [group for group in read.groups if group.segment_number is None] != groups:
        raise EncodingError("the SR does not hold what was measured beside the segments")
    for told in ("tracking_id", "tracking_uid"):
        if len({getattr(group, told) for group in read.groups}) != len(read.groups):
            raise EncodingError(f"two groups of the SR share a {told}")
    if read.evaluations != claim.content.evaluations or read.remarks != claim.content.remarks:
        raise EncodingError("the SR does not hold the verdict and the remarks")
    named = {str(header.SOPInstanceUID) for header in claim.source.headers} | ({uid} if uid is not None else set())
    if read.evidence != named:
        raise EncodingError("the evidence of the SR is not its source and its SEG")


def prove_key_image(content: bytes, picture: dicom_sr.KeyImage) -> None:
    """Read a key image back. Raises EncodingError when it shows another picture, or names other images."""
    dataset = dcmread(io.BytesIO(content))
    read = dicom_sr.read_key_image(dataset)
    if (read.rows, read.columns, 3) != picture.pixels.shape or read.sources != picture.sources:
        raise EncodingError("a key image does not show the images that it names")
    if dataset.PixelData[: picture.pixels.size] != picture.pixels.tobytes():
        raise EncodingError("a key image does not hold its picture")


def _covered(fractions: NDArray[np.uint8], claim: Claim) -> LabelMap:
    """Return the labels that are left where the segment of each has a probability at all."""
    wanted = claim.fractions
    # Segment by segment, since a comparison of all at once takes as much memory again.
    if wanted is None or fractions.shape != wanted.shape or not all(map(np.array_equal, fractions, wanted)):
        raise EncodingError("the SEG does not hold the probabilities that were found")
    labels = np.zeros_like(claim.labels)
    for part, found in zip(claim.parts, fractions, strict=True):
        labels[(claim.labels == part.number) & (found > 0)] = part.number
    return labels


def _prove_segments(read: Sequence[dicom_sr.ReadSegment], specs: Sequence[dicom_sr.SegmentSpec]) -> None:
    """Compare number, name, codes, origin and tracking of each segment."""
    written, wanted = (
        [
            (
                *(one.number, one.label, one.property_type, one.anatomic_regions),
                *(one.algorithm_type, one.tracking_id, one.tracking_uid),
            )
            for one in described
        ]
        for described in (read, specs)
    )
    if written != wanted:
        raise EncodingError("the SEG does not describe the segments that were found")


def _prove_volumes(labels: LabelMap, claim: Claim) -> None:
    """Compare the volume of each structure, and of those that share a segment, with the voxels that were written."""
    voxels = np.bincount(labels[labels > 0], minlength=len(claim.parts) + 1)[1:]
    found = np.array([part.volume_mm3 for part in claim.parts])
    if not np.allclose(voxels * claim.voxel_volume_mm3, found, rtol=_VOLUME, atol=0):
        raise EncodingError("the volumes that were measured are not those of the voxels in the SEG")


def _prove_places(read: dicom_sr.ReadSegmentation, source: dicom_sr.SourceSeries) -> None:
    placed = ~np.isnan(read.image_positions).any(axis=1)
    same_place = np.allclose(read.image_positions[placed], source.image_positions[placed], rtol=0, atol=_PLACE_MM)
    same_axes = np.allclose(read.image_orientation, source.image_orientation, rtol=0, atol=_COSINE)
    if not (same_place and same_axes and np.allclose(read.pixel_spacing_mm, source.pixel_spacing_mm, rtol=_COSINE)):
        raise EncodingError("the SEG does not lie where its source images lie")


def _read_as(
    group: dicom_sr.MeasuredSegment | dicom_sr.MeasurementGroup, segmentation_uid: str | None
) -> dicom_sr.ReadGroup:
    """Return what a reader is to get of a group."""
    about = group.segment if isinstance(group, dicom_sr.MeasuredSegment) else group
    number = group.segment.number if isinstance(group, dicom_sr.MeasuredSegment) else None
    return dicom_sr.ReadGroup(
        tracking_id=about.tracking_id,
        tracking_uid=about.tracking_uid,
        finding=group.finding,
        finding_sites=group.finding_sites,
        method=group.method,
        segment_number=number,
        segmentation_uid=segmentation_uid,
        measurements=group.measurements,
        evaluations=group.evaluations,
    )
