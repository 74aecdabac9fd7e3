"""The curve of a spine, and coordinates along it.

A spine is bent and leans, so that neither an array axis nor a patient axis runs along it. Here a place is
`(s, t, r)` in mm: `s` along the curve toward the feet, `t` toward the back, `r` toward the patient's left.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from node.domain.geometry import FloatArray, Grid, closest_axes

_STEP_MM = 1.0
#: Smoothing of the curve: more than half a vertebra, so that a single tilted body does not bend it.
_SMOOTHING_MM = 12.0
#: How far the curve goes straight on beyond both ends.
_BEYOND_MM = 60.0
_ROUNDS = 3
#: Points that reach this much farther one way than across it tell the way of the spine, within 60 degrees of the feet.
_LONG = 1.5
_STEEP = 0.5
#: Less than this of the way to the left is left over where a curve runs sideways.
_SIDEWAYS = 1e-6
_HEADWARD = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class SpineCurve:
    """A smooth curve through a spine.

    `points`: float `(n, 3)`, LPS mm, `_STEP_MM` apart, from head to feet. `down`, `back`, `left`: float `(n, 3)`, unit
    vectors, the local axes of `s`, `t` and `r`. `s`: float `(n,)`, mm; 0 is the upper end of what it was fitted to.
    """

    s: FloatArray
    points: FloatArray
    down: FloatArray
    back: FloatArray
    left: FloatArray

    def coordinates(self, points_lps: FloatArray) -> FloatArray:
        """Return `(s, t, r)` in mm, shape (n, 3), of LPS positions in mm, shape (n, 3)."""
        nearest = np.asarray(cKDTree(self.points).query(points_lps, workers=1)[1])
        away = points_lps - self.points[nearest]
        along = np.einsum("ij,ij->i", away, self.down[nearest])
        across = np.einsum("ij,ij->i", away, self.back[nearest])
        side = np.einsum("ij,ij->i", away, self.left[nearest])
        return np.stack([self.s[nearest] + along, across, side], axis=1)

    def axes_at(self, s: float) -> FloatArray:
        """Return the local axes at `s`: float (3, 3), rows down, back and left, LPS unit vectors."""
        index = int(np.clip(np.searchsorted(self.s, s), 0, len(self.s) - 1))
        return np.stack([self.down[index], self.back[index], self.left[index]])


def fit_curve(points_lps: FloatArray, grid: Grid) -> SpineCurve:
    """Return the curve through LPS positions in mm, shape (n, 3), n >= 1, such as the voxels of all bodies and discs.

    `grid` tells which way is left: the array axis that lies closest to the patient's, which in a sagittal series is
    across the plane that the technologist laid through the spine.
    """
    sideways = _left_of(grid)
    axis = _long_axis(points_lps, sideways)
    centre = points_lps.mean(axis=0)
    s = (points_lps - centre) @ axis
    curve = _through(points_lps, s, sideways)
    for _ in range(_ROUNDS - 1):
        curve = _through(points_lps, curve.coordinates(points_lps)[:, 0], sideways)
    return curve


def _left_of(grid: Grid) -> FloatArray:
    """Return the unit vector of the array axis closest to left-right, pointing to the left."""
    axis, positive = next((i, sign) for i, (patient, sign) in enumerate(closest_axes(grid.affine)) if patient == 0)
    direction = grid.affine[:3, axis] / np.linalg.norm(grid.affine[:3, axis])
    return np.asarray(direction if positive else -direction)


def _long_axis(points_lps: FloatArray, sideways: FloatArray) -> FloatArray:
    """Return the direction in which the points reach farthest, pointing to the feet; with little to go by, the feet.

    Scoliosis bends a spine sideways, and wide bodies reach far to the sides: that direction does not count.
    """
    feet = np.array([0.0, 0.0, -1.0]) + sideways[2] * sideways
    feet /= np.linalg.norm(feet)
    away = points_lps - points_lps.mean(axis=0)
    _, spread, axes = np.linalg.svd(away - np.outer(away @ sideways, sideways), full_matrices=False)
    axis = axes[0] if axes[0] @ feet > 0 else -axes[0]
    is_clear = len(spread) > 1 and spread[0] > _LONG * spread[1] and axis @ feet > _STEEP
    return np.asarray(axis if is_clear else feet)


def _through(points_lps: FloatArray, s: FloatArray, sideways: FloatArray) -> SpineCurve:
    """Return the smooth curve through the means of the points in steps of `s`."""
    low, high = float(s.min()), float(s.max())
    count = max(2, int(np.ceil((high - low) / _STEP_MM)))
    index = np.minimum(((s - low) / _STEP_MM).astype(np.int64), count - 1)
    weight = np.bincount(index, minlength=count).astype(np.float64)
    sums: FloatArray = np.stack([np.bincount(index, points_lps[:, axis], minlength=count) for axis in range(3)], axis=1)
    middles: FloatArray = (np.arange(count, dtype=np.float64) + 0.5) * _STEP_MM
    means = _smoothed(sums, weight, middles)
    return _walked(means, sideways)


def _smoothed(sums: FloatArray, weight: FloatArray, s: FloatArray) -> FloatArray:
    """Return at each step the value of a line fitted to the steps around it, weighted by their points.

    A local line, not a local mean: a mean would draw the ends of a leaning spine inward.
    """
    sigma = _SMOOTHING_MM / _STEP_MM

    def blurred(values: FloatArray) -> FloatArray:
        return np.asarray(gaussian_filter1d(values, sigma, axis=0, mode="constant", truncate=5.0))

    w0, w1, w2 = blurred(weight), blurred(weight * s), blurred(weight * s * s)
    y0, y1 = blurred(sums), blurred(sums * s[:, np.newaxis])
    spread = w0 * w2 - w1**2
    flat = spread <= 1e-6 * np.maximum(w0, 1e-12) ** 2
    slope = (w0[:, np.newaxis] * y1 - w1[:, np.newaxis] * y0) / np.where(flat, 1.0, spread)[:, np.newaxis]
    slope[flat] = 0.0
    safe = np.maximum(w0, 1e-12)
    result: FloatArray = y0 / safe[:, np.newaxis] + slope * (s - w1 / safe)[:, np.newaxis]
    return result


def _walked(means: FloatArray, sideways: FloatArray) -> SpineCurve:
    """Return the curve through `means` at even steps of its own length, drawn on straight beyond both ends."""
    reach = 1 if len(means) < 12 else 5
    first, last = means[0] - means[reach], means[-1] - means[-1 - reach]
    first, last = _unit(first, _HEADWARD), _unit(last, -_HEADWARD)
    path = np.concatenate([[means[0] + _BEYOND_MM * first], means, [means[-1] + _BEYOND_MM * last]])
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.arange(0.0, length[-1], _STEP_MM)
    points = np.stack([np.interp(at, length, path[:, axis]) for axis in range(3)], axis=1)
    down = np.gradient(points, axis=0)
    down /= np.linalg.norm(down, axis=1, keepdims=True)
    left = sideways - (down @ sideways)[:, np.newaxis] * down
    # What is spread from side to side alone has no left of its own: what is square to it will do.
    left = np.where(np.linalg.norm(left, axis=1, keepdims=True) > _SIDEWAYS, left, np.cross(down, _HEADWARD))
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    return SpineCurve(s=at - _BEYOND_MM, points=points, down=down, back=np.cross(left, down), left=left)


def _unit(vector: NDArray[np.float64], otherwise: FloatArray) -> FloatArray:
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length) if length > 0 else otherwise
