"""Where a picture lies on the anatomy: its field of view, slices and orientation in the patient."""

from dataclasses import dataclass

import numpy as np

from node.domain.geometry import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """Where the picture lies: array shape, spacing in mm, and what of the spine stands where in it."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    anchor_s: float  #: mm along the spine that stands in the middle row
    anchor_column: float  #: share of the width at which the spine stands there
    lateral_mm: float  #: distance of the middle slice from the mid-plane
    gap: float  #: share of the slice distance that the slice is thick


def draw_framing(
    rng: np.random.Generator,
    shape: tuple[int, int, int] | None,
    spacing_mm: tuple[float, float, float] | None,
) -> Framing:
    """Return a random view: as asked for, or of the size of clinical series."""
    between, pixel = rng.uniform(3.3, 4.6), rng.uniform(0.6, 0.95)
    if spacing_mm is None:
        spacing_mm = (between, pixel, pixel)
    tall, wide = rng.uniform(185.0, 260.0), rng.uniform(0.9, 1.35)
    count = int(rng.integers(11, 18))
    if shape is None:
        rows = int(round(tall / spacing_mm[1] / 8) * 8)
        shape = (count, rows, int(round(min(tall * wide, 300.0) / spacing_mm[2] / 8) * 8))
    height = shape[1] * spacing_mm[1]
    # The top lies above the dens as a rule; one picture in five cuts C2 or begins below it.
    top = rng.uniform(-95.0, -48.0) if rng.random() < 0.8 else rng.uniform(-45.0, 18.0)
    return Framing(
        shape=shape,
        spacing_mm=spacing_mm,
        anchor_s=float(np.clip(top + height / 2, -40.0, 200.0)),
        anchor_column=float(rng.uniform(0.4, 0.62)),
        lateral_mm=float(rng.normal(0.0, 3.0)),
        gap=float(rng.uniform(0.8, 1.0)),
    )


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
