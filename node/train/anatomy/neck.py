"""Paints what surrounds the spine in one sagittal plane: muscle, fat, skin, airway, face, skull, chest.

Crude on purpose: nothing here is labelled; it is there so that a network meets it. All sizes are chosen.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.train.acquisition.tones import Tones
from node.train.anatomy.plane import Map, Plane, ellipse
from node.train.anatomy.spine import SpineField

_SKIN_S = np.array([-160.0, -80.0, -30.0, 2.0, 22.0, 40.0, 75.0, 110.0, 160.0, 300.0, 430.0])
_FRONT_T = np.array([-95.0, -105.0, -112.0, -103.0, -78.0, -56.0, -50.0, -60.0, -95.0, -130.0, -140.0])
_BACK_T = np.array([95.0, 90.0, 75.0, 68.0, 66.0, 67.0, 73.0, 79.0, 76.0, 74.0, 74.0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neck:
    """One random neck; `front_t` and `back_t` are the skin at `_SKIN_S`, everything in mm."""

    front_t: NDArray[np.float64]
    back_t: NDArray[np.float64]
    back_fat_mm: float
    front_fat_mm: float
    neck_half_mm: float
    tongue: tuple[float, float, float, float]  #: s, t, half along, half across
    jaw: tuple[float, float]  #: s, t
    airway: tuple[float, float]  #: half front to back, gap before the bodies
    fattiness: float


def draw_neck(rng: np.random.Generator) -> Neck:
    """Return a random neck."""
    stout = rng.normal(0.0, 1.0)
    front = _FRONT_T * (1.0 + 0.06 * stout) + rng.normal(0.0, 5.0, _FRONT_T.size)
    back = _BACK_T * (1.0 + 0.08 * stout) + rng.normal(0.0, 4.0, _BACK_T.size)
    return Neck(
        front_t=front,
        back_t=back,
        back_fat_mm=float(np.clip(rng.normal(12.0, 6.0), 3.0, 35.0)),
        front_fat_mm=float(rng.uniform(2.0, 12.0)),
        neck_half_mm=float(rng.uniform(48.0, 70.0)),
        tongue=(rng.normal(-22.0, 6.0), rng.normal(-65.0, 6.0), rng.uniform(17.0, 25.0), rng.uniform(22.0, 30.0)),
        jaw=(rng.normal(2.0, 6.0), rng.normal(-92.0, 5.0)),
        airway=(float(rng.uniform(3.0, 8.0)), float(rng.uniform(4.0, 10.0))),
        fattiness=float(rng.uniform(0.4, 1.9)),
    )


class NeckPainter:
    """Paints one neck; the skin lines are computed once."""

    def __init__(self, neck: Neck, field: SpineField, tones: Tones) -> None:
        self._neck, self._field, self._tones = neck, field, tones
        grid = np.arange(-160.0, 430.0)
        index = np.clip(np.rint(field.s + 160.0), 0, grid.size - 1).astype(np.int64)
        kernel = np.hanning(51) / np.hanning(51).sum()
        lines = []
        for knots in (neck.front_t, neck.back_t):
            line = np.pad(np.interp(grid, _SKIN_S, knots), 25, mode="edge")
            lines.append(np.convolve(line, kernel, mode="valid").astype(np.float32)[index])
        self._front, self._back = lines

    def skin(self, lateral_mm: float) -> Map:
        """Return the distance inside the skin, mm."""
        shrink = np.float32(np.sqrt(max(1.0 - (lateral_mm / self._neck.neck_half_mm) ** 2, 0.15)))
        inside: Map = np.minimum(
            self._field.t - self._front * shrink, self._back * (0.6 + 0.4 * shrink) - self._field.t
        )
        return inside

    def soft_tissue(self, plane: Plane, lateral_mm: float) -> None:
        """Paint muscle with fat planes, subcutaneous fat and skin into air."""
        neck, field, tones = self._neck, self._field, self._tones
        inside = self.skin(lateral_mm)
        muscle = tones.muscle * (1.0 + 0.15 * plane.grain)
        behind = np.clip((field.t - 15.0) / 20.0, 0.0, 1.0)
        streak = plane.streaks + 0.35 * plane.grain - 1.3 + neck.fattiness * (0.6 + 0.3 * behind)
        tissue = muscle + np.clip(streak * 1.3, 0.0, 1.0) * (tones.fat * 0.75 - muscle)
        plane.paint(inside, tones.ligament)
        plane.paint(inside - 1.6, tones.fat * (1.0 + 0.07 * plane.grain))
        thick = np.where(
            field.t > 0.0, neck.back_fat_mm * (0.8 + np.clip((field.s - 20.0) / 60.0, 0.0, 0.9)), neck.front_fat_mm
        )
        plane.paint(inside - thick - 1.5 * plane.streaks, tissue)

    def throat(self, plane: Plane) -> None:
        """Paint prevertebral muscle, oesophagus, airway with its wall, and a vessel."""
        field, tones, (half, gap) = self._field, self._tones, self._neck.airway
        side = np.abs(plane.r)
        front = -field.depth.clip(6.0) - np.float32(1.0)
        plane.paint(np.minimum(front - field.t, field.t - front + 3.0 + 0.35 * side), tones.muscle * 0.9)
        pipe = front - 4.0 - gap * np.clip(0.4 + field.s / 60.0, 0.4, 1.6) - half
        plane.paint(ellipse(field.t - pipe - half - 4.5, plane.r, 3.5, 8.0), tones.soft * (1.0 + 0.2 * plane.streaks))
        plane.paint(ellipse(field.t - pipe, plane.r, half + 2.2, 12.0), tones.mucosa * 0.8 * (1.0 + 0.2 * plane.grain))
        plane.paint(ellipse(field.t - pipe, plane.r, np.float32(half), 9.5), tones.air)
        plane.paint(ellipse(field.t - pipe - 2.0, side - 24.0, 5.0, 4.5), tones.vessel)

    def head(self, plane: Plane) -> None:
        """Paint tongue, jaw, palate and nasopharynx in front; clivus, cerebellum and occiput above and behind."""
        neck, field, tones = self._neck, self._field, self._tones
        s, t, side = field.s, field.t, np.abs(plane.r)
        s0, t0, along, across = neck.tongue
        plane.paint(ellipse(s - s0, t - t0, along + 4.0, across + 5.0), tones.fat * 0.5 * (1.0 + 0.2 * plane.streaks))
        plane.paint(ellipse(s - s0, t - t0, along, across), tones.soft * (0.8 + 0.3 * plane.streaks))
        plane.paint(ellipse(s - s0 - 10.0, t - t0, 9.0, across * 0.9), tones.fat * (0.45 + 0.2 * plane.streaks))
        plane.paint(ellipse(s - s0 + along + 6.0, t - t0, 4.0, across), tones.mucosa * 0.6)
        reach = 5.5 + 0.8 * side
        jaw = ellipse(s - neck.jaw[0], t - neck.jaw[1] - 0.6 * side, 11.0, reach)
        plane.paint(jaw, tones.cortex)
        plane.paint(jaw - 2.2, tones.fat * 0.7)
        teeth = ellipse(s - neck.jaw[0] + 17.0, t - neck.jaw[1] - 0.6 * side, 9.0, reach * 0.8)
        plane.paint(teeth, tones.cortex * (1.0 + 0.8 * np.sin(t * 0.9)) * (1.0 + 0.3 * plane.grain))
        nose = ellipse(s + 62.0, t + 62.0, 17.0, 38.0)
        plane.paint(nose, np.where(plane.streaks > 0.3, tones.mucosa, tones.air).astype(np.float32))
        clivus = ellipse(s + 66.0 + 0.9 * (t + 8.0), t + 8.0 - 0.5 * (s + 66.0), 7.0, 20.0)
        plane.paint(clivus, tones.cortex)
        plane.paint(np.where(side < 22.0, clivus - 1.5, -5.0).astype(np.float32), tones.marrow * 1.3)
        fossa = ellipse(s + 95.0, t - 45.0, 52.0, 55.0)
        plane.paint(fossa + 8.0, tones.fat * 0.9)
        plane.paint(fossa + 5.0, tones.cortex)
        plane.paint(fossa, tones.csf * 0.9)
        plane.paint(fossa - 3.0, tones.cord * (1.0 + 0.12 * plane.streaks))

    def chest(self, plane: Plane, lateral_mm: float) -> None:
        """Paint the lung's apex at the sides, sternum and heart's shadow in front."""
        field, tones = self._field, self._tones
        far = np.float32(max(abs(lateral_mm) - 12.0, 0.0))
        lung = ellipse(field.s - 235.0, field.t + 34.0, 70.0 + 2.2 * far, np.float32(6.0 + 2.0 * far))
        plane.paint(lung - 4.0, tones.air)
        sternum = np.minimum(field.s - 150.0, 8.0 - np.abs(field.t + 78.0 + 0.2 * (field.s - 150.0)))
        plane.paint(np.where(np.abs(plane.r) < 18.0, sternum, -5.0).astype(np.float32), tones.marrow * 1.1)
        plane.paint(ellipse(field.s - 240.0, field.t + 75.0, 40.0, 30.0), tones.vessel)
