"""Muscles in layers with fat planes between them, behind and before the spine. All sizes are chosen."""

import numpy as np

from node.train.acquisition.tones import Tones
from node.train.anatomy.blobs import Table
from node.train.anatomy.plane import Map, Plane
from node.train.anatomy.spine import SpineField

_STEPS = 400


class MuscleLayers:
    """Brightness of muscle and fat from how deep a pixel lies between the spine and the skin's fat."""

    def __init__(self, rng: np.random.Generator, field: SpineField, tones: Tones, thick: tuple[Map, Map]) -> None:
        """`thick` is how far muscle reaches to the back and to the front of the spine's middle, mm."""
        self._tones = tones
        behind, before = thick
        inner = np.maximum(field.depth, 6.0) + np.float32(rng.uniform(17.0, 24.0))
        outward = np.where(
            field.t > 0.0,
            (field.t - inner) / np.maximum(behind - inner, 6.0),
            2.0 + (-field.t - 8.0) / np.maximum(before - 8.0, 8.0),
        )
        # The tables: 0..1 behind the spine, 2..3 before it.
        self._place = np.clip(outward, -0.1, 3.2).astype(np.float32) * np.float32(_STEPS / 4.0) + np.float32(12.0)
        marbled = float(rng.beta(1.2, 2.5))
        self._marbled = marbled
        self._side = _table(rng, marbled)
        self._middle = _nuchal(rng, self._side)
        self._clumps = _clumps(rng)
        self._wave = float(rng.uniform(1.0, 3.5))
        angle = rng.normal(0.0, 0.12)
        pitch = rng.uniform(1.5, 3.0)
        phase = (field.t + np.float32(angle) * field.s) / np.float32(pitch)
        self._fibres = (np.float32(rng.uniform(0.03, 0.28)) * np.sin(phase)).astype(np.float32)

    def tissue(self, plane: Plane, lateral_mm: float) -> Map:
        """Return the brightness of muscle with its fat planes in one plane."""
        tones = self._tones
        index = np.clip(self._place + np.float32(self._wave) * plane.streaks, 0, _STEPS - 1).astype(np.int16)
        near = np.float32(np.exp(-((lateral_mm / 5.0) ** 2)))
        fat, muscle = (near * middle + (1 - near) * side for middle, side in zip(self._middle, self._side, strict=True))
        fat = fat + np.float32(np.exp(-(((abs(lateral_mm) - 13.0) / 7.0) ** 2))) * self._clumps
        rough = np.float32(1.0) + np.float32(0.12) * plane.grain + self._fibres * plane.streaks
        tissue = muscle[index] * (np.float32(tones.muscle) * rough)
        broken = np.float32(0.7) + np.float32(0.5) * plane.streaks + np.float32(0.35) * plane.grain
        patchy = np.maximum(plane.streaks + np.float32(0.3) * plane.grain - np.float32(1.9 - 1.6 * self._marbled), 0.0)
        share = np.clip(fat[index] * np.clip(broken, 0.0, 1.3) + patchy, 0.0, 1.0)
        mixed: Map = tissue + share * (np.float32(0.85 * tones.fat) - tissue)
        return mixed


def _table(rng: np.random.Generator, marbled: float) -> tuple[Table, Table]:
    """Return the share of fat and the muscle's relative brightness along `_place`."""
    q = (np.arange(_STEPS) - 12.0) / (_STEPS / 4.0)
    fat, muscle = np.full(_STEPS, 0.15 * marbled), np.ones(_STEPS)
    for start, count in ((0.0, int(rng.integers(3, 7))), (2.0, int(rng.integers(1, 5)))):
        between = start + np.sort(rng.uniform(0.05, 0.97, count))
        for boundary in between:
            width = rng.uniform(0.01, 0.035 + 0.05 * marbled)
            fat += rng.uniform(0.25, 1.1) * np.exp(-(((q - boundary) / width) ** 2))
            muscle = np.where((q > boundary) & (q < start + 1.2), rng.uniform(0.75, 1.3), muscle)
    fat += np.where(q > 1.7, rng.uniform(0.0, 0.3), 0.0)
    return np.clip(fat, 0.0, 1.0).astype(np.float32), muscle.astype(np.float32)


def _nuchal(rng: np.random.Generator, side: tuple[Table, Table]) -> tuple[Table, Table]:
    """Return the same tables for the mid-plane: fat beside the nuchal ligament, the ligament a dark line."""
    q = (np.arange(_STEPS) - 12.0) / (_STEPS / 4.0)
    behind = (q > 0.0) & (q < 1.1)
    fat = np.where(behind, rng.uniform(0.2, 0.7), side[0])
    line = rng.uniform(0.5, 0.95)
    dark = np.exp(-(((q - line) / rng.uniform(0.02, 0.05)) ** 2)) * behind
    return (fat * (1.0 - dark)).astype(np.float32), (side[1] * (1.0 - 0.6 * dark)).astype(np.float32)


def _clumps(rng: np.random.Generator) -> Table:
    """Return the share of fat that lies in clumps on the laminae and round the joints, along `_place`."""
    q = (np.arange(_STEPS) - 12.0) / (_STEPS / 4.0)
    fade = np.exp(-((np.maximum(q + 0.03, 0.0) / rng.uniform(0.03, 0.16)) ** 2))
    share: Table = (rng.uniform(0.0, 0.9) * fade * (q < 1.2)).astype(np.float32)
    return share
