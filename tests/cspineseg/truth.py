"""What a built dataset holds, for tests to hold a reader's answer against."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamTruth:
    """One exam. `dicom`, `image`, `mask`: the files that belong to it and are there, else None."""

    patient_id: str
    study_uid: str
    series_uid: str
    #: Path of the series below DukeCSpineSeg_imaging_files: a zip, or a folder where it was unpacked.
    dicom: str | None
    #: Names of the files in DukeCSpineSeg_annotation and DukeCSpineSeg_segmentation.
    image: str | None
    mask: str | None
    #: What the tables call the mask: drawn by people, or the ensemble's own. None where they say nothing.
    expert: bool | None
    #: Acquired in 3D, and its NIfTI therefore RAS with the slices on axis 0, instead of PSR with the slices on axis 2.
    in_3d: bool
    #: Two bodies are one block, and the disc between them is missing.
    fused: bool
    #: (slices, rows, columns) of the DICOM series.
    shape: tuple[int, int, int]
    #: Names of `PLANTED`.
    planted: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A dataset. `planted`: names of what is wrong with the whole of it."""

    root: Path
    zipped: bool
    exams: tuple[ExamTruth, ...]
    planted: tuple[str, ...]
    #: Images that belong to no series.
    orphans: tuple[str, ...]
    #: Series Instance UIDs that only a table speaks of.
    ghosts: tuple[str, ...]

    @property
    def sound(self) -> tuple[ExamTruth, ...]:
        """The exams that nothing was planted in."""
        return tuple(exam for exam in self.exams if not exam.planted)

    def having(self, name: str) -> ExamTruth:
        """Return the one exam that `name` was planted in. Raises LookupError where there is none."""
        for exam in self.exams:
            if name in exam.planted:
                return exam
        raise LookupError(f"{name} was not planted")
