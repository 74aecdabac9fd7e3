"""Who a case is about: read from a received file when somebody who may see it looks, and kept nowhere."""

from dataclasses import dataclass
from pathlib import Path

from pydicom import config, dcmread
from pydicom.errors import InvalidDicomError

_KEYWORDS = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyDate", "StudyDescription", "SeriesDescription"),
)
#: What pydicom raises for bytes that are no data set.
_UNPARSEABLE = (InvalidDicomError, EOFError, ValueError, KeyError, AttributeError, TypeError, OSError)
_LONGEST = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Elements of the Patient and General Study Modules (PS3.3 C.7.1.1, C.7.2.1) as text; empty where absent.

    Dates as ISO 8601 has them.
    """

    patient_name: str
    patient_id: str
    birth_date: str
    sex: str
    accession_number: str
    study_date: str
    study_description: str
    series_description: str


def identity_of(path: Path) -> Identity | None:
    """Return who a received file is about; None where it is gone or cannot be read."""
    try:
        with config.disable_value_validation():  # its warnings would quote the values
            data_set = dcmread(path, stop_before_pixels=True, specific_tags=list(_KEYWORDS))
            texts = [str(data_set.get(keyword) or "").strip()[:_LONGEST] for keyword in _KEYWORDS]
    except _UNPARSEABLE:
        return None
    name, number, born, sex, accession, studied, study, series = texts
    return Identity(
        patient_name=" ".join(name.replace("^", " ").split()),
        patient_id=number,
        birth_date=_day(born),
        sex=sex,
        accession_number=accession,
        study_date=_day(studied),
        study_description=study,
        series_description=series,
    )


def _day(text: str) -> str:
    """Return a DA (PS3.5 6.2) as ISO 8601 has it; anything else as it is."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdecimal() else text
