"""What can be wrong with the image and the mask of an exam."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cspineseg.draft import Draft
from cspineseg.nifti import Nifti
from cspineseg.tables import AUTO, annotation_row


def _image(exam: Draft, content: Nifti | bytes) -> None:
    exam.images[exam.scan.stem + ".nii.gz"] = content


def _mask(exam: Draft, content: Nifti | bytes) -> None:
    exam.masks[exam.scan.stem + "_SEG.nii.gz"] = content


def _halved(content: Nifti) -> bytes:
    whole = content.encoded()
    return whole[: len(whole) // 2]


def _image_missing(exam: Draft) -> None:
    exam.images.clear()
    exam.image_name = None


def _image_unreadable(exam: Draft) -> None:
    _image(exam, _halved(exam.image))


def _image_no_nifti(exam: Draft) -> None:
    _image(exam, b"<html>404</html>\n")


def _image_unplaced(exam: Draft) -> None:
    _image(exam, replace(exam.image, placed=False))


def _image_shape_differs(exam: Draft) -> None:
    _image(exam, replace(exam.image, voxels=exam.image.voxels[:, :-8]))


def _image_elsewhere(exam: Draft) -> None:
    affine = exam.image.affine.copy()
    affine[:3, 3] += (31.0, -22.0, 17.0)
    _image(exam, replace(exam.image, affine=affine))


def _image_voxels_differ(exam: Draft) -> None:
    _image(exam, replace(exam.image, voxels=np.flip(exam.image.voxels, 1)))


def _image_renamed(exam: Draft) -> None:
    exam.image_name = "scan_0042.nii.gz"
    exam.images = {exam.image_name: exam.image}
    for row in exam.annotation_rows(mask=False):
        exam.rows["annotation_file"].remove(row)


def _image_twice(exam: Draft) -> None:
    voxels = np.clip(exam.image.voxels // 2 + 7, 0, 4095).astype(np.int16)
    exam.images["averaged_0007.nii.gz"] = replace(exam.image, voxels=voxels)


def _image_orphan(exam: Draft) -> None:
    affine = exam.image.affine.copy()
    affine[:3, 3] += (-12.0, 45.0, 28.0)
    orphan = "593973-999992_Study-MR-9999_Series-2.nii.gz"
    exam.images[orphan] = replace(exam.image, voxels=exam.image.voxels[:-6], affine=affine)
    exam.orphans.append(orphan)


def _mask_missing(exam: Draft) -> None:
    exam.masks.clear()
    exam.mask_name = None


def _mask_unreadable(exam: Draft) -> None:
    _mask(exam, _halved(exam.mask))


def _mask_shape_differs(exam: Draft) -> None:
    _mask(exam, replace(exam.mask, voxels=exam.mask.voxels[:-4]))


def _mask_shifted(exam: Draft) -> None:
    affine = exam.mask.affine.copy()
    affine[:3, 3] += 3 * affine[:3, 0]
    _mask(exam, replace(exam.mask, affine=affine))


def _mask_flipped(exam: Draft) -> None:
    _mask(exam, exam.mask.turned("LIA"))


def _mask_of_whole_floats(exam: Draft) -> None:
    _mask(exam, replace(exam.mask, voxels=exam.mask.voxels.astype(np.float64)))


def _mask_label_3(exam: Draft) -> None:
    _mask(exam, replace(exam.mask, voxels=_every_fifth(exam.mask.voxels, 3)))


def _mask_fractional(exam: Draft) -> None:
    _mask(exam, replace(exam.mask, voxels=_every_fifth(exam.mask.voxels.astype(np.float32), 0.5)))


def _mask_empty(exam: Draft) -> None:
    _mask(exam, replace(exam.mask, voxels=np.zeros_like(exam.mask.voxels)))


def _mask_lacks_discs(exam: Draft) -> None:
    _mask(exam, replace(exam.mask, voxels=exam.mask.voxels * (exam.mask.voxels == 1)))


def _mask_renamed(exam: Draft) -> None:
    exam.mask_name = "outlines_0015.nii.gz"
    exam.masks = {exam.mask_name: exam.mask}
    for row in exam.annotation_rows(mask=True):
        exam.rows["annotation_file"].remove(row)
    exam.expert = None


def _mask_twice(exam: Draft) -> None:
    again = exam.scan.stem + "_second_SEG.nii.gz"
    exam.masks[again] = replace(exam.mask, voxels=_every_fifth(exam.mask.voxels, 2))
    exam.rows["annotation_file"].append(annotation_row(exam.scan, again, AUTO))


def _every_fifth(voxels: NDArray[np.generic], value: float) -> NDArray[np.generic]:
    """Return the labels with each fifth labelled voxel set to `value`."""
    changed = voxels.copy().reshape(-1)
    changed[np.flatnonzero(changed)[::5]] = value
    return changed.reshape(voxels.shape)


IMAGES: Mapping[str, Callable[[Draft], None]] = {
    "image_missing": _image_missing,
    "image_unreadable": _image_unreadable,
    "image_no_nifti": _image_no_nifti,
    "image_unplaced": _image_unplaced,
    "image_shape_differs": _image_shape_differs,
    "image_elsewhere": _image_elsewhere,
    "image_voxels_differ": _image_voxels_differ,
    "image_renamed": _image_renamed,
    "image_twice": _image_twice,
    "image_orphan": _image_orphan,
    "mask_missing": _mask_missing,
    "mask_unreadable": _mask_unreadable,
    "mask_shape_differs": _mask_shape_differs,
    "mask_shifted": _mask_shifted,
    "mask_flipped": _mask_flipped,
    "mask_of_whole_floats": _mask_of_whole_floats,
    "mask_label_3": _mask_label_3,
    "mask_fractional": _mask_fractional,
    "mask_empty": _mask_empty,
    "mask_lacks_discs": _mask_lacks_discs,
    "mask_renamed": _mask_renamed,
    "mask_twice": _mask_twice,
}
