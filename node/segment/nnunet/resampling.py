"""nnU-Net's resampling as linear operators on the device, made once for each pair of sizes.

nnU-Net resizes with skimage, slice by slice: spline interpolation within the slices, nearest neighbour across them
where the grid is anisotropic. Each step is linear and separable, so one small matrix an axis does the same.
Source: nnunetv2 2.8, `preprocessing/resampling/default_resampling.py`; skimage, `transform/_warps.py` (`resize`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from nnunetv2.preprocessing.resampling.default_resampling import determine_do_sep_z_and_axis
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, zoom

Shape = tuple[int, int, int]
Spacing = Sequence[float]

#: The one resampling function of nnU-Net that these operators stand for.
FUNCTION = "resample_data_or_seg_to_shape"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How nnU-Net goes from one grid to another.

    `order`: of the spline within the planes. `through`: the axis across the planes, treated by nearest neighbour; None
    where all three axes are interpolated alike.
    """

    order: int
    through: int | None


def way(current_spacing: Spacing, new_spacing: Spacing, keywords: dict[str, Any]) -> Way | None:
    """Return the way that nnU-Net's function takes with these keywords; None for one that has no operator here."""
    separate, axis = determine_do_sep_z_and_axis(
        keywords.get("force_separate_z", False),
        current_spacing,
        new_spacing,
        *([keywords["separate_z_anisotropy_threshold"]] if "separate_z_anisotropy_threshold" in keywords else []),
    )
    if keywords.get("is_seg", False) or (separate and keywords.get("order_z", 0) != 0):
        return None
    return Way(order=int(keywords.get("order", 3)), through=int(axis) if separate else None)


@lru_cache(maxsize=256)
def operator(size_in: int, size_out: int, order: int) -> NDArray[np.float64]:
    """Return the matrix (size_out, size_in) of skimage's `resize` along one axis, edge values repeated."""
    made: NDArray[np.float64] = zoom(
        np.eye(size_in), (size_out / size_in, 1.0), order=order, mode="nearest", grid_mode=True
    )
    return made


@lru_cache(maxsize=256)
def nearest(size_in: int, size_out: int) -> NDArray[np.int64]:
    """Return for each index of the output the index of the input that nearest neighbour takes, as scipy rounds."""
    places = size_in / size_out * (np.arange(size_out) + 0.5) - 0.5
    taken: NDArray[np.int64] = map_coordinates(np.arange(size_in), [places], order=0, mode="nearest").astype(np.int64)
    return taken


def resize(image: torch.Tensor, shape: Sequence[int], how: Way) -> torch.Tensor:
    """Return `image` (slices, rows, columns) on a grid of `shape`, float32; the axis across the planes stays as it is.

    Clipped to the range of what went in, as skimage clips each picture that it is given: every plane on its own, or
    the whole volume.
    """
    planes = [axis for axis in range(3) if axis != how.through]
    wide = image.double()
    lowest, highest = wide.amin(dim=planes, keepdim=True), wide.amax(dim=planes, keepdim=True)
    for axis in planes:
        if wide.shape[axis] != shape[axis]:
            matrix = torch.from_numpy(operator(wide.shape[axis], shape[axis], how.order)).to(wide.device)
            wide = _along(matrix, wide, axis)
    return torch.minimum(torch.maximum(wide, lowest), highest).float()


def pick(image: torch.Tensor, size: int, axis: int) -> torch.Tensor:
    """Return `image` (slices, rows, columns) with `size` planes across `axis`, by nearest neighbour."""
    if image.shape[axis] == size:
        return image
    return image.index_select(axis, torch.from_numpy(nearest(image.shape[axis], size)).to(image.device))


def _along(matrix: torch.Tensor, image: torch.Tensor, axis: int) -> torch.Tensor:
    """Apply a matrix (out, in) along one axis of (slices, rows, columns)."""
    if axis == 2:
        return image @ matrix.T
    if axis == 1:
        return matrix @ image
    return torch.einsum("oi,irc->orc", matrix, image)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """Linear interpolation along one axis: output `i` is `(1 - weight[i]) * x[low[i]] + weight[i] * x[high[i]]`."""

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    weight: NDArray[np.float64]

    def reach(self, active: NDArray[np.bool_]) -> tuple[int, int]:
        """Return the range of outputs, from and to, that any active input takes part in; empty is (0, 0)."""
        touched = np.flatnonzero(active[self.low] | active[self.high])
        return (int(touched[0]), int(touched[-1]) + 1) if touched.size else (0, 0)

    def part(self, start: int, stop: int) -> "Line":
        """Return the line for the outputs from `start` to `stop` alone."""
        return Line(low=self.low[start:stop], high=self.high[start:stop], weight=self.weight[start:stop])


@lru_cache(maxsize=256)
def line(size_in: int, size_out: int, order: int) -> Line:
    """Return order 1 (linear) or order 0 (nearest neighbour) along one axis, as nnU-Net resizes logits."""
    if order == 0:
        taken = nearest(size_in, size_out)
        return Line(low=taken, high=taken, weight=np.zeros(size_out))
    places = np.clip(size_in / size_out * (np.arange(size_out) + 0.5) - 0.5, 0, size_in - 1)
    low = np.floor(places).astype(np.int64)
    return Line(low=low, high=np.minimum(low + 1, size_in - 1), weight=places - low)


def interpolate(logits: torch.Tensor, lines: Sequence[Line]) -> torch.Tensor:
    """Return logits (classes, slices, rows, columns) float16 along one line an axis, in float64, rounded to float16.

    The corners are multiplied and added up in the order of scipy's `zoom`, so that the last digit is the same too.
    """
    linear = []
    for axis, along in enumerate(lines, start=1):
        if along.weight.any():
            linear.append((axis, along))
        elif not np.array_equal(along.low, np.arange(logits.shape[axis])):
            logits = logits.index_select(axis, torch.from_numpy(along.low).to(logits.device))
    if not linear:
        return logits
    total: torch.Tensor | None = None
    for corner in _corners(logits, linear):
        total = corner.double() if total is None else total.add_(corner)
    return logits if total is None else _rounded(total)


def _rounded(values: torch.Tensor) -> torch.Tensor:
    """Return float64 as float16, rounded once: torch goes by way of float32 and rounds twice."""
    if values.device.type == "cpu":
        return torch.from_numpy(values.numpy().astype(np.float16))
    return values.half()


def _corners(values: torch.Tensor, linear: Sequence[tuple[int, Line]]) -> Iterator[torch.Tensor]:
    """Yield the weighted neighbours of every output, float64: both ends of the first axis, within each the next."""
    if not linear:
        yield values
        return
    (axis, along), *rest = linear
    shape = [-1 if one == axis else 1 for one in range(values.ndim)]
    for index, weight in ((along.low, 1.0 - along.weight), (along.high, along.weight)):
        taken = values.index_select(axis, torch.from_numpy(index).to(values.device)).double()
        yield from _corners(taken.mul_(torch.from_numpy(weight).to(values.device).reshape(shape)), rest)
