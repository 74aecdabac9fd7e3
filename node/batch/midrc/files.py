"""The files of an exam, taken from their folder or out of their zip."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from node.assemble.headers import gather
from node.assemble.nifti import NiftiImage, read_nifti
from node.batch.mark import looks_of
from node.batch.midrc.exam import Exam, Place
from node.batch.midrc.names import is_junk
from node.batch.midrc.store import Store
from node.domain.series import Series
from node.errors import InputError, NotAnImage, NotDicom


def local_file(place: Place, scratch: Path) -> Path:
    """Return the file or folder at `place`; what lies in a zip is copied below the folder `scratch` first.

    Raises InputError where it is not there, and UnsafeArchive for a zip that is damaged, encrypted or unsafe.
    """
    with Store() as store:
        return store.local(place, scratch)


def looks_of_place(place: Place | None) -> str | None:
    """Return what changes with a file, the zip that holds it, or the number of files of a folder.

    "none" where the download has none, None where it cannot be looked at.
    """
    if place is None:
        return "none"
    within = place.container / place.name
    try:
        if not within.is_dir():
            return looks_of(place.container if place.container.is_file() else within)
        folders = os.walk(within, onerror=_raise)
        files = (PurePosixPath(os.path.relpath(folder, within), name) for folder, _, names in folders for name in names)
        return f"{sum(not is_junk(file) for file in files)} files"
    except OSError:
        return None


def _raise(error: OSError) -> None:
    raise error


def exam_series(exam: Exam, scratch: Path) -> Series:
    """Return the DICOM series of the exam, its files below `scratch` or where they lie.

    Raises InputError where there is none or where its zip holds no series of this UID, UnsafeArchive, and the error of
    a damaged instance that could be part of it: a series that lacks a slice is no series.
    """
    if exam.dicom is None:
        raise InputError(f"{exam.key}: no DICOM series is there")
    with _by_its_own_name(exam.dicom, scratch), Store() as store:
        paths = [copied.path for copied in store.instances(exam.dicom, scratch)]
    found, unreadable = gather(paths)
    for bad in unreadable:
        if not isinstance(bad.error, NotAnImage | NotDicom):
            raise bad.error
    series = next((one for one in found if one.series_instance_uid == exam.series_uid), None)
    if series is None:
        raise InputError(f"{exam.key}: no series of this UID lies among the {len(found)} series at its place")
    return series


def exam_image(exam: Exam, scratch: Path) -> NiftiImage:
    """Return the image of the exam as it is stored. Raises InputError, such as NiftiRefused and UnsafeArchive."""
    return _nifti(exam, exam.image, "image", scratch)


def exam_mask(exam: Exam, scratch: Path) -> NiftiImage:
    """Return the mask of the exam as it is stored. Raises InputError, such as NiftiRefused and UnsafeArchive."""
    return _nifti(exam, exam.mask, "mask", scratch)


def _nifti(exam: Exam, place: Place | None, what: str, scratch: Path) -> NiftiImage:
    if place is None:
        raise InputError(f"{exam.key}: no {what} is there")
    with _by_its_own_name(place, scratch):
        return read_nifti(local_file(place, scratch))


@contextmanager
def _by_its_own_name(place: Place, scratch: Path) -> Iterator[None]:
    """Let an error name the file of the download, not the copy below `scratch`."""
    try:
        yield
    except InputError as error:
        text = re.sub(rf"{re.escape(str(scratch))}[^\s:]*", lambda _match: place.name, str(error))
        raise type(error)(text) from error
