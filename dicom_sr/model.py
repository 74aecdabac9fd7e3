"""What a caller states about a result and its segments: equipment, algorithm, colours. Frozen, checked when made.

Texts of the result are ASCII, so that they can be written whatever Specific Character Set (0008,0005) the source
series has, and at most 64 characters long where the element is of VR LO (PS3.5 6.2).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from highdicom.color import CIELabColor
from pydicom.sr.coding import Code

from dicom_sr import codes
from dicom_sr.errors import InvalidResult

_LONG_STRING = 64


def check_texts(**texts: str) -> None:
    """Raise InvalidResult when a text cannot be written as VR LO in any character set."""
    for name, text in texts.items():
        if not text or len(text) > _LONG_STRING or not text.isascii() or not text.isprintable() or "\\" in text:
            raise InvalidResult(f"{name} must be 1 to 64 printable ASCII characters without backslash: {text!r}")


class SegmentationForm(Enum):
    """How a SEG holds its voxels."""

    #: Segmentation Type BINARY (PS3.3 C.8.20.2): one bit a voxel and segment. Every viewer and archive reads it.
    BINARY = "BINARY"
    #: LABELMAP, a storage class of its own (PS3.3 A.51): one number a voxel, compressed.
    LABELMAP = "LABELMAP"
    #: FRACTIONAL, of type PROBABILITY: 0 to 255 for each voxel and segment.
    FRACTIONAL = "FRACTIONAL"


class AlgorithmType(Enum):
    """How the outline of a segment came about: Segment Algorithm Type (PS3.3 C.8.20.4)."""

    #: By an algorithm alone.
    AUTOMATIC = "AUTOMATIC"
    #: By an algorithm and a person.
    SEMIAUTOMATIC = "SEMIAUTOMATIC"
    #: By a person.
    MANUAL = "MANUAL"


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
        check_texts(
            manufacturer=self.manufacturer,
            model_name=self.model_name,
            software_version=self.software_version,
            device_serial_number=self.device_serial_number,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmIdentity:
    """Algorithm Identification (PS3.3 10.16, TID 4019): for one that learnt, the name and version of its model.

    `source`: who made it and ran it, where that is not the device that makes the result.
    """

    name: str
    version: str
    family: Code = codes.ARTIFICIAL_INTELLIGENCE
    source: str | None = None

    def __post_init__(self) -> None:
        """Raise InvalidResult when a text cannot be written."""
        check_texts(
            name=self.name, version=self.version, **({"source": self.source} if self.source is not None else {})
        )


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

    `tracking_id` and `tracking_uid` name the same structure in the SEG and in the SR. `anatomic_regions`: where it
    lies, several for a segment that spans several, such as a block of fused vertebrae. `algorithm` is None only for a
    segment outlined by hand.
    """

    number: int
    label: str
    property_type: Code
    color: CIELab
    tracking_id: str
    tracking_uid: str
    algorithm: AlgorithmIdentity | None
    algorithm_type: AlgorithmType = AlgorithmType.AUTOMATIC
    property_category: Code = codes.ANATOMICAL_STRUCTURE
    anatomic_regions: tuple[Code, ...] = ()

    def __post_init__(self) -> None:
        """Raise InvalidResult when a text cannot be written, or an algorithm is not named."""
        check_texts(label=self.label, tracking_id=self.tracking_id)
        if self.algorithm is None and self.algorithm_type is not AlgorithmType.MANUAL:
            raise InvalidResult(f"segment {self.number} is {self.algorithm_type.value} and names no algorithm")


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
        check_texts(series_description=self.series_description)
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
