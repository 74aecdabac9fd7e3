"""Who was scanned where: the names, scanners and kinds of the exams, drawn by seed."""

import hashlib
from dataclasses import dataclass

import numpy as np

from cspineseg.necks import NECK_IN_3D, NECKS

UID_ROOT = "1.2.826.0.1.3680043.10.474.593973"
#: Of the 1,255 exams 491 have masks that people drew.
_EXPERTS, _EXAMS, _PATIENTS = 491, 1255, 1232
#: Exams whose number leaves this rest have the patient of the exam before; and bodies that are one block.
_SECOND_EXAM, _FUSED = (2, 20), (1, 17)

#: Manufacturer in the header and in mr_series, models with their field strength in T.
_SIEMENS = (("Skyra", 3.0), ("Aera", 1.5), ("Avanto", 1.5), ("MAGNETOM Vida", 3.0), ("TrioTim", 3.0))
_GE = (("Signa HDxt", 1.5), ("DISCOVERY MR750", 3.0), ("Optima MR450w", 1.5))
_RACES = ("White", "White", "White", "Black or African American", "Asian", "Other", "Not Reported")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    patient_id: str
    sex: str
    age: int
    race: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One exam: names, scanner, and which neck was scanned. Lengths in mm, times in ms, field in T."""

    number: int
    patient: Patient
    study_uid: str
    series_uid: str
    series_number: int
    expert: bool
    fused: bool
    neck: int
    siemens: bool
    #: What mr_series calls the manufacturer; the headers always say "SIEMENS" or "GE MEDICAL SYSTEMS".
    manufacturer_in_table: str
    model: str
    field_t: float
    thickness_mm: float
    echo_ms: float
    repetition_ms: float
    description: str
    #: The first instance is the rightmost slice.
    from_the_right: bool

    @property
    def in_3d(self) -> bool:
        """Acquired in 3D, which dcm2niix turns to RAS."""
        return self.neck == NECK_IN_3D

    @property
    def manufacturer(self) -> str:
        """Manufacturer (0008,0070)."""
        return "SIEMENS" if self.siemens else "GE MEDICAL SYSTEMS"

    @property
    def stem(self) -> str:
        """The name of the NIfTI files, without ending."""
        return f"{self.patient.patient_id}_Study-MR-{self.number}_Series-{self.series_number}"


def uid(*parts: object) -> str:
    """Return a UID below the dataset's root, the same one for the same parts."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()
    return f"{UID_ROOT}.{int(digest[:20], 16)}"


def draw_scans(count: int, seed: int) -> list[Scan]:
    """Return the exams, sorted by patient; some patients have two."""
    rng = np.random.default_rng([seed, 1])
    numbers = np.sort(rng.choice(max(_PATIENTS, count), count, replace=False)) + 1
    scans: list[Scan] = []
    for index in range(count):
        again = index % _SECOND_EXAM[1] == _SECOND_EXAM[0]
        patient = scans[-1].patient if again else _draw_patient(rng, int(numbers[index]))
        scans.append(_draw_scan(rng, index, patient, seed))
    return scans


def _draw_patient(rng: np.random.Generator, number: int) -> Patient:
    return Patient(
        patient_id=f"593973-{number:06d}",
        sex="Female" if rng.random() < 0.55 else "Male",
        age=int(np.clip(rng.normal(54.5, 16.4), 18, 89)),
        race=_RACES[rng.integers(len(_RACES))],
    )


def _draw_scan(rng: np.random.Generator, index: int, patient: Patient, seed: int) -> Scan:
    siemens = bool(rng.random() < 789 / _EXAMS)
    models = _SIEMENS if siemens else _GE
    model, field_t = models[rng.integers(len(models))]
    in_table = ("SIEMENS", "Siemens")[index % 3 == 0] if siemens else "GE MEDICAL SYSTEMS"
    number = index + 1
    in_3d = index % NECKS == NECK_IN_3D
    return Scan(
        number=number,
        patient=patient,
        study_uid=uid(seed, "study", number),
        series_uid=uid(seed, "series", number),
        series_number=int(rng.integers(2, 9)),
        expert=(index + 1) * _EXPERTS // _EXAMS > index * _EXPERTS // _EXAMS,
        fused=index % _FUSED[1] == _FUSED[0],
        neck=index % NECKS,
        siemens=siemens,
        manufacturer_in_table=in_table,
        model=model,
        field_t=field_t,
        thickness_mm=2.6 if in_3d else float(rng.choice([3.0, 3.5, 3.0, 4.0])),
        echo_ms=round(float(rng.uniform(85, 115)), 3),
        repetition_ms=round(float(rng.uniform(2800, 4500)), 1),
        description=("sag T2 SPACE" if in_3d else str(rng.choice(["sag T2", "Sag T2 FSE", "sag T2 tse", "SAG T2"]))),
        from_the_right=bool(rng.random() < 0.5),
    )
