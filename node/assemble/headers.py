"""Reads DICOM image files into instances and gathers instances into series.

Classic MR Image Storage (PS3.3 A.4) and Enhanced MR (PS3.3 A.36.2, functional groups of C.7.6.16) come out alike: as
frames. Objects of other modalities are read too, for the rules to refuse them by name. Nothing is dropped in silence:
each path ends up in a series, or in an `Unreadable` with its reason.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from node.assemble.elements import DataSet, read_beginning, read_elements
from node.assemble.functional_groups import enhanced_frames, enhanced_header
from node.assemble.planes import classic_frames, normal_of, places_along
from node.assemble.values import Elements
from node.domain.identifiers import InstanceUID, SeriesUID, StudyUID, parse_uid
from node.domain.series import Frame, Instance, Series, SeriesHeader
from node.errors import InputError, InvalidIdentifier, NotAnImage, NotDicom, TruncatedFile

#: Frames of one object; a long functional MR series holds some thousands.
MAX_FRAMES = 20_000

_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
_DATE = re.compile(r"[0-9]{8}")
_TIME = re.compile(r"([0-9]{2}){1,3}(\.[0-9]{1,6})?")
#: What scanners write into ContrastBolusAgent when there was none.
_NO_CONTRAST = frozenset({"NO", "NONE", "N", "N/A", "NA", "WITHOUT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A path that became part of no series, and why."""

    path: Path
    error: InputError


def read_header(path: Path) -> Instance:
    """Return the image object at `path`, its pixel data measured but not read.

    Raises NotDicom, TruncatedFile (also for pixel data shorter than Rows x Columns x frames),
    UnsupportedTransferSyntax, InvalidIdentifier for a UID that is absent or malformed, and InputError for an object
    that is not an image or is beyond the reader's limits. OSError passes: it tells of the machine, not of the data.
    """
    if path.name.upper() == "DICOMDIR":
        raise NotAnImage("a DICOMDIR lists images and holds none")
    data = read_elements(path)
    elements = data.elements
    sop_class_uid = elements.text("SOPClassUID") or data.meta.text("MediaStorageSOPClassUID")
    if sop_class_uid is None and not data.has_preamble:
        raise NotDicom("neither a DICOM preamble nor a SOP Class UID")
    if sop_class_uid == _MEDIA_STORAGE_DIRECTORY:
        raise NotAnImage("a DICOMDIR lists images and holds none")
    sop_class_uid = _uid(sop_class_uid, "SOPClassUID")
    sop_instance_uid = InstanceUID(
        _uid(elements.text("SOPInstanceUID") or data.meta.text("MediaStorageSOPInstanceUID"), "SOPInstanceUID"),
    )
    number_of_frames = _check_pixels(data, sop_class_uid)
    first = Frame(
        path=path,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        frame_number=None,
        frame_of_reference_uid=_optional_uid(elements.text("FrameOfReferenceUID")),
        rows=elements.whole("Rows") or 0,
        columns=elements.whole("Columns") or 0,
        lowest_is_white=_lowest_is_white(elements),
        instance_number=elements.whole("InstanceNumber"),
    )
    header = _header(elements, first)
    if elements.items("PerFrameFunctionalGroupsSequence"):
        frames = enhanced_frames(elements, first, number_of_frames)
        header = enhanced_header(elements, header)
    else:
        frames = classic_frames(elements, first, number_of_frames)
    date, time = _acquired(elements)
    return Instance(
        path=path,
        study_instance_uid=StudyUID(_uid(elements.text("StudyInstanceUID"), "StudyInstanceUID")),
        series_instance_uid=SeriesUID(_uid(elements.text("SeriesInstanceUID"), "SeriesInstanceUID")),
        sop_instance_uid=sop_instance_uid,
        header=_with_geometry(header, frames),
        frames=frames,
        acquisition_date=date,
        acquisition_time=time,
    )


def gather(paths: Iterable[Path]) -> tuple[tuple[Series, ...], tuple[Unreadable, ...]]:
    """Return the series among `paths`, sorted by UID, and the paths that became part of none.

    Copies of one instance (same SOP Instance UID, same bytes behind the file meta information) count once. Two
    different objects under one UID both stay in their series, and `volume.build_volume` refuses it: which of them is
    meant cannot be known here.
    """
    instances: dict[SeriesUID, list[Instance]] = {}
    unreadable: list[Unreadable] = []
    for path in sorted(paths):
        try:
            instance = read_header(path)
        except InputError as error:
            unreadable.append(Unreadable(path=path, error=error))
        else:
            instances.setdefault(instance.series_instance_uid, []).append(instance)
    return tuple(to_series(_without_copies(instances[uid])) for uid in sorted(instances)), tuple(unreadable)


def to_series(instances: Iterable[Instance]) -> Series:
    """Return the instances of one series as a Series, the same one whatever their order.

    Raises ValueError when there are none, or when they are of several series.
    """
    ordered = sorted(instances, key=lambda one: (one.frames[0].instance_number or 0, one.sop_instance_uid))
    if len({one.series_instance_uid for one in ordered}) != 1:
        raise ValueError("to_series takes the instances of one series")
    first = ordered[0]
    frames = tuple(frame for one in ordered for frame in one.frames)
    references = {frame.frame_of_reference_uid for frame in frames}
    dated = [(one.acquisition_date, one.acquisition_time or "") for one in ordered if one.acquisition_date]
    date, time = min(dated, default=(None, ""))
    header = replace(first.header, sop_class_uids=tuple(sorted({frame.sop_class_uid for frame in frames})))
    return Series(
        study_instance_uid=first.study_instance_uid,
        series_instance_uid=first.series_instance_uid,
        frame_of_reference_uid=references.pop() if len(references) == 1 else None,
        header=_with_geometry(header, frames),
        frames=frames,
        acquisition_date=date,
        acquisition_time=time or None,
    )


