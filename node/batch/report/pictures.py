"""A case as two sagittal cuts, with the outlines of reference and prediction: what a low figure looks like.

Head up, face to the left, square pixels. The colours are two that colour-blind readers tell apart (Okabe and Ito), and
the prediction's line is dashed besides.
"""

import io
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from PIL import Image

from node.domain.geometry import Grid, turn

#: sRGB of the outlines, on grey and on black alike.
REFERENCE_COLOUR, PREDICTION_COLOUR = "#f0a000", "#56c8ff"

_SAGITTAL = "LIP"
#: Around what is outlined, in mm.
_MARGIN_MM = 15.0
#: A cut is at least so wide, as a share of its height: a neck without its surroundings tells little.
_LEAST_WIDTH = 0.5
_DOTS_PER_INCH = 110
_HEIGHT_INCHES = 5.0
_MOST_WIDTH_INCHES = 4.6
_LETTERS: dict[str, Any] = {
    "color": "white",
    "fontsize": 8.5,
    "path_effects": [withStroke(linewidth=2.5, foreground="black")],
}

Mask = NDArray[np.bool_]
Labels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """What there is to see of a case: arrays in the index order of `grid`, labels of the scheme, 0 elsewhere.

    `image` is None where nobody has it: outlines then stand on black.
    """

    grid: Grid
    image: NDArray[np.generic] | None
    prediction: Labels
    reference: Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePicture:
    """A PNG of two cuts. `middle`, `worst`: their numbers from the patient's right, from 1, of `count` slices."""

    png: bytes
    middle: int
    worst: int
    count: int


def case_picture(view: View) -> CasePicture:
    """Return the slice in the middle of the reference, and that in which most of the area is labelled differently.

    Where these are the same slice, the one with the next most difference stands beside it. The same view gives the
    same bytes.
    """
    prediction, grid = _turned(view.prediction, view.grid)
    reference, _ = _turned(view.reference, view.grid)
    image = None if view.image is None else turn(view.image, view.grid, _SAGITTAL)[0]
    middle, worst = _slices(prediction, reference)
    numbers = (middle, worst) if middle != worst else (middle,)
    rows, columns = _window(prediction, reference, grid)
    _, tall, wide = grid.spacing_mm
    height, width = (rows.stop - rows.start) * tall, (columns.stop - columns.start) * wide
    inches = min(_MOST_WIDTH_INCHES, _HEIGHT_INCHES * width / height)
    figure = Figure(figsize=(inches * len(numbers), inches * height / width), facecolor="black")
    with mpl.rc_context({"path.simplify": True}):
        for place, number in enumerate(numbers):
            axes = figure.add_axes((place / len(numbers), 0.0, 1 / len(numbers), 1.0))
            cut = np.zeros(grid.shape[1:]) if image is None else image[number]
            _draw(axes, _windowed(cut[rows, columns]), aspect=tall / wide)
            _outline(axes, reference[number][rows, columns], REFERENCE_COLOUR, "solid")
            _outline(axes, prediction[number][rows, columns], PREDICTION_COLOUR, (0, (3.0, 1.6)))
            words = f"slice {number + 1} of {len(reference)}" + (", middle" if number == middle else "")
            axes.text(0.02, 0.985, words, va="top", transform=axes.transAxes, **_LETTERS)
    return CasePicture(png=_png(figure), middle=middle + 1, worst=worst + 1, count=len(reference))


def _turned(labels: Labels, grid: Grid) -> tuple[Labels, Grid]:
    turned, onto = turn(labels, grid, _SAGITTAL)
    return turned.astype(np.uint16), onto


def _slices(prediction: Labels, reference: Labels) -> tuple[int, int]:
    """Return the slice in the middle and the worst one besides it; the same one where there is one slice alone."""
    count = len(reference)
    area = np.count_nonzero(reference if reference.any() else prediction, axis=(1, 2))
    middle = round(float(np.average(np.arange(count), weights=area))) if area.any() else count // 2
    different = np.count_nonzero(prediction != reference, axis=(1, 2))
    order = [int(number) for number in np.argsort(-different, kind="stable") if int(number) != middle]
    return middle, order[0] if order else middle


def _window(prediction: Labels, reference: Labels, grid: Grid) -> tuple[slice, slice]:
    """Return the rows and columns that hold every label, with a margin; all of them where there is none."""
    seen = np.any(prediction > 0, axis=0) | np.any(reference > 0, axis=0)
    _, tall, wide = grid.spacing_mm
    rows = _reach(np.any(seen, axis=1), _MARGIN_MM / tall, 0.0)
    return rows, _reach(np.any(seen, axis=0), _MARGIN_MM / wide, _LEAST_WIDTH * (rows.stop - rows.start) * tall / wide)


def _reach(seen: Mask, margin: float, least: float) -> slice:
    """Return where `seen` is true, with a margin on both sides and at least so much of it, in pixels."""
    places = np.flatnonzero(seen)
    if not len(places):
        return slice(0, len(seen))
    first, last = int(places[0]), int(places[-1])
    margin = max(margin, (least - (last - first + 1)) / 2)
    return slice(max(0, first - round(margin)), min(len(seen), last + round(margin) + 1))


def _windowed(cut: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Map the 1st to the 99th percentile of a cut to black and white."""
    values = cut.astype(np.float32)
    low, high = np.percentile(values, (1.0, 99.0))
    scaled = (values - low) / (float(high - low) or 1.0)
    return np.asarray(np.clip(scaled, 0, 1) * 255, dtype=np.uint8)


def _draw(axes: Any, grey: NDArray[np.uint8], aspect: float) -> None:
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, aspect=aspect, interpolation="bicubic")
    axes.set_axis_off()


def _outline(axes: Any, labels: Labels, colour: str, style: str | tuple[int, tuple[float, float]]) -> None:
    """Draw the border of every label by itself, so that a body and the disc on it stay two."""
    framed = np.pad(labels, 1)
    extent = (-1.0, labels.shape[1] + 0.0, -1.0, labels.shape[0] + 0.0)
    for label in np.unique(labels[labels > 0]):
        axes.contour(
            (framed == label).astype(np.float32),
            levels=[0.5],
            colors=[colour],
            linewidths=1.3,
            linestyles=[style],
            extent=extent,
            origin=None,
        )
    axes.set_xlim(-0.5, labels.shape[1] - 0.5)
    axes.set_ylim(labels.shape[0] - 0.5, -0.5)


def _png(figure: Figure) -> bytes:
    """Return the drawn figure in a palette: a third of the size, and grey stays grey."""
    canvas: Any = FigureCanvasAgg(figure)
    figure.set_dpi(_DOTS_PER_INCH)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    buffer = io.BytesIO()
    picture.quantize(palette=_palette(), dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _palette() -> Image.Image:
    """Return 128 greys, and both colours of the outlines laid over 16 greys at three strengths (smooth lines)."""
    greys = np.repeat(np.linspace(0, 255, 128)[:, np.newaxis], 3, axis=1)
    blends = [
        share * np.array(to_rgb(colour)) * 255 + (1 - share) * grey
        for colour in (REFERENCE_COLOUR, PREDICTION_COLOUR)
        for share in (0.33, 0.67, 1.0)
        for grey in np.linspace(0, 255, 16)
    ]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.rint(np.concatenate([greys, np.array(blends)])).astype(np.uint8).tobytes())
    return palette
