"""What goes into a mode of the engine and what comes out of it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from node.segment.ensemble import Classes
from node.segment.layers import Layers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Image:
    """An image as the training saw its own: `(slices, rows, columns)` float32 in the bundle's orientation, mm."""

    voxels: NDArray[np.float32]
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """The ensemble's answer on the image's grid; outside the layers' box all is background, without a doubt.

    `layers`, in this order: the ensemble's classes; of every class but background its probability, 255 = 1; the classes
    of each member that `opinions` names. `fallbacks`: what was given up on the way.
    """

    layers: Layers
    opinions: tuple[str, ...]
    fallbacks: tuple[str, ...] = ()

    @property
    def classes(self) -> Classes:
        """The ensemble's classes, `(slices, rows, columns)`."""
        classes: Classes = replace(self.layers, voxels=self.layers.voxels[:1]).unpacked()[0]
        return classes
