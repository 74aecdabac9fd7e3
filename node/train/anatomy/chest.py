"""The chest's upper part: breastbone, lungs, great vessels, heart, liver, ribs in front, collar-bones.

Positions in a frame at s = 160 mm: u in mm from the spine's middle to the front, w in mm to the head.
All sizes are chosen.
"""

import numpy as np

from node.train.anatomy.blobs import Album, Frame, Oval, Reach


def add_chest(album: Album, frame: Frame, deep_mm: float) -> None:
    """Add what the chest holds; `deep_mm` is from the spine to the back of the breastbone at s = 160 mm."""
    _lungs(album, frame, deep_mm)
    _mediastinum(album, frame, deep_mm)
    _breastbone(album, frame, deep_mm)
    _ribs(album, frame, deep_mm)


def _lungs(album: Album, frame: Frame, deep_mm: float) -> None:
    rng, tones = album.rng, album.tones
    for side in (-1, 1):
        apex = float(rng.normal(66.0, 9.0))
        half = float(rng.uniform(105.0, 150.0))
        lung = Oval(
            u=0.5 * deep_mm - 8.0,
            w=apex - half,
            half_u=0.5 * deep_mm + float(rng.uniform(6.0, 18.0)),
            half_w=half,
            turn_deg=float(rng.normal(6.0, 5.0)),
            power=float(rng.uniform(2.2, 3.0)),
        )
        reach = Reach(at=50.0, half=float(rng.uniform(36.0, 42.0)), side=side)
        coat = tones.fat * rng.uniform(0.2, 1.0)
        album.add(frame, lung.inset(-float(rng.uniform(1.5, 6.0))), reach, coat, (0.2, 0.3))
        album.add(frame, lung, reach, tones.air + rng.uniform(0.0, 0.12), (0.6, 0.6))
        for _ in range(int(rng.integers(2, 9))):
            vessel = Oval(
                u=lung.u + float(rng.normal(0.0, 14.0)),
                w=float(rng.uniform(-120.0, 10.0)),
                half_u=float(rng.uniform(1.2, 5.0)),
                half_w=float(rng.uniform(1.2, 8.0)),
                turn_deg=float(rng.uniform(-60.0, 60.0)),
            )
            place = Reach(at=float(rng.uniform(18.0, 45.0)), half=6.0, side=side)
            album.add(frame, vessel, place, tones.soft * rng.uniform(0.4, 1.5))


def _mediastinum(album: Album, frame: Frame, deep_mm: float) -> None:
    rng, tones, near = album.rng, album.tones, album.near
    share = deep_mm / 75.0
    fat = Oval(u=near(55.0, 4.0) * share, w=near(0.0, 10.0), half_u=14.0 * share, half_w=near(45.0, 8.0), turn_deg=12.0)
    album.add(frame, fat, Reach(half=22.0), tones.fat * rng.uniform(0.3, 0.9), (0.15, 0.3))
    liver = Oval(
        u=0.7 * deep_mm + 20.0, w=near(-215.0, 15.0), half_u=0.7 * deep_mm + 20.0, half_w=near(65.0, 8.0), power=2.8
    )
    album.add(frame, liver, Reach(half=110.0), tones.soft * rng.uniform(0.5, 1.2), (0.15, 0.15))
    heart = Oval(
        u=near(52.0, 5.0) * share,
        w=near(-95.0, 12.0),
        half_u=38.0 * share,
        half_w=near(48.0, 5.0),
        turn_deg=near(0, 15),
    )
    album.add(
        frame, heart, Reach(at=near(14.0, 5.0), half=55.0, side=1), tones.soft * rng.uniform(0.4, 1.0), (0.3, 0.3)
    )
    for scale, w in ((0.55, 12.0), (0.4, -18.0)):
        chamber = Oval(
            u=heart.u + near(0.0, 8.0),
            w=heart.w + near(w, 6.0),
            half_u=scale * heart.half_u,
            half_w=scale * heart.half_w,
        )
        album.vessel(frame, chamber, Reach(at=near(8.0, 6.0), half=26.0, side=1))
    for u, w, half_u, half_w, at, turn in (
        (44.0, -20.0, 12.0, 11.0, 6.0, 0.0),  # arch of the aorta
        (52.0, -38.0, 13.0, 9.0, 3.0, 20.0),  # pulmonary artery
        (58.0, 18.0, 5.0, 15.0, 0.0, -30.0),  # left brachiocephalic vein
        (34.0, 30.0, 4.0, 26.0, 12.0, -10.0),  # common carotid artery
        (26.0, 20.0, 4.5, 28.0, 20.0, 5.0),  # subclavian artery
    ):
        vessel = Oval(
            u=near(u, 4.0) * share,
            w=near(w, 7.0),
            half_u=near(half_u, 0.12 * half_u),
            half_w=near(half_w, 0.12 * half_w),
            turn_deg=near(turn, 10.0),
        )
        album.vessel(frame, vessel, Reach(at=near(at, 3.0), half=near(11.0, 1.5), side=int(rng.choice([-1, 1]))))


def _breastbone(album: Album, frame: Frame, deep_mm: float) -> None:
    """Add manubrium and body with the dark joint between: blocks like bodies."""
    rng, near = album.rng, album.near
    lean = near(24.0, 8.0)
    upper, joint = near(24.0, 3.0), near(1.5, 0.5)
    u, w, turn = deep_mm - 4.0, near(36.0, 6.0), np.deg2rad(lean)
    for index in range(4):
        half = upper if index == 0 else near(17.0, 4.0)
        step = half + max(joint, 0.5)
        u, w = u + step * np.sin(turn), w - step * np.cos(turn)
        block = Oval(u=float(u), w=float(w), half_u=near(6.0, 0.8), half_w=half, turn_deg=np.rad2deg(turn), power=4.0)
        album.bone(frame, block, Reach(half=24.0 if index == 0 else 15.0), rng.uniform(0.9, 1.8))
        u, w = u + half * np.sin(turn), w - half * np.cos(turn)
        turn = np.deg2rad(lean + near(-4.0, 4.0))


def _ribs(album: Album, frame: Frame, deep_mm: float) -> None:
    """Add collar-bones and the front ends of the upper ribs."""
    rng, near = album.rng, album.near
    for at in (27.0, 36.0):
        for side in (-1, 1):
            collar = Oval(
                u=deep_mm - near(6.0, 4.0), w=near(46.0, 5.0), half_u=near(8.0, 1.0), half_w=near(8.5, 1.5), power=2.5
            )
            album.bone(frame, collar, Reach(at=at, half=8.0, side=side), rng.uniform(1.2, 2.4))
            rib = Oval(u=deep_mm + near(2.0, 3.0), w=near(20.0, 5.0), half_u=near(9.0, 2.0), half_w=near(5.5, 1.0))
            album.bone(frame, rib, Reach(at=at, half=8.0, side=side), 1.2)
            front = Oval(u=deep_mm + near(16.0, 4.0), w=near(-14.0, 6.0), half_u=5.0, half_w=near(6.0, 1.0))
            album.bone(frame, front, Reach(at=at, half=9.0, side=side), 1.2)
