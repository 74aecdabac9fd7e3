"""Paints the spinal canal of one sagittal plane: fat, ligaments, CSF with flow, cord; above C1 cistern and medulla.

Arrays are (pixels,) float32 of a patch around the canal; distances in mm in spine coordinates. Sizes are chosen within
what midsagittal MR shows: sac 11 to 16 mm, cord 6 to 8 mm front to back.
"""

import numpy as np

from node.train.acquisition.tones import Tones
from node.train.anatomy.morphometry import CORD_HALF_MM
from node.train.anatomy.plane import Map, Plane, bump, ellipse
from node.train.anatomy.spine import Spine, SpineField

#: Gap between a body's back wall and the CSF, mm.
GAP_MM = 1.2


def canal_front(spine: Spine, field: SpineField) -> Map:
    """Return where the CSF begins behind the bodies: `t` in mm; above C2 behind the dens and its ligaments."""
    high = skullward(field)
    return field.depth + (np.float32(7.5 * spine.size) - field.depth) * high + np.float32(GAP_MM)


def skullward(field: SpineField) -> Map:
    """Return 0 in the neck, growing to 1 from C1 upward."""
    return np.asarray(np.clip((np.float32(-10.0) - field.s) / np.float32(22.0), 0.0, 1.0), dtype=np.float32)


class CanalPainter:
    """Paints one canal; its walls are computed once."""

    def __init__(self, rng: np.random.Generator, spine: Spine, field: SpineField, tones: Tones) -> None:
        self._field, self._tones = field, tones
        discs, high = spine.discs, skullward(field)
        at_disc = bump(field.s - discs.centre_s.astype(np.float32)[field.disc], 4.0)
        flavum = discs.flavum_mm.astype(np.float32)[field.disc] * at_disc
        reach = np.maximum(discs.bulge_mm + discs.hernia_mm + 0.7 * discs.back_lip_mm - 0.6, 0.0)
        pressed = np.where(field.s > -12.0, reach.astype(np.float32)[field.disc] * at_disc, np.float32(0.0))
        bodies = np.concatenate([[-12.0], (discs.centre_s[1:] + discs.centre_s[:-1]) / 2])
        slip = np.interp(field.s, bodies, spine.bodies.slip_mm[: bodies.size]).astype(np.float32)
        front = canal_front(spine, field) + slip
        self._half = np.float32(spine.canal_mm / 2) * (1 + np.float32(0.25) * high) - flavum / 2
        self._middle = field.t - front - self._half
        thick = np.array(CORD_HALF_MM, dtype=np.float32)[field.level] * np.float32(spine.cord_scale)
        thick = np.minimum(thick * (1 + np.float32(0.35) * high), self._half - np.float32(0.3))
        free = np.maximum(self._half - thick, 0)
        place = np.sin(field.s / np.float32(rng.uniform(40.0, 90.0)) + np.float32(rng.uniform(0, 6.3)))
        off = free * np.float32(rng.uniform(0.0, 0.55)) * place
        off = np.minimum(np.maximum(off, pressed + thick + np.float32(0.2) - self._half), free + np.float32(1.0))
        # A cord that has no room left is flattened.
        self._thick = np.maximum(np.minimum(thick, (2 * self._half - pressed) / 2 - np.float32(0.2)), np.float32(1.2))
        self._cord = self._middle - off
        self._fat_mm = np.clip(np.float32(rng.uniform(0.5, 2.5)) + (field.s - 60) / np.float32(50.0), 0.3, 5.0)
        self._fat_mm *= 1 - np.float32(0.6) * at_disc
        self._veins = np.float32(rng.uniform(0.0, 1.6)) * (1 - at_disc)
        self._flow = np.float32(rng.choice([0.0, rng.uniform(0.2, 0.9)]))
        self._flow_side = np.float32(rng.choice([-1.0, 1.0]))
        self._grey = np.float32(rng.uniform(-0.05, 0.22))
        self._lesion = self._draw_lesion(rng)

    def _draw_lesion(self, rng: np.random.Generator) -> Map:
        """Return the gain of a bright patch in the cord, in one person of ten."""
        if rng.random() > 0.1:
            return np.zeros_like(self._cord)
        along, length = np.float32(rng.uniform(5.0, 110.0)), np.float32(rng.uniform(4.0, 14.0))
        return np.float32(rng.uniform(0.2, 0.9)) * bump(self._field.s - along, length)

    def paint(self, plane: Plane) -> None:
        """Paint epidural fat, dura and ligaments, CSF with its flow voids, and the cord."""
        tones, middle, half, r = self._tones, self._middle, self._half, plane.r
        wide = half * np.float32(1.5) + 1
        side = np.abs(r)
        behind = middle > 0
        fat_mm = np.where(behind, self._fat_mm * np.clip(np.float32(1.3) - side / 7, 0.15, 1), self._veins)
        plane.paint(ellipse(middle, r, half + fat_mm + np.float32(2.8), wide + 3), tones.ligament)
        plane.paint(ellipse(middle, r, half + fat_mm + np.float32(0.8), wide + 2), tones.fat * np.float32(0.85))
        plane.paint(ellipse(middle, r, half + np.float32(0.6), wide), tones.ligament)
        voids = np.clip(plane.streaks - np.float32(0.3), 0, 1) * np.clip(self._flow_side * middle / 3, 0, 1)
        csf = tones.csf * (1 + np.float32(0.06) * plane.streaks) * (1 - self._flow * voids)
        plane.paint(ellipse(middle, r, half, wide - np.float32(0.6)), csf)
        cord = ellipse(self._cord, r, self._thick, self._thick * np.float32(1.75))
        tone = tones.cord * (1 + np.float32(0.04) * plane.grain + self._grey * bump(self._cord, 1.2) * bump(r, 2.5))
        plane.paint(cord, tone * (1 + self._lesion * np.clip(cord, 0, 1)))
