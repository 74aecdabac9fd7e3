"""Training cases: phantoms turned and preprocessed by nnU-Net's own preprocessor, kept as arrays on disk."""

import os
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """A phantom as nnU-Net sees a series: arrays (slices, rows, columns) in `ORIENTATION`, distances in mm."""

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    structures: NDArray[np.uint8]  #: as in `Phantom.structures`
    spacing_mm: list[float]


def drawn(seed: int) -> Drawn:
    """Return the phantom of `seed`."""
    phantom = generate(seed)
    image, grid = turn(phantom.image, phantom.grid, ORIENTATION)
    labels, _ = turn(phantom.labels, phantom.grid, ORIENTATION)
    structures, _ = turn(phantom.structures, phantom.grid, ORIENTATION)
    return Drawn(
        image=image.astype(np.float32),
        labels=labels.astype(np.uint8),
        structures=structures.astype(np.uint8),
        spacing_mm=list(grid.spacing_mm),
    )


def prepare(folder: Path, seed: int, plans: Json, dataset: Json) -> None:
    """Write one case as nnU-Net preprocesses it for 3d_fullres: cropped to non-zero, z-scored, resampled.

    Writes `SEED_image.npy` float16 and `SEED_labels.npy` uint8, both (slices, rows, columns). The 2d configuration
    sees the same slices: it differs only in leaving the slice distance alone.
    """
    case = drawn(seed)
    manager = PlansManager(plans)
    data, truth, _ = DefaultPreprocessor(verbose=False).run_case_npy(
        case.image[None], case.labels[None].astype(np.int8), {"spacing": case.spacing_mm}, manager,
        manager.get_configuration("3d_fullres"), dataset,
    )  # fmt: skip
    parts = {"labels": np.maximum(truth[0], 0).astype(np.uint8), "image": data[0].astype(np.float16)}
    for name, array in parts.items():  # a case is there when its image is
        part = folder / f".{seed}_{name}.{os.getpid()}.npy"
        np.save(part, array)
        part.replace(folder / f"{seed}_{name}.npy")
