"""Paints what surrounds the spine in one sagittal plane: skin, fat, muscle, face, skull, throat, chest.

Nothing here is labelled; it is there so that a network meets it. All sizes are chosen by eye and varied widely.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.train.acquisition.tones import Tones
from node.train.anatomy.blobs import Album, Blob, Frame
from node.train.anatomy.chest import add_chest
from node.train.anatomy.face import add_face
from node.train.anatomy.head import add_brain, add_skull
from node.train.anatomy.muscles import MuscleLayers
from node.train.anatomy.plane import Map, Plane
from node.train.anatomy.spine import SpineField
from node.train.anatomy.throat import add_throat

#: Skin before and behind the neck, t in mm at s in mm.
_SKIN_S = np.array([-160.0, -80.0, -30.0, 2.0, 22.0, 40.0, 75.0, 110.0, 160.0, 300.0, 430.0])
_FRONT_T = np.array([-40.0, -40.0, -40.0, -46.0, -53.0, -52.0, -50.0, -56.0, -66.0, -80.0, -90.0])
_BACK_T = np.array([70.0, 64.0, 60.0, 60.0, 61.0, 63.0, 69.0, 74.0, 72.0, 71.0, 72.0])
#: The face's outline in the head's frame: u in mm at w in mm, in the mid-plane and 30 mm beside it.
_FACE_W = np.array([-68, -62, -55, -45, -38, -30, -22, -18, -12, -4, 0, 5, 15, 30, 42, 60, 110.0])
_FACE_U = np.array([66, 81, 89, 91, 87, 95, 94, 89, 97, 92, 98, 113, 109, 99, 92, 99, 96.0])
_CHEEK_U = np.array([38, 52, 62, 70, 74, 77, 79, 80, 81, 83, 84, 84, 84, 82, 78, 88, 88.0])
_HEAD_W = np.array([-40.0, -12.0, 5.0, 25.0, 50.0, 90.0, 130.0])
_HEAD_BACK_U = np.array([-40.0, -64.0, -84.0, -102.0, -110.0, -106.0, -85.0])
#: The chest's front in a frame at `_CHEST_S`: mm before the back of the breastbone at w in mm.
_CHEST_S = 160.0
_CHEST_W = np.array([-250.0, -150.0, -90.0, -40.0, 0.0, 30.0, 48.0, 62.0, 80.0, 115.0])
_CHEST_U = np.array([62.0, 66.0, 60.0, 46.0, 32.0, 18.0, 8.0, -10.0, -60.0, -320.0])
_HEAD_S, _LARYNX_S = -38.0, 35.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neck:
    """One random neck; everything in mm unless it says otherwise."""

    seed: int  #: of the structures' own sizes
    size: float  #: scale of the head and the throat
    nod_deg: float  #: how far the head is bent forward on the neck
    open_mm: float  #: the mouth
    front_t: NDArray[np.float64]  #: skin at `_SKIN_S`
    back_t: NDArray[np.float64]
    back_fat_mm: float
    front_fat_mm: float
    hump_mm: float  #: fat over C7
    chest_mm: float  #: from the spine to the back of the breastbone
    breast_mm: float


def draw_neck(rng: np.random.Generator) -> Neck:
    """Return a random neck."""
    stout = float(np.clip(rng.normal(0.0, 1.0), -2.0, 3.0))
    size = float(np.clip(rng.normal(1.0, 0.07), 0.78, 1.16))
    front = _FRONT_T * size * (1.0 + 0.07 * stout) + rng.normal(0.0, 3.0, _FRONT_T.size)
    fat = float(np.clip(rng.lognormal(2.1, 0.55) + 3.0 * stout, 2.5, 34.0))
    back = _BACK_T * size + 0.75 * fat - 6.0 + rng.normal(0.0, 3.0, _BACK_T.size)
    if stout > 0.8 and rng.random() < 0.6:
        back[2:6] += rng.uniform(-9.0, 9.0, 4)
    return Neck(
        seed=int(rng.integers(2**31)),
        size=size,
        nod_deg=float(np.clip(rng.normal(0.0, 7.0), -14.0, 14.0)),
        open_mm=float(rng.uniform(4.0, 22.0) if rng.random() < 0.2 else 0.0),
        front_t=front,
        back_t=back,
        back_fat_mm=fat,
        front_fat_mm=float(np.clip(rng.normal(5.0, 2.0) + 2.0 * stout, 1.5, 16.0)),
        hump_mm=float(rng.uniform(0.0, 10.0) if rng.random() < 0.7 else rng.uniform(10.0, 28.0)),
        chest_mm=float(np.clip(rng.normal(66.0, 8.0) + 4.0 * stout, 45.0, 100.0)),
        breast_mm=float(max(rng.normal(5.0, 15.0), 0.0)),
    )


def _line(knots: NDArray[np.float64], at: NDArray[np.float64], where: Map) -> Map:
    """Return a smoothed line given at knots, looked up at `where`, mm."""
    low, high = -420.0, 700.0
    grid = np.arange(low, high)
    kernel = np.hanning(15) / np.hanning(15).sum()
    line = np.convolve(np.pad(np.interp(grid, at, knots), 7, mode="edge"), kernel, mode="valid").astype(np.float32)
    place = np.clip(where - np.float32(low), 0.0, np.float32(grid.size - 2))
    index = place.astype(np.int16)
    found: Map = line[index] + (place - index) * (line[index + 1] - line[index])
    return found


class NeckPainter:
    """Paints one neck; what does not change from side to side is computed once."""

    def __init__(self, neck: Neck, field: SpineField, tones: Tones) -> None:
        self._tones = tones
        rng = np.random.default_rng(neck.seed)
        head = Frame(field, _HEAD_S, rng, -neck.nod_deg)
        larynx, chest = Frame(field, _LARYNX_S, rng), Frame(field, _CHEST_S, rng)
        back = _line(neck.back_t, _SKIN_S, field.s)
        hump = np.float32(neck.hump_mm) * np.exp(-(((field.s - np.float32(82.0)) / np.float32(32.0)) ** 2))
        back = back + np.float32(0.8) * hump
        straight = (*head.whole(), *chest.whole())
        self._inside = [self._outline(neck, field, straight, back, beside) for beside in (0.0, 1.0)]
        thick = np.float32(neck.back_fat_mm) * (0.5 + 0.5 * np.clip((field.s + 10.0) / 80.0, 0.0, 1.0)) + hump
        self._fat_mm = np.where(field.t > 0.0, thick, np.float32(neck.front_fat_mm)).astype(np.float32)
        front = -_line(neck.front_t, _SKIN_S, field.s) - np.float32(neck.front_fat_mm)
        self._muscles = MuscleLayers(rng, field, tones, (back - thick, front))
        self._septa = np.float32(rng.uniform(0.0, 0.5))
        self._head = self._album(rng)
        self._brain = self._album(rng)
        add_brain(self._brain, head, neck.size, add_skull(self._head, head, neck.size))
        add_face(self._head, head, neck.size, neck.open_mm)
        self._throat = self._album(rng)
        add_throat(self._throat, field, larynx, neck.size)
        self._chest = self._album(rng)
        add_chest(self._chest, chest, neck.chest_mm)

    def _album(self, rng: np.random.Generator) -> Album:
        return Album(rng, self._tones)

    @staticmethod
    def _outline(neck: Neck, field: SpineField, straight: tuple[Map, Map, Map, Map], back: Map, beside: float) -> Map:
        """Return the distance inside the skin in the mid-plane (`beside` 0) or 30 mm beside it (1), mm."""
        u, w, chest_u, chest_w = straight
        size = neck.size
        face_w = size * _FACE_W - neck.open_mm * np.clip((-14.0 - _FACE_W) / 8.0, 0.0, 1.0)
        profile = size * (_CHEEK_U if beside else _FACE_U)
        bottom = np.float32(size * -67.0 - neck.open_mm - 0.5 * neck.front_fat_mm)
        face = np.minimum(_line(profile, face_w, w) - u, w - bottom)
        shrink = np.float32(1.0 - 0.14 * beside)
        throat = field.t - shrink * _line(neck.front_t, _SKIN_S, field.s)
        front_u = neck.chest_mm + _CHEST_U + neck.front_fat_mm - 4.0
        front_u = front_u + neck.breast_mm * np.exp(-(((_CHEST_W + 110.0) / 50.0) ** 2)) * (0.3 + 0.7 * beside)
        chest = _line(front_u, _CHEST_W, chest_w) - chest_u
        behind = np.maximum(
            (1.0 - np.float32(0.06 * beside)) * back - field.t,
            np.minimum(u - np.float32(1.0 - 0.1 * beside) * _line(size * _HEAD_BACK_U, _HEAD_W, w), w + 35.0),
        )
        inside: Map = np.minimum(np.maximum(np.maximum(face, throat), chest), behind).astype(np.float32)
        return inside

    def skin(self, lateral_mm: float) -> Map:
        """Return the distance inside the skin, mm."""
        share = np.float32(np.clip((abs(lateral_mm) - 6.0) / 24.0, 0.0, 1.3))
        inside: Map = self._inside[0] + share * (self._inside[1] - self._inside[0])
        return inside

    def soft_tissue(self, plane: Plane, lateral_mm: float) -> None:
        """Paint muscle with fat planes, subcutaneous fat and skin into air."""
        tones, inside = self._tones, self.skin(lateral_mm)
        plane.paint(inside, tones.ligament)
        septa = np.maximum(np.float32(0.15) - np.abs(plane.streaks), 0.0) * (self._septa * np.float32(5.0))
        plane.paint(inside - 1.6, np.float32(tones.fat) * (1.0 + np.float32(0.07) * plane.grain - septa))
        depth = inside - self._fat_mm - np.float32(1.5) * plane.streaks
        plane.paint(depth, self._muscles.tissue(plane, lateral_mm))

    def throat(self, plane: Plane) -> None:
        """Paint prevertebral muscle, gullet, airway, larynx, thyroid, vessels and nodes."""
        _paint_all(self._throat.blobs, plane)

    def head(self, plane: Plane) -> None:
        """Paint the skull behind, the face in front."""
        _paint_all(self._head.blobs, plane)

    def brain(self, plane: Plane) -> None:
        """Paint cerebellum, brainstem and great brain; after the canal, which ends in them."""
        _paint_all(self._brain.blobs, plane)

    def chest(self, plane: Plane, lateral_mm: float) -> None:  # noqa: ARG002  the spine's own mid-plane counts
        """Paint lungs, great vessels, heart, breastbone and ribs."""
        _paint_all(self._chest.blobs, plane)


def _paint_all(blobs: list[Blob], plane: Plane) -> None:
    for blob in blobs:
        rows, columns = blob.window
        middle = plane.r[(rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2]
        blob.paint(plane, float(middle))
