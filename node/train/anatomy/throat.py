"""The throat before the spine: prevertebral muscle, gullet, airway, larynx, thyroid, vessels. All sizes are chosen.

What follows the spine is painted in spine coordinates; the larynx in a frame at s = 35 mm (u to the front, w upward).
"""

from dataclasses import dataclass

import numpy as np

from node.train.anatomy.blobs import Album, Frame, Oval, Reach
from node.train.anatomy.plane import Map
from node.train.anatomy.spine import SpineField

_S = np.array([-70.0, -48.0, -25.0, 0.0, 18.0, 30.0, 36.0, 44.0, 54.0, 70.0, 110.0, 150.0, 185.0])
_GAP = np.array([9.0, 6.0, 4.0, 4.0, 4.5, 7.0, 9.0, 10.0, 9.0, 8.5, 11.0, 14.0, 16.0])
_HALF = np.array([7.0, 6.5, 4.5, 4.5, 5.0, 5.0, 2.6, 5.5, 7.5, 8.0, 8.0, 8.5, 8.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tube:
    """A tube along the spine: its middle and half thickness, mm, at each pixel's s, and its ends."""

    middle_t: Map
    half: Map
    from_s: float
    to_s: float

    def inside(self, field: SpineField, rim_mm: float = 0.0) -> Map:
        """Return the distance inside it, mm."""
        middle, reach = (self.from_s + self.to_s) / 2, (self.to_s - self.from_s) / 2
        beyond = np.maximum(np.abs(field.s - np.float32(middle)) - np.float32(reach - 12.0), 0.0)
        away = np.sqrt((field.t - self.middle_t) ** 2 + np.float32(0.25) * beyond**2)
        return np.asarray(self.half - np.float32(rim_mm) - away, dtype=np.float32)


def add_tube(
    album: Album, inside: Map, reach: Reach, tone: Map | float, rough: tuple[float, float] = (0.1, 0.1)
) -> None:
    """Add a structure given as the distance inside over the whole picture."""
    album.mask((slice(0, inside.shape[0]), slice(0, inside.shape[1])), inside, reach, tone, rough)


def add_throat(album: Album, field: SpineField, frame: Frame, size: float) -> None:
    """Add what lies between the spine and the front of the neck."""
    front = -np.maximum(field.depth, 6.0) - np.float32(1.5)
    _vessels(album, field, front)
    _aorta(album, field, front)
    _larynx(album, frame, size)
    airway = _airway(album, field, front, size)
    _gullet(album, field, front, airway)
    _nodes(album, frame)


def _airway(album: Album, field: SpineField, front: Map, size: float) -> Tube:
    rng, tones = album.rng, album.tones
    gap = _GAP * rng.uniform(0.75, 1.5) + rng.normal(0.0, 1.2, _S.size)
    gap = np.maximum(gap, 3.0) + rng.uniform(0.0, 0.14) * np.clip(_S - 55.0, 0.0, None)
    narrow = rng.uniform(0.35, 1.25)
    half = size * _HALF * np.where(_S > 40.0, rng.uniform(0.8, 1.2), narrow) * rng.normal(1.0, 0.12, _S.size)
    half = np.maximum(half, 1.2)
    grid = np.arange(-160.0, 430.0)
    index = np.clip(field.s + 160.5, 0, grid.size - 1).astype(np.int16)
    away = np.interp(grid, _S, gap + half).astype(np.float32)[index]
    thick = np.interp(grid, _S, half).astype(np.float32)[index]
    tube = Tube(middle_t=front - away, half=thick, from_s=-62.0, to_s=float(rng.uniform(165.0, 195.0)))
    ring = np.sin(field.s * np.float32(2 * np.pi / rng.uniform(4.0, 6.0)))
    wall = np.where(field.s > 50.0, 1.0 + rng.uniform(0.0, 0.4) * ring, 1.0)
    wall = (wall * album.tone(tones.soft * rng.uniform(0.5, 1.6))).astype(np.float32)
    add_tube(
        album,
        tube.inside(field, -float(rng.uniform(1.0, 2.6))),
        Reach(half=float(rng.uniform(11.0, 15.0))),
        wall,
        (0.2, 0.1),
    )
    share = rng.uniform(0.0, 0.12) if rng.random() < 0.7 else rng.uniform(0.1, 0.5)
    add_tube(album, tube.inside(field), Reach(half=float(rng.uniform(8.0, 12.0))), float(tones.air + share), (0.4, 0.4))
    bronchus = Tube(middle_t=tube.middle_t, half=thick * 0.8, from_s=tube.to_s - 8.0, to_s=tube.to_s + 35.0)
    add_tube(album, bronchus.inside(field), Reach(at=16.0, half=9.0), float(tones.air))
    return tube


def _gullet(album: Album, field: SpineField, front: Map, airway: Tube) -> None:
    rng, tones = album.rng, album.tones
    thick = float(rng.uniform(1.2, 3.2))
    longus = Tube(middle_t=front - thick, half=np.full_like(front, thick), from_s=-40.0, to_s=150.0)
    add_tube(album, longus.inside(field), Reach(half=18.0), album.tone(tones.muscle), (0.15, 0.1))
    side = Tube(middle_t=front - 2.0, half=np.full_like(front, 5.0), from_s=-40.0, to_s=130.0)
    add_tube(album, side.inside(field), Reach(at=9.0, half=6.0), album.tone(tones.muscle), (0.15, 0.1))
    stripe = Tube(middle_t=front - 2.0 * thick - 0.7, half=np.full_like(front, 0.8), from_s=-60.0, to_s=220.0)
    share = rng.uniform(0.2, 0.9)
    add_tube(album, stripe.inside(field), Reach(half=20.0), album.tone(tones.fat * share), (0.2, 0.4))
    back = airway.middle_t + airway.half
    middle: Map = (back + front) * np.float32(0.5) - np.float32(0.5)
    half: Map = np.clip((front - back) * np.float32(0.5) - np.float32(1.0), 1.2, 5.5)
    gullet = Tube(middle_t=middle, half=half, from_s=48.0, to_s=330.0)
    add_tube(album, gullet.inside(field), Reach(half=9.0), album.tone(tones.soft * 0.8), (0.15, 0.2))
    lumen = float(rng.choice([tones.air, tones.soft, tones.soft, tones.mucosa, tones.mucosa * 1.5]))
    add_tube(album, gullet.inside(field, 2.0), Reach(half=6.0), lumen, (0.2, 0.4))


def _larynx(album: Album, frame: Frame, size: float) -> None:
    rng, tones, near = album.rng, album.tones, album.near
    strap = Oval(u=size * near(42.0, 2.0), w=-18.0, half_u=near(2.5, 0.5), half_w=36.0, turn_deg=near(-6.0, 4.0))
    album.add(frame, strap, Reach(at=near(5.0, 2.0), half=11.0), tones.muscle, (0.1, 0.2))
    block = Oval(u=size * near(28.0, 2.0), w=0.0, half_u=size * 14.0, half_w=24.0, power=3.0)
    album.add(frame, block, Reach(half=14.0), tones.soft * rng.uniform(0.6, 1.0), (0.2, 0.2))
    grey = rng.uniform(0.5, 2.0)
    for at, half_u in ((0.0, 3.0), (12.0, 12.0)):
        shield = Oval(
            u=size * (near(42.0, 2.0) - 0.9 * at), w=near(5.0, 3.0), half_u=half_u, half_w=near(12.0, 1.5), power=3.0
        )
        album.add(frame, shield, Reach(at=at, half=5.0), tones.cortex * 1.3)
        album.add(frame, shield.inset(1.2), Reach(at=at, half=3.8), tones.marrow * grey, (0.2, 0.1))
    fold = Oval(u=size * 33.0, w=near(0.0, 2.0), half_u=8.0, half_w=near(3.0, 0.5), turn_deg=near(0.0, 10.0))
    album.add(frame, fold, Reach(half=9.0), tones.soft * rng.uniform(0.5, 1.0))
    for u, w, half_u, half_w in ((17.0, -14.0, 3.8, 10.0), (35.0, -19.0, 3.0, 4.5), (19.0, 4.0, 3.0, 5.0)):
        ring = Oval(
            u=size * near(u, 1.5), w=near(w, 2.0), half_u=near(half_u, 0.4), half_w=near(half_w, 0.8), power=3.0
        )
        album.add(frame, ring, Reach(half=12.0), tones.cortex * 1.3)
        album.add(frame, ring.inset(1.1), Reach(half=11.0), tones.marrow * grey * rng.uniform(0.8, 1.2), (0.2, 0.1))
    swell = rng.uniform(0.7, 1.7)
    thyroid = Oval(
        u=size * near(22.0, 3.0), w=near(-24.0, 4.0), half_u=7.0 * swell, half_w=20.0 * swell, turn_deg=near(-5.0, 6.0)
    )
    album.add(frame, thyroid, Reach(at=16.0, half=10.0 * swell), tones.soft * rng.uniform(0.7, 1.6), (0.15, 0.1))
    isthmus = Oval(u=size * 38.0, w=near(-32.0, 3.0), half_u=3.0, half_w=7.0 * swell)
    album.add(frame, isthmus, Reach(half=10.0), tones.soft * rng.uniform(0.9, 1.8))


def _vessels(album: Album, field: SpineField, front: Map) -> None:
    rng, tones = album.rng, album.tones
    for at, ahead, half, low in ((22.0, 8.0, 3.2, 110.0), (29.0, 6.0, 5.0, 100.0), (36.0, 10.0, 2.0, 90.0)):
        for side in (-1, 1):
            wave = rng.normal(0.0, 2.0) * np.sin(field.s / rng.uniform(15.0, 30.0) + rng.uniform(0.0, 6.0))
            middle = front - np.float32(ahead + rng.normal(0.0, 2.0)) - wave.astype(np.float32)
            middle -= np.float32(rng.uniform(0.0, 0.12)) * field.s
            thick = np.full_like(front, half * rng.uniform(0.7, 1.4))
            tube = Tube(middle_t=middle, half=thick, from_s=-60.0, to_s=low + rng.normal(0.0, 10.0))
            reach = Reach(at=at + float(rng.normal(0.0, 2.0)), half=float(thick.flat[0]) + 1.0, side=side)
            add_tube(album, tube.inside(field, -0.8), reach, album.tone(tones.soft))
            flow = tones.vessel if rng.random() < 0.6 else tones.fat * rng.uniform(0.3, 1.3)
            add_tube(album, tube.inside(field), reach, float(flow), (0.1, 0.3))


def _aorta(album: Album, field: SpineField, front: Map) -> None:
    """Add the aorta on the left and a large vein on the right, before the chest's vertebrae."""
    rng, tones = album.rng, album.tones
    for side, at, half, high in ((1, 11.0, 11.0, 170.0), (-1, 12.0, 4.0, 150.0)):
        thick = np.full_like(front, half * rng.uniform(0.75, 1.3))
        middle = front - thick - np.float32(rng.uniform(0.0, 5.0))
        tube = Tube(middle_t=middle, half=thick, from_s=high + rng.normal(0.0, 8.0), to_s=460.0)
        reach = Reach(at=at + float(rng.normal(0.0, 3.0)), half=float(thick.flat[0]) + 1.0, side=side)
        add_tube(album, tube.inside(field, -1.0), reach, album.tone(tones.soft))
        flow = tones.vessel if rng.random() < 0.7 else tones.soft * rng.uniform(0.5, 3.0)
        add_tube(album, tube.inside(field), reach, float(flow), (0.1, 0.3))


def _nodes(album: Album, frame: Frame) -> None:
    """Add lymph nodes: grey ovals beside the vessels, some as large as a body."""
    rng, tones = album.rng, album.tones
    for _ in range(int(rng.integers(0, 9))):
        node = Oval(
            u=float(rng.uniform(-45.0, 45.0)),
            w=float(rng.uniform(-60.0, 75.0)),
            half_u=float(rng.uniform(2.0, 5.0)),
            half_w=float(rng.uniform(2.5, 8.0)),
            turn_deg=float(rng.uniform(-40.0, 40.0)),
        )
        tone = tones.soft * rng.uniform(0.8, 1.8)
        side = int(rng.choice([-1, 1]))
        album.add(
            frame, node, Reach(at=float(rng.uniform(20.0, 38.0)), half=float(rng.uniform(3.0, 6.0)), side=side), tone
        )
