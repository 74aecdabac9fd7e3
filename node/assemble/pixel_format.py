"""How an object stores its pixels, and what of a stored cell is the value (PS3.3 C.7.6.3.1, PS3.5 8.1.1)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: 512 x 512 x 512; the largest clinical spine volume is a quarter of it.
MAX_VOXELS = 2**27
RLE = "1.2.840.10008.1.2.5"

IntegerArray = NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """How one object stores its pixels (PS3.3 C.7.6.3.1)."""

    transfer_syntax_uid: str
    number_of_frames: int
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool

    @property
    def frame_bytes(self) -> int:
        """Bytes of one native frame."""
        return self.rows * self.columns * self.bits_allocated // 8


def significant(cells: IntegerArray, pixel_format: PixelFormat, shift: int) -> IntegerArray:
    """Return BitsStored bits of each cell as a number; the other bits may hold overlays (PS3.5 8.1.1).

    `shift`: how many bits lie below the lowest stored one.
    """
    spare = pixel_format.bits_allocated - pixel_format.bits_stored
    kind = "i" if pixel_format.signed else "u"
    width = pixel_format.bits_allocated // 8
    unsigned = cells.astype(f"=u{width}")
    # Up against the top first, so that the shift back down repeats the sign.
    return (unsigned << (spare - shift)).view(f"={kind}{width}") >> spare
