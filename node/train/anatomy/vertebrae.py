"""Paints the spine of one sagittal plane: bodies, discs, the canal, the posterior elements, the craniocervical joint.

Each painter works on a patch, the pixels where its organ can be; here they are cut out and put back.
"""

import numpy as np

from node.train.acquisition.tones import Tones
from node.train.anatomy.arches import ArchPainter
from node.train.anatomy.bodies import BodyPainter
from node.train.anatomy.canal import CanalPainter, canal_front
from node.train.anatomy.craniocervical import AtlasPainter
from node.train.anatomy.foramina import ForamenPainter
from node.train.anatomy.plane import Map, Patch, Plane
from node.train.anatomy.spine import Spine, SpineField

#: How far from the spine's mid-plane each organ begins and ends, mm to either side.
_BODIES, _CANAL, _ARCHES, _SIDES, _ATLAS = (0.0, 26.0), (0.0, 20.0), (0.0, 16.0), (5.0, 36.0), (0.0, 27.0)


class SpinePainter:
    """Paints one spine; what does not change from side to side is computed once."""

    def __init__(self, rng: np.random.Generator, spine: Spine, field: SpineField, tones: Tones) -> None:
        s, t = field.s, field.t
        front = canal_front(spine, field)
        tip = spine.axis.tip_s
        self._near = Patch((np.abs(t - field.shift) < field.depth + 9.0) & (s > tip - 2.0))
        self._sac = Patch((t > front - 6.0) & (t < front + np.float32(spine.canal_mm * 1.25 + 9.0)))
        self._side = Patch((t > -9.0) & (t < front + 24.0) & (s > -24.0))
        self._behind = Patch((t > front) & (t < front + np.float32(spine.canal_mm + 45.0)) & (s > -24.0))
        back = front + np.float32(spine.canal_mm * 1.4 + 22.0)
        self._top = Patch((s < -8.0) & (s > tip - 38.0) & (t > -34.0) & (t < back))
        self._bodies = BodyPainter(rng, spine, field.packed(self._near), tones)
        self._canal = CanalPainter(rng, spine, field.packed(self._sac), tones)
        self._foramina = ForamenPainter(rng, spine, field.packed(self._side), tones)
        self._arches = ArchPainter(rng, spine, field.packed(self._behind), tones)
        self._atlas = AtlasPainter(rng, spine, field.packed(self._top), tones)

    def bodies(self, plane: Plane) -> tuple[Map, Map]:
        """Paint bodies and discs; return the cover 0..1 of bodies and of discs, (rows, columns)."""
        packed = self._near.pack(plane)
        if not _reaches(packed, _BODIES):
            return np.zeros_like(plane.picture), np.zeros_like(plane.picture)
        body, disc = self._bodies.paint(packed)
        self._near.unpack(packed, plane)
        return self._near.spread(body), self._near.spread(disc)

    def canal(self, plane: Plane) -> None:
        """Paint epidural fat, CSF and cord; above C1 the cistern and the medulla."""
        packed = self._sac.pack(plane)
        if _reaches(packed, _CANAL):
            self._canal.paint(packed)
            self._sac.unpack(packed, plane)

    def posterior(self, plane: Plane) -> None:
        """Paint laminae and spinous processes with what lies between them: bone that is no body."""
        packed = self._behind.pack(plane)
        if _reaches(packed, _ARCHES):
            self._arches.paint(packed)
            self._behind.unpack(packed, plane)

    def pedicles(self, plane: Plane) -> None:
        """Paint beside the canal: foramina, pedicles, articular pillars, vertebral arteries, ribs."""
        packed = self._side.pack(plane)
        if _reaches(packed, _SIDES):
            self._foramina.paint(packed)
            self._side.unpack(packed, plane)

    def atlas(self, plane: Plane) -> None:
        """Paint C1, the ligaments at the dens, the lower clivus and the occipital condyles: nothing labelled."""
        packed = self._top.pack(plane)
        if _reaches(packed, _ATLAS):
            self._atlas.paint(packed)
            self._top.unpack(packed, plane)


def _reaches(packed: Plane, between_mm: tuple[float, float]) -> bool:
    """Return whether any pixel is at least the first and at most the second of `between_mm` from the mid-plane."""
    if not packed.r.size:
        return False
    side = np.abs(packed.r)
    return float(side.max()) >= between_mm[0] and float(side.min()) <= between_mm[1]
