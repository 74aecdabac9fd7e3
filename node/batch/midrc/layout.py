"""Which parts of the download are there, zipped, unpacked or both, however deep they lie."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from node.batch.midrc.defects import DefectCode, defect
from node.batch.midrc.exam import Defect, Orphan, Place
from node.batch.midrc.names import is_mask_name, is_nifti_name, is_patient, is_uid, may_be_dicom, table_of
from node.batch.midrc.store import Store
from node.batch.midrc.walk import PARTS, Found, files_below, is_part
from node.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPlace:
    """A zip or a folder of instances, and what the names that lead to it say. `size`: of the zip, in bytes."""

    place: Place
    size: int | None
    patient: str | None
    study_uid: str | None
    series_uid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlace:
    """An image, a mask or a table, and its size in bytes."""

    place: Place
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What lies below a root. `tables`: by their names, such as "mr_series". `missing`: parts that are not there."""

    tables: Mapping[str, FilePlace]
    series: tuple[SeriesPlace, ...]
    images: tuple[FilePlace, ...]
    masks: tuple[FilePlace, ...]
    missing: tuple[str, ...]
    defects: tuple[Defect, ...]
    orphans: tuple[Orphan, ...]


@dataclass(slots=True)
class _Survey:
    """What has been seen so far, by name: the same name twice is the same thing twice."""

    tables: dict[str, Found] = field(default_factory=dict)
    images: dict[str, Found] = field(default_factory=dict)
    masks: dict[str, Found] = field(default_factory=dict)
    series: dict[str, Found] = field(default_factory=dict)
    folders: dict[str, Found] = field(default_factory=dict)
    nested: list[Defect] = field(default_factory=list)
    orphans: list[Orphan] = field(default_factory=list)

    def take(self, file: Found) -> None:
        """Sort a file in by its name."""
        name, table = file.path.name, table_of(file.path.name)
        if table is not None:
            self._keep(self.tables, table, file)
        elif is_nifti_name(name):
            self._keep(self.masks if is_mask_name(file.path) else self.images, name.lower(), file)
        elif file.path.suffix.lower() == ".zip":
            if file.zipped and is_part(name):
                self.nested.append(defect(DefectCode.ARCHIVE_NESTED, f"{name} lies in another zip; unpack that one."))
            else:
                self._keep(self.series, name.lower().removesuffix(".zip"), file)
        else:
            self._take_instance(file)

    def _take_instance(self, file: Found) -> None:
        """Sort in a file that may be an instance of a series that was unpacked."""
        folder = _series_folder(file.path) if may_be_dicom(file.path) else None
        if folder is None:
            self.orphans.append(Orphan(place=file.place, defect=defect(DefectCode.FILE_UNKNOWN)))
            return
        found = Found(container=file.container, path=folder, size=0, zipped=file.zipped)
        known = self.folders.setdefault(folder.name.lower(), found)
        if known != found and not (file.zipped and not known.zipped):
            self._twice(file)

    def _keep(self, kept: dict[str, Found], name: str, file: Found) -> None:
        """Keep the first file of a name. What was unpacked and left in its zip too is one file."""
        known = kept.setdefault(name, file)
        if known is not file and not (file.zipped and not known.zipped and file.size == known.size):
            self._twice(file)

    def _twice(self, file: Found) -> None:
        text = f"{file.path.name}: a file of this name is there twice; this one is not taken."
        self.orphans.append(Orphan(place=file.place, defect=defect(DefectCode.FILE_TWICE, text)))


def survey(root: Path, store: Store) -> Layout:
    """Return what lies below the folder `root`, or in the zip `root`.

    Raises InputError where there is no such file or folder, or nothing that the download could hold.
    """
    if not root.exists():
        raise InputError(f"{root}: no such file or folder")
    seen = _Survey()
    files, refused = files_below(root, store)
    for file in files:
        seen.take(file)
    for name, file in seen.folders.items():
        if name not in seen.series:
            seen.series[name] = file
    there = (seen.tables, seen.series, seen.images, seen.masks)
    if not any((*there, refused, seen.nested)):
        raise InputError(f"{root}: no part of a CSpineSeg download lies here")
    missing = tuple(part for part, of_part in zip(PARTS, there, strict=True) if not of_part)
    lacking = [
        defect(DefectCode.PART_MISSING, f"DukeCSpineSeg_{part}: nothing of this part is there.") for part in missing
    ]
    return Layout(
        tables={name: _file(file) for name, file in sorted(seen.tables.items())},
        series=tuple(_series(file) for file in seen.series.values()),
        images=tuple(map(_file, seen.images.values())),
        masks=tuple(map(_file, seen.masks.values())),
        missing=missing,
        defects=(*refused, *seen.nested, *lacking),
        orphans=tuple(seen.orphans),
    )


def _file(file: Found) -> FilePlace:
    return FilePlace(place=file.place, size=file.size)


def _series(file: Found) -> SeriesPlace:
    """Return what case_image/{PatientID}/{StudyInstanceUID}/{SeriesInstanceUID} says."""
    zipped = file.path.suffix.lower() == ".zip"
    parts = (*file.path.parts[:-1], file.path.stem if zipped else file.path.name)
    patient = next((part for part in reversed(parts) if is_patient(part)), None)
    series = parts[-1] if is_uid(parts[-1]) else None
    study = parts[-2] if len(parts) > 1 and is_uid(parts[-2]) else None
    return SeriesPlace(
        place=file.place,
        size=file.size if zipped else None,
        patient=patient,
        study_uid=study,
        series_uid=series,
    )


def _series_folder(path: PurePosixPath) -> PurePosixPath | None:
    """Return the folder of the series that an instance lies in: the last one named by a UID, else its own.

    None for a file that nothing but its name without an ending makes a candidate.
    """
    named = [folder for folder in path.parents if is_uid(folder.name)]
    if named:
        return named[0]
    return path.parent if path.suffix and path.parent.name else None
