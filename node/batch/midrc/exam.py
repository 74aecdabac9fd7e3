"""The exams of a download: what belongs together, and what is wrong with each and with the whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Annotation(Enum):
    """How a mask came about (annotation_method of the annotation table)."""

    #: Outlined or corrected by people.
    EXPERT = "expert"
    #: The ensemble's own answer ("weakly labelled").
    WEAK = "weak"


class MatchedBy(Enum):
    """What an image or a mask was matched to its series by, the strongest evidence first."""

    TABLE = "table"
    NAME = "name"
    GEOMETRY = "geometry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A file of the download: in a folder, or in a zip that was left as it is.

    `container`: a folder or a zip. `name`: the path within it, with slashes.
    """

    container: Path
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """Something that is missing or contradictory: a stable code, and a sentence without patient data."""

    code: str
    text: str


Cell = str | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """One series with all that the download has of it. What is None is missing, and `defects` say so.

    `key` names it in ledgers and folders: the Series Instance UID, or the name of its image where no series is known.
    `columns`: what the tables say, by column; those that several tables have carry the table's name in front.
    """

    key: str
    #: The dataset's own pseudonym, such as "593973-000003"; None where nobody says.
    patient_id: str | None
    study_uid: str | None
    series_uid: str | None
    #: A zip, or a folder, of the instances.
    dicom: Place | None
    image: Place | None
    mask: Place | None
    annotation: Annotation | None
    image_matched_by: MatchedBy | None
    mask_matched_by: MatchedBy | None
    columns: Mapping[str, Cell]
    defects: tuple[Defect, ...]

    @property
    def told(self) -> dict[str, Cell]:
        """What a table says of it first: who it is, and by which evidence its parts belong together."""
        return {
            "key": self.key,
            "patient_id": self.patient_id,
            "study_uid": self.study_uid,
            "series_uid": self.series_uid,
            "annotation": self.annotation and self.annotation.value,
            "image_matched_by": self.image_matched_by and self.image_matched_by.value,
            "mask_matched_by": self.mask_matched_by and self.mask_matched_by.value,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A file of the download that became part of no exam, and why."""

    place: Place
    defect: Defect


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The exams below `root`, sorted by key; the defects of the download as a whole; files that belong to no exam."""

    root: Path
    exams: tuple[Exam, ...]
    defects: tuple[Defect, ...]
    orphans: tuple[Orphan, ...]
