"""What coil, bandwidth and noise do to a picture."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from node.train.anatomy.plane import Map


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """What coil, bandwidth and noise do to a picture."""

    reach_mm: float  #: distance over which the spine coil's signal falls by e
    front_share: float  #: share of a front coil that does not fall off
    bright_s_mm: float  #: where along the spine the coil is strongest
    length_mm: float  #: Gaussian length of the coil along the spine
    blur_px: float
    noise: float  #: standard deviation of the Rician noise, relative to marrow
    gain: float  #: stored value of marrow
    masked: bool  #: the scanner sets air outside to zero


def draw_scanner(rng: np.random.Generator) -> Scanner:
    """Return a random scanner."""
    return Scanner(
        reach_mm=float(rng.uniform(35.0, 130.0)),
        front_share=float(rng.choice([0.0, rng.uniform(0.05, 0.5)])),
        bright_s_mm=float(rng.normal(70.0, 35.0)),
        length_mm=float(rng.uniform(80.0, 220.0)),
        blur_px=float(rng.uniform(0.25, 0.85)),
        noise=float(np.exp(rng.uniform(np.log(0.015), np.log(0.16)))),
        gain=float(np.exp(rng.uniform(np.log(70.0), np.log(500.0)))),
        masked=bool(rng.random() < 0.2),
    )


def sensitivity(scanner: Scanner, s: Map, t: Map) -> Map:
    """Return the coil's sensitivity, shape (rows, columns), 1 near the mid-cervical bodies."""
    depth = np.exp(-np.clip(75.0 - t, 5.0, 260.0) / scanner.reach_mm)
    depth = depth / np.exp(-75.0 / scanner.reach_mm)
    depth = np.minimum((1 - scanner.front_share) * depth + scanner.front_share, 7.0)
    along = np.exp(-(((s - scanner.bright_s_mm) / scanner.length_mm) ** 2))
    share: Map = (depth * (0.1 + 0.9 * along)).astype(np.float32)
    return share


def acquire(clean: Map, scanner: Scanner, rng: np.random.Generator) -> Map:
    """Return the magnitude picture (slices, rows, columns) in stored units: blur, Rician noise, gain."""
    blurred = gaussian_filter1d(gaussian_filter1d(clean, scanner.blur_px, axis=1), scanner.blur_px, axis=2)
    noise = rng.standard_normal((2, *clean.shape), dtype=np.float32) * np.float32(scanner.noise)
    magnitude = np.hypot(blurred + noise[0], noise[1])
    if scanner.masked:
        magnitude[blurred < 0.6 * scanner.noise] = 0.0
    stored: Map = (magnitude * np.float32(scanner.gain)).astype(np.float32)
    return stored
