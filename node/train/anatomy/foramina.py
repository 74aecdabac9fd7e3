"""Paints what lies beside bodies and canal in one sagittal plane: foramina, pedicles, pillars, arteries, ribs.

This is what a slice shows beyond the edge of the bodies, and what a network must not take for bodies. Arrays are
(pixels,) float32 of a patch; distances in mm in spine coordinates. Places are chosen near the mean of published
morphometry: pillars 12 to 22 mm from the mid-plane in the neck, foramina transversaria about 15 mm.
"""

import numpy as np

from node.train.acquisition.tones import Tones
from node.train.anatomy.canal import canal_front
from node.train.anatomy.discs import COUNT
from node.train.anatomy.morphometry import FACET_FALL
from node.train.anatomy.plane import Map, Plane, ellipse, rounded
from node.train.anatomy.spine import Spine, SpineField

_C7, _T1 = 5, 6


class ForamenPainter:
    """Paints the sides of one spine; what does not change from side to side is computed once."""

    def __init__(self, rng: np.random.Generator, spine: Spine, field: SpineField, tones: Tones) -> None:
        self._spine, self._field, self._tones = spine, field, tones
        self._front = canal_front(spine, field)
        self._shell, self._rough = np.float32(rng.uniform(0.3, 1.4)), np.float32(rng.uniform(0.3, 1.5))
        self._cortex = np.float32(tones.cortex + rng.uniform(0.0, 0.7) * (tones.muscle - tones.cortex))
        self._edge = np.maximum(np.float32(spine.canal_mm * 0.72 + 1.0), field.width * np.float32(0.85))
        self._chest = np.clip((field.s - np.float32(spine.discs.centre_s[_C7] - 8.0)) / 16, 0, 1)
        self._marrow = spine.bodies.tone[:COUNT].astype(np.float32)[field.level]
        self._marrow *= np.float32(tones.marrow * rng.uniform(0.75, 1.2))
        self._levels(rng)
        self._facets(rng)
        self._fill = self._draw_fill(rng)
        self._artery = [
            (np.float32(rng.uniform(13.0, 17.5)), np.float32(rng.uniform(-2.0, 4.0)), np.float32(rng.uniform(1.3, 2.7)))
            for _ in range(2)
        ]
        self._plexus = np.float32(rng.uniform(0.0, 2.2))
        self._rib_mm = np.float32(rng.uniform(3.2, 4.8))

    def _draw_fill(self, rng: np.random.Generator) -> np.float32:
        """Return how bright fat and veins beside the canal are: as fat, or nearly as CSF (venous plexus)."""
        fat, csf = self._tones.fat, self._tones.csf
        return np.float32(rng.choice([fat * rng.uniform(0.6, 1.0), csf * rng.uniform(0.35, 0.9)], p=[0.7, 0.3]))

    def _levels(self, rng: np.random.Generator) -> None:
        """Distances along the spine from the pedicle of the own level and from the root above it."""
        field, discs = self._field, self._spine.discs
        centres = discs.centre_s
        below = np.concatenate([[-11.0], centres[:-1]])  # the disc above each body; C2 has none
        tall = np.array([3.6, *([3.4] * 4), 3.9, 4.6, 5.4, *([5.6] * (COUNT - 8))]) * self._spine.size
        stem = np.where(np.arange(COUNT) == 0, below, below + 3.2 + tall) + rng.normal(0.0, 0.6, COUNT)
        self._from_stem = field.s - stem.astype(np.float32)[field.level]
        self._stem_tall = (tall * rng.uniform(0.85, 1.15)).astype(np.float32)[field.level]
        self._from_disc = field.s - centres.astype(np.float32)[field.disc]
        self._root_mm = rng.uniform(1.8, 3.2, COUNT).astype(np.float32)[field.disc]
        self._root_tone = np.float32(rng.choice([self._tones.soft * 0.6, self._tones.cord, self._tones.muscle]))
        middle = np.concatenate([[-9.0], (centres[1:] + centres[:-1]) / 2])
        self._from_middle = field.s - middle.astype(np.float32)[field.level]

    def _facets(self, rng: np.random.Generator) -> None:
        """Oblique stack of articular processes behind the foramina: place across it, and distance from its joints."""
        field, discs = self._field, self._spine.discs
        thick = np.float32(rng.uniform(4.6, 6.4)) * (1 - np.float32(0.15) * self._chest)
        self._pillar_t = field.t - (self._front + thick + np.float32(rng.uniform(0.5, 2.5)) + self._chest)
        fall = (np.array(FACET_FALL) * rng.uniform(0.75, 1.3) + rng.normal(0.0, 0.08, COUNT)).astype(np.float32)
        joint = (discs.centre_s + rng.uniform(-2.5, 2.0) + rng.normal(0.0, 0.9, COUNT)).astype(np.float32)
        fallen = field.s - fall[field.disc] * self._pillar_t
        own = np.searchsorted((joint[1:] + joint[:-1]) / 2, fallen)
        steep = np.sqrt(1 + fall[own] ** 2)
        self._joint = np.abs(fallen - joint[own]) / steep
        gap = rng.uniform(0.3, 1.3, COUNT).astype(np.float32)
        self._joint_mm = gap[own]
        swell = np.clip(1 - self._joint / 5, 0, 1)
        self._pillar_thick = thick * (np.float32(0.8) + np.float32(rng.uniform(0.1, 0.5)) * swell)
        self._pillar_r = np.float32(rng.uniform(15.0, 17.5)) - np.float32(2.5) * self._chest
        self._pillar_wide = np.float32(rng.uniform(5.0, 6.8)) * (1 + np.float32(0.2) * self._chest)
        self._effusion = np.float32(rng.choice([self._tones.cortex, self._tones.annulus, self._tones.csf * 0.5]))

    def paint(self, plane: Plane) -> None:
        """Paint fat, roots, pillars, transverse processes, arteries and ribs, then the pedicles."""
        side = np.abs(plane.r)
        marrow = self._marrow * (1 + np.float32(0.13) * plane.grain + np.float32(0.12) * plane.streaks)
        self._gaps(plane, side)
        self._pillars(plane, side, marrow)
        self._transverse(plane, side, marrow)
        self._arteries(plane)
        beside = np.float32(3.6) + np.float32(1.2) * self._chest - np.abs(side - self._edge - np.float32(2.4))
        deep = self._field.t - self._front - np.float32(1.0)
        stem = ellipse(self._from_stem, deep, self._stem_tall, 6.5) + np.float32(0.4) * self._rough * plane.grain
        bone = rounded(stem, beside, 2.0)
        plane.paint_bone(bone, self._cortex, marrow, self._shell)

    def _gaps(self, plane: Plane, side: Map) -> None:
        """Paint the column of foramina with fat and veins, and in each a root with its ganglion."""
        outward = side - self._edge
        reach = np.float32(4.2) + np.float32(3.0) * self._chest
        gap = np.minimum(
            reach + np.float32(1.0) - np.abs(outward - reach + np.float32(1.5)), np.float32(7.0) - self._chest
        )
        gap = np.minimum(gap, np.float32(5.0) + self._chest - np.abs(self._field.t - self._front - 2))
        plane.paint(gap, self._fill * np.maximum(np.float32(0.8) + np.float32(0.3) * plane.streaks, np.float32(0.2)))
        sunk = self._from_disc + np.float32(2.0) - np.float32(0.35) * outward
        root = ellipse(sunk, self._field.t - self._front - 2 + np.float32(0.3) * outward, self._root_mm, self._root_mm)
        plane.paint(np.minimum(root, gap + np.float32(1.5)), self._root_tone * (1 + np.float32(0.1) * plane.grain))

    def _pillars(self, plane: Plane, side: Map, marrow: Map) -> None:
        tones = self._tones
        thick = self._pillar_thick + self._rough * (np.float32(0.6) * plane.streaks + np.float32(0.3) * plane.grain)
        pillar = rounded(thick - np.abs(self._pillar_t), self._pillar_wide - np.abs(side - self._pillar_r), 3.0)
        plane.paint(pillar + np.float32(1.0), tones.ligament)
        plane.paint(np.minimum(pillar, np.float32(1.2)), self._effusion)
        bone = rounded(pillar, self._joint - self._joint_mm, 2.0)
        plane.paint_bone(bone, self._cortex, marrow, self._shell)

    def _transverse(self, plane: Plane, side: Map, marrow: Map) -> None:
        """Paint the bars before and behind the artery in the neck, transverse processes and ribs in the chest."""
        field = self._field
        neck = np.where(self._chest < 0.3, np.float32(0.0), np.float32(-9.0))
        tubercle = ellipse(self._from_middle - 1 - np.float32(0.2) * (side - 14), field.t + 3, 3.0, 2.4)
        out = np.minimum(side - field.width - np.float32(1.0), np.float32(25.0) - side)
        plane.paint_bone(np.minimum(tubercle, out) + neck, self._cortex, marrow, self._shell)
        chest = np.where(self._chest > 0.6, np.float32(0.0), np.float32(-9.0))
        if float(chest.max(initial=-9.0)) < 0.0:
            return
        beyond = side - field.width
        back = field.t - self._front - np.float32(11.0) - np.float32(0.3) * (side - 14)
        process = ellipse(self._from_middle + 3, back, 5.0, 5.0)
        plane.paint_bone(
            np.minimum(process, np.minimum(side - 13, np.float32(33.0) - side)) + chest,
            self._cortex,
            marrow,
            self._shell,
        )
        head = field.t - field.depth * np.float32(0.55) - np.float32(0.75) * np.maximum(beyond, 0)
        fallen = self._from_disc - np.float32(1.0) - np.float32(0.3) * np.maximum(beyond, 0)
        rib = np.minimum(ellipse(fallen, head, self._rib_mm, self._rib_mm * np.float32(1.2)), beyond + np.float32(0.5))
        plane.paint_bone(rib + chest, self._cortex, marrow * np.float32(0.9), self._shell)

    def _arteries(self, plane: Plane) -> None:
        """Paint the vertebral artery of each side, C6 to C2, in its sheath of veins and fat."""
        field, tones = self._field, self._tones
        top = np.maximum(-field.s - np.float32(8.0), 0)
        end = np.where(field.s < np.float32(self._spine.discs.centre_s[4] + 6.0), np.float32(0.0), np.float32(-9.0))
        for sign, (r, t, radius) in zip((-1.0, 1.0), self._artery, strict=True):
            away = plane.r * np.float32(sign) - r - np.float32(0.5) * top
            across = field.t - t
            plane.paint(ellipse(away, across, radius + self._plexus, radius + self._plexus) + end, self._fill)
            plane.paint(ellipse(away, across, radius, radius) + end, tones.vessel)
