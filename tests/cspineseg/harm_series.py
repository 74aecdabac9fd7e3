"""What can be wrong with the DICOM series of an exam."""

import copy
from collections.abc import Callable, Mapping

import numpy as np

from cspineseg.dicom import encoded, set_all
from cspineseg.draft import Draft, drafted
from cspineseg.exams import uid
from cspineseg.necks import Picture
from cspineseg.zips import claiming_much, encrypted, zipped

_JUNK = {
    "readme.txt": b"Not an image.\n",
    "__MACOSX/._1-01.dcm": b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ",
    ".DS_Store": b"\x00\x00\x00\x01Bud1",
}


def _missing(exam: Draft) -> None:
    exam.spoil = None


def _no_zip(exam: Draft) -> None:
    exam.spoil = lambda archive: b"<!DOCTYPE html><html><body>Your session has expired.</body></html>\n" * 20


def _truncated(exam: Draft) -> None:
    exam.spoil = lambda archive: archive[: len(archive) * 6 // 10]


def _encrypted(exam: Draft) -> None:
    exam.spoil = encrypted


def _traversal(exam: Draft) -> None:
    exam.prefix = "../../../../../../escaped/"


def _bomb(exam: Draft) -> None:
    slices = {name: encoded(data_set) for name, data_set in exam.slices.items()}
    exam.spoil = lambda archive: claiming_much(slices)


def _empty(exam: Draft) -> None:
    exam.spoil = lambda archive: zipped({})


def _extracted(exam: Draft) -> None:
    exam.extracted = True


def _nested(exam: Draft) -> None:
    exam.prefix = f"{exam.scan.study_uid}/{exam.scan.series_uid}/"


def _stray_files(exam: Draft) -> None:
    exam.strays |= _JUNK


def _slice_missing(exam: Draft) -> None:
    del exam.slices[_middle(exam)]


def _slice_twice(exam: Draft) -> None:
    again = copy.deepcopy(exam.slices[_middle(exam)])
    again.SOPInstanceUID = uid(exam.scan.series_uid, "again")
    exam.slices["1-90.dcm"] = again


def _instance_truncated(exam: Draft) -> None:
    name = _middle(exam)
    whole = encoded(exam.slices.pop(name))
    exam.strays[name] = whole[: len(whole) // 2]


def _patient_differs(exam: Draft) -> None:
    set_all(exam.slices, PatientID="593973-999991", PatientName="593973-999991")


def _study_differs(exam: Draft) -> None:
    set_all(exam.slices, StudyInstanceUID=uid(exam.scan.study_uid, "another"))


def _series_differs(exam: Draft) -> None:
    set_all(exam.slices, SeriesInstanceUID=uid(exam.scan.series_uid, "another"))


def _two_series(exam: Draft) -> None:
    others = [copy.deepcopy(exam.slices[name]) for name in list(exam.slices)[:3]]
    for number, other in enumerate(others, start=1):
        other.SeriesInstanceUID = uid(exam.scan.series_uid, "another")
        other.SOPInstanceUID = uid(other.SeriesInstanceUID, number)
        exam.slices[f"2-{number:02d}.dcm"] = other


def _not_mr(exam: Draft) -> None:
    set_all(exam.slices, Modality="CT")
    for row in exam.rows["mr_series"]:
        row["modality"] = "CT"


def _not_sagittal(exam: Draft) -> None:
    slice_mm, row_mm, column_mm = np.linalg.norm(exam.shown.affine[:3, :3], axis=0)
    affine = exam.shown.affine.copy()
    affine[:3, :3] = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]]) * [slice_mm, row_mm, column_mm]
    axial = drafted(exam.scan, Picture(image=exam.shown.image, labels=exam.shown.labels, affine=affine))
    exam.shown, exam.slices, exam.images, exam.masks = axial.shown, axial.slices, axial.images, axial.masks


def _middle(exam: Draft) -> str:
    names = list(exam.slices)
    return names[len(names) // 2]


SERIES: Mapping[str, Callable[[Draft], None]] = {
    "series_missing": _missing,
    "series_no_zip": _no_zip,
    "series_zip_truncated": _truncated,
    "series_zip_encrypted": _encrypted,
    "series_zip_traversal": _traversal,
    "series_zip_bomb": _bomb,
    "series_zip_empty": _empty,
    "series_extracted": _extracted,
    "series_nested": _nested,
    "stray_files": _stray_files,
    "slice_missing": _slice_missing,
    "slice_twice": _slice_twice,
    "instance_truncated": _instance_truncated,
    "patient_id_differs": _patient_differs,
    "study_uid_differs": _study_differs,
    "series_uid_differs": _series_differs,
    "two_series_in_zip": _two_series,
    "not_mr": _not_mr,
    "not_sagittal": _not_sagittal,
}
