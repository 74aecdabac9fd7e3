"""A mask of the dataset in the place of the networks."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from node.assemble.nifti import NiftiImage, label_values
from node.batch.masks.origin import RUN, algorithm_of, origin_of
from node.batch.midrc.exam import Annotation
from node.domain.anatomy import StructureKind
from node.domain.findings import Algorithm, Segmentation
from node.domain.geometry import Grid, Volume, lay_on, turn
from node.domain.identifiers import Digest
from node.errors import GridMismatch, NiftiRefused

#: What the values of the dataset's masks stand for.
MEANINGS = {1: StructureKind.VERTEBRAL_BODY, 2: StructureKind.INTERVERTEBRAL_DISC}

#: In which order of the axes a mask is digested: the same mask stored otherwise is the same mask.
_DIGESTED = "LIP"
_SURE = 255


class MaskSegmenter:
    """Answers with a mask that was published: every voxel stays what it is, and nothing is resampled."""

    def __init__(self, mask: NiftiImage, annotation: Annotation, release: str) -> None:
        """Take `mask` as it is stored. Raises NiftiRefused for values other than 0, 1 and 2."""
        self._labels = _labels(mask)
        self._grid = mask.grid
        self._origin = origin_of(annotation)
        self._algorithm = algorithm_of(annotation, release, _digest(self._labels, mask.grid))

    @property
    def algorithm(self) -> Algorithm:
        """The mask as what answers."""
        return self._algorithm

    def segment(self, volume: Volume) -> Segmentation:
        """Return the mask on the grid of `volume`, sure of itself. Raises GridMismatch where its voxels are others."""
        laid = lay_on(self._labels, self._grid, volume.grid)
        if laid is None:
            raise GridMismatch(
                f"the mask does not lie on the voxels of its series: the mask has {_told(self._grid)}, the series "
                f"{_told(volume.grid)}; nothing is resampled"
            )
        classes = laid.astype(np.uint8, copy=False)
        return Segmentation(
            classes=classes,
            meanings=MEANINGS,
            probabilities={kind: (classes == value) * np.uint8(_SURE) for value, kind in MEANINGS.items()},
            opinions={},
            algorithm=self._algorithm,
            run=RUN,
            origin=self._origin,
        )


def _labels(mask: NiftiImage) -> NDArray[np.uint8]:
    labels = label_values(mask, "the mask")
    highest = int(labels.max(initial=0))
    if highest > max(MEANINGS):
        raise NiftiRefused(f"the mask holds the value {highest}; the dataset has 0, 1 (body) and 2 (disc) alone")
    return labels.astype(np.uint8)


def _digest(labels: NDArray[np.uint8], grid: Grid) -> Digest:
    """Return SHA-256 over the shape and the voxels, slices to the left, rows to the feet, columns to the back."""
    turned, _ = turn(labels, grid, _DIGESTED)
    digest = hashlib.sha256(f"{turned.shape}".encode())
    digest.update(turned.tobytes())
    return Digest(digest.hexdigest())


def _told(grid: Grid) -> str:
    """Return shape, spacing and first corner of a grid, in the order "LIP", for a sentence."""
    slices, rows, columns = sorted(zip(grid.orientation(), grid.shape, grid.spacing_mm, strict=True), key=_order)
    sizes = " x ".join(str(size) for _, size, _ in (slices, rows, columns))
    steps = " x ".join(f"{step:.4g}" for _, _, step in (slices, rows, columns))
    middle = grid.to_lps_mm((np.array(grid.shape) - 1) / 2)
    centre = ", ".join(f"{value:.1f}" for value in middle)
    return f"{sizes} voxels of {steps} mm around ({centre})"


def _order(axis: tuple[str, int, float]) -> int:
    return next(place for place, pair in enumerate(("RL", "IS", "AP")) if axis[0] in pair)
