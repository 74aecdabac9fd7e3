"""The sliding window: tiles and mirrors in batches, in nnU-Net's order of adding up.

Every addition rounds where nnU-Net's rounds: Gaussian, sums and mean of the folds in float16. A batch is added up tile
by tile, so that its size changes no voxel.
Source: nnunetv2 2.8, `inference/predict_from_raw_data.py` (`_internal_predict_sliding_window_return_logits`).
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window

from node.errors import EngineError

#: Takes tiles (n, 1, *patch) float32 and gives logits (n, classes, *patch).
Forward = Callable[[torch.Tensor], torch.Tensor]

_STEP = 0.5
_PEAK = 10

Corner = tuple[int, ...]
Slices = tuple["slice[int, int, None]", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How a member looks at an image: its tile, the classes it tells apart, the axes along which it is mirrored."""

    patch: tuple[int, ...]
    heads: int
    #: 0 is the first axis of the tile.
    mirror_axes: tuple[int, ...]

    def mirrors(self) -> list[tuple[int, ...]]:
        """Return the sets of tile axes to flip, in nnU-Net's order; the first is the tile as it is."""
        axes = self.mirror_axes
        return [chosen for count in range(len(axes) + 1) for chosen in itertools.combinations(axes, count)]

    def corners(self, shape: Sequence[int]) -> list[Corner]:
        """Return the first index of each tile in an image of `shape`, without the slices in 2d."""
        steps = compute_steps_for_sliding_window(tuple(shape)[-len(self.patch) :], self.patch, _STEP)
        return list(itertools.product(*steps))

    def tiles(self, shape: Sequence[int]) -> int:
        """Return how many tiles nnU-Net cuts from an image (slices, rows, columns), mirrors not counted."""
        padded = [max(size, least) for size, least in zip(shape[-len(self.patch) :], self.patch, strict=True)]
        return len(self.corners(padded)) * (shape[0] if len(self.patch) == 2 else 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Padded:
    """An image of at least the tile's size, and where the original lies in it."""

    voxels: torch.Tensor
    inner: Slices


def pad(image: torch.Tensor, patch: Sequence[int]) -> Padded:
    """Pad (slices, rows, columns) with zeros to the size of a tile, as nnU-Net does."""
    voxels, inner = pad_nd_image(image[None], tuple(patch), "constant", {"value": 0}, True, None)
    return Padded(voxels=voxels[0], inner=tuple(inner[1:]))


class Sum:
    """Logits as they add up over tiles: (classes, slices, rows, columns) float16."""

    def __init__(self, shape: Sequence[int], window: Window, device: torch.device) -> None:
        self._window = window
        self._gaussian = gaussian(window.patch, device)
        self._logits = torch.zeros((window.heads, *shape), dtype=torch.half, device=device)
        self._weight = torch.zeros(tuple(shape)[-len(window.patch) :], dtype=torch.half, device=device)
        for corner in window.corners(shape):
            self._weight[self._inside(corner)] += self._gaussian

    def add(self, tile: torch.Tensor, corner: Corner, plane: int | None) -> None:
        """Add the logits of one tile, (classes, *patch); `plane` is its slice in 2d."""
        tile *= self._gaussian
        target = self._logits if plane is None else self._logits[:, plane]
        target[(slice(None), *self._inside(corner))] += tile

    def mean(self) -> torch.Tensor:
        """Return the weighted mean. Raises EngineError when a sum outgrew float16."""
        torch.div(self._logits, self._weight, out=self._logits)
        if torch.isinf(self._logits).any():
            raise EngineError("the logits outgrew float16")
        return self._logits

    def _inside(self, corner: Corner) -> Slices:
        return tuple(slice(start, start + size) for start, size in zip(corner, self._window.patch, strict=True))


def gaussian(patch: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """Return nnU-Net's importance of each voxel of a tile, float16."""
    made: torch.Tensor = compute_gaussian(
        patch, sigma_scale=1.0 / 8, value_scaling_factor=_PEAK, dtype=torch.half, device=device
    )
    return made


def logits(image: torch.Tensor, window: Window, forward: Forward, batch: int) -> torch.Tensor:
    """Return the logits (classes, slices, rows, columns) float16 of an image on the network's grid.

    `forward` is given at most `batch` tiles at a time, mirrors counted. Raises EngineError.
    """
    padded = pad(image, window.patch)
    total = Sum(padded.voxels.shape, window, image.device)
    places = list(_places(padded.voxels.shape, window))
    mirrors = window.mirrors()
    together = max(1, batch // len(mirrors))
    for start in range(0, len(places), together):
        chosen = places[start : start + together]
        tiles = torch.stack([_cut(padded.voxels, window.patch, *place) for place in chosen])[:, None]
        for tile, place in zip(_mirrored(tiles, mirrors, forward, batch), chosen, strict=True):
            total.add(tile, *place)
    return total.mean()[(slice(None), *padded.inner)]


def _places(shape: Sequence[int], window: Window) -> Iterator[tuple[Corner, int | None]]:
    """Yield each tile as (first index, slice in 2d or None), in nnU-Net's order."""
    planes: Sequence[int | None] = range(shape[0]) if len(window.patch) == 2 else (None,)
    for plane in planes:
        for corner in window.corners(shape):
            yield corner, plane


def _cut(image: torch.Tensor, patch: tuple[int, ...], corner: Corner, plane: int | None) -> torch.Tensor:
    inside = tuple(slice(start, start + size) for start, size in zip(corner, patch, strict=True))
    return (image if plane is None else image[plane])[inside]


def _mirrored(tiles: torch.Tensor, mirrors: Sequence[tuple[int, ...]], forward: Forward, batch: int) -> torch.Tensor:
    """Return the mean logits over the mirrors, added in nnU-Net's order; `tiles` is (n, 1, *patch)."""
    axes = [tuple(axis + 2 for axis in chosen) for chosen in mirrors]
    if len(axes) == 1:
        return forward(tiles)
    flipped = torch.cat([torch.flip(tiles, chosen) for chosen in axes])
    answers = torch.cat([forward(part) for part in torch.split(flipped, batch)])
    answers = answers.reshape(len(axes), len(tiles), *answers.shape[1:])
    mean: torch.Tensor = answers[0].clone()
    for answer, chosen in zip(answers[1:], axes[1:], strict=True):
        mean += torch.flip(answer, chosen)
    mean /= len(axes)
    return mean
