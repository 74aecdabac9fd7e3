"""A series as it was received: what the rules look at, and where each frame lies in the patient.

Nothing here describes the person: the Patient Module (PS3.3 C.7.1.1) is never read into these types.
"""

from dataclasses import dataclass
from pathlib import Path

from node.domain.identifiers import InstanceUID, SeriesUID, StudyUID

#: A position in LPS mm or a direction without unit (PS3.3 C.7.6.2.1.1).
Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesHeader:
    """What the rules of a route look at. Text is None, and a tuple empty, where the element is absent or blank.

    Of Enhanced MR (PS3.3 A.36.2) the functional groups of the first frame are taken, and the coded terms of the MR
    Pulse Sequence Module are given in the words of the classic module: SE, GR, EP, IR and the scan option FS.
    """

    modality: str | None = None
    study_description: str | None = None
    series_description: str | None = None
    protocol_name: str | None = None
    body_part_examined: str | None = None
    manufacturer: str | None = None
    image_type: tuple[str, ...] = ()
    #: Every SOP Class of the series, sorted.
    sop_class_uids: tuple[str, ...] = ()
    echo_time_ms: float | None = None
    repetition_time_ms: float | None = None
    inversion_time_ms: float | None = None
    echo_train_length: int | None = None
    scan_options: tuple[str, ...] = ()
    scanning_sequence: tuple[str, ...] = ()
    sequence_variant: tuple[str, ...] = ()
    sequence_name: str | None = None
    #: A contrast agent is named (PS3.3 C.7.6.4).
    contrast_agent: bool = False
    #: "2D" or "3D" (MRAcquisitionType).
    mr_acquisition_type: str | None = None
    #: Unit normal of the slices, LPS, row cosines x column cosines; None where absent or where the frames differ.
    slice_orientation: Vector | None = None
    #: How many different places along the normal the frames lie at; the number of frames where there is no normal.
    slices: int = 0
    rows: int | None = None
    columns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTraits:
    """What tells two frames at one place apart: echo, time and kind of image. None or empty where absent."""

    echo_time_ms: float | None = None
    echo_number: int | None = None
    inversion_time_ms: float | None = None
    diffusion_b_value: float | None = None
    temporal_position: int | None = None
    trigger_time_ms: float | None = None
    acquisition_number: int | None = None
    #: Date and time of the acquisition, DA + TM.
    acquired_at: str | None = None
    #: ImageType, or FrameType in a multi-frame object; magnitude or phase is among its values.
    image_type: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One image plane: a classic instance, or one frame of a multi-frame one.

    Positions in LPS mm, cosines as unit vectors, `pixel_spacing_mm` as (between rows, between columns). The geometry is
    None where the object lacks it; a stack cannot be built of it then, but the rules can still say why.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: InstanceUID
    #: 1-based, None in a classic single-frame instance.
    frame_number: int | None
    frame_of_reference_uid: str | None = None
    rows: int
    columns: int
    #: ImagePositionPatient: the centre of the first pixel.
    position_lps_mm: Vector | None = None
    #: Direction in which the column index grows.
    row_cosines: Vector | None = None
    #: Direction in which the row index grows.
    column_cosines: Vector | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    rescale_slope: float = 1.0
    rescale_intercept: float = 0.0
    #: The lowest value is meant to be shown white: MONOCHROME1 (PS3.3 C.7.6.3.1.2), Presentation LUT Shape INVERSE.
    lowest_is_white: bool = False
    instance_number: int | None = None
    traits: FrameTraits = FrameTraits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One file: the header that its series would have if it were alone, and its frames."""

    path: Path
    study_instance_uid: StudyUID
    series_instance_uid: SeriesUID
    sop_instance_uid: InstanceUID
    header: SeriesHeader
    frames: tuple[Frame, ...]
    #: DICOM DA, such as "20200102"; None where no date is given.
    acquisition_date: str | None
    #: DICOM TM, such as "101112.5".
    acquisition_time: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """All frames that share a Series Instance UID, in an order that depends on their content only.

    `acquisition_date` and `acquisition_time` (DA, TM) are the earliest of the series, so that results derived from
    the same frames carry the same content date. `frame_of_reference_uid` is None where absent or not the same in all.
    """

    study_instance_uid: StudyUID
    series_instance_uid: SeriesUID
    frame_of_reference_uid: str | None
    header: SeriesHeader
    frames: tuple[Frame, ...]
    acquisition_date: str | None
    acquisition_time: str | None
