"""The source series, parsed once: headers that a SEG and a SR can be derived from, in the order of the slices.

Files are read without their pixels and never written. What is completed, is completed in memory:

- Type 2 attributes of the Patient and General Study modules are set aside as they are, empty where absent, and put
  back into a result unread: libraries refuse some values that occur, or print them in warnings;
- an absent Frame of Reference UID is derived from the Series Instance UID, so that all results of a series share it;
- Spacing Between Slices is computed from the positions where they are regular, since some vendors write the gap there;
- in a multi-frame source, planes are looked for in the functional groups of the frame and in the shared ones, as
  vendors differ in where they put them (PS3.3 C.7.6.16.1).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage, MRImageStorage
from pydicom.valuerep import DA, TM, format_number_as_ds

from dicom_sr.errors import InvalidSource
from dicom_sr.identity import derive_uid
from dicom_sr.model import FrameReference

#: PS3.3 C.7.1.1, C.7.2.1, C.7.3.1.
_TYPE_2_ATTRIBUTES = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
_TYPE_1_ATTRIBUTES = ("StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns")
_MULTI_FRAME = (EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)

#: Slices count as evenly spaced when no gap differs from the mean by more than this part of it.
_SPACING_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """Plane Position, Plane Orientation and Pixel Measures of a slice, as decimal strings (PS3.3 C.7.6.16.2).

    As they stand in its header, but for `spacing_between_slices`, which follows from the positions. mm.
    """

    position: tuple[str, ...]
    orientation: tuple[str, ...]
    spacing: tuple[str, ...]
    thickness: str | None
    spacing_between_slices: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceSeries:
    """The slices that a label map lies on, in its order, and the headers of their instances.

    `slices[i]` is where slice `i` of the label map comes from, `planes[i]` where it lies. `headers`: one completed
    header for each slice of a single-frame source, in the same order, else the header of the one multi-frame instance;
    their Type 2 attributes stand in `set_aside`. `acquired_at`: when the first slice was acquired, without time zone;
    where that is absent, when its series or study began; None without any date. `image_positions`: float
    `(slices, 3)`, LPS mm, of the first voxel of each slice (PS3.3 C.7.6.2.1.1). `image_orientation`: float `(6,)`,
    direction cosines of growing column and growing row index. `pixel_spacing_mm`: between rows, between columns.
    """

    slices: tuple[FrameReference, ...]
    planes: tuple[Plane, ...]
    headers: tuple[Dataset, ...]
    set_aside: tuple[DataElement, ...]
    acquired_at: datetime | None
    image_positions: NDArray[np.float64]
    image_orientation: NDArray[np.float64]
    pixel_spacing_mm: tuple[float, float]

    @classmethod
    def from_files(cls, paths: Sequence[Path], slices: Sequence[FrameReference]) -> "SourceSeries":
        """Read the headers of the instances that `slices` names; other instances among `paths` are ignored.

        Raises InvalidSource when a slice is not in the files or named twice, when the instances are not MR images of
        one series and one size, when slices differ in orientation or pixel spacing, or when slices of a multi-frame
        source come from several instances (a SEG refers to one, PS3.3 C.8.20.2).
        """
        wanted = {reference.sop_instance_uid for reference in slices}
        found = {uid: header for uid, header in map(_read_header, paths) if uid in wanted}
        if not wanted or wanted - found.keys():
            raise InvalidSource(f"{len(wanted - found.keys())} of {len(wanted)} instances are not in the files")
        if len(set(slices)) != len(slices):
            raise InvalidSource("a slice is named twice")
        for header in found.values():
            _complete(header)
        first = found[slices[0].sop_instance_uid]
        multi_frame = first.SOPClassUID in _MULTI_FRAME
        if multi_frame and len(wanted) != 1:
            raise InvalidSource("slices come from several multi-frame instances")
        headers = (first,) if multi_frame else tuple(found[reference.sop_instance_uid] for reference in slices)
        _check_one_series(headers)
        planes = [_plane(found[reference.sop_instance_uid], reference, multi_frame) for reference in slices]
        return _assemble(tuple(slices), headers, planes)

    @property
    def multi_frame(self) -> bool:
        """Whether the slices are frames of one instance."""
        return self.headers[0].SOPClassUID in _MULTI_FRAME

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows, columns."""
        return len(self.slices), int(self.headers[0].Rows), int(self.headers[0].Columns)

    def order_along_normal(self) -> tuple[int, ...]:
        """Return the indices of the slices along their normal, whichever of its two directions grows an LPS axis."""
        normal = np.cross(self.image_orientation[:3], self.image_orientation[3:])
        direction = np.sign(normal[np.abs(normal).argmax()])
        return tuple(np.argsort(self.image_positions @ (normal * direction), kind="stable").tolist())


def _read_header(path: Path) -> tuple[str, Dataset]:
    try:
        header: Dataset = dcmread(path, stop_before_pixels=True)
    except InvalidDicomError as error:
        header = _read_without_preamble(path)
        if "SOPClassUID" not in header:
            raise InvalidSource("a file of the source series is not DICOM") from error
    return str(header.get("SOPInstanceUID", "")), header


