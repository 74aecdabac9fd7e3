"""Images and masks as NIfTI-1, in the order of axes in which dcm2niix stores a series.

A 2D acquisition of sagittal slices: axis 0 runs to the back, axis 1 to the head, axis 2 to the right. A 3D one is
turned to right, front, head. Written from nibabel's and DICOM's definitions, apart from `node.output.nifti`.
"""

import gzip
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from numpy.typing import NDArray

_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nifti:
    """`voxels[i, j, k]` and the affine from (i, j, k) to RAS mm; `placed`: whether the file tells it."""

    voxels: NDArray[np.generic]
    affine: NDArray[np.float64]
    placed: bool = True

    def turned(self, axes: str) -> "Nifti":
        """Return the same voxels with axes that grow towards `axes`, such as "PSR"; the affine follows."""
        turn = ornt_transform(io_orientation(self.affine), axcodes2ornt(axes))
        return Nifti(
            voxels=np.ascontiguousarray(nib.orientations.apply_orientation(self.voxels, turn)),
            affine=self.affine @ inv_ornt_aff(turn, self.voxels.shape),
        )

    def encoded(self) -> bytes:
        """Return the file, gzipped."""
        image = nib.Nifti1Image(self.voxels, self.affine if self.placed else None)
        image.set_qform(self.affine if self.placed else None, code=int(self.placed))
        image.set_sform(self.affine if self.placed else None, code=int(self.placed))
        image.header.set_xyzt_units("mm", "sec")
        return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)


def as_dcm2niix(voxels: NDArray[np.generic], affine: NDArray[np.float64], *, in_3d: bool) -> Nifti:
    """Return what dcm2niix makes of `voxels` (slices, rows, columns) whose affine leads from that index to LPS mm.

    The axes are those of sagittal slices, of axial ones where the slices lie so: then left, front, head.
    """
    columns_first = Nifti(voxels=voxels.transpose(2, 1, 0), affine=_RAS_FROM_LPS @ affine[:, [2, 1, 0, 3]])
    if in_3d:
        return columns_first.turned("RAS")
    axial = abs(affine[2, 0]) > abs(affine[0, 0])
    return columns_first.turned("LAS" if axial else "PSR")
