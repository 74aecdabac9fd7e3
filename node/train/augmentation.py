"""Random changes of a patch: where things lie, how bright they are, how sharp, how noisy, and what is missing.

The generator draws anatomy and scanner; what is drawn here is cheap, different at every step, and teaches that neither
scale nor brightness nor texture can be relied on. The list is nnU-Net's own (Isensee et al., Nature Methods 18:203,
2021, supplement) with a bias field as in SynthSeg (Billot et al., Medical Image Analysis 86:102789, 2023), monotone
tone curves and black bands. Everything is torch, so that it runs where the network runs.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

#: What a patch needs around it, as a share of its rows and columns on each side, to be turned and shrunk.
MARGIN = 0.25
_KNOTS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Between which factors structures are magnified."""

    least: float = 0.75
    most: float = 1.3


AS_DRAWN = Scale()


def augment(
    rng: np.random.Generator,
    image: Tensor,
    labels: Tensor,
    size: tuple[int, int],
    scale: Scale = AS_DRAWN,
) -> tuple[Tensor, Tensor]:
    """Return a changed patch: image (slices, rows, columns) float32, labels likewise int8.

    `image`, `labels`: (slices, rows, columns) with at least `size` rows and columns; the middle becomes the patch. All
    slices are moved alike, and labels move with the picture. Deterministic by `rng` on one kind of device.
    """
    image, labels = _move(rng, image, labels, size, scale)
    low = image.amin()
    image = _bias(rng, image, low)
    image = _tone(rng, image)
    image = _sharpness(rng, image)
    image = _noise(rng, image, low)
    image, labels = _missing(rng, image, labels, low)
    return image * math.exp(rng.uniform(-0.35, 0.6)) + rng.normal(0.0, 0.2), labels


def _move(
    rng: np.random.Generator, image: Tensor, labels: Tensor, size: tuple[int, int], scale: Scale
) -> tuple[Tensor, Tensor]:
    if rng.random() < 0.2 and scale.least <= 1.0 <= scale.most:
        top, left = ((have - want) // 2 for have, want in zip(image.shape[1:], size, strict=True))
        window = (slice(None), slice(top, top + size[0]), slice(left, left + size[1]))
        return image[window], labels[window]
    grid = _grid(rng, (image.shape[1], image.shape[2]), size, scale).to(image.device)
    moved = functional.grid_sample(image[None], grid, mode="bilinear", align_corners=False)[0]
    known = functional.grid_sample(labels[None].float(), grid, mode="nearest", align_corners=False)[0]
    return moved, known.to(torch.int8)


def _grid(rng: np.random.Generator, have: tuple[int, int], size: tuple[int, int], scale: Scale) -> Tensor:
    """Return where each pixel of the patch is taken from: (1, rows, columns, 2) as `grid_sample` wants it."""
    angle = math.radians(rng.uniform(-20.0, 20.0)) if rng.random() < 0.6 else 0.0
    zoom = math.exp(rng.uniform(math.log(scale.least), math.log(scale.most)))
    stretch = math.exp(rng.uniform(-0.1, 0.1))
    shear = rng.uniform(-0.12, 0.12) if rng.random() < 0.4 else 0.0
    turned = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turned @ np.array([[1.0, shear], [0.0, 1.0]]) @ np.diag([1.0 / (zoom * stretch), stretch / zoom])
    rows, columns = (torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    if rng.random() < 0.2:
        pixels = rng.normal(0.0, rng.uniform(1.0, 4.0), (1, 2, 6, 6))
        bent = functional.interpolate(torch.from_numpy(pixels.astype(np.float32)), size, mode="bicubic")[0]
        y, x = y + bent[0], x + bent[1]
    source_y = (matrix[0, 0] * y + matrix[0, 1] * x) * 2.0 / have[0]
    source_x = (matrix[1, 0] * y + matrix[1, 1] * x) * 2.0 / have[1]
    return torch.stack((source_x, source_y), dim=-1)[None]


def _bias(rng: np.random.Generator, image: Tensor, low: Tensor) -> Tensor:
    """Return the picture times a smooth field, black staying black."""
    if rng.random() > 0.35:
        return image
    coarse = rng.normal(0.0, rng.uniform(0.1, 0.4), (1, 1, 4, 4)).astype(np.float32)
    field = functional.interpolate(torch.from_numpy(coarse).to(image.device), image.shape[1:], mode="bicubic")[0]
    return _as_bright_as(image, (image - low) * field.exp() + low)


def _tone(rng: np.random.Generator, image: Tensor) -> Tensor:
    """Return the picture through a monotone curve: a gamma, or a random broken line."""
    choice = rng.random()
    if choice > 0.5:
        return image
    deviation, mean = torch.std_mean(image)
    low = image.amin()
    high = torch.minimum(image.amax(), mean + 3.0 * deviation)
    if high - low < 1e-3:
        return image
    place = (image - low) / (high - low)
    if choice < 0.25:
        return _as_bright_as(image, place.clamp(min=0.0) ** math.exp(rng.uniform(-0.5, 0.5)))
    heights = np.concatenate([[0.0], np.cumsum(rng.dirichlet(np.full(_KNOTS, 2.0)))]).astype(np.float32)
    knots = torch.from_numpy(heights).to(image.device)
    within = place.clamp(0.0, 1.0)
    left = (within * _KNOTS).long().clamp(max=_KNOTS - 1)
    curve = knots[left] + (knots[left + 1] - knots[left]) * (within * _KNOTS - left)
    return _as_bright_as(image, curve + (place - within))


def _as_bright_as(before: Tensor, after: Tensor) -> Tensor:
    """Return `after` with mean and deviation of `before`: nnU-Net's z-score would have seen to that."""
    old, old_mean = torch.std_mean(before)
    new, new_mean = torch.std_mean(after)
    return (after - new_mean) * (old / new.clamp(min=1e-3)) + old_mean


def _sharpness(rng: np.random.Generator, image: Tensor) -> Tensor:
    """Return the picture blurred, sharpened, or seen through fewer pixels."""
    choice = rng.random()
    if choice < 0.2:
        return _blurred(image, rng.uniform(0.4, 1.3))
    if choice < 0.35:
        return image + (image - _blurred(image, rng.uniform(0.6, 1.2))) * rng.uniform(0.2, 0.9)
    if choice < 0.55:
        coarse = [max(8, round(length / rng.uniform(1.0, 2.2))) for length in image.shape[1:]]
        small = functional.interpolate(image[None], coarse, mode="bilinear", antialias=True)
        return functional.interpolate(small, image.shape[1:], mode="bilinear" if rng.random() < 0.7 else "nearest")[0]
    return image


def _blurred(image: Tensor, sigma_px: float) -> Tensor:
    reach = max(1, math.ceil(2.5 * sigma_px))
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=image.device) / sigma_px) ** 2)
    weights = weights / weights.sum()
    padded = functional.pad(image[:, None], (reach, reach, reach, reach), mode="replicate")
    across = functional.conv2d(padded, weights.view(1, 1, 1, -1))
    return functional.conv2d(across, weights.view(1, 1, -1, 1))[:, 0]


