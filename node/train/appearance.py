"""How tissue looks in a T2 turbo spin echo picture: tones, textures, the coil, the noise.

Tones are relative to bone marrow = 1. Their order is that of T2-weighted turbo spin echo without fat saturation
(CSF and fat bright, cord in between, muscle dark, cortex, ligament and air black); the ranges are chosen by eye.
"""

from dataclasses import dataclass, fields

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates

from node.train.anatomy import Map

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


class Texture:
    """Smooth random fields over the sagittal plane that change from side to side; values about -2..2, float32.

    Each is stretched by `grain_mm` along (s, t) and held at a few lateral positions between which `at` blends.
    """

    def __init__(self, rng: np.random.Generator, s: Map, t: Map, grain_mm: tuple[float, float]) -> None:
        self._planes: list[Map] = []
        for _ in range(4):
            noise = gaussian_filter(rng.standard_normal((96, 96)).astype(np.float32), 1.0, mode="wrap")
            noise /= noise.std()
            shift = rng.uniform(0.0, 90.0, 2)
            where = np.stack([s / (grain_mm[0] / 2) + shift[0], t / (grain_mm[1] / 2) + shift[1]])
            self._planes.append(map_coordinates(noise, where, order=1, mode="grid-wrap").astype(np.float32))

    def at(self, phase: float) -> Map:
        """Return the field at the lateral phase 0..1 (right to left)."""
        place = phase * (len(self._planes) - 1)
        low = min(int(place), len(self._planes) - 2)
        part = np.float32(place - low)
        blended: Map = self._planes[low] * (1 - part) + self._planes[low + 1] * part
        return blended


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
