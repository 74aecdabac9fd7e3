"""Smooth random fields: the grain of marrow and muscle, fat planes."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from node.train.anatomy.plane import Map

_SIZE, _FINE = 96, 4


class Texture:
    """Smooth random fields over the sagittal plane that change from side to side; values about -2..2, float32.

    Each is stretched by `grain_mm` along (s, t) and held at a few lateral positions between which `at` blends.
    """

    def __init__(self, rng: np.random.Generator, s: Map, t: Map, grain_mm: tuple[float, float]) -> None:
        self._planes: list[Map] = []
        along, across = (_table_index(x, grain) for x, grain in zip((s, t), grain_mm, strict=True))
        noise = gaussian_filter(rng.standard_normal((_SIZE, _SIZE), dtype=np.float32), 1.0, mode="wrap")
        noise /= noise.std()
        table = zoom(noise, _FINE, order=1, mode="grid-wrap", grid_mode=True)
        size = _SIZE * _FINE
        for _ in range(4):
            # Parts of one periodic table far from each other have nothing in common.
            shift = rng.integers(0, size, 2)
            self._planes.append(table[(along + shift[0]) % size, (across + shift[1]) % size])

    def at(self, phase: float) -> Map:
        """Return the field at the lateral phase 0..1 (right to left)."""
        place = phase * (len(self._planes) - 1)
        low = min(int(place), len(self._planes) - 2)
        part = np.float32(place - low)
        blended: Map = self._planes[low] * (1 - part) + self._planes[low + 1] * part
        return blended


def _table_index(x: Map, grain_mm: float) -> NDArray[np.int32]:
    """Return the rounded place of `x` (mm) in a table of `_FINE` entries for half a grain."""
    index: NDArray[np.int32] = np.rint(x * np.float32(2 * _FINE / grain_mm)).astype(np.int32)
    return index
