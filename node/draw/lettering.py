"""Words in pictures: one font, and the names of levels beside their structures."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont
from scipy.ndimage import find_objects

from node.domain.anatomy import StructureKind
from node.domain.findings import Structure

WHITE = (255, 255, 255)
_BLACK = (0, 0, 0)
#: Between the front of a structure and its name, in heights of the name.
_GAP = 0.5
#: The share of a structure, from the front, beside which its name stands.
_FRONT = 0.25
#: A structure of less of the picture than this, in squares of its name's height, only grazes the cut.
_GRAZED = 0.5
#: What stands in the place of a level that nobody knows.
_UNKNOWN = "?"
#: Names of discs are that much smaller than those of bodies.
_DISC_SIZE = 0.75


@functools.lru_cache(maxsize=32)
def font(size: int) -> Any:
    """Return the font that comes with Pillow; it has the letters of ASCII and the degree sign."""
    return ImageFont.load_default(size=size)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Name:
    text: str
    size: int
    #: Where it ends, and its middle: column and row in pixels.
    right: int
    middle: int


def write_names(
    draw: ImageDraw.ImageDraw, labels: NDArray[np.uint16], structures: Sequence[Structure], size: int
) -> None:
    """Write the name of every structure of `labels`, `(rows, columns)` in pixels, in front of it.

    `size`: height of a body's name in pixels. The front is where no cord and no joint is hidden. Names that would lie
    on one another give way.
    """
    names = sorted(_names(labels, structures, size), key=lambda name: name.middle)
    for name, middle in zip(names, _parted(names, labels.shape[0]), strict=True):
        width = draw.textlength(name.text, font=font(name.size))
        draw.text(
            (max(3.0, name.right - width), middle),
            name.text,
            font=font(name.size),
            fill=WHITE,
            stroke_width=max(1, name.size // 11),
            stroke_fill=_BLACK,
            anchor="lm",
        )


def _names(labels: NDArray[np.uint16], structures: Iterable[Structure], size: int) -> Iterator[_Name]:
    boxes = find_objects(labels)
    for structure in structures:
        box = boxes[structure.label - 1] if structure.label <= len(boxes) else None
        if box is None:
            continue
        rows, columns = (
            places + side.start for places, side in zip(np.nonzero(labels[box] == structure.label), box, strict=True)
        )
        own = size if structure.kind is StructureKind.VERTEBRAL_BODY else round(size * _DISC_SIZE)
        if len(rows) < _GRAZED * own * own:
            continue
        in_front = columns <= np.quantile(columns, _FRONT)
        text = structure.level.name if structure.level else _UNKNOWN
        yield _Name(
            text=text,
            size=own,
            right=int(columns.min()) - round(_GAP * own),
            middle=round(float(rows[in_front].mean())),
        )


def _parted(names: Sequence[_Name], height: int) -> list[float]:
    """Return the rows of the middles of names, from above, such that none lies on another or leaves the picture."""
    middles: list[float] = []
    free_from = 0.0
    for name in names:
        middles.append(max(float(name.middle), free_from + name.size / 2))
        free_from = middles[-1] + name.size / 2
    free_to = float(height)
    for number in reversed(range(len(names))):
        middles[number] = min(middles[number], free_to - names[number].size / 2)
        free_to = middles[number] - names[number].size / 2
    return middles
