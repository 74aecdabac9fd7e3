"""One spine drawn from the numbers, and the spine coordinates of a picture's pixels.

Spine coordinates: `s` in mm along the centre-line of the bodies, 0 at the middle of the disc C2/C3, growing to the
feet; `t` in mm across it, growing to the back; `r` in mm to the patient's left. Plane coordinates: `y` growing to the
back, `z` growing to the head, mm.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from node.train.anatomy.morphometry import BODY_DEPTH_MM, BODY_HEIGHT_MM, BODY_WIDTH_MM, DENS_TIP_MM, DISC_HEIGHT_MM
from node.train.anatomy.plane import Map

FloatArray = NDArray[np.float64]

_STEP_MM = 0.25
_TOP_MM, _BOTTOM_MM = -160.0, 430.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Discs:
    """Shape of each disc C2/C3 downward; every array has shape (discs,)."""

    centre_s: FloatArray  #: mm
    half_height: FloatArray  #: mm, at the middle
    wedge: FloatArray  #: relative growth of the height toward the front
    bulge_mm: FloatArray  #: reach beyond the bodies' back wall
    slope: FloatArray  #: ds/dt of the mid-plane
    hydration: FloatArray  #: 0 dark .. 1 bright core
    uncus_mm: FloatArray  #: how far the rim bends to the head at the sides (the uncinate processes)
    rim_mm: FloatArray  #: osteophytes beside it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spine:
    """One random spine: a curve in the sagittal plane, its lateral drift, the discs and the bodies' sizes."""

    knots_s: FloatArray
    lean_rad: FloatArray  #: angle of the centre-line from straight down, toward the back, at each knot
    drift_mm: FloatArray  #: lateral offset (to the left) at each knot
    discs: Discs
    size: float  #: scale of every cross-section
    body_tone: FloatArray  #: relative brightness of each body, C2 downward
    canal_mm: float  #: front to back
    cord_scale: float
    synchondrosis: bool


def draw_spine(rng: np.random.Generator) -> Spine:
    """Return a random spine: lordotic, straight or kyphotic, tilted, mildly scoliotic, with discs of any age."""
    knots = np.array([-160.0, -40.0, 20.0, 60.0, 100.0, 150.0, 220.0, 320.0, 430.0])
    lordosis, tilt = rng.normal(1.0, 0.55), rng.normal(0.0, 6.0)
    shape = np.array([-6.0, -6.0, -6.0, 4.0, 18.0, 22.0, 16.0, 2.0, -4.0])
    lean = np.deg2rad(shape * lordosis + 4.0 + tilt + rng.normal(0.0, 3.0, knots.size))
    drift = np.cumsum(rng.normal(0.0, 1.2, knots.size)) + rng.normal(0.0, 0.04) * (knots - 60.0)
    drift -= np.interp(60.0, knots, drift)
    count = len(DISC_HEIGHT_MM)
    return Spine(
        knots_s=knots,
        lean_rad=lean,
        drift_mm=drift,
        discs=_draw_discs(rng),
        size=float(rng.uniform(0.9, 1.16)),
        body_tone=1.0 + rng.normal(0.0, 0.06, count) + (rng.random(count) < 0.04) * rng.normal(0.0, 0.3, count),
        canal_mm=float(rng.uniform(11.5, 16.0)),
        cord_scale=float(rng.uniform(0.82, 1.12)),
        synchondrosis=bool(rng.random() < 0.5),
    )


def _draw_discs(rng: np.random.Generator) -> Discs:
    count = len(DISC_HEIGHT_MM)
    stretch = rng.uniform(0.88, 1.16)
    age = np.clip(rng.beta(1.5, 1.5) + rng.normal(0.0, 0.22, count), 0.0, 1.0)
    worn = (np.arange(count) < 8) & (rng.random(count) < 0.12)
    age[worn] = rng.uniform(0.8, 1.0, int(worn.sum()))
    height = np.array(DISC_HEIGHT_MM) * stretch * (1.2 - 0.45 * age) * rng.normal(1.0, 0.08, count)
    body = np.array(BODY_HEIGHT_MM) * stretch * rng.normal(1.0, 0.05, len(BODY_HEIGHT_MM))
    body *= rng.uniform(0.85, 1.12)
    centre = np.concatenate([[0.0], np.cumsum(body + (height[:-1] + height[1:]) / 2)])
    uncus = np.where(np.arange(count) < 6, rng.uniform(0.5, 4.0, count), 0.0)
    herniated = (rng.random(count) < 0.08) * rng.uniform(1.0, 3.5, count)
    return Discs(
        centre_s=centre,
        half_height=np.maximum(height / 2, 0.9),
        wedge=rng.normal(0.12, 0.12, count),
        bulge_mm=rng.uniform(-0.4, 1.2, count) + 1.0 * age + herniated,
        slope=rng.normal(0.0, 0.06, count) - np.where(np.arange(count) < 6, 0.06, 0.0),
        hydration=np.clip(1.05 - age + rng.normal(0.0, 0.1, count), 0.0, 1.0),
        uncus_mm=uncus,
        rim_mm=np.where(age > 0.5, rng.uniform(0.0, 2.5, count), rng.uniform(0.0, 0.6, count)),
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
    level: NDArray[np.int16]  #: 0 = C2, 1 = C3 ...: the body whose territory this is
    disc: NDArray[np.int16]  #: index of the nearest disc


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
        level=np.minimum(level, len(DISC_HEIGHT_MM) - 1)[index],
        disc=disc[index],
    )


def _cross_section(spine: Spine, s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return half depth and half width in mm at each `s`; the dens is narrow and ends in a round tip."""
    centres = spine.discs.centre_s
    middle = np.concatenate([[0.0], (centres[1:] + centres[:-1]) / 2])
    depth = np.interp(s, middle, np.array(BODY_DEPTH_MM)) / 2
    width = np.interp(s, middle, np.array(BODY_WIDTH_MM)) / 2
    above = s < 0.0
    knots = np.array([-60.0, DENS_TIP_MM + 7.0, -24.0, -19.0, -14.0, -5.0, 0.0])
    depth[above] = np.interp(s[above], knots, np.array([5.4, 5.6, 5.3, 5.8, 6.9, 7.6, 7.8]))
    width[above] = np.interp(s[above], knots, np.array([4.8, 5.2, 5.0, 6.5, 9.6, 9.4, 8.8]))
    into_tip = np.clip((DENS_TIP_MM + 7.0 - s) / 7.0, 0.0, 1.0)
    round_off = np.sqrt(np.maximum(1.0 - into_tip**2, 0.0)) * spine.size
    return depth * round_off, width * round_off
