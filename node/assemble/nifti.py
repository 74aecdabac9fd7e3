"""NIfTI images as voxels on a grid in the patient (NIfTI-1, `nifti1.h`). A file may be hostile: its claims are checked
before anything is read.
"""

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import FrameSource, Grid, Volume, closest_axes, turn
from node.errors import GridMismatch, NiftiRefused

#: Endings of the files that are taken for NIfTI images.
NIFTI_SUFFIXES = (".nii", ".nii.gz")

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MOST_BYTES = 4 << 30
_MOST_HEADER = 1 << 20
_MOST_VALUE = 65535
_SAGITTAL = "LIP"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NiftiImage:
    """A NIfTI image as it is stored: `voxels[i, j, k]`, and a grid whose affine leads from (i, j, k) to LPS mm.

    No order of the axes is assumed. `voxels` are scaled as the header says: integers where they stay integers.
    """

    grid: Grid
    voxels: NDArray[np.generic]


def is_nifti(path: Path) -> bool:
    """Return whether the file's name says that it is a NIfTI image."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def read_nifti_grid(path: Path) -> Grid:
    """Return the grid of the image at `path`; its voxels are not read. Raises NiftiRefused."""
    return _grid(path, _opened(path))


def read_nifti(path: Path) -> NiftiImage:
    """Return the image at `path`. Raises NiftiRefused; OSError passes where it tells of the machine."""
    image = _opened(path)
    grid = _grid(path, image)
    try:
        voxels = np.asarray(image.dataobj)
    except (EOFError, ValueError, zlib.error, nib.filebasedimages.ImageFileError) as error:
        raise NiftiRefused(f"{path}: its voxels cannot be read: {type(error).__name__}") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise NiftiRefused(f"{path}: its voxels cannot be read: {type(error).__name__}") from error
    if not np.issubdtype(voxels.dtype, np.number) or np.iscomplexobj(voxels):
        raise NiftiRefused(f"{path}: its voxels are no numbers: {voxels.dtype}")
    return NiftiImage(grid=grid, voxels=voxels.reshape(grid.shape))


def label_values(image: NiftiImage, name: object) -> NDArray[np.uint16]:
    """Return the voxels of a label map; floating point is taken where every value is whole.

    Raises NiftiRefused, naming `name`, for other values than 0, 1 ... 65535.
    """
    voxels = image.voxels
    if voxels.size and not (np.isfinite(voxels).all() and voxels.min() >= 0 and voxels.max() <= _MOST_VALUE):
        raise NiftiRefused(f"{name}: a label map holds whole numbers from 0 to {_MOST_VALUE}")
    labels = voxels.astype(np.uint16)
    if not np.array_equal(labels, voxels):
        raise NiftiRefused(f"{name}: a label map holds whole numbers")
    return labels


def sagittal_volume(image: NiftiImage) -> Volume:
    """Return an image as a sagittal volume without sources, turned so that its grid has the orientation "LIP".

    Nothing is resampled. Raises GridMismatch where the axis of the largest spacing is not that from right to left.
    """
    across = [patient for patient, _ in closest_axes(image.grid.affine)].index(0)
    spacing = image.grid.spacing_mm
    if spacing[across] < max(spacing) * 0.99:
        raise GridMismatch("the slices of the image are not sagittal")
    voxels, grid = turn(image.voxels, image.grid, _SAGITTAL)
    sources: tuple[FrameSource, ...] = ()
    return Volume(grid=grid, voxels=voxels, sources=sources, acquired_in_3d=False)


def _opened(path: Path) -> Any:
    """Return nibabel's image, its voxels not yet read."""
    try:
        image: Any = nib.load(path)
    except FileNotFoundError:
        raise NiftiRefused(f"{path}: no such file") from None
    except (nib.filebasedimages.ImageFileError, EOFError, ValueError, zlib.error) as error:
        raise NiftiRefused(f"{path}: not a readable NIfTI image") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise NiftiRefused(f"{path}: not a readable NIfTI image") from error
    if not isinstance(image, nib.Nifti1Image):  # NIfTI-2 is derived from it
        raise NiftiRefused(f"{path}: not a NIfTI image")
    return image


def _grid(path: Path, image: Any) -> Grid:
    """Return where the voxels lie, once the header's claims are plausible."""
    shape = tuple(int(size) for size in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or min(shape) < 1:
        raise NiftiRefused(f"{path}: {len(shape)} dimensions of {shape}, a volume has 3")
    header = image.header
    if math.prod(shape) * header.get_data_dtype().itemsize > _MOST_BYTES or header.get_data_offset() > _MOST_HEADER:
        raise NiftiRefused(f"{path}: claims more voxels than are taken")
    if not (int(header["sform_code"]) or int(header["qform_code"])):
        raise NiftiRefused(f"{path}: neither qform nor sform says where it lies")
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise NiftiRefused(f"{path}: its affine is no place in space")
    return Grid(shape=(shape[0], shape[1], shape[2]), affine=_LPS_FROM_RAS @ affine)
