"""One spine drawn from the numbers, and the spine coordinates of a picture's pixels.

Spine coordinates: `s` in mm along the centre-line of the bodies, 0 at the middle of the disc C2/C3, growing to the
feet; `t` in mm across it, growing to the back; `r` in mm to the patient's left. Plane coordinates: `y` growing to the
back, `z` growing to the head, mm.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from node.train.anatomy.discs import COUNT, Bodies, Discs, draw_bodies, draw_discs
from node.train.anatomy.morphometry import BODY_DEPTH_MM, BODY_WIDTH_MM, DENS_TIP_MM
from node.train.anatomy.plane import Map, Patch

FloatArray = NDArray[np.float64]

_STEP_MM = 0.25
_TOP_MM, _BOTTOM_MM = -160.0, 430.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Axis:
    """What is special about C2; the atlas and the skull's base keep to it."""

    tip_s: float  #: top of the dens, mm
    lean: float  #: dt/ds of the dens: how far it leans to the back
    neck: float  #: narrowing below its head, 0..1
    synchondrosis: float  #: brightness of the old growth plate against the marrow, mostly below 0; 0 where none is left
    synchondrosis_s: float
    synchondrosis_mm: float  #: half thickness


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spine:
    """One random spine: a curve in the sagittal plane, its lateral drift, the discs, the bodies and the canal."""

    knots_s: FloatArray
    lean_rad: FloatArray  #: angle of the centre-line from straight down, toward the back, at each knot
    drift_mm: FloatArray  #: lateral offset (to the left) at each knot
    discs: Discs
    bodies: Bodies
    axis: Axis
    size: float  #: scale of every cross-section
    canal_mm: float  #: front to back
    cord_scale: float


def draw_spine(rng: np.random.Generator) -> Spine:
    """Return a random spine: lordotic, straight or kyphotic, tilted, mildly scoliotic, with discs of any age."""
    knots = np.array([-160.0, -40.0, 20.0, 60.0, 100.0, 150.0, 220.0, 320.0, 430.0])
    lordosis, tilt = rng.normal(0.95, 0.65), rng.normal(0.0, 6.5)
    shape = np.array([-6.0, -6.0, -6.0, 4.0, 18.0, 22.0, 16.0, 2.0, -4.0])
    lean = np.deg2rad(shape * lordosis + 4.0 + tilt + rng.normal(0.0, 3.2, knots.size))
    drift = np.cumsum(rng.normal(0.0, 1.3, knots.size)) + rng.normal(0.0, 0.03) * (knots - 60.0)
    drift -= np.interp(60.0, knots, drift)
    size = float(np.clip(rng.choice([0.95, 1.06]) + rng.normal(0.0, 0.055), 0.82, 1.22))
    return Spine(
        knots_s=knots,
        lean_rad=lean,
        drift_mm=drift,
        discs=draw_discs(rng, size),
        bodies=draw_bodies(rng),
        axis=_draw_axis(rng, size),
        size=size,
        canal_mm=float(rng.uniform(11.0, 16.0)),
        cord_scale=float(rng.uniform(0.82, 1.12)),
    )


