"""Read a SEG and an SR back, so that a result can be checked before it leaves, and known again when it returns.

These readers look at the data elements themselves and share no code with the writers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from dicom_sr import codes
from dicom_sr.equipment import processing_models
from dicom_sr.errors import InvalidObject
from dicom_sr.model import FrameReference, Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSegment:
    """A segment as the SEG describes it."""

    number: int
    label: str
    property_type: Code
    tracking_id: str
    tracking_uid: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadSegmentation:
    """A SEG as a label map on the slices that were asked for.

    `labels`: uint16 `(slices, rows, columns)`, 0 = background, else the number of a segment. `image_positions`: float
    `(slices, 3)`, LPS mm, NaN for a slice without a frame. `image_orientation`: float `(6,)`. `pixel_spacing_mm`:
    between rows, between columns.
    """

    labels: NDArray[np.uint16]
    segments: tuple[ReadSegment, ...]
    image_positions: NDArray[np.float64]
    image_orientation: NDArray[np.float64]
    pixel_spacing_mm: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadGroup:
    """A measurement group. `segment_number` and `segmentation_uid` are None in a group about no segment."""

    tracking_id: str
    tracking_uid: str
    finding: Code
    finding_site: Code | None
    method: Code | None
    segment_number: int | None
    segmentation_uid: str | None
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """An SR: its groups and remarks in order, and the SOP Instance UIDs of its evidence."""

    groups: tuple[ReadGroup, ...]
    remarks: tuple[str, ...]
    evidence: frozenset[str]


def read_segmentation(dataset: Dataset, slices: Sequence[FrameReference]) -> ReadSegmentation:
    """Read a BINARY SEG as a label map whose slice `i` lies on `slices[i]`.

    Raises InvalidObject when a frame refers to none of the slices or to several, when frames of one slice differ in
    position, or when segments overlap.
    """
    if dataset.get("SegmentationType") != "BINARY" or dataset.get("BitsAllocated") != 1:
        raise InvalidObject("not a BINARY segmentation")
    shared = dataset.SharedFunctionalGroupsSequence[0]
    masks = _unpack(dataset)
    index = {reference: place for place, reference in enumerate(slices)}
    labels = np.zeros((len(slices), *masks.shape[1:]), dtype=np.uint16)
    positions = np.full((len(slices), 3), np.nan)
    for mask, item in zip(masks, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        place = index.get(_source_of(item))
        if place is None:
            raise InvalidObject("a frame refers to no slice of the source")
        if labels[place][mask].any():
            raise InvalidObject("segments overlap")
        labels[place][mask] = _group(item, shared, "SegmentIdentificationSequence").ReferencedSegmentNumber
        position = np.array(_group(item, shared, "PlanePositionSequence").ImagePositionPatient, dtype=np.float64)
        if not np.isnan(positions[place]).any() and not np.array_equal(positions[place], position):
            raise InvalidObject("frames of one slice differ in position")
        positions[place] = position
    orientation = _group(shared, shared, "PlaneOrientationSequence").ImageOrientationPatient
    spacing = _group(shared, shared, "PixelMeasuresSequence").PixelSpacing
    return ReadSegmentation(
        labels=labels,
        segments=tuple(_read_segment(item) for item in dataset.SegmentSequence),
        image_positions=positions,
        image_orientation=np.array(orientation, dtype=np.float64),
        pixel_spacing_mm=(float(spacing[0]), float(spacing[1])),
    )


def read_report(dataset: Dataset) -> ReadReport:
    """Read an SR of TID 1500. Raises InvalidObject for another template, or a group without tracking or finding."""
    template = dataset.get("ContentTemplateSequence", ())
    if not template or template[0].get("TemplateIdentifier") != "1500":
        raise InvalidObject("not a report of TID 1500")
    groups = tuple(
        _read_group(group)
        for measurements in _children(dataset, codes.IMAGING_MEASUREMENTS)
        for group in _children(measurements, codes.MEASUREMENT_GROUP)
    )
    remarks = tuple(
        str(remark.TextValue)
        for evaluations in _children(dataset, codes.QUALITATIVE_EVALUATIONS)
        for remark in _children(evaluations, codes.COMMENT)
    )
    evidence = frozenset(
        str(instance.ReferencedSOPInstanceUID)
        for study in dataset.get("CurrentRequestedProcedureEvidenceSequence", ())
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    )
    return ReadReport(groups=groups, remarks=remarks, evidence=evidence)


def is_own_result(header: Dataset, model_name: str) -> bool:
    """Return whether equipment of this model made or processed the instance (PS3.3 C.7.5.1, C.12.1).

    A node asks this of what it receives, so as never to take a result for a source.
    """
    return model_name in processing_models(header)


def _unpack(dataset: Dataset) -> NDArray[np.bool_]:
    """Return `(frames, rows, columns)`: one bit a pixel, least significant first, no padding between frames.

    PS3.5 8.2 and annex D.
    """
    shape = (int(dataset.NumberOfFrames), int(dataset.Rows), int(dataset.Columns))
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, dtype=np.uint8), bitorder="little")
    if bits.size < np.prod(shape):
        raise InvalidObject("Pixel Data is too short")
    return bits[: np.prod(shape)].reshape(shape).astype(np.bool_)


def _group(item: Dataset, shared: Dataset, keyword: str) -> Dataset:
    sequence = item.get(keyword) or shared.get(keyword)
    if not sequence:
        raise InvalidObject(f"a frame lacks {keyword}")
    found: Dataset = sequence[0]
    return found


def _source_of(item: Dataset) -> FrameReference:
    sources = [
        source
        for derivation in item.get("DerivationImageSequence", ())
        for source in derivation.get("SourceImageSequence", ())
    ]
    if len(sources) != 1:
        raise InvalidObject(f"a frame refers to {len(sources)} source images")
    number = sources[0].get("ReferencedFrameNumber")
    return FrameReference(
        sop_instance_uid=str(sources[0].ReferencedSOPInstanceUID),
        frame_number=None if number is None else int(number),
    )


def _read_segment(item: Dataset) -> ReadSegment:
    return ReadSegment(
        number=int(item.SegmentNumber),
        label=str(item.SegmentLabel),
        property_type=_code(item.SegmentedPropertyTypeCodeSequence[0]),
        tracking_id=str(item.get("TrackingID", "")),
        tracking_uid=str(item.get("TrackingUID", "")),
    )


def _read_group(group: Dataset) -> ReadGroup:
    segment = next(_children(group, codes.REFERENCED_SEGMENT), None)
    reference = segment.ReferencedSOPSequence[0] if segment is not None else None
    finding = _coded(group, codes.FINDING)
    identifier = next(_children(group, codes.TRACKING_IDENTIFIER), None)
    unique = next(_children(group, codes.TRACKING_UNIQUE_IDENTIFIER), None)
    if finding is None or identifier is None or unique is None:
        raise InvalidObject("a measurement group lacks its finding or its tracking identifiers")
    return ReadGroup(
        tracking_id=str(identifier.TextValue),
        tracking_uid=str(unique.UID),
        finding=finding,
        finding_site=_coded(group, codes.FINDING_SITE),
        method=_coded(group, codes.MEASUREMENT_METHOD),
        segment_number=None if reference is None else int(reference.ReferencedSegmentNumber),
        segmentation_uid=None if reference is None else str(reference.ReferencedSOPInstanceUID),
        measurements=tuple(_read_number(item) for item in group.ContentSequence if item.ValueType == "NUM"),
    )


def _read_number(item: Dataset) -> Measurement:
    measured = item.MeasuredValueSequence[0]
    return Measurement(
        concept=_code(item.ConceptNameCodeSequence[0]),
        value=float(measured.get("FloatingPointValue", measured.NumericValue)),
        unit=_code(measured.MeasurementUnitsCodeSequence[0]),
        derivation=_coded(item, codes.DERIVATION),
    )


def _children(item: Dataset, concept: Code) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        if child.get("ConceptNameCodeSequence") and _code(child.ConceptNameCodeSequence[0]) == concept:
            yield child


def _coded(item: Dataset, concept: Code) -> Code | None:
    child = next(_children(item, concept), None)
    return None if child is None else _code(child.ConceptCodeSequence[0])


def _code(item: Dataset) -> Code:
    return Code(item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning, item.get("CodingSchemeVersion"))
