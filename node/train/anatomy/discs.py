"""The discs and bodies of one spine, drawn level by level: shape, wear and marrow.

What wears a disc (dehydration, loss of height, bulging, osteophytes, Modic marrow) goes together, so one age per disc
drives it. Frequencies are chosen: high enough that a network meets every finding often.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.train.anatomy.morphometry import BODY_HEIGHT_MM, DISC_HEIGHT_MM, UNCUS_MM

FloatArray = NDArray[np.float64]

COUNT = len(DISC_HEIGHT_MM)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Discs:
    """Each disc C2/C3 downward and the endplates beside it; every array has shape (discs,)."""

    centre_s: FloatArray  #: mm
    half_height: FloatArray  #: mm, at the edge of the endplates
    dome_mm: FloatArray  #: hollow of the endplate above, at the middle
    dish_mm: FloatArray  #: hollow of the endplate below
    node_mm: FloatArray  #: depth of a dent (Schmorl's node) in the endplate below
    node_t: FloatArray  #: and its place, a share of the half depth
    wedge: FloatArray  #: relative growth of the height toward the front
    slope: FloatArray  #: ds/dt of the mid-plane
    bulge_mm: FloatArray  #: reach beyond the bodies' back wall, everywhere
    hernia_mm: FloatArray  #: what a herniation adds to it
    hernia_r: FloatArray  #: mm to the left
    hydration: FloatArray  #: 0 dark .. 1 bright core
    tone: FloatArray  #: relative brightness of the annulus
    cleft: FloatArray  #: 0..1, the dark line inside a core
    uncus_mm: FloatArray  #: how far the rim bends to the head at the sides (the uncinate processes)
    front_lip_mm: FloatArray  #: osteophytes beside it, in front; below 0 the waist of a fused block
    back_lip_mm: FloatArray
    flavum_mm: FloatArray  #: how far the yellow ligament narrows the canal from behind
    modic_above: FloatArray  #: relative brightness of the marrow at the endplate above, 0 = as elsewhere
    modic_below: FloatArray
    modic_mm: FloatArray  #: thickness of that band
    fused: NDArray[np.bool_]  #: no disc: the bodies above and below are one block
    remnant: FloatArray  #: darkness 0..1 of the line left in a block

    def owners(self) -> NDArray[np.int64]:
        """Return for each body C2 downward, shape (discs + 1,), the index of the uppermost body of its block."""
        owners = np.arange(self.fused.size + 1)
        for index in np.flatnonzero(self.fused):
            owners[index + 1] = owners[index]
        return owners


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bodies:
    """Each body C2 downward; every array has shape (discs + 1,)."""

    tone: FloatArray  #: relative brightness of the marrow
    vein: FloatArray  #: brightness of the basivertebral vein against it
    waist: FloatArray  #: how much of its depth a body loses at half height
    slip_mm: FloatArray  #: shift to the back against its neighbours (spondylolisthesis)
    spots: FloatArray  #: haemangiomas: (n, 5) rows of body index, s, t, r from its centre, radius in mm
    spot_gain: float


def draw_discs(rng: np.random.Generator, size: float) -> Discs:
    """Return the discs of a person whose cross-sections are `size` times the nominal."""
    neck = np.arange(COUNT) < 6
    age = np.clip(rng.beta(1.2, 1.5) + rng.normal(0.0, 0.22, COUNT), 0.0, 1.0)
    worn = (np.arange(COUNT) < 9) & (rng.random(COUNT) < 0.14)
    age[worn] = rng.uniform(0.75, 1.0, int(worn.sum()))
    fused = _draw_fused(rng)
    height = _draw_heights(rng, size, age)
    height[fused] = np.minimum(height[fused], rng.uniform(1.0, 3.5, int(fused.sum())))
    squeezed = np.where(rng.random(COUNT) < 0.03, rng.uniform(0.1, 0.35, COUNT), 0.0)
    centre = _stack(rng, size, height, squeezed)
    slope = rng.normal(0.0, 0.06, COUNT) - np.where(neck, rng.uniform(-0.02, 0.2), 0.0)
    slope[:-1] += 0.5 * squeezed[1:]
    slope[1:] -= 0.5 * squeezed[1:]
    front_lip = np.where(age > 0.5, rng.uniform(0.0, 3.5, COUNT) ** 1.1, rng.uniform(0.0, 0.8, COUNT))
    return Discs(
        centre_s=centre,
        half_height=np.maximum(height / 2 * rng.uniform(0.72, 1.0) - 0.3, 0.5),
        dome_mm=np.where(neck, rng.uniform(0.1, 1.6, COUNT), rng.uniform(0.0, 1.0, COUNT)) + 5.0 * squeezed,
        dish_mm=rng.uniform(-0.3, 0.9, COUNT) + 4.0 * np.append(squeezed[1:], 0.0),
        node_mm=np.where(rng.random(COUNT) < 0.06, rng.uniform(1.0, 4.0, COUNT), 0.0),
        node_t=rng.uniform(-0.5, 0.6, COUNT),
        wedge=rng.normal(0.1, 0.12, COUNT),
        slope=slope,
        bulge_mm=rng.uniform(-0.6, 0.9, COUNT) + 1.2 * age,
        hernia_mm=(rng.random(COUNT) < 0.09) * rng.uniform(1.0, 4.0, COUNT),
        hernia_r=rng.normal(0.0, 3.5, COUNT),
        hydration=np.clip(1.1 - 1.25 * age + rng.normal(0.0, 0.15, COUNT), 0.0, 1.0) ** 1.3,
        tone=np.exp(rng.normal(0.3, 0.3) + rng.normal(0.0, 0.15, COUNT)) * (1.2 - 0.45 * age),
        cleft=np.where(rng.random(COUNT) < 0.3, rng.uniform(0.2, 0.8, COUNT), 0.0),
        uncus_mm=np.array(UNCUS_MM) * size * rng.uniform(0.35, 1.2) * rng.normal(1.0, 0.15, COUNT),
        front_lip_mm=np.where(fused, rng.uniform(-2.0, 0.5), front_lip),
        back_lip_mm=np.where(age > 0.5, rng.uniform(0.0, 2.2, COUNT), rng.uniform(0.0, 0.4, COUNT)),
        flavum_mm=np.where(rng.random(COUNT) < 0.25, rng.uniform(0.5, 3.0, COUNT), 0.0),
        modic_above=_draw_modic(rng, age > 0.55),
        modic_below=_draw_modic(rng, age > 0.55),
        modic_mm=rng.uniform(1.5, 6.0, COUNT),
        fused=fused,
        remnant=np.where(rng.random(COUNT) < 0.6, rng.uniform(0.2, 0.9, COUNT), 0.0),
    )


def draw_bodies(rng: np.random.Generator, count: int = COUNT + 1) -> Bodies:
    """Return what the bodies are made of."""
    odd = (rng.random(count) < 0.04) * rng.normal(0.0, 0.3, count)
    spread = rng.uniform(0.01, 0.09)
    slip = (rng.random(count) < 0.05) * rng.normal(0.0, 1.8, count)
    slip[0] = 0.0
    spots = int(rng.choice([0, 0, 0, 1, 2]))
    where = [rng.integers(1, 11, spots), *(rng.normal(0.0, 3.0, (3, spots))), rng.uniform(1.8, 5.0, spots)]
    return Bodies(
        tone=np.clip(1.0 + rng.normal(0.0, spread, count) + odd, 0.4, 1.7),
        vein=rng.uniform(-0.4, 0.9) + rng.normal(0.0, 0.2, count),
        waist=np.clip(rng.normal(0.07, 0.04, count), 0.0, 0.18),
        slip_mm=np.clip(slip, -4.0, 4.0),
        spots=np.stack([np.asarray(column, dtype=np.float64) for column in where], axis=1),
        spot_gain=float(rng.uniform(0.3, 1.2)),
    )


def _draw_fused(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which discs are fused: one person in nine, one or two levels, most often C2/C3 and C4/C5 to C6/C7."""
    fused = np.zeros(COUNT, dtype=np.bool_)
    if rng.random() < 0.11:
        first = int(rng.choice([0, 1, 2, 3, 4, 5, 7], p=[0.2, 0.1, 0.2, 0.25, 0.15, 0.05, 0.05]))
        fused[first : first + int(rng.choice([1, 2], p=[0.75, 0.25]))] = True
    return fused


