"""A case on its way through the pool."""

from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from node.domain.findings import Segmentation
from node.domain.geometry import Volume
from node.errors import ImageRefused
from node.segment.process.channel import LARGEST_ARRAY
from node.segment.process.messages import Case, whole_bytes


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """A volume, and the answer that somebody waits for."""

    case: Case
    voxels: NDArray[np.generic]
    answer: Future[Segmentation] = field(default_factory=Future)
    #: A process works on it.
    begun: bool = False
    #: It waited behind a case whose process ended. Only an empty place takes it now: if it was this one that ended the
    #: process while it was being prepared, then no other case pays for it again.
    returned: bool = False

    @classmethod
    def of(cls, number: int, volume: Volume) -> "Job":
        """Return the job of a volume. Raises ImageRefused for one beyond all measure."""
        case = Case(
            number=number,
            dtype=volume.voxels.dtype.name,  # type: ignore[arg-type]  # parsed here
            shape=volume.grid.shape,
            affine=volume.grid.affine.tolist(),
        )
        if whole_bytes(case) > LARGEST_ARRAY:
            raise ImageRefused(f"a volume of {volume.grid.shape} voxels is too large to be segmented")
        return cls(case=case, voxels=volume.voxels)
