"""Training cases: phantoms turned and preprocessed by nnU-Net's own preprocessor, kept as arrays on disk."""

from pathlib import Path

import numpy as np
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from numpy.typing import NDArray

from node.domain.geometry import turn
from node.train.phantom import generate
from node.train.plans import Json

#: What nnU-Net sees of a 2D sagittal acquisition converted by dcm2niix and read by SimpleITK: slices to the right,
#: rows to the head, columns to the back.
ORIENTATION = "RSP"


def oriented(seed: int) -> tuple[NDArray[np.float32], NDArray[np.uint8], list[float]]:
    """Return image, labels (slices, rows, columns) of a phantom in `ORIENTATION` and its spacing in mm."""
    phantom = generate(seed)
    image, grid = turn(phantom.image, phantom.grid, ORIENTATION)
    labels, _ = turn(phantom.labels, phantom.grid, ORIENTATION)
    return image.astype(np.float32), labels.astype(np.uint8), list(grid.spacing_mm)


def prepare(folder: Path, seed: int, plans: Json, dataset: Json) -> None:
    """Write one case as nnU-Net preprocesses it for 3d_fullres: cropped to non-zero, z-scored, resampled.

    Writes `SEED_image.npy` float16 and `SEED_labels.npy` uint8, both (slices, rows, columns). The 2d configuration
    sees the same slices: it differs only in leaving the slice distance alone.
    """
    image, labels, spacing = oriented(seed)
    manager = PlansManager(plans)
    data, truth, _ = DefaultPreprocessor(verbose=False).run_case_npy(
        image[None], labels[None].astype(np.int8), {"spacing": spacing}, manager,
        manager.get_configuration("3d_fullres"), dataset,
    )  # fmt: skip
    np.save(folder / f"{seed}_image.part.npy", data[0].astype(np.float16))
    np.save(folder / f"{seed}_labels.npy", np.maximum(truth[0], 0).astype(np.uint8))
    # A case is there when its image is.
    (folder / f"{seed}_image.part.npy").replace(folder / f"{seed}_image.npy")


class Cases:
    """Prepared cases of a folder, held in memory as (image float16, labels uint8)."""

    def __init__(self, folder: Path, seeds: range) -> None:
        self.images = [np.load(folder / f"{seed}_image.npy") for seed in seeds]
        self.labels = [np.load(folder / f"{seed}_labels.npy") for seed in seeds]

    def patch(self, rng: np.random.Generator, size: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return a random patch of the wanted (slices, rows, columns), padded with 0 as nnU-Net pads.

        Two patches in five are centred on the spine, the rest lie anywhere.
        """
        chosen = int(rng.integers(len(self.images)))
        image, labels = self.images[chosen], self.labels[chosen]
        centre = [int(rng.integers(length)) for length in image.shape]
        if rng.random() < 0.4:
            spine = np.flatnonzero(labels)
            place = np.unravel_index(int(spine[rng.integers(spine.size)]), labels.shape)
            centre = [int(p) for p in place]
        slices, pads = [], []
        for middle, length, want in zip(centre, image.shape, size, strict=True):
            start = min(max(middle - want // 2, 0), max(length - want, 0))
            slices.append(slice(start, min(start + want, length)))
            lack = max(want - length, 0)
            pads.append((lack // 2, lack - lack // 2))
        window = tuple(slices)
        return np.pad(image[window].astype(np.float32), pads), np.pad(labels[window], pads)


def vary(rng: np.random.Generator, patch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the patch with random contrast, brightness and curve, as scanners and normalisation vary them."""
    if rng.random() < 0.3:
        low, high = float(patch.min()), float(patch.max())
        if high > low:
            curve = float(np.exp(rng.uniform(-0.4, 0.4)))
            patch = ((patch - low) / (high - low)) ** curve * (high - low) + low
    return (patch * np.float32(rng.uniform(0.75, 1.3)) + np.float32(rng.normal(0.0, 0.12))).astype(np.float32)
