"""Which exams can take part, and their image and mask as nnU-Net is to read them.

nnU-Net reads voxels in the order in which they are stored and looks at no direction: spacing, patch and mirroring
follow the axes of the array. So all images of a data set must lie alike. Here that is P, S, R, as dcm2niix leaves a 2D
sagittal acquisition: SimpleITK's arrays are then (slices to the right, rows to the head, columns to the back). What
lies otherwise, such as a 3D acquisition turned to R, A, S, is permuted and flipped; nothing is resampled.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from node.assemble.nifti import NiftiImage, label_values, read_nifti, sagittal_volume
from node.batch.midrc.exam import Annotation, Exam
from node.batch.midrc.files import local_file
from node.domain.geometry import Grid, lay_on, turn
from node.durable import write_durably
from node.errors import GridMismatch, InputError, NiftiRefused
from node.output.nifti import nifti_bytes_as_stored
from node.train.cspineseg.workspace import FILE_ENDING, LABELS

#: How every image of the data set lies on the disk, and what nnU-Net's arrays are then.
STORED, ARRAYS = "PSR", "RSP"

#: Defects after which image, mask or patient are in doubt. Others, such as a missing DICOM series, do not matter here.
BLOCKING = frozenset(
    {
        "image-grid-differs",
        "image-missing",
        "image-unreadable",
        "mask-empty",
        "mask-grid-differs",
        "mask-labels",
        "mask-missing",
        "mask-unreadable",
        "match-ambiguous",
        "match-contradicts",
        "patient-differs",
    }
)
COPIED, TURNED, REWRITTEN = "copied", "turned", "rewritten"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An exam whose image and mask have been written as nnU-Net is to read them."""

    key: str
    patient: str
    annotation: Annotation
    #: How the files of the download lie, such as "PSR", and what was done to them: copied, turned, rewritten.
    image_axes: str
    mask_axes: str
    image_written: str
    mask_written: str
    #: SHA-256 of the files of the download.
    image_sha256: str
    mask_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Source:
    """A file of the download: its bytes, and what they hold."""

    path: Path
    content: bytes
    image: NiftiImage

    @property
    def axes(self) -> str:
        return self.image.grid.orientation()


def doubt(exam: Exam, annotations: frozenset[Annotation]) -> tuple[str, str] | None:
    """Return why an exam cannot take part, as a code and a sentence, by what the manifest says; None if it can."""
    for defect in exam.defects:
        if defect.code in BLOCKING:
            return defect.code, defect.text
    if exam.image is None or exam.mask is None:
        return "incomplete", "Image or mask is not there."
    if exam.patient_id is None:
        return "patient-unknown", "Nobody says whose exam it is, so that it may be on both sides of the split."
    if exam.annotation not in annotations:
        return "annotation", "The mask is not of the kind that is asked for."
    return None


def write_candidate(exam: Exam, scratch: Path, image_to: Path, mask_to: Path) -> Candidate:
    """Write image and mask of an exam that `doubt` has nothing against to two files, alike in every voxel's place.

    Files that nnU-Net reads in the right order are copied byte for byte. Raises InputError where they do not fit.
    """
    if exam.image is None or exam.mask is None or exam.patient_id is None or exam.annotation is None:
        raise InputError("an exam without image, mask, patient or annotation")
    image, mask = (_read(local_file(place, scratch)) for place in (exam.image, exam.mask))
    sagittal_volume(image.image)
    if not np.isfinite(image.image.voxels).all():
        raise NiftiRefused("the image holds values that are no numbers")
    labels = _labels(mask, image.image.grid)
    voxels, grid = turn(image.image.voxels, image.image.grid, STORED)
    laid, _ = turn(labels, image.image.grid, STORED)
    image_written = _write_image(image, image_to, voxels, grid)
    mask_written = _write_mask(mask, mask_to, laid, grid, beside=image_to)
    if not _alike(image_to, mask_to, grid):
        image_written, mask_written = _rewritten(image_written), _rewritten(mask_written)
        write_durably(image_to, [nifti_bytes_as_stored(grid, voxels)])
        write_durably(mask_to, [nifti_bytes_as_stored(grid, laid)])
        if not _alike(image_to, mask_to, grid):
            raise GridMismatch("SimpleITK, which nnU-Net reads with, does not see the image where its header puts it")
    return Candidate(
        key=exam.key,
        patient=exam.patient_id,
        annotation=exam.annotation,
        image_axes=image.axes,
        mask_axes=mask.axes,
        image_written=image_written,
        mask_written=mask_written,
        image_sha256=hashlib.sha256(image.content).hexdigest(),
        mask_sha256=hashlib.sha256(mask.content).hexdigest(),
    )


