"""The face and the upper throat: tongue, palate, jaw, teeth, nose, hyoid, epiglottis. All sizes are chosen.

Positions in the head's frame: u in mm from the dens to the front, w in mm from the tip of the dens to the head.
"""

import numpy as np

from node.train.anatomy.blobs import Album, Frame, Oval, Reach
from node.train.anatomy.plane import Map

#: How fast the dental arch falls back to the side, 1/mm.
_ARCH = 0.05


def add_face(album: Album, frame: Frame, size: float, open_mm: float) -> None:
    """Add what the head has in front of the spine; `open_mm` is how far the mouth stands open."""
    base = Oval(u=size * 58.0, w=size * album.near(0.0, 4.0), half_u=size * 44.0, half_w=size * 64.0, power=3.0)
    tissue = album.tones.muscle + album.rng.uniform(0.0, 0.6) * (album.tones.fat - album.tones.muscle)
    under = Reach(half=48.0)
    album.add(frame, base.inset(8.0), under, tissue, (album.rng.uniform(0.1, 0.3), album.rng.uniform(0.1, 0.5)))
    _nose(album, frame, size)
    _throat_walls(album, frame, size)
    _tongue(album, frame, size, open_mm)
    _palate(album, frame, size)
    _jaw(album, frame, size, open_mm)
    _teeth(album, frame, size, open_mm)
    _glands(album, frame, size)
    _hyoid(album, frame, size)


def _nose(album: Album, frame: Frame, size: float) -> None:
    tones, near = album.tones, album.near
    cavity = Oval(u=size * 60.0, w=size * near(28.0, 3.0), half_u=size * 33.0, half_w=16.0, power=4.0)
    album.add(frame, cavity, Reach(half=18.0), tones.mucosa * 0.7, (0.2, 0.3))
    for floor in (16.0, 24.0, 33.0):
        gap = Oval(u=size * near(60.0, 4.0), w=size * near(floor, 1.5), half_u=size * 26.0, half_w=near(2.6, 0.6))
        album.add(frame, gap, Reach(at=near(5.0, 1.0), half=6.0), tones.air + 0.02)
    album.add(frame, cavity.inset(1.0), Reach(half=1.8), tones.soft * 0.7, (0.2, 0.2))
    space = Oval(u=size * near(30.0, 3.0), w=near(20.0, 3.0), half_u=near(8.0, 1.5), half_w=15.0, turn_deg=-15.0)
    album.add(frame, space, Reach(half=15.0), tones.air)
    sinus = Oval(u=size * near(62.0, 4.0), w=size * near(26.0, 3.0), half_u=18.0, half_w=17.0, power=3.0)
    album.add(frame, sinus, Reach(at=28.0, half=14.0), tones.cortex)
    full = album.rng.random() < 0.2
    album.add(frame, sinus.inset(1.5), Reach(at=28.0, half=13.0), tones.mucosa * 1.5 if full else tones.air)
    base = Oval(u=size * near(24.0, 3.0), w=near(48.0, 4.0), half_u=14.0, half_w=12.0, power=3.0)
    album.bone(frame, base, Reach(half=16.0))
    if album.rng.random() < 0.7:
        album.add(frame, base.inset(4.0), Reach(half=10.0), tones.air)


def _throat_walls(album: Album, frame: Frame, size: float) -> None:
    tones, near = album.tones, album.near
    adenoid = Oval(u=20.0 * size, w=near(14.0, 4.0), half_u=near(3.5, 1.2), half_w=12.0, turn_deg=-15.0)
    album.add(frame, adenoid, Reach(half=14.0), tones.mucosa * 0.9, (0.2, 0.2))
    tonsil = Oval(u=near(30.0, 2.0), w=near(-16.0, 4.0), half_u=near(6.0, 1.5), half_w=near(10.0, 2.0))
    album.add(frame, tonsil, Reach(at=17.0, half=7.0), tones.mucosa * 0.8, (0.2, 0.2))
    for w, half in ((8.0, 17.0), (-6.0, 22.0)):
        muscle = Oval(u=size * near(42.0, 3.0), w=w, half_u=13.0, half_w=half, turn_deg=near(20.0, 10.0))
        album.add(frame, muscle, Reach(at=near(28.0, 2.0), half=8.0), tones.muscle, (0.1, 0.25))


