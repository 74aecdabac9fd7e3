"""Paints laminae and spinous processes of one sagittal plane, and the ligaments, fat and muscle between them.

Background for the network, irregular on purpose: every level has its own size, fall, height and marrow. Arrays are
(pixels,) float32 of a patch behind the canal; distances in mm in spine coordinates.
"""

import numpy as np

from node.train.acquisition.tones import Tones
from node.train.anatomy.canal import canal_front
from node.train.anatomy.discs import COUNT, FloatArray
from node.train.anatomy.morphometry import LAMINA_HALF_MM, SPINOUS_FALL, SPINOUS_HALF_MM, SPINOUS_MM
from node.train.anatomy.plane import Map, Plane, bump, rounded
from node.train.anatomy.spine import Spine, SpineField


class ArchPainter:
    """Paints the arches of one spine; the place of every pixel along its own process is computed once."""

    def __init__(self, rng: np.random.Generator, spine: Spine, field: SpineField, tones: Tones) -> None:
        self._spine, self._field, self._tones = spine, field, tones
        self._shell, self._rough = np.float32(rng.uniform(0.4, 1.5)), np.float32(rng.uniform(0.3, 1.5))
        self._cortex = np.float32(tones.cortex + rng.uniform(0.0, 0.7) * (tones.muscle - tones.cortex))
        centres = spine.discs.centre_s
        middle = np.concatenate([[-9.0], (centres[1:] + centres[:-1]) / 2])
        self._back = canal_front(spine, field) + np.float32(spine.canal_mm + 2.0)
        self._marrow = spine.bodies.tone[:COUNT] * tones.marrow * rng.normal(rng.uniform(0.8, 1.2), 0.1, COUNT)
        self._spinous(rng, middle)
        self._laminae(rng, middle)
        self._fattiness = np.float32(rng.uniform(-0.3, 0.9))

    def _spinous(self, rng: np.random.Generator, middle: FloatArray) -> None:
        spine, field = self._spine, self._field
        out = np.maximum(field.t - self._back, 0)
        fall = np.array(SPINOUS_FALL) * rng.uniform(0.7, 1.25) + rng.normal(0.0, 0.06, COUNT)
        root = middle + rng.uniform(3.0, 6.5, COUNT)
        fallen = field.s - np.array(fall, dtype=np.float32)[field.level] * out
        own = np.searchsorted((root[1:] + root[:-1]) / 2, fallen)
        # The level of a far pixel is found again with the fall of the process it lies in.
        fallen = field.s - fall.astype(np.float32)[own] * out
        own = np.searchsorted((root[1:] + root[:-1]) / 2, fallen)
        curve = rng.normal(0.0, 0.006, COUNT).astype(np.float32)[own]
        self._off = fallen - root.astype(np.float32)[own] - curve * out * out
        length = np.array(SPINOUS_MM) * spine.size * rng.uniform(0.75, 1.15) * rng.normal(1.0, 0.1, COUNT)
        self._length, self._out, self._own = length.astype(np.float32)[own], out, own
        self._ahead = field.t - self._back
        tall = np.array(SPINOUS_HALF_MM) * spine.size * rng.uniform(0.75, 1.2) * rng.normal(1.0, 0.12, COUNT)
        share = out / self._length
        bulb = np.float32(rng.uniform(0.0, 0.5)) * bump(share - np.float32(0.9), 0.25)
        self._tall = tall.astype(np.float32)[own] * (np.float32(0.85) + bulb + np.float32(0.25) * bump(share, 0.3))
        self._thin = np.float32(rng.uniform(2.2, 3.6)) * (1 + np.float32(0.8) * bump(share - 1, 0.3) * (own >= 4))
        self._bend = rng.normal(0.0, 2.0, COUNT).astype(np.float32)[own] * share
        forked = (rng.random(COUNT) < np.where(np.arange(COUNT) < 5, 0.7, 0.0)) * rng.uniform(1.5, 4.0, COUNT)
        self._fork = forked.astype(np.float32)[own] * np.clip((share - np.float32(0.55)) * 3, 0, 1)
        self._process_marrow = self._marrow.astype(np.float32)[own]

    def _laminae(self, rng: np.random.Generator, middle: FloatArray) -> None:
        spine, level = self._spine, self._field.level
        tall = np.array(LAMINA_HALF_MM) * spine.size * rng.uniform(0.85, 1.1) * rng.normal(1.0, 0.06, COUNT)
        place = middle + rng.uniform(1.5, 5.0) + rng.normal(0.0, 0.7, COUNT)
        own = np.minimum(np.searchsorted((place[1:] + place[:-1]) / 2, self._field.s), COUNT - 1)
        self._lamina_off = self._field.s - place.astype(np.float32)[own]
        self._lamina_tall = np.minimum(tall.astype(np.float32)[own], np.float32(8.8))
        self._lamina_thick = np.float32(rng.uniform(1.8, 3.0)) + np.float32(0.5) * (level > 4)
        self._lamina_fall = np.float32(rng.uniform(0.15, 0.5))
        self._lamina_marrow = self._marrow.astype(np.float32)[own]

    def paint(self, plane: Plane) -> None:
        """Paint what lies between the arches, then laminae, then spinous processes."""
        side = np.abs(plane.r)
        self._between(plane, side)
        grain = 1 + np.float32(0.12) * plane.grain + np.float32(0.12) * plane.streaks
        self._paint_laminae(plane, side, self._lamina_marrow * grain)
        lateral = np.abs(np.abs(plane.r - self._bend) - self._fork)
        rough = self._rough * (np.float32(0.8) * plane.streaks + np.float32(0.3) * plane.grain)
        ends = np.minimum(self._ahead + np.float32(3.0), self._length - self._out)
        process = rounded(ends + 2 * rough, self._tall + rough - np.abs(self._off), 4.0)
        thin = self._thin - np.float32(0.25) * self._fork
        plane.paint_bone(np.minimum(process, thin - lateral), self._cortex, self._process_marrow * grain, self._shell)

    def _between(self, plane: Plane, side: Map) -> None:
        """Paint interspinous fat and muscle in the middle, darker along the processes."""
        tones = self._tones
        mixed = np.clip(np.float32(0.35) + np.float32(0.4) * self._fattiness + np.float32(0.4) * plane.streaks, 0, 1)
        mixed = np.clip(mixed - np.float32(0.5) * bump(np.abs(self._off) - self._tall - 2, 1.0), 0, 1)
        tone = tones.muscle + mixed * (tones.fat * np.float32(0.8) - tones.muscle)
        soft = np.minimum(self._length + np.float32(3.0) - self._out, self._ahead + np.float32(3.0))
        plane.paint(np.minimum(soft, np.float32(4.5) - side), tone * (1 + np.float32(0.1) * plane.grain))

    def _paint_laminae(self, plane: Plane, side: Map, marrow: Map) -> None:
        """Paint the laminae: a roof of shingles that falls to the back, and sideways to the pillars."""
        tones = self._tones
        ahead = self._ahead - np.float32(2.0) + np.float32(0.5) * np.maximum(side - 3, 0)
        roof = ahead - self._lamina_fall * self._lamina_off
        between = np.minimum(np.float32(3.0) - np.abs(roof), np.float32(13.0) - side)
        plane.paint(between, tones.ligament * (np.float32(1.4) + np.float32(0.4) * plane.streaks))
        rough = self._rough * (np.float32(0.6) * plane.streaks + np.float32(0.25) * plane.grain)
        lamina = rounded(self._lamina_thick + rough - np.abs(roof), self._lamina_tall - np.abs(self._lamina_off), 3.0)
        plane.paint_bone(np.minimum(lamina, np.float32(15.0) - side), self._cortex, marrow, self._shell)
