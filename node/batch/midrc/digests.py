"""Digests of files and of voxels."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import Grid, turn

#: Any order of the axes does: the same one for all.
_ORIENTATION = "LIP"


def md5_of(path: Path) -> str:
    """Return the MD5 of a file in hexadecimal, as the manifests of the download have it. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def voxel_digest(voxels: NDArray[np.generic], grid: Grid) -> bytes:
    """Return a digest of voxels that depends neither on the order of their axes nor on their type.

    Values count to the precision of float32, which holds every value of MR.
    """
    turned, _ = turn(voxels, grid, _ORIENTATION)
    return hashlib.blake2b(np.ascontiguousarray(turned, dtype=np.float32).data, digest_size=16).digest()
