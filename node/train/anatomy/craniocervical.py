"""Paints what surrounds the dens in one sagittal plane: C1, its ligaments, lateral joints, the lower clivus, condyles.

None of it is labelled: these are the bones and dark lines that a network must not take for a body or a disc. Arrays
are (pixels,) float32 of a patch; distances in mm in spine coordinates; sizes chosen: arch of C1 about 5 x 10 mm, 1 to 3
mm before the dens, basion 4 to 10 mm above its tip.
"""

import numpy as np

from node.train.acquisition.tones import Tones
from node.train.anatomy.canal import canal_front
from node.train.anatomy.plane import Map, Plane, ellipse, rounded
from node.train.anatomy.spine import Spine, SpineField


class AtlasPainter:
    """Paints the joint of skull, C1 and C2; what does not change from side to side is computed once."""

    def __init__(self, rng: np.random.Generator, spine: Spine, field: SpineField, tones: Tones) -> None:
        self._field, self._tones, size = field, tones, spine.size
        tip = spine.axis.tip_s
        self._shell = np.float32(rng.uniform(0.4, 1.5))
        self._cortex = np.float32(tones.cortex + rng.uniform(0.0, 0.5) * (tones.muscle - tones.cortex))
        self._tone = np.float32(tones.marrow * rng.uniform(0.8, 1.25))
        self._canal = canal_front(spine, field)
        self._s = field.s - np.float32(tip)  # mm below the tip of the dens
        self._t = field.t - field.shift  # mm behind the middle of the dens
        self._arch_s = np.float32(rng.uniform(5.0, 11.0))
        self._arch = (np.float32(rng.uniform(2.0, 3.0) * size), np.float32(rng.uniform(4.2, 6.0) * size))
        self._arch_t = np.float32(5.6 * size + rng.uniform(0.8, 2.5)) + self._arch[0]
        self._back_t = self._canal + np.float32(spine.canal_mm * rng.uniform(1.2, 1.4) + 3.5)
        self._back_s = np.float32(rng.uniform(6.0, 15.0))
        self._back = (np.float32(rng.uniform(2.0, 3.2)), np.float32(rng.uniform(3.2, 5.0)))
        self._cruciate_mm = np.float32(rng.uniform(1.0, 2.4))
        self._basion = (-np.float32(rng.uniform(4.0, 10.0)), np.float32(rng.uniform(-3.0, 4.0)))
        self._clivus = np.float32(np.tan(np.deg2rad(rng.uniform(20.0, 45.0))))
        self._clivus_mm = np.float32(rng.uniform(2.5, 4.5))
        self._mass = (np.float32(rng.uniform(14.5, 17.0)), np.float32(rng.uniform(5.5, 7.5)))
        self._joint = np.float32(rng.uniform(0.4, 1.2))
        self._fat = np.float32(tones.fat * rng.uniform(0.4, 1.0))

    def paint(self, plane: Plane) -> None:
        """Paint fat and ligaments above and behind the dens, skull base, lateral joints, and both arches of C1."""
        grain = 1 + np.float32(0.08) * plane.grain + np.float32(0.04) * plane.streaks
        marrow, side = self._tone * grain, np.abs(plane.r)
        self._around_dens(plane, side)
        self._skull_base(plane, side, marrow)
        self._lateral(plane, side, marrow)
        cortex = self._cortex
        front = ellipse(self._t + self._arch_t - np.float32(0.02) * side * side, self._s - self._arch_s, *self._arch)
        plane.paint_bone(np.minimum(front, np.float32(19.0) - side), cortex, marrow, self._shell)
        bent = self._field.t - self._back_t + np.float32(0.022) * side * side
        back = ellipse(bent, self._s - self._back_s, *self._back)
        plane.paint_bone(np.minimum(back, np.float32(20.0) - side), cortex, marrow, self._shell)

    def _around_dens(self, plane: Plane, side: Map) -> None:
        """Paint the fat around the dens, the joint before it, the cruciate ligament and tectorial membrane behind."""
        s, t, tones = self._s, self._t, self._tones
        middle = np.float32(11.0) - side
        fat = np.minimum(rounded(np.float32(8.5) - np.abs(t), np.minimum(s + 11, 18 - s), 3.0), middle)
        plane.paint(fat, self._fat * (1 + np.float32(0.25) * plane.streaks))
        # The ligament runs from the back of C2 over the dens to the clivus.
        back = self._field.t - self._canal + self._cruciate_mm + np.float32(0.5)
        band = np.minimum(self._cruciate_mm - np.abs(back), np.minimum(s + 12, 30 - s))
        plane.paint(np.minimum(band, middle), tones.ligament * (1 + np.float32(0.1) * plane.grain))
        apical = np.minimum(np.float32(0.9) - np.abs(t), np.minimum(s + 9, -s + 1))
        plane.paint(np.minimum(apical, 3 - side), tones.ligament)
        before = np.minimum(np.float32(1.3) - np.abs(t + self._arch_t + self._arch[0] + 1), np.minimum(s + 16, 34 - s))
        plane.paint(np.minimum(before, middle), tones.ligament)

    def _skull_base(self, plane: Plane, side: Map, marrow: Map) -> None:
        """Paint the lower clivus, rising to the front from the basion, and the condyles beside it."""
        above, behind = self._s - self._basion[0], self._field.t - self._basion[1]
        across = (behind - self._clivus * above) / np.sqrt(1 + self._clivus**2)
        slab = self._clivus_mm + np.float32(0.06) * np.maximum(-above, 0) - np.abs(across + self._clivus_mm)
        slab += np.float32(0.6) * plane.streaks
        clivus = np.minimum(
            rounded(slab, np.minimum(-above, above + 30), 5.0), np.float32(10.0) - np.float32(0.1) * above - side
        )
        plane.paint_bone(clivus, self._cortex, marrow * np.float32(1.2), self._shell)
        condyle = rounded(
            ellipse(self._s + 3 + np.float32(0.3) * (side - 15), self._field.t - 1, 5.5, 10.0),
            np.float32(6.0) - np.abs(side - 16),
            2.5,
        )
        plane.paint_bone(condyle, self._cortex, marrow, self._shell)

    def _lateral(self, plane: Plane, side: Map, marrow: Map) -> None:
        """Paint C2's upper joint faces and the lateral masses of C1; the joint between them falls to the side."""
        place, wide = self._mass
        beside = wide - np.abs(side - place)
        joint = self._field.s + np.float32(19.0) - np.float32(0.4) * (side - place)
        depth = np.float32(8.0) + np.float32(0.8) * plane.streaks - np.abs(self._field.t - 1)
        mass = rounded(np.minimum(depth, beside), np.minimum(-joint - self._joint, joint + 14), 3.5)
        plane.paint_bone(mass, self._cortex, marrow, self._shell)
        axis = rounded(np.minimum(depth, beside + 3), np.minimum(joint - self._joint, 10 - joint), 3.5)
        plane.paint_bone(axis, self._cortex, marrow, self._shell)
