"""Published figures that a result is held against."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Figures of a paper: how its rows are marked, where it is, how many cases, and a value for each structure."""

    name: str
    citation: str
    cases: int
    metric: str
    values: Mapping[str, float]


#: By scheme.
PUBLISHED: Mapping[str, Published] = {
    "cspineseg": Published(
        name="as published",
        citation="Zhou et al., The CSpineSeg dataset, Scientific Data 12:1695, 2025, ensemble of 2d and 3d_fullres",
        cases=100,
        metric="slice_mean_dice",
        values={"vertebrae": 0.929, "discs": 0.904, "macro": 0.916},
    ),
}

#: What a reader must know before the two are compared.
WHY_HIGHER = (
    "The paper's Dice is the mean over slices (array axis 2 as stored) of 2D Dice, and a slice in which both masks are "
    "empty counts 1. A sagittal series has such slices at both sides, so this mean lies above the volumetric Dice of "
    "the same masks; compare it with the published row alone, never with the volumetric column."
)
