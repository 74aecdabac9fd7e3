"""How strongly the receive coils hear each place: a row of loops behind the spine, sometimes loops in front.

A loop of radius R is heard at the distance d on its axis as (1 + d^2/R^2)^-1.5 (Biot-Savart); the picture is the root
of the sum of squares of all loops. Where a row ends, the picture darkens; near a loop it has a hot spot.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.train.anatomy.plane import Map

_BRIGHTEST = 9.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coil:
    """Receive loops in spine coordinates, arrays (loops,), mm."""

    s: NDArray[np.float64]
    t: NDArray[np.float64]
    strength: NDArray[np.float64]
    radius_mm: float


def draw_coil(rng: np.random.Generator) -> Coil:
    """Return a random spine or neck coil."""
    radius, apart = np.exp(rng.uniform(np.log(62.0), np.log(230.0))), rng.uniform(50.0, 95.0)
    first = rng.uniform(-70.0, 45.0)
    count = int(rng.integers(2, 6))
    s = first + apart * np.arange(count) + rng.normal(0.0, 6.0, count)
    t = rng.uniform(80.0, 110.0) + rng.normal(0.0, 6.0, count)
    strength = np.exp(rng.normal(0.0, 0.25, count))
    if rng.random() < 0.4:
        front = int(rng.integers(1, 3))
        s = np.concatenate([s, rng.uniform(-30.0, 90.0, front)])
        t = np.concatenate([t, rng.uniform(-130.0, -75.0, front)])
        strength = np.concatenate([strength, rng.uniform(0.1, 0.9, front)])
    return Coil(s=s, t=t, strength=strength, radius_mm=float(radius))


def sensitivity(coil: Coil, s: Map, t: Map) -> Map:
    """Return the coil's sensitivity, shape as `s`, 1 where it is strongest along the bodies between C3 and T3."""
    along = np.linspace(0.0, 150.0, 31, dtype=np.float32)
    reference = float(np.sqrt(_squares(coil, along, np.zeros_like(along)).max()))
    heard = np.sqrt(_squares(coil, s, t)) / np.float32(reference)
    return np.asarray(heard / np.sqrt(1 + (heard / np.float32(_BRIGHTEST)) ** 2), dtype=np.float32)


def _squares(coil: Coil, s: Map, t: Map) -> Map:
    total = np.zeros(s.shape, dtype=np.float32)
    for loop_s, loop_t, strength in zip(coil.s, coil.t, coil.strength, strict=True):
        q = ((s - np.float32(loop_s)) ** 2 + (t - np.float32(loop_t)) ** 2) / np.float32(coil.radius_mm**2)
        total += np.float32(strength**2) / (1 + q) ** 3
    return total


def draw_bias(rng: np.random.Generator, shape: tuple[int, int, int]) -> Map:
    """Return a smooth field about 1, shape (slices, rows, columns): what coil and transmitter add besides."""
    depth = rng.uniform(0.0, 0.2)
    total = np.zeros(shape, dtype=np.float32)
    for axis, length in enumerate(shape):
        x = np.linspace(0.0, np.pi, length)
        curve = sum(rng.normal(0.0, depth / order) * np.cos(order * x + rng.uniform(0.0, np.pi)) for order in (1, 2))
        total += np.expand_dims(np.asarray(curve, np.float32), [other for other in range(3) if other != axis])
    field: Map = np.exp(total)
    return field
