"""What an image or a mask says: where its voxels lie, and which values they have."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from node.assemble.nifti import NiftiImage, read_nifti, read_nifti_grid
from node.batch.midrc.digests import md5_of, voxel_digest
from node.batch.midrc.layout import FilePlace
from node.batch.midrc.names import FileName, parse_name
from node.batch.midrc.store import Store
from node.domain.geometry import Grid
from node.errors import InputError

#: Bytes of a compressed image that hold its header.
_HEAD = 64 << 10
#: More different values than this are no labels; the rest is not listed.
_MOST_VALUES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """An image or a mask. `failed`: why it could not be read; then `grid` is None.

    `labels`: the values of a mask and how many voxels have each; None for an image. `digest`, `md5`: None where they
    were not computed.
    """

    at: FilePlace
    name: FileName
    grid: Grid | None = None
    failed: InputError | None = None
    labels: Mapping[float, int] | None = None
    digest: bytes | None = None
    md5: str | None = None


def look_at_image(at: FilePlace, store: Store, scratch: Path, *, thorough: bool) -> ImageFacts:
    """Return what an image says; its voxels are read with `thorough` only. Raises OSError."""
    name = parse_name(at.place.name)
    try:
        if not thorough:
            return ImageFacts(at=at, name=name, grid=read_nifti_grid(store.head(at.place, scratch, _HEAD)))
        path = store.local(at.place, scratch)
        image = read_nifti(path)
    except InputError as error:
        return ImageFacts(at=at, name=name, failed=error)
    return ImageFacts(
        at=at, name=name, grid=image.grid, digest=voxel_digest(image.voxels, image.grid), md5=md5_of(path)
    )


def look_at_mask(at: FilePlace, store: Store, scratch: Path, *, thorough: bool) -> ImageFacts:
    """Return what a mask says; its voxels are read in any case. Raises OSError."""
    name = parse_name(at.place.name)
    try:
        path = store.local(at.place, scratch)
        image = read_nifti(path)
    except InputError as error:
        return ImageFacts(at=at, name=name, failed=error)
    return ImageFacts(at=at, name=name, grid=image.grid, labels=_labels(image), md5=md5_of(path) if thorough else None)


def _labels(image: NiftiImage) -> Mapping[float, int]:
    voxels = image.voxels
    with np.errstate(invalid="ignore"):
        small = voxels.astype(np.uint8)
    if np.array_equal(small, voxels):  # far quicker than sorting millions of values
        counts = np.bincount(small.ravel(order="K"))
        return {float(value): int(counts[value]) for value in np.flatnonzero(counts)[:_MOST_VALUES]}
    values, numbers = np.unique(voxels, return_counts=True)
    pairs = zip(values[:_MOST_VALUES], numbers[:_MOST_VALUES], strict=True)
    return {float(value): int(number) for value, number in pairs}
