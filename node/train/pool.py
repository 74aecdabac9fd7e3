"""Prepared cases as a training reads them: mapped from disk, one copy for all processes, and cut to patches."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

#: Half of all patches are centred on the spine, the rest lie anywhere: in the air, the face, the far lateral slices.
SPINE_SHARE = 0.5
#: Label of a voxel of which nobody knows what it is; no loss is taken there.
UNKNOWN = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One volume as nnU-Net preprocesses it: arrays (slices, rows, columns) in the orientation of the training."""

    image: NDArray[np.float16]  #: z-scored over the whole volume
    labels: NDArray[np.integer]  #: 0 background, 1 body, 2 disc, or `UNKNOWN`


class Pool:
    """The cases of a folder that are prepared at the time of the last `refresh`."""

    def __init__(self, folder: Path, seeds: Iterable[int]) -> None:
        """Look for the cases `seeds`; others in the folder are left alone."""
        self._folder = folder
        self._wanted = sorted(seeds)
        self._cases: dict[int, Case] = {}
        self.refresh()

    @property
    def seeds(self) -> list[int]:
        """Which cases there are, in their order."""
        return sorted(self._cases)

    @property
    def cases(self) -> list[Case]:
        """The cases in the order of their seeds."""
        return [self._cases[seed] for seed in self.seeds]

    def refresh(self) -> None:
        """Take what has been prepared since."""
        self.take(seed for seed in self._wanted if _image(self._folder, seed).exists())

    def take(self, seeds: Iterable[int]) -> None:
        """Hold exactly the cases `seeds`. Raises OSError when one is not there."""
        self._cases = {seed: self._cases.get(seed) or self._read(seed) for seed in seeds}

    def _read(self, seed: int) -> Case:
        return Case(
            image=np.load(_image(self._folder, seed), mmap_mode="r"),
            labels=np.load(self._folder / f"{seed}_labels.npy", mmap_mode="r"),
        )


def _image(folder: Path, seed: int) -> Path:
    return folder / f"{seed}_image.npy"


def shallow(rng: np.random.Generator, case: Case) -> Case:
    """Return one to six neighbouring slices of a case: what a short series shows."""
    count = int(rng.integers(1, 7))
    first = int(rng.integers(max(1, case.image.shape[0] - count + 1)))
    return Case(image=case.image[first : first + count], labels=case.labels[first : first + count])


def cut(
    rng: np.random.Generator, case: Case, size: tuple[int, int, int], margin: tuple[int, int] = (0, 0)
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Return a random patch, image and labels, padded with 0 as nnU-Net pads.

    `size`: (slices, rows, columns) of the patch; `margin`: how many rows and columns more on each side are returned,
    for a transform that needs its surroundings. A patch lies within the volume where the volume is large enough, as
    the tiles of nnU-Net's sliding window do. Values stay as they are: the z-score is that of the whole volume.
    """
    centre = [int(rng.integers(length)) for length in case.image.shape]
    if rng.random() < SPINE_SHARE:
        spine = np.flatnonzero(case.labels > 0)
        if spine.size:
            place = np.unravel_index(int(spine[rng.integers(spine.size)]), case.labels.shape)
            centre = [int(p) for p in place]
    slices, pads = [], []
    for middle, length, want, more in zip(centre, case.image.shape, size, (0, *margin), strict=True):
        start = min(max(middle - want // 2, 0), length - want) if length >= want else -((want - length) // 2)
        first, last = start - more, start + want + more
        slices.append(slice(max(first, 0), min(last, length)))
        pads.append((max(-first, 0), max(last - length, 0)))
    window = tuple(slices)
    return np.pad(case.image[window].astype(np.float32), pads), np.pad(case.labels[window].astype(np.int8), pads)
