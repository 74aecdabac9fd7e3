"""Paints the labelled structures of one sagittal plane: vertebral bodies and discs, with their marrow and wear.

Arrays are (pixels,) float32 of a patch around the bodies; distances in mm in spine coordinates.
"""

import numpy as np
from numpy.typing import NDArray

from node.train.acquisition.tones import Tones
from node.train.anatomy.discs import FloatArray
from node.train.anatomy.plane import Map, Plane, Real, bump, ellipse, ramp, rounded
from node.train.anatomy.spine import DiscPlanes, Spine, SpineField

#: Inside an outline that does not exist, mm.
_NOWHERE = np.float32(-9.0)


class BodyPainter:
    """Paints bodies and discs; what does not change from side to side is computed once."""

    def __init__(self, rng: np.random.Generator, spine: Spine, field: SpineField, tones: Tones) -> None:
        self._spine, self._field, self._tones = spine, field, tones
        self._planes = DiscPlanes(spine.discs, field)
        self._plate_above, self._plate_below = (np.float32(x) for x in rng.uniform(0.45, 1.3, 2))
        self._wall_mm, self._ligament_mm = np.float32(rng.uniform(0.4, 0.9)), np.float32(rng.uniform(0.4, 1.5))
        self._rough = np.float32(rng.uniform(0.0, 0.35))
        self._round_mm = float(rng.uniform(1.6, 3.0))
        self._grain, self._streaks = np.float32(rng.uniform(0.02, 0.16)), np.float32(rng.uniform(0.0, 0.12))
        self._core_height, self._core_depth = np.float32(rng.uniform(0.1, 0.9)), np.float32(rng.uniform(0.55, 0.9))
        self._t = field.t - field.shift
        self._tau = np.clip(self._t / np.maximum(field.depth, np.float32(3.0)), -1.4, 1.4)
        self._heights()
        self._outlines()
        self._marrows()

    def _of_disc(self, values: FloatArray) -> Map:
        return values.astype(np.float32)[self._field.disc]

    def _heights(self) -> None:
        """Half the disc space above and below its mid-plane: hollow endplates, wedged; none where fused."""
        discs, arch = self._spine.discs, np.maximum(np.float32(1.0) - self._tau * self._tau, 0)
        edge = self._of_disc(discs.half_height)
        edge = edge * np.maximum(np.float32(1.0) - self._of_disc(discs.wedge) * self._tau, np.float32(0.35))
        self._edge = edge
        room = np.minimum(edge * np.float32(0.8), 1)
        gap = np.where(discs.fused, -20.0, 0.0).astype(np.float32)[self._field.disc]
        self._above = np.maximum(edge + self._of_disc(discs.dome_mm) * arch * room, np.float32(0.5)) + gap
        dent = self._of_disc(discs.node_mm) * bump(self._tau - self._of_disc(discs.node_t), 0.3)
        self._below = np.maximum(edge + self._of_disc(discs.dish_mm) * arch * room, np.float32(0.5)) + dent + gap

    def _outlines(self) -> None:
        """Half depth of the bodies with waist and osteophytes, and of the discs with their bulge behind."""
        field, discs, bodies = self._field, self._spine.discs, self._spine.bodies
        upper = np.concatenate([[self._spine.axis.tip_s], discs.centre_s])
        lower = np.concatenate([discs.centre_s, [discs.centre_s[-1] + 25.0]])
        self._within = field.s - ((upper + lower) / 2).astype(np.float32)[field.level]
        self._extent = ((lower - upper) / 2).astype(np.float32)[field.level]
        hollow = np.maximum(np.float32(1.0) - (self._within / self._extent) ** 2 * np.float32(1.4), 0)
        waist = bodies.waist.astype(np.float32)[field.level] * hollow
        self._waist = np.where(field.s > 0.0, np.float32(1.0) - waist, np.float32(1.0))
        middle = discs.centre_s.astype(np.float32)[field.disc] + self._of_disc(discs.slope) * field.t
        near = bump(np.abs(field.s - middle) - self._edge, np.float32(2.6))
        behind = field.t > field.shift
        lip = np.where(behind, self._of_disc(discs.back_lip_mm), self._of_disc(discs.front_lip_mm)) * near
        self._lip = np.where(field.s < -12.0, np.float32(0.0), lip)
        self._bulge = np.where(behind, self._of_disc(discs.bulge_mm), np.float32(0.5) * self._of_disc(discs.bulge_mm))
        self._bulge += np.where(behind, np.float32(0.7), np.float32(0.5)) * self._lip
        self._hernia = np.where(behind, self._of_disc(discs.hernia_mm), np.float32(0.0))
        self._exists = field.depth > 0.3

    def _marrows(self) -> None:
        spine, field, tones = self._spine, self._field, self._tones
        self._tone = (tones.marrow * spine.bodies.tone).astype(np.float32)
        self._vein_tone = spine.bodies.vein.astype(np.float32)[field.level]
        self._vein = bump(self._within, 1.7) * np.clip(self._tau - np.float32(0.25), 0, 0.8) * self._vein_tone
        self._vein[field.s < 0.0] = 0.0
        axis = spine.axis
        seam = bump(field.s - np.float32(axis.synchondrosis_s), axis.synchondrosis_mm)
        self._seam = np.float32(axis.synchondrosis) * seam * np.clip(np.float32(1.3) - np.abs(self._tau) * 1.3, 0, 1)
        self._modic = np.stack([self._of_disc(spine.discs.modic_above), self._of_disc(spine.discs.modic_below)])
        self._modic_mm = self._of_disc(spine.discs.modic_mm)
        self._remnant = np.where(spine.discs.fused, spine.discs.remnant, 0.0).astype(np.float32)[field.disc]
        annulus = tones.annulus * spine.discs.tone
        bright = annulus + spine.discs.hydration * (tones.nucleus - annulus)
        self._annulus, self._bright = self._of_disc(annulus), self._of_disc(bright)
        self._cleft = self._of_disc(spine.discs.cleft)

    def paint(self, plane: Plane) -> tuple[Map, Map]:
        """Paint bodies and discs; return the cover 0..1 of bodies and of discs."""
        field, tones = self._field, self._tones
        side = self._planes.side(plane.r)
        v = self._planes.below(plane.r) + self._rough * plane.streaks
        under = v > 0.0
        thin = np.clip(np.float32(1.0) - np.float32(0.35) * side * side, 0.45, 1.0)
        in_disc = np.where(under, self._below, self._above) * thin - np.abs(v)
        width = field.width * (np.float32(0.5) + np.float32(0.5) * self._waist) + np.float32(0.4) * self._lip
        wall = self._outline(plane.r, field.depth * self._waist + self._lip, width) + self._rough * plane.grain
        hernia = self._hernia * bump(plane.r - self._of_disc(self._spine.discs.hernia_r), 4.5)
        rim = self._outline(plane.r, field.depth * np.float32(0.97) + self._bulge + hernia, width + np.float32(0.4))
        plate = np.where(under, self._plate_below, self._plate_above)
        plane.paint(np.maximum(wall, rim) + self._ligament_mm, tones.ligament)
        plane.paint(wall, tones.cortex)
        bone = rounded(wall - self._wall_mm, -in_disc - plate, self._round_mm)
        plane.paint(bone, self._marrow(plane, v, in_disc, under))
        # The rim of a bulge is thinner than the space between the endplates.
        disc = np.minimum(rim, in_disc - np.float32(0.3) * np.maximum(np.abs(self._tau) - 1, 0) * field.depth)
        plane.paint(disc, self._annulus * (np.float32(1.0) + np.float32(0.12) * plane.grain))
        self._core(plane, v, rim, in_disc)
        half = np.float32(0.5) * plate
        body_cover = ramp(rounded(wall, -in_disc - half, 0.7 * self._round_mm), plane.pixel_mm)
        return body_cover, ramp(np.minimum(disc + half, rim), plane.pixel_mm)

    def _core(self, plane: Plane, v: Map, rim: Map, in_disc: Map) -> None:
        """Paint the core of each disc: a lens, split by a dark line where it has a cleft."""
        t = self._t + np.float32(0.08) * self._field.depth
        height = np.maximum(self._edge - self._core_height, np.float32(0.5))
        core = ellipse(np.hypot(t, plane.r * np.float32(0.8)), v, self._core_depth * self._field.depth + 0.1, height)
        core = np.minimum(core + np.float32(0.3), np.minimum(rim - 1, in_disc - np.float32(0.2)))
        tone = self._bright * (np.float32(1.0) + np.float32(0.1) * plane.grain)
        tone -= (tone - self._annulus * np.float32(0.7)) * self._cleft * bump(v, 0.6)
        plane.paint(core * np.float32(0.7), tone)

    def _marrow(self, plane: Plane, v: Map, in_disc: Map, under: NDArray[np.bool_]) -> Map:
        """Return the brightness of the marrow: grain, vein, growth plate, Modic bands, haemangiomas, fusion lines."""
        field = self._field
        own = field.disc + under
        gain = np.float32(1.0) + self._grain * plane.grain + self._streaks * plane.streaks
        gain += self._vein * bump(plane.r, 5.0)
        gain += self._seam * bump(plane.r, 5.0)
        band = np.clip((self._modic_mm + in_disc) * np.float32(0.8) + np.float32(0.3) * plane.streaks, 0, 1)
        gain += np.where(under, self._modic[1], self._modic[0]) * band
        gain -= self._remnant * bump(v, 0.8)
        for index, s, t, r, radius in self._spine.bodies.spots.astype(np.float32):
            centre = np.float32(self._spine.discs.centre_s[int(index) - 1 : int(index) + 1].mean())
            away = np.sqrt((field.s - centre - s) ** 2 + (self._t - t) ** 2 + (plane.r - r) ** 2)
            gain += np.float32(self._spine.bodies.spot_gain) * np.clip((radius - away) * np.float32(0.8), 0, 1)
        return self._tone[own] * np.maximum(gain, np.float32(0.1))

    def _outline(self, r: Map, depth: Real, width: Real) -> Map:
        """Return the distance inside a body's cross-section: a rounded block, hollow behind, mm."""
        depth, width = np.maximum(depth, np.float32(0.2)), np.maximum(width, np.float32(0.2))
        across, side = np.abs(self._t) / depth, np.abs(r) / width
        side *= side
        across += np.where(self._t > 0, np.float32(0.1) * np.maximum(1 - side, 0), np.float32(0.0))
        across *= across
        q = np.sqrt(np.sqrt(across * across + side * side))
        return np.where(self._exists, (np.float32(1.0) - q) * np.minimum(depth, width), _NOWHERE)
