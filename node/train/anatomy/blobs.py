"""Small structures beside the spine: ovals and blocks in straight local coordinates, painted only where they lie.

A frame is a straight continuation of the spine coordinates at one place: `u` in mm from the spine's middle to the
front, `w` in mm from that place to the head.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.train.acquisition.tones import Tones
from node.train.anatomy.plane import Map, Plane, Real, ramp
from node.train.anatomy.spine import SpineField

Window = tuple[slice, slice]

_FITTED_PIXELS = 400


class Frame:
    """Coordinates (u, w) of a picture's pixels, fitted to the spine coordinates around one place.

    They are straight but for waves of a few mm, so that no outline is as smooth as its formula.
    """

    def __init__(self, field: SpineField, at_s: float, rng: np.random.Generator, turn_deg: float = 0.0) -> None:
        rows, columns = field.s.shape
        far = np.abs(field.s - np.float32(at_s)) + np.abs(field.t)
        nearest = np.argpartition(far.ravel(), min(_FITTED_PIXELS, far.size - 1))[:_FITTED_PIXELS]
        pixels = np.stack([nearest // columns, nearest % columns, np.ones(nearest.size)], axis=1)
        measured = np.stack([-field.t.ravel()[nearest], at_s - field.s.ravel()[nearest]], axis=1)
        fitted = np.linalg.lstsq(pixels, measured.astype(np.float64), rcond=None)[0].T
        turn = np.deg2rad(turn_deg)
        cosine, sine = np.cos(turn), np.sin(turn)
        fitted = np.array([[cosine, -sine], [sine, cosine]]) @ fitted
        self._shape = (rows, columns)
        self._to_mm, self._offset = fitted[:, :2], fitted[:, 2]
        self._to_pixel = np.linalg.pinv(self._to_mm)
        self._waves = [
            (rng.uniform(0.3, 1.0) * length / 30.0, 2 * np.pi / length, *rng.uniform(0.0, 2 * np.pi, 2))
            for length in (rng.uniform(35.0, 70.0), rng.uniform(14.0, 24.0), rng.uniform(7.0, 11.0))
        ]

    def window(self, u: float, w: float, reach_mm: float) -> Window | None:
        """Return the part of the picture within `reach_mm` of a point, or None outside the picture."""
        middle = self._to_pixel @ (np.array([u, w]) - self._offset)
        reach = np.linalg.norm(self._to_pixel, axis=1) * (reach_mm + 3.0)
        low = np.clip(np.floor(middle - reach), 0, self._shape).astype(int)
        high = np.clip(np.ceil(middle + reach) + 1, 0, self._shape).astype(int)
        if (high <= low).any():
            return None
        return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))

    def coordinates(self, window: Window) -> tuple[Map, Map]:
        """Return u and w in mm of a window's pixels."""
        rows = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None]
        columns = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None, :]
        to_mm, offset = self._to_mm.astype(np.float32), self._offset.astype(np.float32)
        u: Map = to_mm[0, 0] * rows + to_mm[0, 1] * columns + offset[0]
        w: Map = to_mm[1, 0] * rows + to_mm[1, 1] * columns + offset[1]
        bent_u, bent_w = u.copy(), w.copy()
        for high, pace, one, two in self._waves:
            along, across = np.float32(np.cos(one) * pace), np.float32(np.sin(one) * pace)
            bent_u += np.float32(high) * np.sin(along * u + across * w + np.float32(two))
            bent_w += np.float32(high) * np.sin(along * w - across * u + np.float32(one + two))
        return bent_u, bent_w

    def whole(self) -> tuple[Map, Map]:
        """Return u and w in mm of all pixels."""
        return self.coordinates((slice(0, self._shape[0]), slice(0, self._shape[1])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Oval:
    """An outline in a frame, mm: an ellipse (`power` 2) to a block (`power` 6), turned and bent."""

    u: float
    w: float
    half_u: float
    half_w: float
    turn_deg: float = 0.0  #: the front end upward
    bend: float = 0.0  #: 1/mm: both ends lifted by bend * distance**2
    power: float = 2.0

    def inside(self, u: Real, w: Real) -> Map:
        """Return the approximate distance inside it, mm."""
        turn = np.deg2rad(self.turn_deg)
        cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        along = cosine * (u - np.float32(self.u)) + sine * (w - np.float32(self.w))
        across = cosine * (w - np.float32(self.w)) - sine * (u - np.float32(self.u))
        if self.bend:
            across = across - np.float32(self.bend) * along**2
        along, across = np.abs(along) / np.float32(self.half_u), np.abs(across) / np.float32(self.half_w)
        if self.power == 2.0:
            q = np.sqrt(along**2 + across**2)
        else:
            q = (along**self.power + across**self.power) ** np.float32(1.0 / self.power)
        return np.asarray((1.0 - q) * min(self.half_u, self.half_w), dtype=np.float32)

    def inset(self, rim_mm: float) -> "Oval":
        """Return the same outline smaller by a rim."""
        return Oval(
            u=self.u,
            w=self.w,
            half_u=max(self.half_u - rim_mm, 0.3),
            half_w=max(self.half_w - rim_mm, 0.3),
            turn_deg=self.turn_deg,
            bend=self.bend,
            power=self.power,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """From where to where a structure lies from side to side, mm; on both sides alike unless `side` is -1 or 1."""

    at: float = 0.0
    half: float = 10.0
    side: int = 0

    def share(self, lateral_mm: float) -> float:
        """Return how thick it still is there: 1 at its middle, 0 outside."""
        place = abs(lateral_mm) if self.side == 0 else self.side * lateral_mm
        if self.at == 0.0:
            place = lateral_mm
        return float(np.sqrt(max(1.0 - ((place - self.at) / self.half) ** 2, 0.0)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blob:
    """One structure, ready to be painted."""

    window: Window
    inside: Map  #: mm, of the window's pixels
    deepest: float
    reach: Reach
    tone: Map | float
    rough: tuple[float, float]  #: share of grain and of streaks in the tone

    def paint(self, plane: Plane, lateral_mm: float) -> None:
        """Paint it if it reaches this plane; it is thinner toward its sides."""
        share = self.reach.share(lateral_mm)
        if share <= 0.0:
            return
        cover = ramp(self.inside - np.float32(self.deepest * (1.0 - share)), plane.pixel_mm)
        grain, streaks = np.float32(self.rough[0]), np.float32(self.rough[1])
        rough = 1.0 + grain * plane.grain[self.window] + streaks * plane.streaks[self.window]
        picture = plane.picture[self.window]
        np.add(picture, cover * (np.maximum(rough, 0.1) * self.tone - picture), out=picture)


class Album:
    """Collects the structures of one neck; every structure gets its own random brightness."""

    def __init__(self, rng: np.random.Generator, tones: Tones) -> None:
        self.rng, self.tones = rng, tones
        self.blobs: list[Blob] = []

    def near(self, value: float, spread: float) -> float:
        """Return a number around `value`."""
        return float(self.rng.normal(value, spread))

    def tone(self, value: float) -> float:
        """Return a brightness around `value`; one in eight is far from it."""
        return float(value * np.exp(self.rng.normal(0.0, 0.7 if self.rng.random() < 0.12 else 0.18)))

    def add(self, frame: Frame, oval: Oval, reach: Reach, tone: float, rough: tuple[float, float] = (0.1, 0.1)) -> None:
        """Add a structure of about this tone."""
        window = frame.window(oval.u, oval.w, 1.5 * max(oval.half_u, oval.half_w) + 2.0)
        if window is not None:
            self.mask(window, oval.inside(*frame.coordinates(window)), reach, self.tone(tone), rough)

    def mask(
        self, window: Window, inside: Map, reach: Reach, tone: Map | float, rough: tuple[float, float] = (0.1, 0.1)
    ) -> None:
        """Add a structure whose distance inside and tone are known in a window; the window is cut to its size."""
        near = inside > -1.0
        rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        if not rows.size:
            return
        part = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        top, left = window[0].start or 0, window[1].start or 0
        kept = np.ascontiguousarray(inside[part])
        self.blobs.append(
            Blob(
                window=(
                    slice(top + part[0].start, top + part[0].stop),
                    slice(left + part[1].start, left + part[1].stop),
                ),
                inside=kept,
                deepest=float(kept.max()),
                reach=reach,
                tone=tone if isinstance(tone, float) else tone[part],
                rough=rough,
            )
        )

    def bone(self, frame: Frame, oval: Oval, reach: Reach, rim_mm: float = 1.4) -> None:
        """Add a bone: dark cortex, marrow inside; two in five are as bright as the bodies' marrow."""
        rim_mm *= float(self.rng.uniform(0.4, 1.2))
        if self.rng.random() < 0.9:
            self.add(frame, oval, reach, self.tones.cortex, (0.2, 0.1))
        like = self.rng.uniform(0.92, 1.08) if self.rng.random() < 0.4 else self.rng.uniform(0.7, 2.0)
        inner = Reach(at=reach.at, half=max(reach.half - rim_mm, 0.5), side=reach.side)
        rough = self.rng.uniform(0.05, 0.25, 2)
        window = frame.window(oval.u, oval.w, 1.5 * max(oval.half_u, oval.half_w) + 2.0)
        if window is not None:
            inside = oval.inset(rim_mm).inside(*frame.coordinates(window))
            self.mask(window, inside, inner, float(self.tones.marrow * like), (float(rough[0]), float(rough[1])))

    def vessel(self, frame: Frame, oval: Oval, reach: Reach) -> None:
        """Add a vessel: a void or bright, with a thin wall."""
        self.add(frame, oval, reach, self.tones.soft)
        void = self.rng.random() < 0.6
        flow = self.tones.vessel if void else self.tones.fat * self.rng.uniform(0.3, 1.2)
        self.add(frame, oval.inset(0.8), reach, float(flow))


#: A table over a coordinate, looked up per pixel.
Table = NDArray[np.float32]
