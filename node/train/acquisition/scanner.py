"""What resolution, noise and storage do to a picture."""

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter1d

from node.train.anatomy.plane import Map


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """How a picture is acquired and stored."""

    acquired_mm: tuple[float, float]  #: acquired pixel along rows and columns; what is finer is zero-filled
    taper: float  #: share of k-space that the scanner's filter rolls off; 0 leaves Gibbs ringing at edges
    blur_px: float
    noise: float  #: standard deviation of the Rician noise, relative to marrow
    flatten: float  #: 0 leaves the coil's brightness, 1 takes all of it away, and lets the noise grow instead
    curve: float  #: exponent of the stored values
    gain: float  #: stored value of marrow
    masked: bool  #: the scanner sets air outside to zero


def draw_scanner(rng: np.random.Generator) -> Scanner:
    """Return a random scanner."""
    noisy = rng.random() < 0.12
    noise = rng.uniform(0.12, 0.3) if noisy else np.exp(rng.uniform(np.log(0.008), np.log(0.12)))
    fine = rng.uniform(0.55, 1.15)
    phase = fine * rng.uniform(1.0, 1.4)
    return Scanner(
        acquired_mm=(phase, fine) if rng.random() < 0.6 else (fine, phase),
        taper=float(rng.choice([0.0, rng.uniform(0.1, 0.6)], p=[0.35, 0.65])),
        blur_px=float(rng.uniform(0.2, 0.7)),
        noise=float(noise),
        flatten=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.4 and noise < 0.08 else 0.0,
        curve=float(np.exp(rng.normal(0.0, 0.15))) if rng.random() < 0.35 else 1.0,
        gain=float(np.exp(rng.uniform(np.log(70.0), np.log(500.0)))),
        masked=bool(rng.random() < 0.2),
    )


def acquire(clean: Map, heard: Map, scanner: Scanner, pixel_mm: tuple[float, float], rng: np.random.Generator) -> Map:
    """Return the magnitude picture (slices, rows, columns) in stored units.

    `clean` holds the anatomy times the coil's sensitivity `heard` (rows, columns); pixels in mm along rows, columns.
    """
    noise = rng.standard_normal((2, *clean.shape), dtype=np.float32)
    noise *= np.float32(scanner.noise)
    real = gaussian_filter1d(clean, scanner.blur_px, axis=1, truncate=3.0)
    real = gaussian_filter1d(real, scanner.blur_px, axis=2, truncate=3.0)
    outside = real < max(0.8 * scanner.noise, 0.03) if scanner.masked else None
    imaginary = noise[1]
    kept = [min(pixel / acquired, 1.0) for pixel, acquired in zip(pixel_mm, scanner.acquired_mm, strict=True)]
    # What k-space leaves out takes noise with it; it is drawn larger, so that `noise` is what the picture has.
    scale = np.float32(1 / np.sqrt(kept[0] * kept[1]))
    real += noise[0] * scale
    imaginary *= scale
    for axis, share in zip((1, 2), kept, strict=True):
        if share < 0.95:
            real, imaginary = (_truncated(part, axis, share, scanner.taper) for part in (real, imaginary))
    magnitude: Map = np.hypot(real, imaginary)
    if scanner.flatten > 0.0:
        magnitude /= np.maximum(heard, np.float32(0.18)) ** np.float32(scanner.flatten)
    if outside is not None:
        magnitude[outside] = 0.0
    if scanner.curve != 1.0:
        magnitude **= np.float32(scanner.curve)
    magnitude *= np.float32(scanner.gain)
    return magnitude


def _truncated(part: Map, axis: int, share: float, taper: float) -> Map:
    """Return `part` with the outer frequencies along `axis` left out, `share` of them kept."""
    length = part.shape[axis]
    frequency = fft.rfftfreq(length) / (0.5 * share)
    window = np.clip((1.0 - frequency) / max(taper, 1e-3), 0.0, 1.0)
    window = (0.5 - 0.5 * np.cos(np.pi * window)).astype(np.float32)
    spectrum = fft.rfft(part, axis=axis, workers=1)
    spectrum *= window[:, None] if axis == 1 else window
    kept: Map = fft.irfft(spectrum, n=length, axis=axis, workers=1, overwrite_x=True)
    return kept
