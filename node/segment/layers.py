"""Volumes of one grid that are empty but for one box: kept, turned and sent as that box alone.

A neck fills about a tenth of its series, and an answer has five volumes or more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]
Volumes = NDArray[np.uint8]
Sizes = tuple[int, int, int]

_OPPOSITE = dict(zip("LRAPIS", "RLPASI", strict=True))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layers:
    """Volumes `(slices, rows, columns)` of shape `whole`, zero outside the box that begins at `corner`.

    `voxels`: uint8 `(layers, slices, rows, columns)`, what lies in the box.
    """

    voxels: Volumes
    corner: Sizes
    whole: Sizes

    @property
    def box(self) -> Box:
        """Where the voxels lie in the whole."""
        first, second, third = (
            slice(start, start + size) for start, size in zip(self.corner, self.voxels.shape[1:], strict=True)
        )
        return first, second, third

    def unpacked(self) -> Volumes:
        """Return the whole volumes, `(layers, slices, rows, columns)`, a new array."""
        volumes = np.zeros((len(self.voxels), *self.whole), dtype=np.uint8)
        volumes[(slice(None), *self.box)] = self.voxels
        return volumes

    def turned(self, own: str, wanted: str) -> "Layers":
        """Return volumes that lie in orientation `own`, such as "RSP", as they lie in `wanted`; no voxel is copied."""
        order = [next(at for at, letter in enumerate(own) if letter in (want, _OPPOSITE[want])) for want in wanted]
        flipped = [at for at, (axis, want) in enumerate(zip(order, wanted, strict=True)) if own[axis] != want]
        voxels = self.voxels.transpose(0, *(axis + 1 for axis in order))
        whole, corner = [self.whole[axis] for axis in order], [self.corner[axis] for axis in order]
        for at in flipped:
            corner[at] = whole[at] - corner[at] - voxels.shape[at + 1]
        return Layers(
            voxels=np.flip(voxels, tuple(at + 1 for at in flipped)),
            corner=(corner[0], corner[1], corner[2]),
            whole=(whole[0], whole[1], whole[2]),
        )


def packed(volumes: Sequence[Volumes]) -> Layers:
    """Return volumes of one shape `(slices, rows, columns)` as the smallest box around what is not zero in any."""
    anything = reduce(np.bitwise_or, volumes)
    ranges = []
    for axes in ((1, 2), (0, 2), (0, 1)):
        used = np.flatnonzero(anything.max(axis=axes))
        ranges.append(slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0))
    first, second, third = ranges
    slices, rows, columns = anything.shape
    return Layers(
        voxels=np.stack([volume[first, second, third] for volume in volumes]),
        corner=(first.start, second.start, third.start),
        whole=(slices, rows, columns),
    )
