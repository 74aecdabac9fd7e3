"""Metal at the spine as the picture shows it: signal voids larger than the implant, with a bright rim to one side."""

from dataclasses import dataclass

import numpy as np

from node.train.anatomy.plane import Map, ramp
from node.train.anatomy.spine import Spine, SpineField

#: Share of the phantoms with an implant.
SHARE = 0.04


@dataclass(frozen=True, slots=True, kw_only=True)
class Void:
    """A void in spine coordinates, mm: its centre and half sizes."""

    s: float
    t: float
    r: float
    half_s: float
    half_t: float
    half_r: float


def draw_metal(rng: np.random.Generator, spine: Spine) -> list[Void]:
    """Return the voids of one implant across one to three discs, or none: plate, cage, or rods behind."""
    if rng.random() > SHARE:
        return []
    first, discs = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    centres = spine.discs.centre_s[first : first + discs]
    middle, half = float(centres.mean()), float(np.ptp(centres)) / 2 + 9.0
    screws = [float(s) for s in np.concatenate([centres - 8.0, centres[-1:] + 8.0])]
    large = rng.uniform(0.8, 1.6)
    kind = rng.random()
    if kind < 0.45:
        plate = Void(s=middle, t=-11.0, r=0.0, half_s=half, half_t=3.0 * large, half_r=9.0)
        return [plate] + [
            Void(s=s, t=-5.0, r=r, half_s=2.2 * large, half_t=8.0, half_r=2.4 * large)
            for s in screws
            for r in (-5.0, 5.0)
        ]
    if kind < 0.65:
        return [Void(s=float(s), t=-1.0, r=0.0, half_s=2.8 * large, half_t=6.0, half_r=7.0) for s in centres]
    out = rng.uniform(13.0, 19.0)
    rods = [Void(s=middle, t=27.0, r=r, half_s=half + 4.0, half_t=3.5 * large, half_r=4.0) for r in (-out, out)]
    return rods + [
        Void(s=s, t=19.0, r=r, half_s=2.5 * large, half_t=9.0, half_r=3.0 * large) for s in screws for r in (-out, out)
    ]


def add_metal(picture: Map, r: Map, field: SpineField, voids: list[Void]) -> None:
    """Put the voids into one slice `picture` (rows, columns) in place; `r` (rows, columns) mm to the left."""
    for void in voids:
        along, across, side = field.s - void.s, field.t - void.t, r - void.r
        uneven = 1.0 + 0.12 * np.sin(along * 0.9 + void.r) + 0.1 * np.sin(across * 1.1 + void.s)
        q = np.sqrt((along / void.half_s) ** 2 + (across / void.half_t) ** 2 + (side / void.half_r) ** 2) / uneven
        least = min(void.half_s, void.half_t)
        rim = np.exp(-(((q - 1.15) / 0.15) ** 2)) * np.clip(along / void.half_s, 0.0, 1.0)
        picture *= (1 + 1.5 * rim).astype(np.float32)
        picture *= 1 - ramp((1 - q) * least, 1.5)
