"""Smooth random fields: the grain of marrow and muscle, fat planes."""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from node.train.anatomy.plane import Map


class Texture:
    """Smooth random fields over the sagittal plane that change from side to side; values about -2..2, float32.

    Each is stretched by `grain_mm` along (s, t) and held at a few lateral positions between which `at` blends.
    """

    def __init__(self, rng: np.random.Generator, s: Map, t: Map, grain_mm: tuple[float, float]) -> None:
        self._planes: list[Map] = []
        for _ in range(4):
            noise = gaussian_filter(rng.standard_normal((96, 96)).astype(np.float32), 1.0, mode="wrap")
            noise /= noise.std()
            shift = rng.uniform(0.0, 90.0, 2)
            where = np.stack([s / (grain_mm[0] / 2) + shift[0], t / (grain_mm[1] / 2) + shift[1]])
            self._planes.append(map_coordinates(noise, where, order=1, mode="grid-wrap").astype(np.float32))

    def at(self, phase: float) -> Map:
        """Return the field at the lateral phase 0..1 (right to left)."""
        place = phase * (len(self._planes) - 1)
        low = min(int(place), len(self._planes) - 2)
        part = np.float32(place - low)
        blended: Map = self._planes[low] * (1 - part) + self._planes[low + 1] * part
        return blended
