"""How far two masks are the same."""

import numpy as np
from numpy.typing import NDArray


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float | None:
    """Return twice the overlap over the sum of two masks of one shape, 0 to 1; None when both are empty (Dice 1945)."""
    total = int(np.count_nonzero(first)) + int(np.count_nonzero(second))
    return 2.0 * int(np.count_nonzero(first & second)) / total if total else None
