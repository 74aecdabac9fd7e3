"""What a caller reports: measurements, evaluations, and the groups that they stand in (PS3.16 TID 1500)."""

import math
from dataclasses import dataclass
from enum import Enum

from pydicom.sr.coding import Code

from dicom_sr import codes
from dicom_sr.errors import InvalidResult
from dicom_sr.model import AlgorithmIdentity, SegmentSpec, check_texts


class ReportForm(Enum):
    """The storage class of a report. The content tree is the same in all."""

    #: Comprehensive 3D SR (PS3.3 A.35.13), as IHE AI Results asks.
    COMPREHENSIVE_3D = "COMPREHENSIVE_3D"
    #: Comprehensive SR (PS3.3 A.35.3), for archives that lack the 3D class.
    COMPREHENSIVE = "COMPREHENSIVE"
    #: Enhanced SR (PS3.3 A.35.2), for archives that lack both.
    ENHANCED = "ENHANCED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Modifier:
    """What qualifies a measurement's concept, such as the place it was taken at: `codes.TOPOGRAPHICAL_MODIFIER`."""

    concept: Code
    value: Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A number with its concept and unit (TID 300).

    `derivation` says how it was derived, such as `codes.TOTAL`; `method` how it was measured, where that differs from
    the other measurements of its group.
    """

    concept: Code
    value: float
    unit: Code
    derivation: Code | None = None
    method: Code | None = None
    modifiers: tuple[Modifier, ...] = ()

    def __post_init__(self) -> None:
        """Raise InvalidResult when the value is not a finite number."""
        if not math.isfinite(self.value):
            raise InvalidResult(f"{self.concept.meaning} is not a finite number: {self.value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A qualitative evaluation: a question with a coded answer."""

    concept: Code
    value: Code


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredSegment:
    """A measurement group about one segment (TID 1411). `method` is how all its measurements were made."""

    segment: SegmentSpec
    finding: Code
    finding_sites: tuple[Code, ...] = ()
    method: Code | None = None
    measurements: tuple[Measurement, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementGroup:
    """A measurement group about no single segment (TID 1501).

    The total of a class, what is measured between neighbours, or the evaluation of a structure that is not there.
    """

    tracking_id: str
    tracking_uid: str
    finding: Code | None = None
    finding_sites: tuple[Code, ...] = ()
    method: Code | None = None
    algorithm: AlgorithmIdentity | None = None
    measurements: tuple[Measurement, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()

    def __post_init__(self) -> None:
        """Raise InvalidResult when a text cannot be written, or the group says nothing."""
        check_texts(tracking_id=self.tracking_id)
        if not (self.measurements or self.evaluations):
            raise InvalidResult(f"the group {self.tracking_id!r} holds neither a measurement nor an evaluation")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContent:
    """What a report says: a group for each segment, other groups, and what concerns the series as a whole.

    `evaluations` and `remarks` (ASCII) stand beside the groups, under Qualitative Evaluations. All may be empty but not
    all at once: a report about nothing found says so.
    """

    segments: tuple[MeasuredSegment, ...] = ()
    groups: tuple[MeasurementGroup, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    remarks: tuple[str, ...] = ()
    procedure_reported: Code = codes.MRI_UNSPECIFIED_BODY_REGION
    target_region: Code = codes.CERVICAL_SPINE

    def __post_init__(self) -> None:
        """Raise InvalidResult for a report that says nothing, or a remark that cannot be written."""
        if not (self.segments or self.groups or self.evaluations or self.remarks):
            raise InvalidResult("a report without measurement groups needs a remark or an evaluation")
        if not all(remark and remark.isascii() for remark in self.remarks):
            raise InvalidResult("a remark holds ASCII text")
