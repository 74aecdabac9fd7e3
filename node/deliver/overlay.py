"""A picture of the findings: the slices that show most of them, with the structures in colour."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from node.domain.anatomy import colour
from node.domain.findings import Findings
from node.domain.geometry import Volume, turn

_SLICES = 3
#: Side of the square that a slice is fitted into, in pixels.
_SIDE = 640
_OPACITY = 0.45
_MARGIN = 8


def overlay_png(volume: Volume, findings: Findings) -> bytes:
    """Return a PNG: neighbouring sagittal slices side by side, above the plain image, below with the structures.

    Head up, face to the left, as a radiologist reads a sagittal series; pixels are made square.
    """
    image, grid = turn(volume.voxels, volume.grid, "LIP")
    labels, _ = turn(findings.labels, volume.grid, "LIP")
    window = _windowed(image)
    chosen = _slices_to_show(labels)
    plain = [np.repeat(window[index][..., np.newaxis], 3, axis=-1) for index in chosen]
    marked = [_marked(tile, labels[index], findings) for tile, index in zip(plain, chosen, strict=True)]
    _, row_mm, column_mm = grid.spacing_mm
    height_mm, width_mm = grid.shape[1] * row_mm, grid.shape[2] * column_mm
    pixels_per_mm = _SIDE / max(height_mm, width_mm)
    size = (max(1, round(width_mm * pixels_per_mm)), max(1, round(height_mm * pixels_per_mm)))
    sheet = _sheet([[_scaled(tile, size) for tile in row] for row in (plain, marked)], chosen)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()


def _windowed(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Map the 1st to the 99th percentile to black and white."""
    values = image.astype(np.float32)
    low, high = np.percentile(values, (1.0, 99.0))
    scaled = (values - low) / (float(high - low) or 1.0)
    return np.asarray(np.clip(scaled, 0, 1) * 255, dtype=np.uint8)


def _slices_to_show(labels: NDArray[np.generic]) -> list[int]:
    """Return neighbouring slice indices around the centre of what was found, or of the volume."""
    area = np.count_nonzero(labels, axis=(1, 2))
    count = len(area)
    centre = round(float(np.average(np.arange(count), weights=area))) if area.any() else count // 2
    first = max(0, min(centre - _SLICES // 2, count - _SLICES))
    return list(range(first, min(count, first + _SLICES)))


def _marked(tile: NDArray[np.uint8], labels: NDArray[np.generic], findings: Findings) -> NDArray[np.uint8]:
    marked = tile.astype(np.float32)
    for structure in findings.structures:
        mask = labels == structure.label
        tint = np.array(colour(structure.kind, structure.ordinal - 1), dtype=np.float32)
        marked[mask] = (1 - _OPACITY) * marked[mask] + _OPACITY * tint
    return marked.astype(np.uint8)


def _scaled(tile: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(tile).resize(size, Image.Resampling.BICUBIC)


def _sheet(rows: list[list[Image.Image]], chosen: list[int]) -> Image.Image:
    width, height = rows[0][0].size
    sheet = Image.new(
        "RGB", (len(rows[0]) * (width + _MARGIN) + _MARGIN, len(rows) * (height + _MARGIN) + _MARGIN), "black"
    )
    draw = ImageDraw.Draw(sheet)
    for row, tiles in enumerate(rows):
        for column, (tile, index) in enumerate(zip(tiles, chosen, strict=True)):
            corner = (_MARGIN + column * (width + _MARGIN), _MARGIN + row * (height + _MARGIN))
            sheet.paste(tile, corner)
            draw.text((corner[0] + 4, corner[1] + 4), f"slice {index + 1}", fill="white")
    return sheet
