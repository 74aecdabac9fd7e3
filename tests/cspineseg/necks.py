"""The phantoms behind the exams: a few necks, each used by several exams with other noise and in another place."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from node.train.phantom import LABELS, Phantom, generate

#: How many different necks there are.
NECKS = 12
#: The neck that is acquired in 3D.
NECK_IN_3D = 3
_FIRST_SEED = 7000
_FIELD_MM = 205.0
_BODY, _DISC = LABELS["vertebrae"], LABELS["inter-vetebral disc"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """A series before it is written: arrays (slices, rows, columns), index to LPS mm. `labels`: 0, 1 body, 2 disc."""

    image: NDArray[np.int16]
    labels: NDArray[np.uint8]
    affine: NDArray[np.float64]


@cache
def neck(number: int, shape: tuple[int, int, int]) -> Phantom:
    """Return the neck of this number in about this shape, which differs from neck to neck."""
    slices, rows, columns = shape
    rows, columns = rows + 8 * (number % 3 - 1), columns + 8 * (number % 2)
    slices += 6 if number == NECK_IN_3D else number % 4
    apart = 2.6 if number == NECK_IN_3D else (3.3, 3.6, 3.9, 4.1, 5.3)[number % 5]
    pixel = _FIELD_MM / max(rows, columns)
    return generate(_FIRST_SEED + number, shape=(slices, rows, columns), spacing_mm=(apart, pixel, pixel))


def picture(number: int, shape: tuple[int, int, int], *, fused: bool, seed: int) -> Picture:
    """Return a scan of the neck: brighter or darker, noisier, and shifted, turned and stretched a little."""
    rng = np.random.default_rng([seed, number])
    base = neck(number, shape)
    image, labels = _with_fused_bodies(base) if fused else (base.image, base.labels)
    bright = 1500.0 / max(float(np.percentile(image, 99)), 1.0) * rng.uniform(0.7, 1.2)
    noisy = image * bright + rng.normal(0.0, 8.0, image.shape)
    return Picture(
        image=np.clip(np.rint(noisy), 0, 4095).astype(np.int16), labels=labels, affine=_moved(base.grid.affine, rng)
    )


def _moved(affine: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    tilt, turn = np.deg2rad(rng.uniform(-4, 4, 2))
    across = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    along = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    wider, larger = rng.uniform(0.95, 1.1), rng.uniform(0.97, 1.03)
    moved = np.eye(4)
    moved[:3, :3] = across @ along @ affine[:3, :3] * [wider, larger, larger]
    moved[:3, 3] = affine[:3, 3] + rng.uniform(-20, 20, 3)
    return moved


def _with_fused_bodies(base: Phantom) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Return image and labels with the third disc from the top, of those between two bodies, turned to bone."""
    present = set(np.unique(base.structures).tolist())
    discs = [n for n in sorted(present) if n and n % 2 == 0 and {n - 1, n + 1} <= present]
    disc = (base.structures == discs[min(2, len(discs) - 1)]) & (base.labels == _DISC)
    image, labels = base.image.copy(), base.labels.copy()
    labels[disc] = _BODY
    image[disc] = np.int16(np.median(base.image[base.labels == _BODY]))
    return image, labels


def elsewhere(shown: Picture, by_mm: tuple[float, float, float]) -> Picture:
    """Return the picture at another place, LPS mm."""
    affine = shown.affine.copy()
    affine[:3, 3] += by_mm
    return replace(shown, affine=affine)
