"""The structures that the node knows, their anatomical names, and the colour of each."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class StructureKind(Enum):
    """A class of structure, as the model was taught it (labels of CSpineSeg)."""

    #: Vertebral body, C2 downward, without the posterior elements.
    VERTEBRAL_BODY = "vertebral_body"
    #: Intervertebral disc, with its herniations and endplates.
    INTERVERTEBRAL_DISC = "intervertebral_disc"


#: Vertebrae from the head to the feet. The count is that of most people: below T11 one in ten has another.
VERTEBRAE = (
    *(f"C{number}" for number in range(1, 8)),
    *(f"T{number}" for number in range(1, 13)),
    *(f"L{number}" for number in range(1, 6)),
    "S1",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The anatomical name of a structure: a body, a block of fused bodies, or the disc between two vertebrae.

    `first` and `last` are the uppermost and the lowest vertebra that it belongs to, of `VERTEBRAE`.
    """

    kind: StructureKind
    first: str
    last: str

    @property
    def name(self) -> str:
        """The name as radiologists write it: "C5", "C5-C6" for a block, "C5/C6" for a disc."""
        if self.kind is StructureKind.INTERVERTEBRAL_DISC:
            return f"{self.first}/{self.last}"
        return self.first if self.first == self.last else f"{self.first}-{self.last}"

    @property
    def vertebrae(self) -> tuple[str, ...]:
        """Every vertebra that it belongs to, from the head."""
        return VERTEBRAE[VERTEBRAE.index(self.first) : VERTEBRAE.index(self.last) + 1]


def body(first: str, last: str | None = None) -> Level:
    """Return the level of a body, or of a block of fused bodies.

    >>> body("C5").name, body("C5", "C6").name
    ('C5', 'C5-C6')
    """
    return Level(kind=StructureKind.VERTEBRAL_BODY, first=first, last=last or first)


def disc_below(vertebra: str) -> Level:
    """Return the level of the disc below a vertebra.

    >>> disc_below("C7").name
    'C7/T1'
    """
    return Level(kind=StructureKind.INTERVERTEBRAL_DISC, first=vertebra, last=lower_neighbour(vertebra))


def lower_neighbour(vertebra: str) -> str:
    """Return the vertebra below. Raises IndexError below S1.

    >>> lower_neighbour("C7")
    'T1'
    """
    return VERTEBRAE[VERTEBRAE.index(vertebra) + 1]


#: What a report on the cervical spine speaks of, seen or not: C2 to T1 and the discs between.
REPORTED_BODIES = tuple(body(name) for name in VERTEBRAE[1:8])
REPORTED_DISCS = tuple(disc_below(name) for name in VERTEBRAE[1:7])


#: sRGB, 0 to 255. Bodies take warm colours and discs cold ones; neighbours differ, so that a border shows.
_PALETTE: dict[StructureKind, tuple[tuple[int, int, int], ...]] = {
    StructureKind.VERTEBRAL_BODY: (
        *((230, 97, 1), (253, 184, 99), (215, 48, 39), (254, 224, 144)),
        *((244, 109, 67), (255, 237, 111), (178, 24, 43), (253, 141, 60)),
    ),
    StructureKind.INTERVERTEBRAL_DISC: (
        *((5, 113, 176), (146, 197, 222), (27, 158, 119), (166, 219, 160)),
        *((69, 117, 180), (127, 205, 187), (94, 60, 153), (178, 171, 210)),
    ),
}

#: Bodies and discs whose level nobody knows.
_UNNAMED: dict[StructureKind, tuple[int, int, int]] = {
    StructureKind.VERTEBRAL_BODY: (200, 170, 140),
    StructureKind.INTERVERTEBRAL_DISC: (140, 170, 200),
}


def colour(kind: StructureKind, level: Level | None) -> tuple[int, int, int]:
    """Return the sRGB colour of a structure: always the same for a level, so that C5 looks alike in every study.

    >>> colour(StructureKind.VERTEBRAL_BODY, body("C2")) == colour(StructureKind.VERTEBRAL_BODY, body("C2", "C3"))
    True
    """
    if level is None:
        return _UNNAMED[kind]
    palette = _PALETTE[kind]
    return palette[(VERTEBRAE.index(level.first) - 1) % len(palette)]


def listed(levels: Iterable[Level]) -> str:
    """Return the names of levels as a list for a sentence.

    >>> listed([body("C2"), disc_below("C2")])
    'C2, C2/C3'
    """
    return ", ".join(level.name for level in levels)