def _read(path: Path) -> _Source:
    return _Source(path=path, image=read_nifti(path), content=path.read_bytes())


def _labels(mask: _Source, onto: Grid) -> NDArray[np.uint8]:
    """Return the mask's labels in the order of the image. Raises GridMismatch, NiftiRefused."""
    labels = label_values(mask.image, "the mask")
    if labels.size and labels.max() > max(LABELS.values()):
        raise NiftiRefused("the mask holds values other than 0, 1 and 2")
    if not labels.any():
        raise NiftiRefused("the mask holds nothing but background")
    laid = lay_on(labels.astype(np.uint8), mask.image.grid, onto)
    if laid is None:
        raise GridMismatch("the mask does not lie on the voxels of its image")
    return laid.astype(np.uint8, copy=False)


def _write_image(source: _Source, path: Path, voxels: NDArray[np.generic], grid: Grid) -> str:
    if _is_gzipped(source) and source.axes == STORED and _seen(source.path, grid):
        write_durably(path, [source.content])
        return COPIED
    write_durably(path, [nifti_bytes_as_stored(grid, voxels)])
    return REWRITTEN if source.axes == STORED else TURNED


def _write_mask(source: _Source, path: Path, labels: NDArray[np.generic], grid: Grid, *, beside: Path) -> str:
    if _is_gzipped(source) and source.axes == STORED and _alike(beside, source.path, grid):
        write_durably(path, [source.content])
        return COPIED
    write_durably(path, [nifti_bytes_as_stored(grid, labels)])
    return REWRITTEN if source.axes == STORED else TURNED


def _rewritten(written: str) -> str:
    return TURNED if written == TURNED else REWRITTEN


def _is_gzipped(source: _Source) -> bool:
    if not source.path.name.lower().endswith(FILE_ENDING):
        return False
    with gzip.open(source.path) as file:
        return file.read(1) != b""


def _alike(image: Path, mask: Path, grid: Grid) -> bool:
    """Return whether nnU-Net's reader sees both files on `grid` and with the spacing that it compares exactly."""
    return _seen(image, grid) and _seen(mask, grid) and np.allclose(_header(image)["spacing"], _header(mask)["spacing"])


def _seen(path: Path, grid: Grid) -> bool:
    """Return whether SimpleITK sees a file on the voxels of `grid`."""
    header = _header(path)
    if header.get("shape") is None or tuple(header["shape"]) != grid.shape:
        return False
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(header["direction"], (3, 3)) * np.asarray(header["spacing"])
    affine[:3, 3] = header["origin"]
    corners = np.array(np.meshgrid(*((0, size - 1) for size in grid.shape))).reshape(3, -1).T
    seen = Grid(shape=grid.shape, affine=affine)
    apart = np.linalg.norm(seen.to_lps_mm(corners) - grid.to_lps_mm(corners), axis=1).max()
    return bool(apart <= min(grid.spacing_mm) / 4)


def _header(path: Path) -> Mapping[str, tuple[float, ...]]:
    """Return what SimpleITK reads of a file's header, (i, j, k) to LPS mm; nothing where it cannot read three axes."""
    reader: Any = SimpleITK.ImageFileReader()  # type: ignore[no-untyped-call]
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return {}
    if reader.GetDimension() != 3:
        return {}
    return {
        "shape": reader.GetSize(),
        "spacing": reader.GetSpacing(),
        "direction": reader.GetDirection(),
        "origin": reader.GetOrigin(),
    }
