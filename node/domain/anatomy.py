"""The structures that the node knows, and the colour of each."""

from enum import Enum


class StructureKind(Enum):
    """A class of structure, as the model was taught it (labels of CSpineSeg)."""

    #: Vertebral body, C2 downward, without the posterior elements.
    VERTEBRAL_BODY = "vertebral_body"
    #: Intervertebral disc, with its herniations and endplates.
    INTERVERTEBRAL_DISC = "intervertebral_disc"


#: sRGB, 0 to 255. Bodies take warm colours and discs cold ones; neighbours differ, so that a border shows.
_PALETTE: dict[StructureKind, tuple[tuple[int, int, int], ...]] = {
    StructureKind.VERTEBRAL_BODY: ((230, 97, 1), (253, 184, 99), (215, 48, 39), (254, 224, 144)),
    StructureKind.INTERVERTEBRAL_DISC: ((5, 113, 176), (146, 197, 222), (27, 158, 119), (166, 219, 160)),
}


def colour(kind: StructureKind, index: int) -> tuple[int, int, int]:
    """Return the sRGB colour of the `index`-th structure of a kind, counted from the head, from 0.

    >>> colour(StructureKind.VERTEBRAL_BODY, 0)
    (230, 97, 1)
    """
    palette = _PALETTE[kind]
    return palette[index % len(palette)]
