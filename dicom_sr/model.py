"""What a caller states about a result: equipment, algorithm, segments, measurements. Frozen, checked when made.

Texts of the result are ASCII, so that they can be written whatever Specific Character Set (0008,0005) the source
series has, and at most 64 characters long where the element is of VR LO (PS3.5 6.2).
"""

import math
from dataclasses import dataclass
from datetime import datetime

from highdicom.color import CIELabColor
from pydicom.sr.coding import Code

from dicom_sr import codes
from dicom_sr.errors import InvalidResult

_LONG_STRING = 64


def _check_texts(**texts: str) -> None:
    for name, text in texts.items():
        if not text or len(text) > _LONG_STRING or not text.isascii() or not text.isprintable() or "\\" in text:
            raise InvalidResult(f"{name} must be 1 to 64 printable ASCII characters without backslash: {text!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameReference:
    """Where a slice comes from: an instance, and the frame within it (1-based) when it is multi-frame."""

    sop_instance_uid: str
    frame_number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """The device that makes results (PS3.3 C.7.5.1, C.7.5.2). `device_uid` changes with the software and the model."""

    manufacturer: str
    model_name: str
    software_version: str
    device_serial_number: str
    device_uid: str

    def __post_init__(self) -> None:
        """Raise InvalidResult when a text cannot be written."""
        _check_texts(
            manufacturer=self.manufacturer,
            model_name=self.model_name,
            software_version=self.software_version,
            device_serial_number=self.device_serial_number,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmIdentity:
    """Algorithm Identification (PS3.3 10.16, TID 4019): for one that learnt, the name and version of its model."""

    name: str
    version: str
    family: Code = codes.ARTIFICIAL_INTELLIGENCE

    def __post_init__(self) -> None:
        """Raise InvalidResult when a text cannot be written."""
        _check_texts(name=self.name, version=self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class CIELab:
    """A colour in CIELab (PS3.3 C.10.7.1.1): `lightness` 0 to 100, `a` and `b` -128 to 127."""

    lightness: float
    a: float
    b: float

    def __post_init__(self) -> None:
        """Raise InvalidResult outside the ranges."""
        if not (0 <= self.lightness <= 100 and -128 <= self.a <= 127 and -128 <= self.b <= 127):
            raise InvalidResult(f"not a CIELab colour: {self}")

    @classmethod
    def from_srgb(cls, red: int, green: int, blue: int) -> "CIELab":
        """Return the CIELab colour of an sRGB colour, 0 to 255 each. Raises ValueError outside that range.

        >>> CIELab.from_srgb(255, 0, 0)
        CIELab(lightness=53.23, a=80.11, b=67.22)
        """
        lightness, a, b = CIELabColor.from_rgb(red, green, blue).lab
        return cls(lightness=round(float(lightness), 2), a=round(float(a), 2), b=round(float(b), 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSpec:
    """One segment (PS3.3 C.8.20.4): its number is its value in the label map, and segments count from 1 without gaps.

    `tracking_id` and `tracking_uid` name the same structure in the SEG and in the SR.
    """

    number: int
    label: str
    property_type: Code
    color: CIELab
    tracking_id: str
    tracking_uid: str
    algorithm: AlgorithmIdentity
    property_category: Code = codes.ANATOMICAL_STRUCTURE
    anatomic_region: Code | None = None

    def __post_init__(self) -> None:
        """Raise InvalidResult when a text cannot be written."""
        _check_texts(label=self.label, tracking_id=self.tracking_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A number with its concept and unit (TID 300). `derivation` says how it was derived, such as `codes.TOTAL`."""

    concept: Code
    value: float
    unit: Code
    derivation: Code | None = None

    def __post_init__(self) -> None:
        """Raise InvalidResult when the value is not a finite number."""
        if not math.isfinite(self.value):
            raise InvalidResult(f"{self.concept.meaning} is not a finite number: {self.value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredSegment:
    """A measurement group about one segment (TID 1411). `method` is how all its measurements were made."""

    segment: SegmentSpec
    finding: Code
    finding_site: Code | None
    method: Code
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """A measurement group about a class of structures as a whole (TID 1501)."""

    tracking_id: str
    tracking_uid: str
    finding: Code
    finding_site: Code | None
    method: Code
    algorithm: AlgorithmIdentity
    measurements: tuple[Measurement, ...]

    def __post_init__(self) -> None:
        """Raise InvalidResult when a text cannot be written."""
        _check_texts(tracking_id=self.tracking_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContent:
    """What a report says: a group for each segment, totals, and remarks (ASCII) for what has no number.

    All may be empty but not all at once: a report about nothing found says so in a remark.
    """

    segments: tuple[MeasuredSegment, ...] = ()
    totals: tuple[Totals, ...] = ()
    remarks: tuple[str, ...] = ()
    procedure_reported: Code = codes.MRI_UNSPECIFIED_BODY_REGION
    target_region: Code = codes.CERVICAL_SPINE

    def __post_init__(self) -> None:
        """Raise InvalidResult for a report that says nothing, or a remark that cannot be written."""
        if not (self.segments or self.totals or self.remarks):
            raise InvalidResult("a report without measurement groups needs a remark")
        if not all(remark and remark.isascii() for remark in self.remarks):
            raise InvalidResult("a remark holds ASCII text")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultInstance:
    """What a SEG or SR is called and when and by what it was made.

    `content_datetime` becomes the date and time of content, creation and series: pass a time that belongs to the
    source series, since nothing of the present moment enters a result. It carries no time zone.
    """

    series_instance_uid: str
    sop_instance_uid: str
    series_number: int
    series_description: str
    content_datetime: datetime
    equipment: Equipment

    def __post_init__(self) -> None:
        """Raise InvalidResult for a series number outside VR IS, or a text that cannot be written."""
        _check_texts(series_description=self.series_description)
        if not 1 <= self.series_number < 2**31:
            raise InvalidResult(f"series number out of range: {self.series_number}")

    @property
    def content_date(self) -> str:
        """The date in VR DA."""
        return self.content_datetime.strftime("%Y%m%d")

    @property
    def content_time(self) -> str:
        """The time in VR TM, with a fraction only where there is one."""
        return self.content_datetime.strftime("%H%M%S.%f" if self.content_datetime.microsecond else "%H%M%S")
