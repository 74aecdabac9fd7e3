"""Every slice of a real neck with what was found in it, on one sheet."""

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from node.domain.findings import Findings
from node.domain.geometry import Volume, turn
from node.draw.cuts import Cut, tinted, tints
from node.draw.lettering import WHITE, font, write_names

_PIXELS_PER_MM = 2.0
_OPACITY = 0.35
_COLUMNS = 7
#: What is shown in front of and behind the structures, mm.
_MARGIN_MM = 14.0
_GAP_PX = 4
_NAME_PX = 11
_QUALITY = 82
#: Over this distance the fall of the coil's signal is evened out, mm.
_EVEN_MM = 30.0


def montage(volume: Volume, findings: Findings) -> bytes:
    """Return a JPEG of all sagittal slices, from the patient's right, cropped to the neck, structures tinted and named.

    The fall of signal toward the chest is evened out, so that the thoracic bodies show.
    """
    table = tints(findings.structures)
    tiles = [_tile(cut, findings, table) for cut in _cuts(volume, findings)]
    width, height = tiles[0].size
    rows = -(-len(tiles) // _COLUMNS)
    size = (_COLUMNS * (width + _GAP_PX) - _GAP_PX, rows * (height + _GAP_PX) - _GAP_PX)
    sheet = Image.new("RGB", size, "black")
    for number, tile in enumerate(tiles):
        row, column = divmod(number, _COLUMNS)
        sheet.paste(tile, (column * (width + _GAP_PX), row * (height + _GAP_PX)))
    buffer = io.BytesIO()
    sheet.save(buffer, format="JPEG", quality=_QUALITY, optimize=True)
    return buffer.getvalue()


def _tile(cut: Cut, findings: Findings, table: NDArray[np.uint8]) -> Image.Image:
    labels = cut.scaled_labels(_PIXELS_PER_MM)
    tile = tinted(cut.scaled(_PIXELS_PER_MM), labels, table, _OPACITY)
    draw = ImageDraw.Draw(tile)
    write_names(draw, labels, findings.structures, _NAME_PX)
    draw.text((4, 2), f"{cut.number}", fill=WHITE, font=font(12))
    return tile


def _cuts(volume: Volume, findings: Findings) -> Iterator[Cut]:
    image, grid = turn(volume.voxels, volume.grid, "LIP")
    labels, _ = turn(findings.labels, volume.grid, "LIP")
    _, row_mm, column_mm = grid.spacing_mm
    grey = _even(image.astype(np.float32), (row_mm, column_mm))
    columns = np.flatnonzero(labels.any(axis=(0, 1)))
    first, last = (columns[0], columns[-1]) if len(columns) else (0, labels.shape[2] - 1)
    margin = round(_MARGIN_MM / column_mm)
    view = slice(max(0, int(first) - margin), int(last) + margin + 1)
    for index in range(len(labels)):
        shown = labels[index][:, view].astype(np.uint16)
        yield Cut(
            grey=grey[index][:, view],
            labels=shown,
            number=index + 1,
            count=len(labels),
            slices=(index,),
            size_mm=(shown.shape[0] * row_mm, shown.shape[1] * column_mm),
        )


def _even(image: NDArray[np.float32], pixel_mm: tuple[float, float]) -> NDArray[np.uint8]:
    """Return the slices as they are shown: signal over that of the surroundings, fluid cut off."""
    dim = np.minimum(image, np.percentile(image, 97.0))
    around = gaussian_filter(dim, (0.0, *(_EVEN_MM / mm for mm in pixel_mm)))
    even = dim / (around + 0.3 * float(around.mean()))
    return np.asarray(np.clip(255 * even / np.percentile(even, 99.0), 0, 255), dtype=np.uint8)
