"""Read a segmentation back as a label map (PS3.3 A.51)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from highdicom.color import CIELabColor
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array
from pydicom.sr.coding import Code
from pydicom.uid import SegmentationStorage

from dicom_sr.errors import InvalidObject
from dicom_sr.model import AlgorithmType, FrameReference, SegmentationForm
from dicom_sr.readback.elements import Item, sequence

#: PS3.4 B.5 Label Map Segmentation Storage.
_LABELMAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"

#: The smallest fraction of 255 that makes a voxel belong to a segment.
_HALF = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSegment:
    """A segment as the SEG describes it. `color`: sRGB, 0 to 255 each, nearest to its display colour; None without."""

    number: int
    label: str
    property_type: Code
    anatomic_regions: tuple[Code, ...]
    algorithm_type: AlgorithmType
    tracking_id: str
    tracking_uid: str
    color: tuple[int, int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadSegmentation:
    """A SEG as a label map on the slices that were asked for.

    `labels`: uint16 `(slices, rows, columns)`, 0 = background, else the number of a segment; of a FRACTIONAL SEG the
    segment with the largest fraction, where that is half or more, the lowest number of equal ones. `fractions`: uint8
    `(segments, slices, rows, columns)`, 255 = 1, of a FRACTIONAL SEG, else None. `image_positions`: float
    `(slices, 3)`, LPS mm, NaN for a slice without a frame. `image_orientation`: float `(6,)`. `pixel_spacing_mm`:
    between rows, between columns. `segments` leave out the background of a LABELMAP.
    """

    form: SegmentationForm
    labels: NDArray[np.uint16]
    fractions: NDArray[np.uint8] | None
    segments: tuple[ReadSegment, ...]
    image_positions: NDArray[np.float64]
    image_orientation: NDArray[np.float64]
    pixel_spacing_mm: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """What a frame shows: the index of its slice, and its segment number; None in a LABELMAP."""

    place: int
    segment: int | None


def read_segmentation(dataset: Dataset, slices: Sequence[FrameReference]) -> ReadSegmentation:
    """Read a SEG of any form as a label map whose slice `i` lies on `slices[i]`.

    Raises InvalidObject when a frame refers to none of the slices or to several, when frames of one slice differ in
    position or show the same segment, when segments of a BINARY one overlap, or when a pixel names no segment.
    """
    form = _form(dataset)
    shared = _first(sequence(dataset, "SharedFunctionalGroupsSequence"), "SharedFunctionalGroupsSequence")
    groups = sequence(dataset, "PerFrameFunctionalGroupsSequence")
    if len(groups) != int(dataset.NumberOfFrames):
        raise InvalidObject("Number of Frames differs from the number of functional groups")
    frames, positions = _frames(groups, shared, slices, form)
    described = sequence(dataset, "SegmentSequence")
    segments = tuple(_read_segment(item) for item in described if item.integer("SegmentNumber") != 0)
    shape = (len(slices), int(dataset.Rows), int(dataset.Columns))
    fractions = None
    if form is SegmentationForm.BINARY:
        labels = _read_binary(dataset, frames, shape)
    elif form is SegmentationForm.LABELMAP:
        labels = _read_labelmap(dataset, frames, shape)
    else:
        fractions = _read_fractions(dataset, frames, (len(segments), *shape))
        labels = _largest(fractions)
    if not {segment.number for segment in segments}.issuperset(_named(labels, frames)):
        raise InvalidObject("a pixel or a frame names a segment that is not described")
    orientation = shared.first("PlaneOrientationSequence").decimals("ImageOrientationPatient", 6)
    row_spacing, column_spacing = shared.first("PixelMeasuresSequence").decimals("PixelSpacing", 2)
    return ReadSegmentation(
        form=form,
        labels=labels,
        fractions=fractions,
        segments=segments,
        image_positions=positions,
        image_orientation=np.array(orientation),
        pixel_spacing_mm=(row_spacing, column_spacing),
    )


def _named(labels: NDArray[np.uint16], frames: list[_Frame]) -> set[int]:
    """Return the segment numbers that the frames name or, in a LABELMAP, the pixels."""
    numbers = {frame.segment for frame in frames if frame.segment is not None}
    return numbers or set(np.flatnonzero(np.bincount(labels.ravel())).tolist()) - {0}


def _form(dataset: Dataset) -> SegmentationForm:
    kind, bits = dataset.get("SegmentationType"), dataset.get("BitsAllocated")
    storage_class = dataset.get("SOPClassUID")
    if (storage_class, kind, bits) == (SegmentationStorage, "BINARY", 1):
        return SegmentationForm.BINARY
    if (storage_class, kind) == (_LABELMAP_STORAGE, "LABELMAP") and bits in (8, 16):
        return SegmentationForm.LABELMAP
    if (storage_class, kind, bits) == (SegmentationStorage, "FRACTIONAL", 8):
        if dataset.get("MaximumFractionalValue") != 255:
            raise InvalidObject("Maximum Fractional Value is not 255")
        return SegmentationForm.FRACTIONAL
    raise InvalidObject("not a BINARY, LABELMAP or FRACTIONAL segmentation")


def _frames(
    groups: list[Item], shared: Item, slices: Sequence[FrameReference], form: SegmentationForm
) -> tuple[list[_Frame], NDArray[np.float64]]:
    """Return what each frame shows, and the position of each slice, float `(slices, 3)`."""
    index = {reference: place for place, reference in enumerate(slices)}
    frames = []
    positions: dict[int, tuple[float, ...]] = {}
    for group in groups:
        place = index.get(_source_of(group))
        if place is None:
            raise InvalidObject("a frame refers to no slice of the source")
        position = _group(group, shared, "PlanePositionSequence").decimals("ImagePositionPatient", 3)
        if positions.setdefault(place, position) != position:
            raise InvalidObject("frames of one slice differ in position")
        segment = None
        if form is not SegmentationForm.LABELMAP:
            segment = _group(group, shared, "SegmentIdentificationSequence").integer("ReferencedSegmentNumber")
        frames.append(_Frame(place=place, segment=segment))
    if len(set(frames)) != len(frames):
        raise InvalidObject("two frames show the same")
    found = np.full((len(slices), 3), np.nan)
    for place, position in positions.items():
        found[place] = position
    return frames, found


def _read_binary(dataset: Dataset, frames: list[_Frame], shape: tuple[int, int, int]) -> NDArray[np.uint16]:
    """Read one bit a pixel, least significant first, no padding between frames (PS3.5 8.1.1 and annex D)."""
    packed = np.frombuffer(dataset.PixelData, dtype=np.uint8)
    labels = np.zeros((shape[0], shape[1] * shape[2]), dtype=np.uint16)
    size = labels.shape[1]
    if packed.size * 8 < size * len(frames):
        raise InvalidObject("Pixel Data is too short")
    for number, frame in enumerate(frames):
        start, bits = _occupied(packed, number * size, size)
        mask = bits.view(np.bool_)
        pixels = labels[frame.place, start : start + mask.size]
        if np.logical_and(pixels, mask).any():
            raise InvalidObject("segments overlap")
        np.copyto(pixels, np.uint16(frame.segment or 0), where=mask)
    return labels.reshape(shape)


def _occupied(packed: NDArray[np.uint8], first: int, size: int) -> tuple[int, NDArray[np.uint8]]:
    """Return where the set bits of a frame begin, and its bits, 0 or 1, from there to the last set one.

    `first`: the frame's first bit in `packed`, `size` the number of its bits. A structure fills a small part of a
    frame, which is all that has to be unpacked.
    """
    begin, end = first // 8, -(-(first + size) // 8)
    occupied = np.flatnonzero(packed[begin:end])
    if occupied.size == 0:
        return 0, np.zeros(0, dtype=np.uint8)
    low, high = begin + int(occupied[0]), begin + int(occupied[-1]) + 1
    bits = np.unpackbits(packed[low:high], bitorder="little")
    start = low * 8 - first
    return max(start, 0), bits[max(-start, 0) : size - start]


def _read_labelmap(dataset: Dataset, frames: list[_Frame], shape: tuple[int, int, int]) -> NDArray[np.uint16]:
    try:
        stored = np.asarray(pixel_array(dataset)).reshape((len(frames), *shape[1:]))
    except (ValueError, RuntimeError, AttributeError) as error:
        raise InvalidObject("Pixel Data cannot be decoded") from error
    labels = np.zeros(shape, dtype=np.uint16)
    for frame, plane in zip(frames, stored, strict=True):
        labels[frame.place] = plane
    return labels


def _read_fractions(dataset: Dataset, frames: list[_Frame], shape: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    stored = np.frombuffer(dataset.PixelData, dtype=np.uint8)
    size = shape[2] * shape[3]
    if stored.size < size * len(frames):
        raise InvalidObject("Pixel Data is too short")
    fractions = np.zeros(shape, dtype=np.uint8)
    for number, frame in enumerate(frames):
        if frame.segment is None or not 1 <= frame.segment <= shape[0]:
            raise InvalidObject("a frame names a segment that is not described")
        fractions[frame.segment - 1, frame.place] = stored[number * size : (number + 1) * size].reshape(shape[2:])
    return fractions


def _largest(fractions: NDArray[np.uint8]) -> NDArray[np.uint16]:
    best = fractions.argmax(axis=0)
    return np.where(fractions.max(axis=0) >= _HALF, best + 1, 0).astype(np.uint16)


def _group(item: Item, shared: Item, keyword: str) -> Item:
    return item.first(keyword) if keyword in item else shared.first(keyword)


def _source_of(group: Item) -> FrameReference:
    sources = [
        source
        for derivation in group.items("DerivationImageSequence")
        for source in derivation.items("SourceImageSequence")
    ]
    if len(sources) != 1:
        raise InvalidObject(f"a frame refers to {len(sources)} source images")
    (source,) = sources
    return FrameReference(
        sop_instance_uid=source.text("ReferencedSOPInstanceUID"),
        frame_number=source.number("ReferencedFrameNumber") if "ReferencedFrameNumber" in source else None,
    )


def _read_segment(item: Item) -> ReadSegment:
    return ReadSegment(
        number=item.integer("SegmentNumber"),
        label=item.text("SegmentLabel"),
        property_type=item.code("SegmentedPropertyTypeCodeSequence"),
        anatomic_regions=_regions(item),
        algorithm_type=_algorithm_type(item),
        tracking_id=item.text("TrackingID") if "TrackingID" in item else "",
        tracking_uid=item.text("TrackingUID") if "TrackingUID" in item else "",
        color=_color(item),
    )


def _color(item: Item) -> tuple[int, int, int] | None:
    """Return Recommended Display CIELab Value (PS3.3 C.10.7.1.1) as sRGB; what sRGB cannot show is clipped."""
    if "RecommendedDisplayCIELabValue" not in item:
        return None
    stored = item.integers("RecommendedDisplayCIELabValue", 3)
    red, green, blue = CIELabColor.from_dicom_value(stored).to_rgb(clip=True)
    return int(red), int(green), int(blue)


def _algorithm_type(item: Item) -> AlgorithmType:
    try:
        return AlgorithmType(item.text("SegmentAlgorithmType"))
    except ValueError as error:
        raise InvalidObject("a segment's algorithm type is unknown") from error


def _regions(item: Item) -> tuple[Code, ...]:
    return tuple(
        Code(region.text("CodeValue"), region.text("CodingSchemeDesignator"), region.text("CodeMeaning"))
        for region in item.items("AnatomicRegionSequence")
    )


def _first(items: list[Item], keyword: str) -> Item:
    if not items:
        raise InvalidObject(f"{keyword} is absent")
    return items[0]
