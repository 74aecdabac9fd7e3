"""Paints the spine of one sagittal plane: bodies, discs, the canal, the posterior elements.

Every picture is (rows, columns) float32 in the tones of `appearance`; distances in mm in the spine coordinates of
`anatomy` (s to the feet, t to the back, r to the left).
"""

import numpy as np

from node.train.acquisition.tones import Tones
from node.train.anatomy.morphometry import DENS_TIP_MM, SPINOUS_MM
from node.train.anatomy.plane import Map, Plane, Real, ellipse, ramp
from node.train.anatomy.spine import Spine, SpineField


class SpinePainter:
    """Paints one spine; what does not change from side to side is computed once."""

    def __init__(self, rng: np.random.Generator, spine: Spine, field: SpineField, tones: Tones) -> None:
        self._spine, self._field, self._tones = spine, field, tones
        discs, index = spine.discs, field.disc
        self._half_height = discs.half_height.astype(np.float32)[index]
        self._uncus = discs.uncus_mm.astype(np.float32)[index]
        reach = np.maximum(field.depth, 3.0)
        self._tau = np.clip(field.t / reach, -1.4, 1.4)
        middle = discs.centre_s.astype(np.float32)[index] + discs.slope.astype(np.float32)[index] * field.t
        self._from_disc = field.s - middle
        lens = 1.12 - 0.38 * self._tau**2
        self._half_height *= np.maximum(lens * (1.0 - discs.wedge.astype(np.float32)[index] * self._tau), 0.35)
        near = np.exp(-(((np.abs(self._from_disc) - self._half_height) / 2.6) ** 2))
        self._lip = discs.rim_mm.astype(np.float32)[index] * near
        self._bulge = discs.bulge_mm.astype(np.float32)[index]
        self._hydration = discs.hydration.astype(np.float32)[index]
        self._marrow = (tones.marrow * spine.body_tone).astype(np.float32)[field.level]
        upper = np.concatenate([[DENS_TIP_MM], discs.centre_s])
        lower = np.concatenate([discs.centre_s, [discs.centre_s[-1] + 25.0]])
        self._within = field.s - ((upper + lower) / 2).astype(np.float32)[field.level]
        self._extent = ((lower - upper) / 2).astype(np.float32)[field.level]
        self._high = np.clip((-10.0 - field.s) / 22.0, 0.0, 1.0)  # 0 in the neck, 1 from C1 upward
        self._canal_front = field.depth + (7.5 * spine.size - field.depth) * self._high + np.float32(1.2)
        self._back = self._canal_front + np.float32(spine.canal_mm) + 3.5
        out = np.maximum(field.t - self._back, 0.0)
        steep = np.float32(rng.uniform(0.35, 0.7)) * (1.0 + 0.35 * (field.level > 5))
        self._sunk = field.s - steep * out - 2.0
        self._own = np.minimum(np.searchsorted(discs.centre_s, self._sunk), len(SPINOUS_MM) - 1)
        self._off = self._sunk - ((upper + lower) / 2).astype(np.float32)[self._own] - np.where(self._own == 0, 10.0, 0)
        self._process = np.minimum(((lower - upper) / 2).astype(np.float32)[self._own], 10.0)
        self._length = (np.array(SPINOUS_MM) * spine.size * rng.uniform(0.8, 1.15, len(SPINOUS_MM)))[self._own]

    def bodies(self, plane: Plane) -> tuple[Map, Map]:
        """Paint bodies and discs; return the cover 0..1 of bodies and of discs."""
        field, tones = self._field, self._tones
        height = np.abs(self._within) / self._extent
        waist = np.where(field.s > 0.0, 0.93 + 0.05 * np.minimum(height**2 / 0.6, 1.0), 1.0)
        side = np.abs(plane.r) / np.maximum(field.width, 1.0)
        v = self._from_disc - field.tilt * plane.r + self._uncus * np.clip(side - 0.45, 0.0, 0.6) ** 2 * 4.0
        in_disc = self._half_height * np.maximum(1.0 - 0.18 * side**2, 0.5) - np.abs(v)
        width = field.width * waist + 0.4 * self._lip
        wall = self._outline(plane.r, field.depth * waist + self._lip, width)
        rim = self._outline(
            plane.r, field.depth * 0.97 + np.where(field.t > 0, self._bulge, 0.4 * self._bulge), width + 0.3
        )
        bone = np.minimum(wall, -in_disc)
        bone = np.where(field.s < -44.0, -9.0, bone).astype(np.float32)
        disc = np.minimum(rim, in_disc).astype(np.float32)
        plane.paint(np.maximum(wall, rim) + 0.9, tones.ligament)
        marrow = self._marrow * (1.0 + 0.07 * plane.grain)
        vein = np.exp(-((plane.r / 5.0) ** 2) - (self._within / 1.6) ** 2) * np.clip(self._tau - 0.3, 0.0, 0.7)
        marrow = marrow * (1.0 + 0.9 * vein)
        if self._spine.synchondrosis:
            marrow = marrow * (1.0 - 0.6 * np.exp(-(((field.s + 19.0) / 1.0) ** 2)) * (np.abs(field.t) < 5.0))
        plane.paint(bone, tones.cortex)
        plane.paint(np.minimum(wall - 0.7, -in_disc - 0.75), marrow)
        plane.paint(disc, tones.annulus * (1.0 + 0.12 * plane.grain))
        core = ellipse(
            field.t + 0.06 * field.depth, v, 0.72 * field.depth + 0.1, np.maximum(self._half_height - 1.0, 0.4)
        )
        core = np.minimum(np.minimum(core, (0.7 - side) * field.width), np.minimum(rim - 1.5, in_disc - 0.6))
        bright = tones.annulus + self._hydration * (tones.nucleus - tones.annulus)
        plane.paint(core + 0.4, bright * (1.0 + 0.1 * plane.grain))
        bone_cover = ramp(np.minimum(wall, -in_disc - 0.35), plane.pixel_mm) * (field.s > -44.0)
        disc_cover = ramp(np.minimum(rim, in_disc + 0.35), plane.pixel_mm)
        return bone_cover, disc_cover

    def _outline(self, r: Map, depth: Real, width: Real) -> Map:
        """Return the distance inside a body's cross-section: a rounded block, flatter behind, mm."""
        t = self._field.t
        depth, width = np.maximum(depth, 0.2), np.maximum(width, 0.2)
        across, side = np.abs(t) / depth, np.abs(r) / width
        dented = np.where(t > 0, across + 0.1 * np.maximum(1.0 - side**2, 0.0), across)
        q = np.sqrt(np.sqrt(dented**4 + side**4))
        return np.asarray((1.0 - q) * np.minimum(depth, width), dtype=np.float32)

    def canal(self, plane: Plane) -> None:
        """Paint epidural fat, CSF and cord; above C1 the cistern and the medulla."""
        field, tones, spine = self._field, self._tones, self._spine
        half = np.float32(spine.canal_mm / 2) * (1.0 + 0.25 * self._high)
        middle = field.t - (self._canal_front + half)
        wide = half * 1.55 + 1.0
        plane.paint(ellipse(middle, plane.r, half + 2.2, wide + 2.0), tones.fat * 0.8)
        plane.paint(ellipse(middle, plane.r, half + 0.6, wide), tones.ligament)
        plane.paint(ellipse(middle, plane.r, half, wide - 0.6), tones.csf * (1.0 + 0.06 * plane.streaks))
        thick = np.float32(3.3 * spine.cord_scale) * (1.0 + 0.3 * self._high)
        cord = tones.cord * (1.0 + 0.05 * plane.grain)
        plane.paint(ellipse(middle + 0.1 * half, plane.r, thick, thick * 1.8), cord)

    def posterior(self, plane: Plane) -> None:
        """Paint pillars, laminae and spinous processes: bone that is no body, with fat and ligament between."""
        field, tones = self._field, self._tones
        side = np.abs(plane.r)
        marrow = self._marrow * (0.95 + 0.12 * plane.grain)
        back = self._back - 2.0
        height = self._extent * np.where(field.s < 0.0, 0.55, 0.78)
        shifted = self._within - np.where(field.s < 0.0, 8.0, 0.0) - 0.16 * self._extent
        # The lamina is a roof that falls to the back and sideways to the pillars.
        roof = field.t - (back + 2.5 - 0.45 * np.maximum(side - 3.0, 0.0))
        lamina = np.minimum(3.1 - np.abs(roof), height - np.abs(shifted - 0.35 * roof - 2.0))
        lamina = np.where(side < 17.0, lamina, -5.0)
        plane.paint(5.5 - np.abs(roof - 1.0) - 0.2 * side, tones.ligament * 1.6)
        self._bone(plane, lamina, marrow)
        out = field.t - self._back
        fatty = np.minimum(np.minimum(self._length + 4.0 - out, out + 1.0), 5.0 - side)
        plane.paint(fatty, tones.muscle + (tones.fat * 0.7 - tones.muscle) * np.clip(0.5 + 0.4 * plane.streaks, 0, 1))
        tall = 0.38 * self._process + 0.04 * out
        process = np.minimum(np.minimum(out + 2.0, self._length - out), tall - np.abs(self._off))
        self._bone(plane, np.minimum(process, 3.6 - side), marrow)
        pillar_t = field.t - (self._canal_front + 3.0 + 0.25 * (side - 14.0))
        pillar = np.minimum(6.0 - np.abs(pillar_t), 6.5 - np.abs(side - 17.0))
        facet = np.abs(shifted + 0.9 * pillar_t + self._extent) - 1.1
        self._bone(plane, np.minimum(np.where(field.s > -18.0, pillar, -5.0), facet), marrow)

    def pedicles(self, plane: Plane) -> None:
        """Paint foramina with fat and roots beside the canal, and the pedicles between them."""
        field, tones = self._field, self._tones
        side = np.abs(plane.r)
        wide = np.float32(self._spine.canal_mm * 0.78 + 1.0)
        below = np.where(field.s > -14.0, 0.0, -9.0)
        gap = np.minimum(4.2 - np.abs(side - wide - 2.6), 5.0 - np.abs(field.t - self._canal_front - 2.5))
        plane.paint(gap + below, tones.fat * (0.75 + 0.15 * plane.streaks))
        root = ellipse(self._from_disc + 1.5, field.t - self._canal_front - 2.0, 2.6, 2.2)
        plane.paint(np.minimum(root, gap) + below, tones.soft * 0.7)
        upper = np.where(field.level == 0, self._within - 12.0, self._within + 0.32 * self._extent)
        stem = ellipse(upper, side - wide - 2.6, 0.5 * self._extent.clip(5.0, 9.0), 3.4)
        stem = np.minimum(stem, 6.5 - np.abs(field.t - self._canal_front - 3.0))
        self._bone(plane, stem + below, self._marrow * (0.97 + 0.08 * plane.grain))

    def atlas(self, plane: Plane) -> None:
        """Paint C1: front arch, lateral masses, back arch; bone that is no labelled body."""
        field = self._field
        side, marrow = np.abs(plane.r), self._tones.marrow * (1.0 + 0.08 * plane.grain)
        size = self._spine.size
        front = ellipse(field.t + (13.5 * size - 0.018 * plane.r**2), field.s + 32.0, 3.8, 5.6)
        self._bone(plane, np.where(side < 19.0, front, -5.0), marrow)
        mass = np.minimum(ellipse(field.t - 1.0, field.s + 29.0, 8.0, 8.5), 7.0 - np.abs(side - 16.5))
        self._bone(plane, mass, marrow)
        back = self._canal_front + 1.3 * np.float32(self._spine.canal_mm) + 4.5
        arch = ellipse(field.t - back + 0.02 * plane.r**2, field.s + 30.0, 3.4, 4.4)
        self._bone(plane, arch, marrow)

    def _bone(self, plane: Plane, inside: Real, marrow: Real) -> None:
        plane.paint(inside, self._tones.cortex)
        plane.paint(inside - 1.0, marrow)