def _tongue(album: Album, frame: Frame, size: float, open_mm: float) -> None:
    tones, near = album.tones, album.near
    down = -0.4 * open_mm
    tongue = Oval(
        u=size * near(54.0, 2.5),
        w=size * near(-21.0, 2.5) + down,
        half_u=size * near(31.0, 2.0),
        half_w=size * near(22.0, 2.0),
        turn_deg=near(5.0, 8.0),
        power=2.5,
    )
    gap = Oval(
        u=size * 58.0, w=tongue.w + tongue.half_w, half_u=size * 30.0, half_w=max(near(1.0, 1.2), 0.4) + 0.35 * open_mm
    )
    album.add(frame, gap, Reach(half=24.0), tones.air)
    album.add(frame, tongue, Reach(half=26.0), tones.soft * album.rng.uniform(0.7, 1.7), (0.15, 0.1))
    window = frame.window(tongue.u, tongue.w, 1.5 * tongue.half_u)
    if window is not None:
        u, w = frame.coordinates(window)
        body = album.tone(float(album.rng.choice([tones.soft * 0.8, tones.muscle * 1.1])))
        tone = np.float32(body) * _fan(album, u - np.float32(size * 74.0), w - np.float32(-44.0 * size + down))
        album.mask(window, tongue.inset(near(2.5, 0.6)).inside(u, w), Reach(half=24.0), tone, (0.12, 0.15))
    floor = Oval(u=size * 57.0, w=size * near(-45.0, 1.5) + down, half_u=size * 25.0, half_w=near(3.5, 0.6), bend=0.003)
    album.add(frame, floor, Reach(half=20.0), tones.muscle, (0.1, 0.25))
    root = Oval(
        u=size * near(64.0, 4.0), w=size * near(-36.0, 2.0) + down, half_u=near(11.0, 3.0), half_w=near(6.0, 1.5)
    )
    share = album.rng.uniform(0.3, 1.0)
    album.add(frame, root, Reach(at=near(4.0, 3.0), half=12.0), tones.fat * share, (0.1, 0.3))
    below = Oval(u=size * 62.0, w=size * near(-57.0, 2.0) + down, half_u=size * 24.0, half_w=near(5.0, 1.5), bend=0.002)
    album.add(frame, below, Reach(half=30.0), tones.fat * album.rng.uniform(0.5, 1.0), (0.1, 0.15))


def _fan(album: Album, u: Map, w: Map) -> Map:
    """Return relative brightness of muscle fibres that spread from the chin to the tongue's back, rounded above."""
    angle = np.arctan2(w, u)
    away = np.hypot(u, w)
    waves = album.rng.uniform(14.0, 30.0)
    fibres = np.sin(waves * angle + album.near(0.0, 2.0) + 0.06 * away) * album.rng.uniform(0.05, 0.3)
    layers = np.sin(away / album.rng.uniform(2.0, 4.0)) * album.rng.uniform(0.0, 0.2)
    tilt = (away - 28.0) * np.float32(album.rng.normal(0.004, 0.008))
    return np.asarray(np.clip(1.0 + fibres + layers + tilt, 0.3, 2.0), dtype=np.float32)


def _palate(album: Album, frame: Frame, size: float) -> None:
    tones, near = album.tones, album.near
    hard = Oval(
        u=size * 64.0, w=size * near(7.0, 1.5), half_u=size * 22.0, half_w=near(2.8, 0.5), bend=0.004, power=4.0
    )
    album.bone(frame, hard, Reach(half=22.0), 1.1)
    soft = Oval(
        u=size * near(36.0, 2.0),
        w=near(-1.0, 3.0),
        half_u=near(16.0, 2.5),
        half_w=near(4.0, 0.8),
        turn_deg=near(48.0, 12.0),
        bend=-0.008,
    )
    album.add(frame, soft, Reach(half=17.0), tones.soft * album.rng.uniform(0.6, 1.5), (0.15, 0.2))


def _jaw(album: Album, frame: Frame, size: float, open_mm: float) -> None:
    rng, near = album.rng, album.near
    lean, height, rim = near(18.0, 9.0), near(14.0, 1.5), rng.uniform(1.6, 3.0)
    for at in (31.0, 24.0, 17.0, 9.0, 0.0):
        back = _ARCH * at**2
        thick = near(6.5, 0.8) + 0.42 * at
        lower = Oval(
            u=size * (75.0 - back) - 0.3 * open_mm,
            w=size * (near(-48.0, 1.0) + 0.25 * at) - open_mm,
            half_u=thick,
            half_w=height * (1.0 - 0.008 * at),
            turn_deg=-lean if at < 20.0 else near(-5.0, 5.0),
            power=float(rng.uniform(2.0, 3.5)),
        )
        album.bone(frame, lower, Reach(at=at, half=7.0), rim)
        upper = Oval(u=size * (76.0 - back), w=size * 3.0, half_u=thick * 0.9, half_w=8.0, power=3.0)
        album.bone(frame, upper, Reach(at=at, half=6.0), 1.2)
    ramus = Oval(u=size * near(28.0, 3.0), w=-14.0 - 0.5 * open_mm, half_u=13.0, half_w=34.0, turn_deg=-8.0, power=4.0)
    album.bone(frame, ramus, Reach(at=44.0, half=8.0), rim)
    for row, w in ((-1.0, -24.0), (1.0, -11.0)):
        lip = Oval(
            u=size * near(93.0, 1.5), w=size * w + (row - 1.0) * 0.5 * open_mm, half_u=6.0, half_w=near(6.5, 1.0)
        )
        album.add(frame, lip, Reach(half=20.0), album.tones.muscle * 1.1, (0.15, 0.15))


