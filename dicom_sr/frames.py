"""Frames of a segmentation: which segment and slice each shows, and its functional groups (PS3.3 C.7.6.16)."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicom_sr import codes
from dicom_sr.identity import derive_uid
from dicom_sr.items import EncodedItem, Value, attach, code_item, item
from dicom_sr.model import FrameReference, ResultInstance
from dicom_sr.source import SourceSeries


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """The frames in their order.

    `segments[i]` is the segment number of frame `i`, none where each frame shows all segments; `slices[i]` the index of
    its slice in the source. `positions`: the slices that have a frame, along the normal; a slice's place here, from 1,
    is its dimension index.
    """

    segments: tuple[int, ...]
    slices: tuple[int, ...]
    positions: tuple[int, ...]

    @classmethod
    def by_segment(cls, present: NDArray[np.bool_], order: tuple[int, ...]) -> Self:
        """Return a frame for each segment and slice in `present`, bool `(slices, segments)`; `order` of slices."""
        shown = [
            (segment + 1, place) for segment in range(present.shape[1]) for place in order if present[place, segment]
        ]
        return cls(
            segments=tuple(segment for segment, _ in shown),
            slices=tuple(place for _, place in shown),
            positions=tuple(place for place in order if present[place].any()),
        )

    @classmethod
    def by_slice(cls, order: tuple[int, ...]) -> Self:
        """Return a frame for each slice."""
        return cls(segments=(), slices=order, positions=order)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.slices)


def add_frames(dataset: Dataset, source: SourceSeries, frames: Frames, instance: ResultInstance) -> None:
    """Add Multi-frame Functional Groups and Multi-frame Dimension (PS3.3 C.7.6.16, C.7.6.17)."""
    _add_dimensions(dataset, source, frames, derive_uid("dimension organization", instance.sop_instance_uid))
    plane = source.planes[0]
    measures: dict[str, Value] = {"PixelSpacing": plane.spacing}
    if plane.thickness:
        measures["SliceThickness"] = plane.thickness
    if plane.spacing_between_slices:
        measures["SpacingBetweenSlices"] = plane.spacing_between_slices
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=plane.orientation)],
        PixelMeasuresSequence=[item(**measures)],
    )
    attach(dataset, "SharedFunctionalGroupsSequence", [shared])
    derivations = [_derivation(source, reference) for reference in source.slices]
    positions = [item(ImagePositionPatient=plane.position) for plane in source.planes]
    rank = {place: number for number, place in enumerate(frames.positions, 1)}
    groups: list[EncodedItem] = []
    for number, place in enumerate(frames.slices):
        identification: dict[str, Value] = {}
        index: tuple[int, ...] = (rank[place],)
        if frames.segments:
            identification["SegmentIdentificationSequence"] = [item(ReferencedSegmentNumber=frames.segments[number])]
            index = (frames.segments[number], rank[place])
        groups.append(
            item(
                DerivationImageSequence=[derivations[place]],
                FrameContentSequence=[item(DimensionIndexValues=index)],
                PlanePositionSequence=[positions[place]],
                **identification,
            )
        )
    attach(dataset, "PerFrameFunctionalGroupsSequence", groups)


def _add_dimensions(dataset: Dataset, source: SourceSeries, frames: Frames, organization_uid: str) -> None:
    dimensions = [("ImagePositionPatient", "PlanePositionSequence", "Image Position Patient")]
    if frames.segments:
        dimensions.insert(0, ("ReferencedSegmentNumber", "SegmentIdentificationSequence", "Referenced Segment Number"))
    attach(dataset, "DimensionOrganizationSequence", [item(DimensionOrganizationUID=organization_uid)])
    attach(
        dataset,
        "DimensionIndexSequence",
        [
            item(
                DimensionOrganizationUID=organization_uid,
                DimensionIndexPointer=int(Tag(attribute)),
                FunctionalGroupPointer=int(Tag(group)),
                DimensionDescriptionLabel=label,
            )
            for attribute, group, label in dimensions
        ],
    )
    if source.planes[0].spacing_between_slices and _is_volume(source, frames):
        dataset.DimensionOrganizationType = "3D"


def _is_volume(source: SourceSeries, frames: Frames) -> bool:
    """Return whether the frames are one stack of neighbouring slices (PS3.3 C.7.6.17.1)."""
    order = source.order_along_normal()
    first = order.index(frames.positions[0])
    stack = order[first : first + len(frames)]
    return len(frames) > 1 and frames.slices == stack


def _derivation(source: SourceSeries, reference: FrameReference) -> EncodedItem:
    """Return an item of Derivation Image Sequence (PS3.3 C.7.6.16.2.6) that refers to where a slice comes from."""
    frame: dict[str, Value] = {}
    if reference.frame_number is not None:
        frame["ReferencedFrameNumber"] = reference.frame_number
    image = item(
        ReferencedSOPClassUID=source.headers[0].SOPClassUID,
        ReferencedSOPInstanceUID=reference.sop_instance_uid,
        SpatialLocationsPreserved="YES",
        PurposeOfReferenceCodeSequence=[code_item(codes.SOURCE_IMAGE_FOR_PROCESSING)],
        **frame,
    )
    return item(SourceImageSequence=[image], DerivationCodeSequence=[code_item(codes.SEGMENTATION)])
