"""What an archive tells of what it has, in answer to a query (PS3.4 C.6.2.1, PS3.18 10.6). Nothing of the patient."""

import re
from dataclasses import dataclass
from datetime import datetime

from node.domain.series import SeriesHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedStudy:
    """A study."""

    study_uid: str
    #: StudyDate and StudyTime, in the archive's local time; None where it does not tell the date.
    begun: datetime | None = None
    description: str | None = None
    #: The archive has answered with StudyDescription, be it blank.
    description_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSeries:
    """A series: what the rules of a route can be held against, and how much there is."""

    study_uid: str
    series_uid: str
    #: Modality, descriptions and BodyPartExamined; everything else is unknown.
    header: SeriesHeader
    #: Keywords among `TOLD` that the archive did not answer (PS3.4 C.2.2.1.3), or answered blank without knowing.
    untold: frozenset[str] = frozenset()
    #: NumberOfSeriesRelatedInstances; None where it is not told.
    instances: int | None = None
    #: ManufacturerModelName.
    model_name: str | None = None
    #: Of its study.
    begun: datetime | None = None


@dataclass(frozen=True, slots=True, order=True)
class ListedInstance:
    """An instance."""

    sop_instance_uid: str
    #: Empty where the archive does not tell it.
    sop_class_uid: str


#: TM (PS3.5 6.2), whose later components may lack.
_TIME = re.compile(r"([01]\d|2[0-3])(?:([0-5]\d)(?:([0-5]\d))?)?")

#: What is asked of a series beside its UID and number, and whether a rule looks at it.
TOLD = ("Modality", "StudyDescription", "SeriesDescription", "ProtocolName", "BodyPartExamined")


def study_begun(date: str, time: str) -> datetime | None:
    """Return StudyDate (DA) and StudyTime (TM) as one time; a time that cannot be read is midnight.

    >>> study_begun("20261121", "101112.5")
    datetime.datetime(2026, 11, 21, 10, 11, 12)
    """
    try:
        day = datetime.strptime(date, "%Y%m%d")  # noqa: DTZ007 - an archive tells its local time
    except ValueError:
        return None
    clock = _TIME.match(time)
    hour, minute, second = (int(part or 0) for part in clock.groups()) if clock else (0, 0, 0)
    return day.replace(hour=hour, minute=minute, second=second)
