"""The skull's base and what lies in it above the neck: occiput, cerebellum, brainstem. All sizes are chosen.

Positions in the head's frame: u in mm from the dens to the front, w in mm from the tip of the dens to the head.
"""

import numpy as np

from node.train.anatomy.blobs import Album, Frame, Oval, Reach


def add_skull(album: Album, frame: Frame, size: float) -> Oval:
    """Add the back of the skull and the mastoids at the sides; return the room of the cerebellum."""
    rng, tones, near = album.rng, album.tones, album.near
    fossa = Oval(
        u=size * near(-46.0, 3.0),
        w=size * near(46.0, 4.0),
        half_u=size * near(52.0, 3.0),
        half_w=size * near(38.0, 3.0),
        turn_deg=near(-14.0, 5.0),
        power=2.4,
    )
    wide, diploe = Reach(half=62.0), rng.uniform(2.0, 6.0)
    album.add(frame, fossa.inset(-diploe - 6.0), wide, tones.muscle, (0.1, 0.3))
    album.add(frame, fossa.inset(-diploe - 3.0), wide, tones.cortex)
    album.add(frame, fossa.inset(-diploe - 1.6), wide, tones.marrow * rng.uniform(0.7, 2.0), (0.15, 0.2))
    album.add(frame, fossa.inset(-1.5), wide, tones.cortex)
    album.add(frame, fossa, wide, tones.csf * 0.9)
    cistern = Oval(
        u=size * -24.0, w=size * near(12.0, 2.0), half_u=near(9.0, 2.0), half_w=near(5.0, 1.5), turn_deg=25.0
    )
    album.add(frame, cistern, Reach(half=12.0), tones.csf)
    _mastoid(album, frame, size)
    return fossa


def add_brain(album: Album, frame: Frame, size: float, fossa: Oval) -> None:
    """Add cerebellum, brainstem and great brain: they end the canal, so they are painted after it."""
    tones, near = album.tones, album.near
    brain = Oval(
        u=fossa.u,
        w=fossa.w + size * near(2.0, 1.5),
        half_u=fossa.half_u * near(0.94, 0.02),
        half_w=fossa.half_w * near(0.93, 0.02),
        turn_deg=fossa.turn_deg,
        power=2.4,
    )
    _folia(album, frame, brain, Reach(half=60.0))
    stem = Oval(
        u=size * near(-10.0, 1.5), w=size * 26.0, half_u=size * near(8.5, 0.8), half_w=27.0, turn_deg=near(-14.0, 4.0)
    )
    album.add(frame, stem.inset(-3.5), Reach(half=18.0), tones.csf)
    album.add(frame, stem, Reach(half=13.0), tones.cord, (0.05, 0.05))
    pons = Oval(u=size * near(-1.0, 1.5), w=size * near(44.0, 2.0), half_u=size * 12.0, half_w=size * 14.0)
    album.add(frame, pons, Reach(half=17.0), tones.cord, (0.05, 0.05))
    ventricle = Oval(
        u=size * -17.0, w=size * near(40.0, 3.0), half_u=near(3.5, 1.0), half_w=13.0, turn_deg=near(-8.0, 5.0)
    )
    album.add(frame, ventricle, Reach(half=8.0), tones.csf)
    _cerebrum(album, frame, size)


def _folia(album: Album, frame: Frame, brain: Oval, reach: Reach) -> None:
    """Add one part of the cerebellum: thin layers that spread from its middle."""
    window = frame.window(brain.u, brain.w, 1.3 * brain.half_u)
    if window is None:
        return
    u, w = frame.coordinates(window)
    u, w = u - np.float32(brain.u + 0.5 * brain.half_u), w - np.float32(brain.w)
    angle, away = np.arctan2(w, -u), np.hypot(u, w)
    bent = album.rng.uniform(1.0, 3.0) * np.sin(away / album.rng.uniform(4.0, 8.0)) + 2.0 * np.sin(5.0 * angle)
    layers = np.sin(album.rng.uniform(30.0, 60.0) * angle + bent) * np.clip(away / 25.0 - 0.2, 0.0, 1.0)
    tone = album.tone(album.tones.cord * 1.05) * (1.0 + np.float32(album.rng.uniform(0.03, 0.18)) * layers)
    album.mask(window, brain.inside(*frame.coordinates(window)), reach, tone.astype(np.float32), (0.1, 0.08))


def _cerebrum(album: Album, frame: Frame, size: float) -> None:
    """Add what the highest pictures show of the great brain, its bone and the eyes."""
    tones, near = album.tones, album.near
    brain = Oval(
        u=size * near(-6.0, 4.0),
        w=size * near(122.0, 4.0),
        half_u=size * 88.0,
        half_w=size * near(68.0, 3.0),
        power=2.4,
    )
    wide = Reach(half=90.0)
    album.add(frame, brain.inset(-6.0), wide, tones.cortex)
    album.add(frame, brain.inset(-4.0), wide, tones.marrow * album.rng.uniform(0.7, 1.8), (0.1, 0.2))
    album.add(frame, brain.inset(-1.5), wide, tones.cortex)
    album.add(frame, brain, wide, tones.csf, (0.1, 0.1))
    album.add(frame, brain.inset(2.0), wide, tones.cord, (0.25, 0.3))
    album.add(frame, brain.inset(12.0), wide, tones.cord * 0.9, (0.06, 0.15))
    tent = Oval(u=size * -45.0, w=size * 76.0, half_u=size * 46.0, half_w=size * 10.0, turn_deg=near(-12.0, 5.0))
    album.add(frame, tent, wide, tones.cord, (0.15, 0.3))
    eye = Oval(u=size * near(74.0, 2.0), w=size * near(47.0, 3.0), half_u=12.0, half_w=12.0)
    album.add(frame, eye.inset(-5.0), Reach(at=32.0, half=17.0), tones.fat, (0.1, 0.2))
    album.add(frame, eye, Reach(at=32.0, half=12.0), tones.csf * 0.9, (0.03, 0.03))


def _mastoid(album: Album, frame: Frame, size: float) -> None:
    tones, near = album.tones, album.near
    bone = Oval(u=size * near(-8.0, 3.0), w=near(8.0, 3.0), half_u=12.0, half_w=18.0, power=2.5)
    album.add(frame, bone, Reach(at=45.0, half=14.0), tones.cortex * 0.7, (0.6, 0.4))
    for _ in range(int(album.rng.integers(0, 7))):
        cell = Oval(u=bone.u + near(0.0, 5.0), w=bone.w + near(0.0, 8.0), half_u=near(2.5, 0.6), half_w=near(2.5, 0.6))
        album.add(frame, cell, Reach(at=near(44.0, 6.0), half=5.0), tones.mucosa * album.rng.uniform(0.2, 2.0))
    condyle = Oval(u=size * near(2.0, 2.0), w=near(5.0, 1.5), half_u=10.0, half_w=6.0, turn_deg=near(0.0, 8.0))
    album.bone(frame, condyle, Reach(at=17.0, half=7.0))
    base = Oval(
        u=size * near(8.0, 3.0), w=near(22.0, 3.0), half_u=22.0, half_w=11.0, turn_deg=near(10.0, 8.0), power=3.0
    )
    album.bone(frame, base, Reach(at=30.0, half=14.0))
    canal = Oval(u=size * near(6.0, 4.0), w=near(20.0, 3.0), half_u=near(4.0, 0.8), half_w=near(4.0, 0.8))
    album.vessel(frame, canal, Reach(at=near(26.0, 2.0), half=7.0))
