"""How bright each tissue is in a T2 turbo spin echo picture.

Tones are relative to bone marrow = 1. Their order is that of T2-weighted turbo spin echo without fat saturation
(CSF and fat bright, cord in between, muscle dark, cortex, ligament and air black); the ranges are chosen by eye.
"""

from dataclasses import dataclass, fields

import numpy as np

#: Share of phantoms whose tones keep the order of T2; the rest are drawn wild, so that shape has to be learnt.
ORDERLY = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Tones:
    """Relative brightness of each tissue."""

    marrow: float
    cortex: float
    ligament: float
    annulus: float
    nucleus: float
    csf: float
    cord: float
    fat: float
    muscle: float
    soft: float
    mucosa: float
    vessel: float
    air: float


def draw_tones(rng: np.random.Generator) -> Tones:
    """Return tones in T2 order, or wild ones for one phantom in seven."""
    if rng.random() > ORDERLY:
        wild = {field.name: float(np.exp(rng.uniform(np.log(0.12), np.log(3.0)))) for field in fields(Tones)}
        wild["annulus"] = wild["marrow"] * float(rng.choice([rng.uniform(0.2, 0.65), rng.uniform(1.5, 3.0)]))
        wild["cortex"] = min(wild["cortex"], 0.6 * wild["marrow"])
        return Tones(**(wild | {"air": 0.02}))
    cortex = rng.uniform(0.1, 0.4)
    tones = {
        "marrow": 1.0,
        "cortex": cortex,
        "ligament": cortex * rng.uniform(0.8, 1.2),
        "annulus": rng.uniform(0.2, 0.6),
        "nucleus": rng.uniform(0.7, 2.4),
        "csf": rng.uniform(2.5, 7.0),
        "cord": rng.uniform(1.2, 2.4),
        "fat": rng.uniform(1.5, 3.5),
        "muscle": rng.uniform(0.3, 0.75),
        "soft": rng.uniform(0.5, 1.2),
        "mucosa": rng.uniform(1.2, 2.5),
        "vessel": rng.choice([0.08, rng.uniform(0.1, 1.5)]),
        "air": 0.02,
    }
    return Tones(**{name: float(value) for name, value in tones.items()})
