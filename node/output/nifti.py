"""Volumes as NIfTI files, laid out as dcm2niix lays them out.

Networks of this field are trained on what dcm2niix wrote, and whoever compares a label map with such an image expects
the two to match voxel by voxel. Source: dcm2niix, `nii_dicom_batch.cpp` (order of slices, `nii_flipY`) and
`nii_ortho.cpp` (`nii_setOrtho`); NIfTI-1, `nifti1.h` (codes and units).
"""

import gzip
import itertools
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import Grid, Volume

FloatArray = NDArray[np.float64]
VoxelArray = NDArray[np.generic]

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
#: NIFTI_XFORM_SCANNER_ANAT, the code dcm2niix gives both transforms.
_SCANNER_ANATOMICAL = 1
_IMAGE_TYPES = (np.int16, np.uint16, np.int32)


def dcm2niix_layout(volume: Volume, voxels: VoxelArray | None = None) -> tuple[VoxelArray, FloatArray]:
    """Return `voxels` as dcm2niix would order them, and the 4 x 4 affine from that index to RAS mm.

    `voxels`: `(slices, rows, columns)` on the volume's grid, such as a label map; by default the volume's own. A 2D
    acquisition becomes `(columns, rows from the last to the first, slices)`. One acquired in 3D is turned towards
    `(right, anterior, superior)`. Nothing is resampled. Raises ValueError when the shapes differ.
    """
    voxels = volume.voxels if voxels is None else voxels
    if voxels.shape != volume.grid.shape:
        raise ValueError(f"voxels {voxels.shape} do not lie on the grid {volume.grid.shape}")
    array = voxels.transpose(2, 1, 0)
    affine = _LPS_TO_RAS @ volume.grid.affine[:, [2, 1, 0, 3]]
    if not volume.acquired_in_3d:
        return _turned(array, affine, (0, 1, 2), (False, True, False))
    flips = _flips_to_lowest_corner(array.shape, affine)
    return _turned(array, affine, _best_order(affine, flips), flips)


def nifti_bytes(volume: Volume, voxels: VoxelArray) -> bytes:
    """Return `voxels`, `(slices, rows, columns)` on the grid of `volume`, as a gzipped NIfTI-1 file in that layout.

    Integers are stored as int16 where their values fit, else as uint16 or int32; bytes stay bytes; floating point is
    stored as float32. Units are mm and s, qform and sform alike, both with code 1 (scanner anatomy). The same voxels
    give the same bytes. Raises ValueError as `dcm2niix_layout` does, and for integers beyond 32 bits.
    """
    return _bytes(*dcm2niix_layout(volume, voxels))


def nifti_bytes_as_stored(grid: Grid, voxels: VoxelArray) -> bytes:
    """Return `voxels`, which lie on `grid`, as such a file with the axes in the order of the grid.

    For what belongs to an image that came as NIfTI. Raises ValueError when the shapes differ, as `nifti_bytes` does.
    """
    if voxels.shape != grid.shape:
        raise ValueError(f"voxels {voxels.shape} do not lie on the grid {grid.shape}")
    return _bytes(voxels, _LPS_TO_RAS @ grid.affine)


def _bytes(array: VoxelArray, affine: FloatArray) -> bytes:
    new_image: Any = nib.Nifti1Image
    image = new_image(_storable(array), affine)
    image.set_qform(affine, code=_SCANNER_ANATOMICAL)
    image.set_sform(affine, code=_SCANNER_ANATOMICAL)
    image.header.set_xyzt_units("mm", "sec")
    # Level 6 is half a second for a large volume; the time stamp is left out.
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)


def _storable(array: VoxelArray) -> VoxelArray:
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.integer):
        return array.astype(np.float32)
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    fitting = (t for t in _IMAGE_TYPES if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    dtype = next(fitting, None)
    if dtype is None:
        raise ValueError("integers beyond 32 bits have no place in NIfTI-1")
    return array.astype(dtype)


def _turned(
    array: VoxelArray,
    affine: FloatArray,
    order: tuple[int, ...],
    flips: tuple[bool, ...],
) -> tuple[VoxelArray, FloatArray]:
    """Reverse the axes marked in `flips`, then let axis `order[i]` become axis `i`."""
    affine = affine.copy()
    for axis in [axis for axis, flip in enumerate(flips) if flip]:
        array = np.flip(array, axis)
        affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
        affine[:3, axis] *= -1
    return np.ascontiguousarray(array.transpose(order)), affine[:, [*order, 3]]


def _flips_to_lowest_corner(shape: tuple[int, ...], affine: FloatArray) -> tuple[bool, bool, bool]:
    """Return which axes to reverse so that index 0 is the corner closest to the volume's least R, A and S.

    The first of equally close corners is taken, axis 0 counting fastest (`minCornerFlip`).
    """
    corners = [(x, y, z) for z, y, x in itertools.product((False, True), repeat=3)]
    last = np.array(shape) - 1
    places = np.array([affine[:3, :3] @ (last * corner) + affine[:3, 3] for corner in np.array(corners)])
    return corners[int(np.argmin(np.linalg.norm(places - places.min(axis=0), axis=1)))]


def _best_order(affine: FloatArray, flips: tuple[bool, ...]) -> tuple[int, ...]:
    """Return the array axes for R, A and S whose directions, in mm per index, add up to most (`getBestOrient`)."""
    directions = affine[:3, :3] * np.where(flips, -1.0, 1.0)
    return max(
        itertools.permutations(range(3)), key=lambda order: sum(directions[i, axis] for i, axis in enumerate(order))
    )
