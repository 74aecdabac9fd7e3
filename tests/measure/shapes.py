"""Bodies and discs of known size, and label maps of them.

Drawn in the sagittal plane: `t` mm to the back, `s` mm to the feet, `r` mm to the left; LPS is `(r, t, -s)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from node.domain.anatomy import StructureKind, body, disc_below
from node.domain.geometry import Grid, Volume
from node.measure.metrics import Measured, measures
from node.measure.parts import Part
from node.measure.spine import SpineCurve, fit_curve

DOWN = np.linspace(-60.0, 60.0, 241)
BODY, DISC = StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC


def turned(points, degrees: float) -> np.ndarray:
    """Turn `(t, s)` about 0; positive: what points back then points down."""
    angle = np.radians(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.asarray(points, float) @ np.array([[cosine, sine], [-sine, cosine]])


@dataclass(frozen=True)
class Prism:
    """A quadrilateral as wide as `2 * half_width`; `corners`: upper front, upper back, lower back, lower front."""

    corners: np.ndarray
    half_width: float = 9.0
    #: By how much the endplates are hollow in their middle, mm; negative: they bulge.
    sag_upper: float = 0.0
    sag_lower: float = 0.0

    def contains(self, t, s, r):
        inside = np.abs(r) < self.half_width
        for number, (start, end) in enumerate(zip(self.corners, np.roll(self.corners, -1, axis=0), strict=True)):
            length = np.hypot(*(end - start))
            along = ((t - start[0]) * (end[0] - start[0]) + (s - start[1]) * (end[1] - start[1])) / length**2
            depth = ((s - start[1]) * (end[0] - start[0]) - (t - start[0]) * (end[1] - start[1])) / length
            sag = {0: self.sag_upper, 2: self.sag_lower}.get(number, 0.0)
            inside = inside & (depth > sag * 4 * along * (1 - along))
        return inside

    def moved(self, t=0.0, s=0.0, degrees=0.0):
        """Turned about 0, then shifted."""
        return replace(self, corners=turned(self.corners, degrees) + np.array([t, s]))


def box(depth=16.0, height=13.0, *, wedge=0.0, shear=0.0, **more) -> Prism:
    """Around 0. `wedge` degrees: endplates each turned by half of it, higher in front; `shear`: back walls lean so."""
    rise, lean = np.tan(np.radians(wedge / 2)) * depth / 2, np.tan(np.radians(shear))
    front, back = -depth / 2, depth / 2
    corners = [[front, -height / 2 - rise], [back, -height / 2 + rise], [back, height / 2 - rise]]
    corners = np.array([*corners, [front, height / 2 + rise]])
    corners[:, 0] += lean * corners[:, 1]
    return Prism(corners, **more)


@dataclass(frozen=True)
class Lens:
    """A disc between two parabolas that meet in front and behind."""

    depth: float
    height: float
    centre: tuple[float, float] = (0.0, 0.0)
    degrees: float = 0.0

    def contains(self, t, s, r):
        at = turned(np.stack([t - self.centre[0], s - self.centre[1]], axis=-1), -self.degrees)
        half = self.height / 2 * (1 - (2 * at[..., 0] / self.depth) ** 2)
        return (np.abs(at[..., 1]) < half) & (np.abs(r) < 9)


@dataclass(frozen=True)
class Rounded:
    """A box with round corners."""

    depth: float
    height: float
    radius: float
    degrees: float = 0.0
    centre: tuple[float, float] = (0.0, 0.0)

    def contains(self, t, s, r):
        at = turned(np.stack([t - self.centre[0], s - self.centre[1]], axis=-1), -self.degrees)
        beyond = np.abs(at) - np.array([self.depth, self.height]) / 2 + self.radius
        return (np.hypot(*np.moveaxis(np.maximum(beyond, 0), -1, 0)) < self.radius) & (np.abs(r) < 9)


@dataclass(frozen=True)
class Union:
    parts: tuple

    def contains(self, t, s, r):
        return np.any([part.contains(t, s, r) for part in self.parts], axis=0)


def sagittal(size_mm, spacing, *, shift=(0.0, 0.0, 0.0), lean=0.0, roll=0.0) -> Grid:
    """Around 0, `size_mm` left, down, back; slices to the left, rows to the feet, columns to the back.

    `shift` LPS mm; `lean`: degrees by which the rows' direction is turned from the feet toward the front; `roll`:
    degrees by which the slices are turned about the line from front to back and then about the long axis, as they
    always are a little: otherwise every slice would fall on the same pixels.
    """
    shape = tuple(int(np.ceil(size / step)) for size, step in zip(size_mm, spacing, strict=True))
    (t_row, s_row), (t_column, s_column) = turned([[0, 1], [1, 0]], lean)
    affine = np.eye(4)
    affine[:3, 0] = [spacing[0], 0, 0]
    affine[:3, 1] = [0, t_row * spacing[1], -s_row * spacing[1]]
    affine[:3, 2] = [0, t_column * spacing[2], -s_column * spacing[2]]
    cosine, sine = np.cos(np.radians(roll)), np.sin(np.radians(roll))
    affine[:3, :3] = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]]) @ affine[:3, :3]
    affine[:3, :3] = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]) @ affine[:3, :3]
    affine[:3, 3] = np.array(shift) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape=shape, affine=affine)


def raster(shapes: Sequence, grid: Grid) -> np.ndarray:
    """Return labels 1, 2 ... of the voxels whose centres lie in the shapes."""
    labels = np.zeros(grid.shape, np.uint16)
    x, y, z = np.moveaxis(grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)
    for label, shape in enumerate(shapes, start=1):
        labels[shape.contains(y, -z, x)] = label
    return labels


def volume(grid: Grid, voxels=None) -> Volume:
    return Volume(
        grid=grid,
        voxels=np.ones(grid.shape, np.float32) if voxels is None else voxels,
        sources=(),
        acquired_in_3d=False,
    )


def part(label: int, kind=BODY, level="C5", last=None, *, truncated=False) -> Part:
    named = None if level is None else (body(level, last) if kind is BODY else disc_below(level))
    return Part(label=label, kind=kind, level=named, confidence=1.0, truncated=truncated)


def upright(grid: Grid) -> SpineCurve:
    """The curve of a spine that stands straight, through LPS 0."""
    return fit_curve(np.stack([0 * DOWN, 0 * DOWN, -DOWN], axis=1), grid)


def measured(labels: np.ndarray, parts: Sequence[Part], grid: Grid, voxels=None) -> Measured:
    """Measure along the curve through all labelled voxels, which are a spine's."""
    curve = fit_curve(grid.to_lps_mm(np.argwhere(labels)), grid)
    return measures(labels, parts, volume(grid, voxels), curve)


def standing(labels: np.ndarray, grid: Grid, kind=BODY):
    """Measure label 1 in a spine that stands straight: one structure alone does not tell which way down is."""
    return measures(labels, [part(1, kind)], volume(grid), upright(grid)).by_label[1]


def alone(shape, spacing=(4.0, 0.6, 0.6), kind=BODY, *, shift=(0.0, 0.0, 0.0), lean=0.0, roll=0.0):
    """Measure one shape on a grid around it, in a spine that stands straight."""
    grid = sagittal((20.0, 36.0, 36.0), spacing, shift=shift, lean=lean, roll=roll)
    return standing(raster([shape], grid), grid, kind)
