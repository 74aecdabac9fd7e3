"""Sagittal cuts through a volume, as a radiologist reads them: head up, face to the left."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from node.domain.anatomy import colour
from node.domain.findings import Findings, Structure
from node.domain.geometry import Volume, turn

#: How many neighbouring cuts a picture of the findings shows.
CUTS = 3
_SAGITTAL = "LIP"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cut:
    """One sagittal plane of voxels, with labels.

    `grey`: uint8 `(rows, columns)`, `labels`: uint16 of the same shape; rows grow to the feet, columns to the back.
    `number`: its place among the `count` planes of the volume, from the patient's right, from 1. `slices`: indices of
    the volume's slices that it runs through. `size_mm`: height and width.
    """

    grey: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    number: int
    count: int
    slices: tuple[int, ...]
    size_mm: tuple[float, float]

    def scaled(self, pixels_per_mm: float) -> Image.Image:
        """Return the grey picture in RGB with square pixels."""
        return Image.fromarray(self.grey).resize(self.pixels(pixels_per_mm), Image.Resampling.BICUBIC).convert("RGB")

    def scaled_labels(self, pixels_per_mm: float) -> NDArray[np.uint16]:
        """Return the labels on the pixels of `scaled`, with smooth borders."""
        columns, rows = self.pixels(pixels_per_mm)
        fine = np.zeros((rows, columns), dtype=np.uint16)
        for label in np.unique(self.labels[self.labels > 0]):
            mask = Image.fromarray(np.where(self.labels == label, np.uint8(255), np.uint8(0)))
            fine[np.asarray(mask.resize((columns, rows), Image.Resampling.BILINEAR)) >= 128] = label
        return fine

    def pixels(self, pixels_per_mm: float) -> tuple[int, int]:
        """Return the size of the scaled picture: columns and rows, as Pillow has it."""
        height_mm, width_mm = self.size_mm
        return max(1, round(width_mm * pixels_per_mm)), max(1, round(height_mm * pixels_per_mm))


def tints(structures: Sequence[Structure]) -> NDArray[np.uint8]:
    """Return the colour of every label that there can be, `(65536, 3)`; black where no structure has it."""
    table = np.zeros((1 << 16, 3), dtype=np.uint8)
    for found in structures:
        table[found.label] = colour(found.kind, found.level)
    return table


def tinted(picture: Image.Image, labels: NDArray[np.uint16], table: NDArray[np.uint8], opacity: float) -> Image.Image:
    """Return `picture` with the colours of `table` over its labelled pixels; `opacity` 0 to 1."""
    veil = table[labels]
    share = np.where(veil.any(axis=-1), np.uint8(round(255 * opacity)), np.uint8(0))
    return Image.composite(Image.fromarray(veil), picture, Image.fromarray(share))


def middle_cuts(volume: Volume, findings: Findings) -> tuple[Cut, ...]:
    """Return neighbouring cuts around the centre of what was found, or of the volume."""
    image, grid = turn(volume.voxels, volume.grid, _SAGITTAL)
    labels, _ = turn(findings.labels, volume.grid, _SAGITTAL)
    slices, _ = turn(_slice_numbers(volume), volume.grid, _SAGITTAL)
    window = _windowed(image)
    if volume.lowest_is_white:
        window = 255 - window
    _, row_mm, column_mm = grid.spacing_mm
    return tuple(
        Cut(
            grey=window[index],
            labels=labels[index].astype(np.uint16),
            number=index + 1,
            count=len(labels),
            slices=tuple(int(number) for number in np.unique(slices[index])),
            size_mm=(grid.shape[1] * row_mm, grid.shape[2] * column_mm),
        )
        for index in _middle(labels)
    )


def _slice_numbers(volume: Volume) -> NDArray[np.uint16]:
    """Return for each voxel the index of its slice, `(slices, rows, columns)`."""
    count = volume.grid.shape[0]
    return np.broadcast_to(np.arange(count, dtype=np.uint16)[:, np.newaxis, np.newaxis], volume.grid.shape)


def _windowed(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Map the 1st to the 99th percentile to black and white."""
    values = image.astype(np.float32)
    low, high = np.percentile(values, (1.0, 99.0))
    scaled = (values - low) / (float(high - low) or 1.0)
    return np.asarray(np.clip(scaled, 0, 1) * 255, dtype=np.uint8)


def _middle(labels: NDArray[np.generic]) -> Iterator[int]:
    area = np.count_nonzero(labels, axis=(1, 2))
    count = len(area)
    centre = round(float(np.average(np.arange(count), weights=area))) if area.any() else count // 2
    first = max(0, min(centre - CUTS // 2, count - CUTS))
    yield from range(first, min(count, first + CUTS))
