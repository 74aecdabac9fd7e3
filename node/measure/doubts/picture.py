"""Whether the picture itself can be trusted: noise, and ghosts of motion.

Both are measured on the voxels alone, on a few slices through the spine: headers say neither.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.domain.findings import Doubt, Objection, Verdict
from node.domain.geometry import Grid, Volume
from node.measure.result import Result

#: Least ratio of signal to noise in the structures: an object is seen at 5 and more (A. Rose, J. Opt. Soc. Am. 38
#: (1948) 196).
LEAST_SNR = 5.0
#: How much of the structures' signal may lie in the air behind the neck, unevenly. In three real series with 0.06 to
#: 0.13, a sway of 1 mm from front to back during the scan makes 0.26 and more. One from head to feet is hardly seen: of
#: 4 mm, in two of the three.
MOST_GHOST = 0.20

#: Slices on either side of the middle one of the structures.
_BESIDE = 2
_BLOCK_MM = 4.0
#: What lies this close behind the skin is no air for this purpose: partial volume, hair, the pad of the coil.
_SKIN_MM = 8.0
#: Skin and fat behind the neck, next to the coil, are brighter than this part of the vertebrae's signal.
_TISSUE = 0.5
#: Fewer blocks of air say nothing.
_FEWEST_BLOCKS = 100
#: Standard deviation of the Laplacian below where the noise of single pixels has 1: sqrt(4 * 1 + 4 * 4 + 16).
_GAIN = 6.0
#: Standard deviation over median absolute deviation of normal noise.
_NORMAL = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Planes:
    """Some sagittal slices: float32 `(slices, rows, columns)`, rows along the body's axis, columns growing to the back.

    `inside`: where the structures are. `spacing_mm` of rows and columns.
    """

    voxels: NDArray[np.float32]
    inside: NDArray[np.bool_]
    spacing_mm: tuple[float, float]


def objections(volume: Volume, result: Result) -> Iterator[Objection]:
    """Yield what speaks against the picture."""
    if not result.structures:
        return
    planes = _middle(volume, result)
    ratio, ghosts = _signal_to_noise(planes), _ghost(planes)
    if ratio is not None and ratio < LEAST_SNR:
        text = f"the vertebrae and discs are only {ratio:.1f} times as bright as the noise"
        yield Objection(doubt=Doubt.LOW_SIGNAL, verdict=Verdict.REVIEW, text=text)
    if ghosts is not None and ghosts > MOST_GHOST:
        text = f"ghosts in the air behind the neck have {100 * ghosts:.0f} % of the spine's signal, as after motion"
        yield Objection(doubt=Doubt.MOTION, verdict=Verdict.REVIEW, text=text)


def signal_to_noise(volume: Volume, result: Result) -> float | None:
    """Return the median signal of the structures over the noise in them; None where they are too small.

    Noise: median absolute value of a Laplacian that no plane or slope of the picture passes (J. Immerkaer, Comput.
    Vis. Image Underst. 64 (1996) 300). Texture counts as noise, so that sharp pictures get 10 to 20 at most;
    interpolated ones get more than they deserve.
    """
    return _signal_to_noise(_middle(volume, result)) if result.structures else None


def ghost(volume: Volume, result: Result) -> float | None:
    """Return how unevenly the air behind the neck shines, over the structures' median signal; None without such air.

    Blocks of 4 mm behind the hindmost tissue of their line: 95th less 10th percentile, so that an even floor of noise
    does not count. Air masked to zero says nothing.
    Source: the ghost-to-signal ratio of M. Giannelli et al., J. Appl. Clin. Med. Phys. 11 (2010) 3237, turned to a coil
    that sees the back of the neck alone.
    """
    return _ghost(_middle(volume, result)) if result.structures else None


def _signal_to_noise(planes: _Planes) -> float | None:
    used = [np.flatnonzero(planes.inside.any(axis=axes)) for axes in ((0, 2), (0, 1))]
    rows, columns = (slice(int(where[0]), int(where[-1]) + 1) for where in used)
    picture, inside = planes.voxels[:, rows, columns], planes.inside[:, rows, columns]
    if min(picture.shape[1:]) < 3:
        return None
    once = picture[:, :-2] - 2 * picture[:, 1:-1] + picture[:, 2:]
    twice = (once[:, :, :-2] - 2 * once[:, :, 1:-1] + once[:, :, 2:])[inside[:, 1:-1, 1:-1]]
    noise = _NORMAL * float(np.median(np.abs(twice))) / _GAIN if twice.size else 0.0
    return float(np.median(picture[inside])) / noise if noise > 0 else None


def _ghost(planes: _Planes) -> float | None:
    signal = float(np.median(planes.voxels[planes.inside]))
    if signal <= 0:
        return None
    blocks = _blocks(planes)
    if not blocks.size:
        return None
    count = blocks.shape[2]
    tissue = blocks > _TISSUE * signal
    hindmost = np.where(tissue.any(axis=2), count - np.argmax(tissue[:, :, ::-1], axis=2), count)
    behind = np.arange(count) >= hindmost[:, :, np.newaxis] + int(np.ceil(_SKIN_MM / _BLOCK_MM))
    behind &= blocks > 0
    # The outermost lines hold wrapped and filtered signal.
    air = blocks[:, 1:-1, :-1][behind[:, 1:-1, :-1]]
    if air.size < _FEWEST_BLOCKS:
        return None
    low, high = np.quantile(air, [0.1, 0.95])
    return float(high - low) / signal


def _blocks(planes: _Planes) -> NDArray[np.float32]:
    """Return the means of blocks of about `_BLOCK_MM` within the slices, `(slices, rows, columns)`."""
    size = [max(1, round(_BLOCK_MM / step)) for step in planes.spacing_mm]
    count = [length // step for length, step in zip(planes.voxels.shape[1:], size, strict=True)]
    whole = planes.voxels[:, : count[0] * size[0], : count[1] * size[1]]
    means: NDArray[np.float32] = whole.reshape(len(whole), count[0], size[0], count[1], size[1]).mean(axis=(2, 4))
    return means


def _middle(volume: Volume, result: Result) -> _Planes:
    """Return the slices around the middle of the structures."""
    across, along, depth, backward = _axes(volume.grid)
    voxels = volume.voxels.transpose(across, along, depth)
    labels = result.labels.transpose(across, along, depth)
    filled = np.count_nonzero(labels, axis=(1, 2)).cumsum()
    middle = int(np.searchsorted(filled, filled[-1] / 2))
    chosen = slice(max(0, middle - _BESIDE), middle + _BESIDE + 1)
    turned = (slice(None), slice(None), slice(None, None, 1 if backward else -1))
    spacing = volume.grid.spacing_mm
    return _Planes(
        voxels=voxels[chosen][turned].astype(np.float32),
        inside=labels[chosen][turned] > 0,
        spacing_mm=(spacing[along], spacing[depth]),
    )


def _axes(grid: Grid) -> tuple[int, int, int, bool]:
    """Return the array axes left-right, head-feet and front-back, and whether the last grows to the back."""
    letters = grid.orientation()
    across, along, depth = (
        next(axis for axis, letter in enumerate(letters) if letter in pair) for pair in ("RL", "IS", "AP")
    )
    return across, along, depth, letters[depth] == "P"
