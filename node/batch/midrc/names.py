"""Names of files in the download: what they say, and which of them say nothing."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from node.assemble.nifti import NIFTI_SUFFIXES

#: The tables, by the beginning of their file names.
TABLES = ("mr_series", "imaging_study", "case", "annotation_file", "image_manifest", "clinical_manifest")

_JUNK = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
_UID = re.compile(r"[0-9]+(\.[0-9]+){3,}")
_PATIENT = re.compile(r"(?<![0-9])([0-9]{6}-[0-9]{6})(?![0-9])")
_STUDY = re.compile(r"study-(?:mr-)?([0-9]+)", re.IGNORECASE)
_SERIES = re.compile(r"series-(?:mr-)?([0-9]+)", re.IGNORECASE)
_SEG = "_seg"
_PART = re.compile("segmentation|annotation|image", re.IGNORECASE)
_DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
_NOT_IN_KEY = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_KEY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FileName:
    """What the name of an image, a mask or a row says, such as 593973-000003_Study-MR-3_Series-3_SEG.nii.gz.

    `stem`: in small letters, without the ending and without "_SEG".
    """

    stem: str
    patient: str | None
    study: int | None
    series: int | None

    @property
    def numbers(self) -> tuple[int | None, int | None]:
        """The numbers of study and series."""
        return self.study, self.series


def parse_name(name: str) -> FileName:
    """Return what the name of a file, with its folders or without, says."""
    stem = stem_of(name).lower()
    stem = stem.removesuffix(_SEG)
    patient, study, series = _PATIENT.search(stem), _STUDY.search(stem), _SERIES.search(stem)
    return FileName(
        stem=stem,
        patient=patient and patient[1],
        study=int(study[1]) if study else None,
        series=int(series[1]) if series else None,
    )


def stem_of(name: str) -> str:
    """Return the last part of `name` without the ending of a NIfTI image or a zip."""
    last = PurePosixPath(name).name
    ending = next((end for end in (".nii.gz", ".nii", ".zip") if last.lower().endswith(end)), "")
    return last[: len(last) - len(ending)]


def is_junk(path: PurePosixPath) -> bool:
    """Return whether a file was left behind by an operating system, or is hidden."""
    return any(part.lower() in _JUNK or part.startswith(".") for part in path.parts)


def is_uid(text: str) -> bool:
    """Return whether `text` looks like a UID of DICOM."""
    return _UID.fullmatch(text) is not None


def is_patient(text: str) -> bool:
    """Return whether `text` is one of the dataset's pseudonyms."""
    return _PATIENT.fullmatch(text) is not None


def patients_in(text: str) -> frozenset[str]:
    """Return the dataset's pseudonyms in `text`."""
    return frozenset(_PATIENT.findall(text))


def is_nifti_name(name: str) -> bool:
    """Return whether a name says that the file is a NIfTI image."""
    return name.lower().endswith(NIFTI_SUFFIXES)


def is_mask_name(path: PurePosixPath) -> bool:
    """Return whether a NIfTI image is a mask: "_SEG" at the end of its name, or the closest folder that tells.

    Folders of masks have "segmentation" in their names, those of images "annotation" or "image".
    """
    if stem_of(path.name).lower().endswith(_SEG):
        return True
    told = next((part.lower() for part in reversed(path.parts[:-1]) if _PART.search(part)), "")
    return "segmentation" in told


def may_be_dicom(path: PurePosixPath) -> bool:
    """Return whether a file may be a DICOM instance, by its name alone: .dcm, .ima, a UID, or no ending."""
    suffix = path.suffix.lower()
    return suffix in _DICOM_SUFFIXES or suffix[1:].isdigit() or not suffix


def table_of(name: str) -> str | None:
    """Return which table a file is, such as "mr_series" for mr_series_RSNA_20250321.tsv."""
    path = PurePosixPath(name.lower())
    if path.suffix != ".tsv":
        return None
    return next((table for table in TABLES if path.stem == table or path.stem.startswith(f"{table}_")), None)


def key_of(text: str) -> str:
    """Return `text` as a key of letters, digits, dots, hyphens and underscores, different for different texts.

    It begins with a letter or a digit, so that it is the name of a file too.
    """
    plain = _NOT_IN_KEY.sub("_", text)
    if plain == text and text[:1].isalnum() and len(text) <= _LONGEST_KEY:
        return text
    return f"x{plain[: _LONGEST_KEY - 14]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