def _noise(rng: np.random.Generator, image: Tensor, low: Tensor) -> Tensor:
    """Return the picture with Gaussian noise, or with Rician noise as magnitude pictures have it."""
    if rng.random() > 0.4:
        return image
    source = torch.Generator(image.device).manual_seed(int(rng.integers(2**62)))
    sigma = math.exp(rng.uniform(math.log(0.02), math.log(0.3)))
    noisy = image + sigma * torch.randn(image.shape, generator=source, device=image.device)
    if rng.random() < 0.5:
        return noisy
    other = sigma * torch.randn(image.shape, generator=source, device=image.device)
    return torch.hypot(noisy - low, other) + low


def _missing(rng: np.random.Generator, image: Tensor, labels: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
    """Return the patch with a side cut off, where nothing is labelled any more, or with small voids to see through."""
    rows, columns = image.shape[1:]
    if rng.random() < 0.1:
        angle, beyond = rng.uniform(0.0, 2.0 * math.pi), rng.uniform(0.25, 0.5)
        y = torch.linspace(-0.5, 0.5, rows, device=image.device)[:, None]
        x = torch.linspace(-0.5, 0.5, columns, device=image.device)[None, :]
        gone = y * math.sin(angle) + x * math.cos(angle) > beyond
        image, labels = torch.where(gone, low, image), labels.masked_fill(gone, 0)
    if rng.random() < 0.1:
        image = image.clone()
        for _ in range(int(rng.integers(1, 5))):
            height, width = (int(rng.integers(3, 13)) for _ in range(2))
            top, left = int(rng.integers(rows - height)), int(rng.integers(columns - width))
            level = low if rng.random() < 0.7 else low + 4.0
            image[:, top : top + height, left : left + width] = level
    return image, labels
