"""A picture for people, made of a volume and its findings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """`pixels`: sRGB uint8 `(rows, columns, 3)`. `slices`: indices of the volume's slices that it shows."""

    pixels: NDArray[np.uint8]
    slices: tuple[int, ...]
