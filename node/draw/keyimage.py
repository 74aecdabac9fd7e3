"""Pictures that say what was found where neither SEG nor SR is shown: cuts with outlines and names, and a table.

Everything is burned in: a viewer shows such a picture as it is (Secondary Capture).
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from node.domain.findings import Findings, Verdict
from node.domain.geometry import Volume
from node.domain.picture import Picture
from node.draw.cuts import Cut, middle_cuts, tinted, tints
from node.draw.lettering import WHITE, font, write_names
from node.draw.summary import BAND_PX, draw_band, summary

#: Height of a cut in pixels.
_CUT_PX = 1024
#: Narrower cuts get black beside them: the words above need the room.
_LEAST_WIDTH_PX = 860
_FOOT_PX = 40
_NAME_PX = 26
_OPACITY = 0.16
#: Of an outline, in pixels.
_LINE_PX = 2


def key_pictures(volume: Volume, findings: Findings) -> tuple[Picture, ...]:
    """Return neighbouring sagittal cuts with outlines and names of levels, then a table of the measurements.

    Head up, face to the left, square pixels, "RESEARCH USE" on each. Of a result that is not to be used there is one
    picture alone, which says so and shows no measurement. The table is about every slice.
    """
    table = Picture(pixels=_pixels(summary(findings)), slices=tuple(range(volume.grid.shape[0])))
    if findings.quality.verdict is Verdict.REJECT:
        return (table,)
    cuts = tuple(
        Picture(pixels=_pixels(_sheet(cut, findings)), slices=cut.slices) for cut in middle_cuts(volume, findings)
    )
    return (*cuts, table)


def _sheet(cut: Cut, findings: Findings) -> Image.Image:
    """Return a cut with the band of words above and its place below."""
    pixels_per_mm = _CUT_PX / cut.size_mm[0]
    tile = _outlined(cut, findings, pixels_per_mm)
    sheet = Image.new("RGB", (max(tile.width, _LEAST_WIDTH_PX), BAND_PX + tile.height + _FOOT_PX), "black")
    left = (sheet.width - tile.width) // 2
    sheet.paste(tile, (left, BAND_PX))
    draw = ImageDraw.Draw(sheet)
    draw_band(draw, sheet.width, findings)
    middle = BAND_PX + tile.height // 2
    for text, column, anchor in (("A", left + 8, "lm"), ("P", left + tile.width - 8, "rm")):
        draw.text((column, middle), text, font=font(24), fill=WHITE, anchor=anchor, stroke_width=2, stroke_fill="black")
    place = f"slice {cut.number} of {cut.count}, from the patient's right"
    draw.text((16, BAND_PX + tile.height + _FOOT_PX // 2), place, font=font(22), fill=WHITE, anchor="lm")
    return sheet


def _outlined(cut: Cut, findings: Findings, pixels_per_mm: float) -> Image.Image:
    labels = cut.scaled_labels(pixels_per_mm)
    table = tints(findings.structures)
    tile = tinted(cut.scaled(pixels_per_mm), labels, table, _OPACITY)
    tile = tinted(tile, np.where(_edge(labels), labels, np.uint16(0)), table, 1.0)
    write_names(ImageDraw.Draw(tile), labels, findings.structures, _NAME_PX)
    return tile


def _edge(labels: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Return which pixels lie within `_LINE_PX` of another label, along rows or columns."""
    edge = np.zeros(labels.shape, dtype=np.bool_)
    for step in range(1, _LINE_PX + 1):
        along_rows = labels[step:] != labels[:-step]
        along_columns = labels[:, step:] != labels[:, :-step]
        edge[step:] |= along_rows
        edge[:-step] |= along_rows
        edge[:, step:] |= along_columns
        edge[:, :-step] |= along_columns
    return edge


def _pixels(sheet: Image.Image) -> NDArray[np.uint8]:
    return np.array(sheet, dtype=np.uint8)
