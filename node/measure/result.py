"""What was measured in a case, as its quality is judged by it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.domain.anatomy import StructureKind
from node.domain.findings import Missing, Pair, Structure

#: What a kind is called in a sentence.
NOUNS = {StructureKind.VERTEBRAL_BODY: "vertebral body", StructureKind.INTERVERTEBRAL_DISC: "disc"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result:
    """`labels`: uint16 `(slices, rows, columns)` on the source grid; `structures` lie in order from head to feet.

    `specks_mm3`: volume of the pieces that were taken for no structure and dropped. `loose`: labels of such pieces of a
    published mask, which are kept, as structures without a level.
    """

    labels: NDArray[np.uint16]
    structures: tuple[Structure, ...]
    missing: tuple[Missing, ...]
    pairs: tuple[Pair, ...]
    specks_mm3: float
    loose: frozenset[int] = frozenset()


def called(structure: Structure) -> str:
    """Return what a structure is called in a sentence: "C5", or "disc 3" where it has no name."""
    if structure.level is not None:
        return structure.level.name
    return f"{NOUNS[structure.kind]} {structure.ordinal}"


def vertebrae(structure: Structure) -> int:
    """Return how many vertebrae a body or block is of, or 1 for a disc."""
    if structure.level is None or structure.kind is StructureKind.INTERVERTEBRAL_DISC:
        return 1
    return len(structure.level.vertebrae)
