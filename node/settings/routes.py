"""`[[route]]`: which series are taken, and what is made of them."""

from typing import Annotated, Literal

from pydantic import Field

from node.domain.case import OnReject, SegmentsOf
from node.settings.values import Pattern, Section


class Rules(Section):
    """`[route.accept]`: what a series must be. Patterns are regular expressions, found anywhere, case ignored.

    The defaults are the job that the node exists for: sagittal T2 of the cervical spine without fat suppression.
    """

    modality: str = "MR"
    #: At least one must be found in StudyDescription, BodyPartExamined, ProtocolName or SeriesDescription.
    #: An empty list asks nothing.
    region: tuple[Pattern, ...] = (
        r"cerv(?!ix)",
        r"(?<![a-z])c[ _-]?spine",
        r"(?<![a-z])c[ _-]?sp(?![a-z])",
        r"neck",
        r"hws",
        r"halswirbel",
        r"(?<![a-z])c-?t[ _-]?spine",
        r"(whole|total)[ _-]?spine",
    )
    #: A StudyDescription, SeriesDescription or ProtocolName that names one of these, and none of `region`, refuses.
    other_region: tuple[Pattern, ...] = (
        r"lumb|lomb",
        r"(?<![a-z])l[ _-]?spine",
        r"lws",
        r"thora[ck]",
        r"(?<![a-z])t[ _-]?spine",
        r"bws",
        r"sacr",
        r"brain",
        r"(?<![a-z])head(?![a-z])",
        r"kopf",
        r"pelvi",
        r"abdom",
        r"(?<![a-z])hips?(?![a-z])",
        r"knee",
        r"shoulder",
    )
    study_description: tuple[Pattern, ...] = ()
    series_description: tuple[Pattern, ...] = ()
    #: None may be found in SeriesDescription or ProtocolName.
    exclude_description: tuple[Pattern, ...] = (
        r"stir",
        r"tirm",
        r"spair",
        r"spir(?![a-z])",
        r"(?<!no )(?<!w/o )(?<!without )fat[ _-]?sat",
        r"(?<!no[ _-])(?<!non[ _-])(?<!w/o )(?<!without )(?<![a-z])fs(?![a-z])",
        r"dixon",
        r"(?<![a-z])water(?![a-z])",
        r"flair",
        r"(?<![a-z])(dwi|adc)(?![a-z])",
        r"diff",
        r"myelo",
        r"scout",
        r"locali[sz]er",
    )
    #: None of these values may stand in ImageType.
    exclude_image_type: tuple[str, ...] = ("LOCALIZER", "PROJECTION IMAGE", "MIP", "PHASE", "PHASE MAP", "WATER", "FAT")
    plane: Literal["sagittal", "coronal", "axial", "any"] = "sagittal"
    #: Largest angle between the slice normal and the axis that the plane is named for.
    maximum_tilt_deg: Annotated[float, Field(strict=True, ge=0, lt=45)] = 30
    #: 0 asks nothing; so it is below.
    minimum_echo_time_ms: Annotated[float, Field(strict=True, ge=0)] = 60
    minimum_repetition_time_ms: Annotated[float, Field(strict=True, ge=0)] = 1500
    #: By fat saturation or inversion recovery: whether it must be absent or present.
    fat_suppression: Literal["absent", "present", "any"] = "absent"
    minimum_slices: Annotated[int, Field(strict=True, ge=2)] = 5


class RouteSettings(Section):
    """`[[route]]`: rules, what is made of a series, and where the results go."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    destinations: tuple[str, ...] = ()
    segments: SegmentsOf = SegmentsOf.STRUCTURES
    on_reject: OnReject = OnReject.REPORT
    accept: Rules = Rules()