def _without_copies(instances: list[Instance]) -> list[Instance]:
    by_uid: dict[InstanceUID, list[Instance]] = {}
    for instance in instances:
        by_uid.setdefault(instance.sop_instance_uid, []).append(instance)
    kept: list[Instance] = []
    for same in by_uid.values():
        kept += {_content_digest(one.path): one for one in reversed(same)}.values() if len(same) > 1 else same
    return kept


def _content_digest(path: Path) -> str:
    """SHA-256 of everything behind the file meta information, which each receiver writes anew (PS3.10 7.1)."""
    _, offset = read_beginning(path)
    with path.open("rb") as file:
        file.seek(offset)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _uid(text: str | None, keyword: str) -> str:
    if text is None:
        raise InvalidIdentifier(f"{keyword} is missing")
    return parse_uid(text)


def _optional_uid(text: str | None) -> str | None:
    try:
        return None if text is None else parse_uid(text)
    except InvalidIdentifier:
        return None


def _check_pixels(data: DataSet, sop_class_uid: str) -> int:
    """Return NumberOfFrames after holding the image's claims against the bytes that are there (PS3.5 8)."""
    elements, pixels = data.elements, data.pixels
    rows, columns = elements.whole("Rows") or 0, elements.whole("Columns") or 0
    number_of_frames = max(elements.whole("NumberOfFrames") or 1, 1)
    if pixels is None and rows > 0:
        raise TruncatedFile("the data set ends before its pixel data")
    if pixels is None or rows < 1 or columns < 1:
        raise NotAnImage(f"SOP Class {sop_class_uid}: an object without an image")
    if number_of_frames > MAX_FRAMES:
        raise InputError(f"more than {MAX_FRAMES} frames in one object")
    if pixels.fragments is not None:
        if pixels.fragments < number_of_frames:
            raise TruncatedFile("fewer fragments of pixel data than frames (PS3.5 A.4)")
        return number_of_frames
    samples, bits = elements.whole("SamplesPerPixel") or 1, elements.whole("BitsAllocated") or 0
    if number_of_frames * rows * columns * samples * bits > pixels.length * 8:
        raise TruncatedFile("the pixel data is shorter than Rows x Columns x frames")
    return number_of_frames


def _lowest_is_white(elements: Elements) -> bool:
    """Return whether the lowest value is to be shown white.

    MONOCHROME1 says so (PS3.3 C.7.6.3.1.2), and so does the Presentation LUT Shape INVERSE that goes with it
    (C.8.11.3): both together are one inversion, not two.
    """
    return elements.text("PhotometricInterpretation") == "MONOCHROME1" or (
        elements.text("PresentationLUTShape") == "INVERSE"
    )


def _header(elements: Elements, frame: Frame) -> SeriesHeader:
    encoding = elements.encoding()
    contrast = (elements.text("ContrastBolusAgent", encoding) or "NONE").upper() not in _NO_CONTRAST
    return SeriesHeader(
        modality=elements.text("Modality"),
        study_description=elements.text("StudyDescription", encoding),
        series_description=elements.text("SeriesDescription", encoding),
        protocol_name=elements.text("ProtocolName", encoding),
        body_part_examined=elements.text("BodyPartExamined"),
        manufacturer=elements.text("Manufacturer", encoding),
        image_type=elements.texts("ImageType"),
        sop_class_uids=(frame.sop_class_uid,),
        echo_time_ms=elements.number("EchoTime"),
        repetition_time_ms=elements.number("RepetitionTime"),
        inversion_time_ms=elements.number("InversionTime"),
        echo_train_length=elements.whole("EchoTrainLength"),
        scan_options=elements.texts("ScanOptions"),
        scanning_sequence=elements.texts("ScanningSequence"),
        sequence_variant=elements.texts("SequenceVariant"),
        sequence_name=elements.text("SequenceName", encoding),
        contrast_agent=contrast or bool(elements.items("ContrastBolusAgentSequence")),
        mr_acquisition_type=elements.text("MRAcquisitionType"),
        rows=frame.rows,
        columns=frame.columns,
    )


def _with_geometry(header: SeriesHeader, frames: tuple[Frame, ...]) -> SeriesHeader:
    normal = normal_of(frames)
    slices = len(frames) if normal is None else places_along(frames, normal)
    return replace(header, slice_orientation=normal, slices=slices)


def _acquired(elements: Elements) -> tuple[str | None, str | None]:
    """Return the DA and TM of the acquisition, else of the series, the content or the study."""
    for name in ("Acquisition", "Series", "Content", "Study"):
        date, time = elements.text(f"{name}Date") or "", elements.text(f"{name}Time") or ""
        if name == "Acquisition" and not date:
            moment = (elements.text("AcquisitionDateTime") or "").split("+")[0].split("-")[0]
            date, time = moment[:8], moment[8:]
        if _DATE.fullmatch(date):
            return date, time if _TIME.fullmatch(time) else None
    return None, None
