"""At start the fast engine is held against the official functions on a phantom that lies beside this file.

The phantom is generated anatomy, no patient's: 12 slices of 256 x 256 pixels, 3.3 x 0.62 x 0.62 mm, scaled to uint8,
by the first version of `node.train.phantom`. It stays what it is, so that figures of two versions can be compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from node.domain.anatomy import StructureKind
from node.domain.geometry import Grid, turn
from node.domain.overlap import dice
from node.errors import SelfTestFailed
from node.segment.bundle import Bundle
from node.segment.ensemble import Classes
from node.segment.nnunet.answer import Image
from node.segment.nnunet.fast import Fast
from node.segment.nnunet.reference import Reference
from node.segment.nnunet.stages import Stages

PHANTOM = Path(__file__).parent / "phantom.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """How far a fast answer lies from the official one."""

    #: Voxels that differ, per million voxels of the image.
    ppm: float
    #: Dice of each kind between the two; None where neither has any.
    dice: Mapping[StructureKind, float | None]

    def passes(self, tolerance_ppm: float) -> bool:
        """Tell whether the fast engine may serve."""
        return self.ppm <= tolerance_ppm


def phantom(orientation: str) -> Image:
    """Return the phantom as a network trained in `orientation` sees it."""
    with np.load(PHANTOM) as stored:
        voxels, affine = stored["voxels"], stored["affine"]
    turned, grid = turn(voxels, Grid(shape=voxels.shape, affine=affine), orientation)
    return Image(voxels=turned.astype(np.float32), spacing_mm=grid.spacing_mm)


def official_answer(reference: Reference, bundle: Bundle) -> Classes:
    """Return what the official functions make of the phantom."""
    image, stages = phantom(bundle.orientation), Stages()
    return reference.answer(reference.prepare(image, stages), stages).classes


def hold_against(official: Classes, fast: Fast, bundle: Bundle) -> SelfTest:
    """Run the fast engine on the phantom and compare."""
    image, stages = phantom(bundle.orientation), Stages()
    found = fast.answer(fast.prepare(image, stages), stages).classes
    return SelfTest(
        ppm=1e6 * float(np.count_nonzero(found != official)) / official.size,
        dice={kind: dice(found == label, official == label) for label, kind in bundle.labels.items()},
    )


def failed(test: SelfTest, backend: str, tolerance_ppm: float) -> SelfTestFailed:
    """Return the error of an engine that may not serve."""
    overlaps = ", ".join(
        f"{kind.value} {'-' if overlap is None else f'{overlap:.4f}'}" for kind, overlap in test.dice.items()
    )
    return SelfTestFailed(
        f"fast mode with {backend} differs from the official functions by {test.ppm:.1f} voxels per million, "
        f'allowed are {tolerance_ppm:g} (Dice: {overlaps}); model.mode = "reference" is always exact'
    )
