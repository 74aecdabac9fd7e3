"""Mistakes that networks make on real necks, put into a labelled spine's classes; the truth stays as it was.

Work is done with slices to the left, rows to the feet, columns to the back; distances in mm.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from spines import BODY, DISC, LabelledSpine

from node.domain.geometry import FloatArray, Grid, turn

#: The line between the body of C2 and its dens lies so far above the lower endplate, and so much of it shows.
_LINE_MM, _LINE_THICK_MM, _LINE_HALF_MM = (13.5, 17.5), (1.5, 4.5), (3.5, 5.0)


def false_disc_in_c2(spine: LabelledSpine, seed: int) -> LabelledSpine:
    """Return the spine with a disc at the line between C2 and its dens; unchanged where the line is not in view."""

    def put(rng: np.random.Generator, classes: NDArray[np.uint8], labels: NDArray[np.uint16], grid: Grid) -> None:
        index, place = _in_c2(spine, labels, grid)
        if not len(index):
            return
        low, middle = rng.uniform(*_LINE_MM), np.median(place[:, :2], axis=0)
        half = rng.uniform(*_LINE_HALF_MM)
        inside = (place[:, 2] > low) & (place[:, 2] < low + rng.uniform(*_LINE_THICK_MM))
        inside &= (np.abs(place[:, :2] - middle) < (half, half + 1.0)).all(axis=1)
        classes[tuple(index[inside].T)] = DISC

    return _with(spine, seed, put, "false disc in C2")


def bone_above_c2(spine: LabelledSpine, seed: int) -> LabelledSpine:
    """Return the spine with one or two false bodies above the dens and at times a disc: clivus and arch of C1."""

    def put(rng: np.random.Generator, classes: NDArray[np.uint8], labels: NDArray[np.uint16], grid: Grid) -> None:
        index, _ = _in_c2(spine, labels, grid)
        if not len(index):
            return
        tip = index[np.argmin(index[:, 1])] * grid.spacing_mm
        for _ in range(int(rng.integers(1, 3))):
            middle = tip + np.array([rng.normal(0, 3), -rng.uniform(6, 16), rng.uniform(-9, 5)])
            _blob(classes, labels, grid, (middle, rng.uniform((5, 2.5, 4), (9, 6, 9)), BODY))
        if rng.random() < 0.4:
            middle = tip + np.array([rng.normal(0, 3), -rng.uniform(2, 5), rng.uniform(-5, 5)])
            _blob(classes, labels, grid, (middle, rng.uniform((4, 1.5, 3), (7, 2.5, 6)), DISC))

    return _with(spine, seed, put, "bone above C2")


def blobs_beside(spine: LabelledSpine, seed: int) -> LabelledSpine:
    """Return the spine with large false bodies and discs in the face, at spinous tips and in the picture's corners."""

    def put(rng: np.random.Generator, classes: NDArray[np.uint8], labels: NDArray[np.uint16], grid: Grid) -> None:
        extent = np.array(grid.shape) * grid.spacing_mm
        spots = (
            rng.uniform((0.2, 0.0, 0.0), (0.8, 0.35, 0.25)) * extent,
            rng.uniform((0.3, 0.3, 0.8), (0.7, 0.8, 0.97)) * extent,
            rng.choice((0.03, 0.97), 3) * extent,
        )
        for middle in spots:
            value = BODY if rng.random() < 0.7 else DISC
            _blob(classes, labels, grid, (middle, rng.uniform((6, 3, 3), (14, 10, 10)), value))

    return _with(spine, seed, put, "blobs beside")


_Put = Callable[[np.random.Generator, NDArray[np.uint8], NDArray[np.uint16], Grid], None]


def _with(spine: LabelledSpine, seed: int, put: _Put, feature: str) -> LabelledSpine:
    """Return the spine after `put` has changed its classes in place."""
    classes, grid = turn(spine.classes, spine.grid, "LIP")
    labels, _ = turn(spine.labels, spine.grid, "LIP")
    classes = classes.copy()
    put(np.random.default_rng([seed, 88]), classes, labels, grid)
    return replace(spine, classes=turn(classes, grid, spine.grid.orientation())[0], features=spine.features | {feature})


def _in_c2(spine: LabelledSpine, labels: NDArray[np.uint16], grid: Grid) -> tuple[NDArray[np.int64], FloatArray]:
    """Return the voxels of C2, int (n, 3), and their place: left, back, above its lower endplate, float (n, 3), mm."""
    label = next((one.label for one in spine.structures if one.level == "C2"), 0)
    index = np.argwhere(labels == label) if label else np.zeros((0, 3), np.int64)
    if not len(index):
        return index, np.zeros((0, 3))
    up = np.array(spine.sizes["C2"].up)
    left = grid.affine[:3, 0] / grid.spacing_mm[0]
    left = left - (left @ up) * up
    points = grid.to_lps_mm(index) @ np.stack([left, np.cross(up, left), up], axis=1)
    return index, points - (*points[:, :2].mean(axis=0), np.percentile(points[:, 2], 2.0))


def _blob(
    classes: NDArray[np.uint8],
    labels: NDArray[np.uint16],
    grid: Grid,
    blob: tuple[FloatArray, FloatArray, int],
) -> None:
    """Set an ellipsoid (middle and half axes in mm along the array, class) where no structure lies."""
    middle, reach, value = blob
    axes = np.ogrid[tuple(slice(0, count) for count in classes.shape)]
    away = sum(
        ((axis * step - at) / half) ** 2
        for axis, step, at, half in zip(axes, grid.spacing_mm, middle, reach, strict=True)
    )
    classes[(away < 1.0) & (labels == 0)] = value
