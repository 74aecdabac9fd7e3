"""What spoils a picture besides noise: motion ghosts, wrap-around, saturation bands, uneven slices, cut corners."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.train.anatomy.plane import Map

Mask = NDArray[np.bool_]
_ROWS, _COLUMNS = 1, 2
#: What moves: how often it shows, its t and width in mm, its largest ghost. Throat, CSF, breathing chest.
_MOVING = ((0.15, -35.0, 16.0, 0.15), (0.15, 17.0, 7.0, 0.07), (0.08, -70.0, 45.0, 0.1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ghost:
    """Faint copies of what moves, shifted along the phase direction."""

    axis: int  #: 1 rows (head-feet), 2 columns (front-back)
    moving_t: float  #: mm in front of or behind the bodies' middle: where what moves lies
    width_mm: float
    shift: float  #: share of the picture's extent
    strength: float


def draw_ghosts(rng: np.random.Generator) -> list[Ghost]:
    """Return none as a rule; swallowing, pulsating CSF and breathing in one picture of three."""
    ghosts = []
    for chance, moving_t, width_mm, most in (
        (0.15, -35.0, 16.0, 0.15),
        (0.15, 17.0, 7.0, 0.07),
        (0.08, -70.0, 45.0, 0.1),
    ):
        if rng.random() < chance:
            axis = _ROWS if rng.random() < 0.6 else _COLUMNS
            shift, strength = float(rng.uniform(0.03, 0.4)), float(rng.uniform(0.2, 1.0) * most)
            ghosts.append(Ghost(axis=axis, moving_t=moving_t, width_mm=width_mm, shift=shift, strength=strength))
    return ghosts


def add_ghosts(picture: Map, t: Map, ghosts: list[Ghost]) -> None:
    """Add the ghosts to `picture` (slices, rows, columns) in place; `t` (rows, columns) mm."""
    for ghost in ghosts:
        part = np.exp(-(((t - np.float32(ghost.moving_t)) / np.float32(ghost.width_mm)) ** 2))
        moving = picture * (part * np.float32(ghost.strength))
        step = max(int(ghost.shift * picture.shape[ghost.axis]), 2)
        for times in (-2, -1, 1, 2):
            shifted = np.roll(moving, times * step, axis=ghost.axis)
            picture += shifted if abs(times) == 1 else shifted * np.float32(0.4)


def add_wrap(rng: np.random.Generator, picture: Map) -> None:
    """Fold what lies beyond one edge over the other, in one picture of seven, in place."""
    if rng.random() > 0.15:
        return
    axis = _ROWS if rng.random() < 0.7 else _COLUMNS
    length = picture.shape[axis]
    depth = int(length * rng.uniform(0.04, 0.14))
    fade = np.linspace(rng.uniform(0.2, 0.9), 0.0, depth, dtype=np.float32) ** np.float32(1.5)
    view = np.moveaxis(picture, axis, -1)
    if rng.random() < 0.5:
        view = view[..., ::-1]
    view[..., :depth] += view[..., length - depth :][..., ::-1] * fade


def saturation(rng: np.random.Generator, t: Map, pixel_mm: float) -> Map | None:
    """Return the factor (rows, columns) of a dark oblique band in front of the spine, or None where there is none."""
    if rng.random() > 0.3:
        return None
    front = np.argmin(np.abs(t), axis=1).astype(np.float64)
    rows = np.arange(t.shape[0])
    seen = (front > 0) & (front < t.shape[1] - 1)
    if seen.sum() < 40:
        return None
    slope, start = np.polyfit(rows[seen], front[seen], 1)
    slope += rng.normal(0.0, 0.08)
    ahead = (start + slope * rows)[:, None] - np.arange(t.shape[1])[None, :]
    offset = float(np.max((start + slope * rows - front)[seen], initial=0.0)) * rng.uniform(0.4, 1.0)
    distance = ahead.astype(np.float32) * np.float32(pixel_mm) - np.float32(offset * pixel_mm + rng.uniform(13.0, 40.0))
    width, edge = np.float32(rng.uniform(25.0, 90.0)), np.float32(rng.uniform(2.0, 8.0))
    inside = np.clip(0.5 + distance / edge, 0.0, 1.0) * np.clip(0.5 + (width - distance) / edge, 0.0, 1.0)
    factor: Map = 1 - np.float32(rng.uniform(0.4, 0.97)) * inside
    return factor


def slice_steps(rng: np.random.Generator, count: int) -> Map:
    """Return the brightness of each slice, shape (count, 1, 1): cross-talk of interleaved slices and drift."""
    steps = 1 + rng.normal(0.0, 0.02, count)
    if rng.random() < 0.3:
        steps *= 1 - rng.uniform(0.0, 0.2) * (np.arange(count) % 2)
    return steps.astype(np.float32).reshape(count, 1, 1)


def cut_corners(rng: np.random.Generator, shape: tuple[int, int], wide: bool) -> Mask | None:
    """Return where the correction of the gradients leaves the picture empty (rows, columns), or None.

    Straight magnet coordinates bend at the edge of a large field: black wedges along a border, deepest at its ends.
    """
    if rng.random() > (0.4 if wide else 0.08):
        return None
    rows, columns = np.linspace(0.0, 1.0, shape[0])[:, None], np.linspace(0.0, 1.0, shape[1])[None, :]
    centre, power = rng.uniform(0.35, 0.65), rng.uniform(1.0, 2.5)
    end = np.maximum(np.abs(columns - centre) / 0.5, 0.0) ** power
    empty = rows > 1 - rng.uniform(0.01, 0.1) * end
    if rng.random() < 0.5:
        empty |= rows < rng.uniform(0.0, 0.05) * end
    lean = rng.uniform(0.0, 0.06) * rows**power
    return np.asarray(empty | (columns < lean) | (columns > 1 - lean * rng.uniform(0.0, 1.0)))