def _teeth(album: Album, frame: Frame, size: float, open_mm: float) -> None:
    """Add two rows of teeth: dark, with a brighter pulp; some are missing, some are metal."""
    rng, tones = album.rng, album.tones
    if rng.random() < 0.1:
        return
    dark = tones.cortex * rng.uniform(0.2, 1.0)
    for row in (-1.0, 1.0):
        level = size * -17.0 - (open_mm if row < 0 else 0.0) + row * (6.0 + rng.normal(0.0, 1.0))
        places = [(0.0, 3.5), (7.0, 3.5), (13.0, 3.5), (18.0, 4.0)] + [(rng.normal(24.0, 1.0), 6.0)] * 4
        for index, (at, half) in enumerate(places):
            if rng.random() < 0.1:
                continue
            behind = _ARCH * at**2 + max(index - 4, 0) * rng.normal(9.0, 0.5)
            tooth = Oval(
                u=size * (81.0 - behind) - (0.3 * open_mm if row < 0 else 0.0),
                w=level,
                half_u=2.8 + 0.06 * at,
                half_w=float(rng.normal(9.0, 1.0)),
                turn_deg=float(rng.normal(0.0, 6.0)) - row * (12.0 if at < 16.0 else 0.0),
                power=3.0,
            )
            album.add(frame, tooth, Reach(at=at, half=half), dark, (0.2, 0.1))
            pulp = Oval(u=tooth.u, w=tooth.w - row * -2.0, half_u=0.9, half_w=5.0, turn_deg=tooth.turn_deg)
            album.add(frame, pulp, Reach(at=at, half=half * 0.6), tones.marrow * rng.uniform(0.5, 2.0))
            if rng.random() < 0.008:
                spot = Oval(u=tooth.u, w=tooth.w, half_u=rng.uniform(5.0, 16.0), half_w=rng.uniform(5.0, 13.0))
                album.add(frame, spot, Reach(at=at, half=rng.uniform(5.0, 12.0)), tones.air)


def _glands(album: Album, frame: Frame, size: float) -> None:
    tones, near = album.tones, album.near
    gland = Oval(u=size * near(36.0, 4.0), w=size * near(-44.0, 3.0), half_u=near(13.0, 2.0), half_w=near(9.0, 1.5))
    album.add(frame, gland, Reach(at=27.0, half=9.0), tones.fat * album.rng.uniform(0.3, 0.8), (0.2, 0.15))
    parotid = Oval(u=size * near(12.0, 3.0), w=near(-12.0, 4.0), half_u=near(12.0, 2.0), half_w=24.0)
    album.add(frame, parotid, Reach(at=44.0, half=14.0), tones.fat * album.rng.uniform(0.4, 1.0), (0.25, 0.1))
    cheek = Oval(u=size * near(76.0, 4.0), w=near(-8.0, 4.0), half_u=14.0, half_w=22.0)
    album.add(frame, cheek, Reach(at=42.0, half=12.0), tones.fat * 0.9, (0.1, 0.2))


def _hyoid(album: Album, frame: Frame, size: float) -> None:
    tones, near = album.tones, album.near
    u, w = size * near(43.0, 3.0), size * near(-58.0, 4.0)
    fat = Oval(u=u - 4.0, w=w - 9.0, half_u=5.0, half_w=near(10.0, 2.0), turn_deg=-10.0)
    album.add(frame, fat, Reach(half=13.0), tones.fat * album.rng.uniform(0.4, 1.0), (0.1, 0.2))
    hollow = Oval(u=u - 9.0, w=w + 9.0, half_u=3.0, half_w=near(7.0, 1.5), turn_deg=-25.0)
    album.add(frame, hollow, Reach(half=11.0), tones.air)
    lid = Oval(u=u - 12.5, w=w + 3.0, half_u=near(2.0, 0.4), half_w=near(13.0, 2.0), turn_deg=near(-14.0, 7.0))
    album.add(frame, lid, Reach(half=10.0), tones.soft * album.rng.uniform(0.6, 1.8), (0.1, 0.1))
    for at in (0.0, 9.0, 17.0):
        bone = Oval(u=u - 0.09 * at**2, w=w + 0.1 * at, half_u=near(4.0, 0.5) + 0.25 * at, half_w=near(3.2, 0.5))
        album.bone(frame, bone, Reach(at=at, half=6.0), 1.2)