def _draw_heights(rng: np.random.Generator, size: float, age: FloatArray) -> FloatArray:
    """Return each disc's height in mm: less with age, 1 to 2.4 mm where collapsed."""
    nominal = np.array(DISC_HEIGHT_MM) * rng.uniform(0.78, 1.2) * size
    height = nominal * (1.12 - 0.3 * age) * rng.normal(1.0, 0.08, COUNT)
    collapsed = (age > 0.7) & (rng.random(COUNT) < 0.4)
    height[collapsed] = rng.uniform(1.2, 2.4, int(collapsed.sum()))
    return height


def _stack(rng: np.random.Generator, size: float, height: FloatArray, squeezed: FloatArray) -> FloatArray:
    """Return the centres of the discs, mm below C2/C3's."""
    body = np.array(BODY_HEIGHT_MM) * size**0.6 * rng.uniform(0.86, 1.14) * rng.normal(1.0, 0.045, COUNT - 1)
    body *= 1.0 - squeezed[1:]
    return np.concatenate([[0.0], np.cumsum(body + (height[:-1] + height[1:]) / 2)])


def _draw_modic(rng: np.random.Generator, worn: NDArray[np.bool_]) -> FloatArray:
    """Return each band's relative brightness: bright oedema or fat, or dark sclerosis, mostly beside worn discs."""
    gain = np.where(rng.random(COUNT) < 0.65, rng.uniform(0.15, 0.9, COUNT), rng.uniform(-0.6, -0.2, COUNT))
    return np.where(rng.random(COUNT) < np.where(worn, 0.3, 0.04), gain, 0.0)
