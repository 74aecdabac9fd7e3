"""The elements the node wants, by keyword, and their values, decoded leniently.

A value that is not what its VR promises reads as absent: real archives hold `"1.5 mm"` in a DS and blanks in an IS, and
what is needed but absent is refused by name later on.
"""

import math
import struct
from dataclasses import dataclass, field

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword

_WANTED = """
    TransferSyntaxUID MediaStorageSOPClassUID MediaStorageSOPInstanceUID SpecificCharacterSet
    SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID
    Modality StudyDescription SeriesDescription ProtocolName BodyPartExamined Manufacturer ImageType
    AcquisitionDate AcquisitionTime AcquisitionDateTime SeriesDate SeriesTime
    ContentDate ContentTime StudyDate StudyTime
    EchoTime RepetitionTime InversionTime EchoTrainLength EchoNumbers ScanOptions ScanningSequence SequenceVariant
    SequenceName ContrastBolusAgent ContrastBolusAgentSequence MRAcquisitionType
    PulseSequenceName EchoPulseSequence EchoPlanarPulseSequence InversionRecovery SpectrallySelectedSuppression
    InstanceNumber AcquisitionNumber TemporalPositionIdentifier TriggerTime DiffusionBValue
    ImagePositionPatient ImageOrientationPatient PixelSpacing
    SamplesPerPixel PhotometricInterpretation NumberOfFrames Rows Columns
    BitsAllocated BitsStored HighBit PixelRepresentation RescaleSlope RescaleIntercept
    WindowCenter WindowWidth VOILUTFunction FrameVOILUTSequence PresentationLUTShape
    SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
    PlanePositionSequence PlaneOrientationSequence PixelMeasuresSequence PixelValueTransformationSequence
    FrameContentSequence TemporalPositionIndex FrameAcquisitionNumber FrameAcquisitionDateTime
    FrameAnatomySequence AnatomicRegionSequence CodeMeaning
    MREchoSequence EffectiveEchoTime MRTimingAndRelatedParametersSequence RFEchoTrainLength
    MRModifierSequence InversionTimes MRImageFrameTypeSequence FrameType MRDiffusionSequence
    CardiacSynchronizationSequence NominalCardiacTriggerDelayTime
"""
#: Everything that is read from a file; nothing else leaves it.
KEYWORDS = tuple(_WANTED.split())


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


_TAGS = {keyword: _tag(keyword) for keyword in KEYWORDS}
#: Tag -> VR of what is wanted (PS3.6).
DICTIONARY = {tag: dictionary_VR(tag) for tag in _TAGS.values()}
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}


@dataclass(slots=True)
class Elements:
    """The wanted elements of a data set or of a sequence item."""

    little: bool
    _values: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    _items: dict[int, "tuple[Elements, ...]"] = field(default_factory=dict)

    def keep(self, tag: int, vr: str, value: bytes) -> None:
        """Store a raw value."""
        self._values[tag] = (vr, value)

    def keep_items(self, tag: int, items: "tuple[Elements, ...]") -> None:
        """Store the items of a sequence."""
        self._items[tag] = items

    def items(self, keyword: str) -> "tuple[Elements, ...]":
        """Return the items of a sequence, none where it is absent."""
        return self._items.get(_TAGS[keyword], ())

    def texts(self, keyword: str, encoding: str = "ascii") -> tuple[str, ...]:
        """Return the values of a text element without padding, blank ones left out (PS3.5 6.4: backslash separates)."""
        _, value = self._values.get(_TAGS[keyword], ("", b""))
        parts = value.decode(encoding, "replace").split("\\")
        return tuple(text for part in parts if (text := part.strip(" \0\t\r\n")))

    def text(self, keyword: str, encoding: str = "ascii") -> str | None:
        """Return the first value of a text element, None where it is absent or blank."""
        return next(iter(self.texts(keyword, encoding)), None)

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Return the finite values of a numeric element; empty when any of them is not a number."""
        vr, value = self._values.get(_TAGS[keyword], ("", b""))
        if vr in _NUMBERS:
            code = _NUMBERS[vr]
            width = struct.calcsize("<" + code)
            count = len(value) // width
            values = struct.unpack_from(("<" if self.little else ">") + code * count, value)
        else:
            values = tuple(_number(text) for text in self.texts(keyword))
        return tuple(float(v) for v in values) if all(math.isfinite(v) for v in values) else ()

    def number(self, keyword: str) -> float | None:
        """Return the first value of a numeric element, None where absent or not a number."""
        return next(iter(self.numbers(keyword)), None)

    def whole(self, keyword: str) -> int | None:
        """Return the first value of a numeric element as an integer."""
        number = self.number(keyword)
        return None if number is None else int(number)

    def encoding(self) -> str:
        """Return the Python codec of the first SpecificCharacterSet (PS3.3 C.12.1.1.2), Latin-1 where none is named."""
        return python_encoding.get(self.text("SpecificCharacterSet") or "", "latin-1")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
