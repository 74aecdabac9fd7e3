"""A neck that looks different from every side, and what is where in it by its DICOM files, read by nothing of ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from highdicom.color import CIELabColor
from oracle import neck_blocks
from pydicom.dataset import Dataset

from node.demo.source import write_series
from node.domain.geometry import Grid

COLUMN_MM = 0.8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """Pictures by place in the patient: slices from the right to the left, rows from the head, columns from the front.

    `values`: of the images, `(slices, rows, columns)`; `numbers`: of segments, 0 = none; `colours`: sRGB by number.
    """

    values: np.ndarray
    numbers: np.ndarray
    colours: dict[int, tuple[int, int, int]]


def write_lopsided(folder: Path, name: str, *, mirrored: bool = False) -> list[Path]:
    """Write the series: pixels of 1 x 0.8 mm. `mirrored`: rows grow to the head and columns to the front."""
    voxels, grid = neck_blocks()
    slices, rows, columns = np.indices(voxels.shape)
    voxels = np.where(voxels < 1000, 100 + (slices * 37 + rows * 3 + columns * 5) % 500, voxels).astype(np.int16)
    voxels[2, 150:] = 60
    affine = grid.affine.copy()
    affine[:3, 2] *= COLUMN_MM
    files = write_series(voxels, Grid(shape=grid.shape, affine=affine), folder / name, name=name)
    if mirrored:
        for file in files:
            _mirror(file)
    return files


def truth_of(images: Sequence[Dataset], seg: Dataset) -> Truth:
    """Return what is where, by the positions that the files state (PS3.3 C.7.6.2.1.1); the axes are the patient's."""
    places = [
        (_places(image, image.ImagePositionPatient, image.ImageOrientationPatient, image.PixelSpacing), image)
        for image in images
    ]
    every = np.concatenate([place.reshape(-1, 3) for place, _ in places])
    axes = [np.unique(np.round(every[:, axis], 3)) for axis in range(3)]
    values = np.full([len(axes[0]), len(axes[2]), len(axes[1])], -1, dtype=np.int64)
    numbers = np.zeros(values.shape, dtype=np.int64)
    for place, image in places:
        values[_index(place, axes)] = image.pixel_array
    shared = seg.SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    for group, mask in zip(seg.PerFrameFunctionalGroupsSequence, seg.pixel_array, strict=True):
        position = group.PlanePositionSequence[0].ImagePositionPatient
        inside = _places(seg, position, orientation, spacing)[mask > 0]
        numbers[_index(inside, axes)] = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
    colours = {
        int(item.SegmentNumber): CIELabColor.from_dicom_value([*item.RecommendedDisplayCIELabValue]).to_rgb()
        for item in seg.SegmentSequence
    }
    return Truth(values=values, numbers=numbers, colours=colours)


def _mirror(file: Path) -> None:
    """Turn the picture upside down and left to right, with its orientation and position: nothing moves."""
    image = pydicom.dcmread(file)
    last = _places(image, image.ImagePositionPatient, image.ImageOrientationPatient, image.PixelSpacing)[-1, -1]
    image.PixelData = image.pixel_array[::-1, ::-1].tobytes()
    image.ImagePositionPatient = [float(value) for value in last]
    image.ImageOrientationPatient = [-float(value) for value in image.ImageOrientationPatient]
    image.save_as(file)


def _places(
    of: Dataset, position: Sequence[float], orientation: Sequence[float], spacing: Sequence[float]
) -> np.ndarray:
    """Return LPS mm of every pixel, `(rows, columns, 3)`."""
    along_row, along_column = np.array(orientation, dtype=float).reshape(2, 3)
    rows, columns = np.indices((of.Rows, of.Columns))[..., np.newaxis]
    return np.array(position, dtype=float) + columns * spacing[1] * along_row + rows * spacing[0] * along_column


def _index(places: np.ndarray, axes: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Return slice, row and column of places: x from the right, z from the head, y from the front."""
    x, y, z = (np.searchsorted(axes[axis], np.round(places[..., axis], 3)) for axis in range(3))
    return x, len(axes[2]) - 1 - z, y