def _read_without_preamble(path: Path) -> Dataset:
    """Read a bare data set, or what comes of reading other bytes as one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on bytes that are no data set; they quote what they found
        header: Dataset = dcmread(path, stop_before_pixels=True, force=True)
    return header


def _complete(header: Dataset) -> None:
    if header.get("SOPClassUID") not in (MRImageStorage, *_MULTI_FRAME):
        raise InvalidSource("an instance of the source series is not an MR image")
    missing = [keyword for keyword in _TYPE_1_ATTRIBUTES if header.get(keyword) in (None, "")]
    if missing:
        raise InvalidSource(f"an instance of the source series lacks {', '.join(missing)}")
    for keyword in _TYPE_2_ATTRIBUTES:
        if keyword not in header:
            setattr(header, keyword, "")
    if not header.get("Modality"):
        header.Modality = "MR"
    if not header.get("FrameOfReferenceUID"):
        header.FrameOfReferenceUID = derive_uid("frame of reference", str(header.SeriesInstanceUID))


def _check_one_series(headers: tuple[Dataset, ...]) -> None:
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "FrameOfReferenceUID", "Rows", "Columns"):
        if len({str(header[keyword].value) for header in headers}) != 1:
            raise InvalidSource(f"the slices differ in {keyword}")


def _plane(header: Dataset, reference: FrameReference, multi_frame: bool) -> Plane:
    if not multi_frame:
        return _read_plane((header,))
    number = reference.frame_number
    frames = header.get("PerFrameFunctionalGroupsSequence", ())
    if number is None or not 1 <= number <= len(frames):
        raise InvalidSource(f"the multi-frame instance has no frame {number}")
    groups: list[Dataset] = []
    for item in (frames[number - 1], header.SharedFunctionalGroupsSequence[0]):
        for keyword in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"):
            groups.extend(item.get(keyword, ()))
    return _read_plane(tuple(groups))


def _read_plane(holders: tuple[Dataset, ...]) -> Plane:
    values: dict[str, tuple[str, ...]] = {}
    for keyword, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2)):
        found = next((holder[keyword].value for holder in holders if holder.get(keyword)), ())
        if len(found) != count:
            raise InvalidSource(f"a slice lacks {keyword}")
        values[keyword] = tuple(str(value) for value in found)
    thickness = next((str(holder.SliceThickness) for holder in holders if holder.get("SliceThickness")), None)
    return Plane(
        position=values["ImagePositionPatient"],
        orientation=values["ImageOrientationPatient"],
        spacing=values["PixelSpacing"],
        thickness=thickness,
    )


def _assemble(slices: tuple[FrameReference, ...], headers: tuple[Dataset, ...], planes: list[Plane]) -> SourceSeries:
    orientations = np.array([plane.orientation for plane in planes], dtype=np.float64)
    spacings = np.array([plane.spacing for plane in planes], dtype=np.float64)
    positions = np.array([plane.position for plane in planes], dtype=np.float64)
    if not np.allclose(orientations, orientations[0], atol=1e-4):
        raise InvalidSource("the slices differ in orientation")
    if not np.allclose(spacings, spacings[0], rtol=1e-4, atol=0):
        raise InvalidSource("the slices differ in pixel spacing")
    between = _even_spacing(positions, orientations[0])
    return SourceSeries(
        slices=slices,
        planes=tuple(
            replace(plane, thickness=plane.thickness or between, spacing_between_slices=between) for plane in planes
        ),
        headers=headers,
        acquired_at=_acquired_at(headers[0]),
        set_aside=_set_aside(headers),
        image_positions=positions,
        image_orientation=orientations[0],
        pixel_spacing_mm=(float(spacings[0, 0]), float(spacings[0, 1])),
    )


def _even_spacing(positions: NDArray[np.float64], orientation: NDArray[np.float64]) -> str | None:
    """Return the distance between neighbouring slices in mm as VR DS, None for one slice or uneven ones."""
    along = np.sort(positions @ np.cross(orientation[:3], orientation[3:]))
    gaps = np.diff(along)
    if gaps.size == 0 or gaps.mean() <= 0 or np.abs(gaps - gaps.mean()).max() > _SPACING_TOLERANCE * gaps.mean():
        return None
    return format_number_as_ds(float(np.round(gaps.mean(), 6)))


def _set_aside(headers: tuple[Dataset, ...]) -> tuple[DataElement, ...]:
    """Return the Type 2 attributes of the first header, and leave them empty in all headers."""
    elements = tuple(headers[0][keyword] for keyword in _TYPE_2_ATTRIBUTES)
    for header in headers:
        for element in elements:
            header[element.tag] = DataElement(element.tag, element.VR, "")
    return elements


def _acquired_at(header: Dataset) -> datetime | None:
    if header.get("AcquisitionDateTime"):
        text = str(header.AcquisitionDateTime).partition("+")[0].partition("-")[0]
        return _moment(text[:8], text[8:])
    for kind in ("Acquisition", "Content", "Series", "Study"):
        if header.get(f"{kind}Date"):
            return _moment(str(header[f"{kind}Date"].value), str(header.get(f"{kind}Time") or ""))
    return None


def _moment(date: str, time: str) -> datetime | None:
    try:
        day, clock = DA(date), TM(time or "000000")
    except ValueError:
        return None
    if day is None or clock is None:
        return None
    return datetime.combine(day, clock.replace(tzinfo=None))
