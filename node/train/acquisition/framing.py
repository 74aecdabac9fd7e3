"""Where a picture lies on the anatomy: its field of view, slices and orientation in the patient."""

from dataclasses import dataclass

import numpy as np

from node.domain.geometry import FloatArray

#: Largest number of pixels in a plane; finer pixels than this allows are coarsened.
_PIXELS = 170_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """Where the picture lies: array shape, spacing in mm, and what of the spine stands where in it."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    anchor_s: float  #: mm along the spine that stands in the middle row
    anchor_column: float  #: share of the width at which the spine stands there
    lateral_mm: float  #: distance of the middle slice from the mid-plane
    gap: float  #: share of the slice distance that the slice is thick
    turned: tuple[float, float]  #: how far right-left changes with y and with z: slices oblique to the spine


def draw_framing(
    rng: np.random.Generator,
    shape: tuple[int, int, int] | None,
    spacing_mm: tuple[float, float, float] | None,
) -> Framing:
    """Return a random view: as asked for, or of the size of clinical series."""
    tall, wide = _field_of_view(rng)
    pixel = max(float(rng.uniform(0.4, 1.0)), float(np.sqrt(tall * wide / _PIXELS)))
    count = int(rng.integers(11, 18)) if rng.random() < 0.8 else int(rng.integers(18, 26))
    between = rng.uniform(3.0, 5.2) if count < 18 else rng.uniform(3.0, 3.8)
    if spacing_mm is None:
        spacing_mm = (float(between), pixel, pixel)
    if shape is None:
        shape = (count, int(round(tall / spacing_mm[1] / 4) * 4), int(round(wide / spacing_mm[2] / 4) * 4))
    height, width = shape[1] * spacing_mm[1], shape[2] * spacing_mm[2]
    # A wide field has the neck anywhere in it, a narrow one near the middle.
    margin = float(np.clip((width - 130.0) / width / 2.6, 0.03, 0.22))
    return Framing(
        shape=shape,
        spacing_mm=spacing_mm,
        anchor_s=_top(rng, height) + height / 2,
        anchor_column=0.51 + float(rng.uniform(-margin, margin)),
        lateral_mm=float(rng.normal(0.0, 3.0)),
        gap=float(rng.uniform(0.7, 1.0)),
        turned=(float(rng.normal(0.0, 0.03)), float(rng.normal(0.0, 0.025))),
    )


def _field_of_view(rng: np.random.Generator) -> tuple[float, float]:
    """Return height and width in mm: tight squares, the usual fields, and wide ones with much air."""
    kind = rng.random()
    if kind < 0.2:
        tall = rng.uniform(160.0, 225.0)
        return float(tall), float(tall * rng.choice([1.0, rng.uniform(0.85, 1.15)]))
    if kind < 0.55:
        tall = rng.uniform(215.0, 300.0)
        return float(tall), float(tall * rng.choice([1.0, rng.uniform(0.75, 1.2)]))
    if kind < 0.86:
        return float(rng.uniform(165.0, 280.0)), float(rng.uniform(320.0, 400.0))
    tall = rng.uniform(280.0, 400.0)
    return float(tall), float(tall * rng.uniform(0.75, 1.05))


def _top(rng: np.random.Generator, height: float) -> float:
    """Return where along the spine (mm) the top row lies: above the skull base, in C2 at any height, or below C2."""
    kind = rng.random()
    if kind < 0.62:
        top = rng.uniform(-105.0 if height < 280.0 else -140.0, -44.0)
    elif kind < 0.9:
        top = rng.uniform(-48.0, -2.0)
    else:
        top = rng.uniform(-2.0, 60.0)
    # The last row lies at C6 or lower, and not beyond the lowest vertebra of the generated spine.
    return float(np.clip(top, 85.0 - height, 330.0 - height if height < 330.0 else -100.0))


def draw_affine(rng: np.random.Generator, framing: Framing) -> FloatArray:
    """Return index -> LPS mm: slices to the left, rows to the feet, columns to the back, turned by a few degrees."""
    angles = np.deg2rad(rng.uniform(-3.0, 3.0, 3))
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        one, two = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[one, one] = step[two, two] = np.cos(angle)
        step[one, two], step[two, one] = -np.sin(angle), np.sin(angle)
        turn = turn @ step
    directions = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    affine = np.eye(4)
    affine[:3, :3] = (turn @ directions) * np.array(framing.spacing_mm)
    middle = (np.array(framing.shape) - 1) / 2
    affine[:3, 3] = rng.uniform(-20.0, 20.0, 3) - affine[:3, :3] @ middle
    return affine