def _draw_axis(rng: np.random.Generator, size: float) -> Axis:
    seam = rng.choice([0.0, rng.uniform(-0.8, -0.2), rng.uniform(0.15, 0.7)], p=[0.3, 0.55, 0.15])
    return Axis(
        tip_s=float(DENS_TIP_MM * size**0.7 * rng.normal(1.0, 0.05)),
        lean=float(rng.normal(0.08, 0.13)),
        neck=float(rng.uniform(0.0, 0.16)),
        synchondrosis=float(seam),
        synchondrosis_s=float(rng.uniform(-22.0, -15.5)),
        synchondrosis_mm=float(rng.uniform(0.5, 1.6)),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpineField:
    """Spine coordinates and local sizes of every pixel of the sagittal plane; arrays (rows, columns) float32, mm."""

    s: Map
    t: Map
    drift: Map  #: lateral offset of the spine
    tilt: Map  #: d(drift)/ds: how far endplates lean to the side
    depth: Map  #: half depth of the body, without waist; 0 above the dens
    width: Map  #: half width of the body
    shift: Map  #: where the middle of the body or disc lies in t: a slipped body, a leaning dens
    level: NDArray[np.int16]  #: 0 = C2, 1 = C3 ...: the body whose territory this is
    disc: NDArray[np.int16]  #: index of the nearest disc

    def packed(self, patch: Patch) -> "SpineField":
        """Return the field of a patch's pixels, arrays (pixels,)."""
        return SpineField(**{field.name: patch.take(getattr(self, field.name)) for field in fields(self)})


def field_of(spine: Spine, y: Map, z: Map, anchor_s: float) -> SpineField:
    """Return the spine coordinates of pixels at plane positions `y`, `z` (rows, columns) in mm.

    The point of the curve at `anchor_s` lies at the plane's origin.
    """
    s = np.arange(_TOP_MM, _BOTTOM_MM, _STEP_MM)
    lean = CubicSpline(spine.knots_s, spine.lean_rad)(s)
    curve = np.stack([np.cumsum(np.sin(lean)), -np.cumsum(np.cos(lean))], axis=1) * _STEP_MM
    curve -= curve[round((anchor_s - _TOP_MM) / _STEP_MM)]
    points = np.stack([y.ravel(), z.ravel()], axis=1).astype(np.float64)
    coarse = 8
    nearest = cKDTree(curve[::coarse]).query(points, workers=1)[1] * coarse
    away = points - curve[nearest]
    sine, cosine = np.sin(lean[nearest]), np.cos(lean[nearest])
    along = s[nearest] + away[:, 0] * sine - away[:, 1] * cosine
    across = away[:, 0] * cosine + away[:, 1] * sine
    index = np.clip(np.rint((along - _TOP_MM) / _STEP_MM), 0, s.size - 1).astype(np.int64).reshape(y.shape)
    drift = CubicSpline(spine.knots_s, spine.drift_mm)
    depth, width = _cross_section(spine, s)
    centres = spine.discs.centre_s
    level = np.searchsorted(centres, s).astype(np.int16)
    disc = np.searchsorted((centres[1:] + centres[:-1]) / 2, s).astype(np.int16)
    return SpineField(
        s=along.reshape(y.shape).astype(np.float32),
        t=across.reshape(y.shape).astype(np.float32),
        drift=drift(s).astype(np.float32)[index],
        tilt=drift(s, 1).astype(np.float32)[index],
        depth=depth.astype(np.float32)[index],
        width=width.astype(np.float32)[index],
        shift=_shift(spine, s).astype(np.float32)[index],
        level=np.minimum(level, COUNT - 1)[index],
        disc=disc[index],
    )


def _cross_section(spine: Spine, s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return half depth and half width in mm at each `s`; the dens is narrow, has a neck and ends in a round tip."""
    centres, tip = spine.discs.centre_s, spine.axis.tip_s
    middle = np.concatenate([[0.0], (centres[1:] + centres[:-1]) / 2])
    depth = np.interp(s, middle, np.array(BODY_DEPTH_MM)) / 2
    width = np.interp(s, middle, np.array(BODY_WIDTH_MM)) / 2
    above = s < 0.0
    knots = np.array([-70.0, tip + 7.0, 0.5 * tip - 5.0, 0.5 * tip, -14.0, -5.0, 0.0])
    narrow = 1.0 - spine.axis.neck
    depth[above] = np.interp(s[above], knots, np.array([5.4, 5.6, 5.5 * narrow, 5.9 * narrow, 6.9, 7.6, 7.8]))
    width[above] = np.interp(s[above], knots, np.array([4.8, 5.3, 5.1 * narrow, 6.6 * narrow, 9.6, 9.4, 8.8]))
    into_tip = np.clip((tip + 6.0 - s) / 6.0, 0.0, 1.0)
    round_off = np.sqrt(np.maximum(1.0 - into_tip**2, 0.0)) * spine.size
    return depth * round_off, width * round_off


def _shift(spine: Spine, s: FloatArray) -> FloatArray:
    """Return how far to the back the middle of a body lies, mm at each `s`, steep within the discs."""
    slip = spine.bodies.slip_mm[: COUNT + 1]
    edges = spine.discs.centre_s
    shift = np.full(s.size, slip[0])
    for index, edge in enumerate(edges):
        shift += (slip[index + 1] - slip[index]) / (1.0 + np.exp(-np.clip((s - edge) / 0.6, -50.0, 50.0)))
    return shift + spine.axis.lean * np.clip(-13.0 - s, 0.0, 40.0)


class DiscPlanes:
    """How far below the mid-plane of the nearest disc pixels lie: sloped, leaning with the drift, bent by the uncus."""

    def __init__(self, discs: Discs, field: SpineField) -> None:
        index = field.disc
        middle = discs.centre_s.astype(np.float32)[index] + discs.slope.astype(np.float32)[index] * field.t
        self._straight = field.s - middle
        self._uncus = discs.uncus_mm.astype(np.float32)[index]
        self._tilt, self._width = field.tilt, np.maximum(field.width, np.float32(1.0))
        self._index, self._owners = index, discs.owners()

    def side(self, r: Map) -> Map:
        """Return the distance from the mid-plane as a share of the body's half width."""
        return np.asarray(np.abs(r) / self._width, dtype=np.float32)

    def below(self, r: Map) -> Map:
        """Return the distance below the mid-plane, mm, in the sagittal plane `r` mm to the left."""
        rise: Map = np.clip((self.side(r) - np.float32(0.5)) * np.float32(2.0), 0.0, 1.2)
        bent = self._uncus * rise * rise * (np.float32(1.5) - np.float32(0.5) * rise)
        return np.asarray(self._straight - self._tilt * r + bent, dtype=np.float32)

    def structures(self, r: Map) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the number each pixel has if it is body, and if it is disc: as in `Phantom.structures`.

        A block of fused bodies has the number of its uppermost body.
        """
        body = self._owners[self._index + (self.below(r) > 0.0)]
        return 2 * body + 1, 2 * self._index.astype(np.int64) + 2
