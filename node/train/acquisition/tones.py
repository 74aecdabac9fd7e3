"""How bright each tissue is in a T2 turbo spin echo picture.

Tones are relative to bone marrow = 1. Their order is that of T2-weighted turbo spin echo without fat saturation
(CSF and fat bright, cord in between, muscle dark, cortex, ligament and air black); the ranges are chosen by eye.
A few phantoms look like fat-suppressed T2 or like T1, and some are drawn wild, so that shape has to be learnt.
"""

from dataclasses import dataclass, fields

import numpy as np

#: Shares of the phantoms: T2 order, then fat-suppressed T2, then T1; the rest is wild.
ORDERLY, SUPPRESSED, T1_LIKE = 0.8, 0.06, 0.04


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
    """Return tones in T2 order for four phantoms in five, else fat-suppressed, T1-like or wild ones."""
    kind = rng.random()
    tones = _t2(rng)
    if kind < ORDERLY:
        return Tones(**tones)
    if kind < ORDERLY + SUPPRESSED:
        return Tones(**(tones | _fat_suppressed(rng)))
    if kind < ORDERLY + SUPPRESSED + T1_LIKE:
        return Tones(**(tones | _t1(rng)))
    return _wild(rng)


def _t2(rng: np.random.Generator) -> dict[str, float]:
    cortex = rng.uniform(0.08, 0.45)
    # Most discs of adults are as dark as marrow or darker; bright cores are those of the young.
    nucleus = rng.uniform(0.35, 1.2) if rng.random() < 0.55 else rng.uniform(1.1, 2.8)
    tones = {
        "marrow": 1.0,
        "cortex": cortex,
        "ligament": cortex * rng.uniform(0.8, 1.2),
        "annulus": min(rng.uniform(0.15, 0.75), nucleus),
        "nucleus": nucleus,
        "csf": np.exp(rng.uniform(np.log(1.9), np.log(6.5))),
        "cord": rng.uniform(1.0, 2.2),
        "fat": np.exp(rng.uniform(0.0, np.log(3.2))),
        "muscle": 0.27 + 0.75 * rng.beta(1.3, 2.0),
        "soft": rng.uniform(0.45, 1.4),
        "mucosa": rng.uniform(1.0, 3.0),
        "vessel": rng.choice([0.08, rng.uniform(0.1, 1.5)]),
        "air": 0.004,
    }
    return {name: float(value) for name, value in tones.items()}


def _fat_suppressed(rng: np.random.Generator) -> dict[str, float]:
    """Return what differs where fat is dark: marrow near muscle, discs and water bright beside it."""
    annulus = rng.choice([rng.uniform(0.3, 0.7), rng.uniform(1.3, 2.2)])
    return {
        "fat": float(rng.uniform(0.2, 1.0)),
        "muscle": float(rng.uniform(0.8, 2.2)),
        "cord": float(rng.uniform(1.8, 4.0)),
        "csf": float(rng.uniform(4.0, 9.0)),
        "annulus": float(annulus),
        "nucleus": float(annulus * rng.uniform(1.0, 2.5)),
        "soft": float(rng.uniform(1.0, 2.5)),
    }


def _t1(rng: np.random.Generator) -> dict[str, float]:
    """Return what differs in T1: dark CSF, discs a little darker than marrow, bright fat."""
    annulus = float(rng.uniform(0.35, 0.7))
    return {
        "annulus": annulus,
        "nucleus": float(annulus * rng.uniform(0.9, 1.2)),
        "csf": float(rng.uniform(0.2, 0.6)),
        "cord": float(rng.uniform(0.6, 1.1)),
        "fat": float(rng.uniform(1.5, 3.5)),
        "muscle": float(rng.uniform(0.4, 0.8)),
        "mucosa": float(rng.uniform(0.5, 1.0)),
    }


def _wild(rng: np.random.Generator) -> Tones:
    wild = {field.name: float(np.exp(rng.uniform(np.log(0.12), np.log(3.0)))) for field in fields(Tones)}
    wild["annulus"] = wild["marrow"] * float(rng.choice([rng.uniform(0.2, 0.65), rng.uniform(1.5, 3.0)]))
    wild["nucleus"] = wild["annulus"] * float(np.exp(rng.uniform(np.log(0.7), np.log(2.0))))
    wild["cortex"] = min(wild["cortex"], 0.6 * wild["marrow"])
    return Tones(**(wild | {"air": 0.004}))
