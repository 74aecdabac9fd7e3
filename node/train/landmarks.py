"""Real necks without masks: how far a labelling agrees with points that were placed by eye.

A point lies in the middle of each body and disc of a neck, on its mid-sagittal plane. A level is found once where, on a
sagittal slice, one connected piece of its kind reaches its point, within `NEAR_MM`, and no other lies nearest to it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label as connected
from scipy.spatial import cKDTree

from node.domain.anatomy import StructureKind
from node.domain.findings import Findings
from node.domain.geometry import FloatArray, Grid, turn
from node.errors import InputError

BODY, DISC = StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC

#: A structure is at a point when it comes as near as this, mm.
NEAR_MM = 2.0
#: A structure belongs to the nearest point of its kind, but not from farther than this: discs lie 14 to 22 mm apart.
_REACH_MM = 12.0
#: On one slice less than this is no structure, mm2: a thin disc of a neck has 40.
_LEAST_MM2 = 10.0
#: How far beside its point the middle of a slice may lie that must show a structure: bodies of a neck reach 10 mm and
#: more, a disc between its uncinate processes 8.
_ACROSS_MM: Mapping[StructureKind, float] = {BODY: 8.0, DISC: 6.0}
#: Half width and half depth of a tube around the curve that holds all bodies and discs to T6, with their rims, mm: they
#: are up to 28 wide and 22 deep there (Panjabi 1991).
_TUBE_SIDE_MM, _TUBE_DEPTH_MM = 16.0, 14.0
#: How far the tube goes on above the uppermost point, in C2's body, and below the lowest, mm: a dens, a body.
_TUBE_ABOVE_MM, _TUBE_BELOW_MM = 26.0, 14.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Landmarks:
    """Points in one neck, LPS mm, (3,), by the name of a level such as "C4" or "C4/C5", from head to feet.

    `points`: in the middle of each body and disc. `backs`: at the back of discs, where they meet the canal.
    """

    points: Mapping[str, FloatArray]
    backs: Mapping[str, FloatArray]

    def of(self, kind: StructureKind) -> dict[str, FloatArray]:
        """Return the points of one kind."""
        return {name: point for name, point in self.points.items() if kind_of(name) is kind}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelling:
    """Structures on a grid: `labels` `(slices, rows, columns)`, 0 = background; the kind of each, and its name if any.

    `names` is empty where structures have no names.
    """

    labels: NDArray[np.integer[Any]]
    grid: Grid
    kinds: Mapping[int, StructureKind]
    names: Mapping[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelFound:
    """How one level was found."""

    level: str
    #: Found once on the slice through its point.
    once: bool
    #: On how many of `slices` it was found once: those across its width.
    once_across: int
    slices: int
    #: The label of the structure at its point; None where it was not found once.
    label: int | None
    #: The name of that structure, if it has one.
    named: str | None
    #: From the point to the nearest part of a voxel of the structure that bears the level's name; None without one.
    distance_mm: float | None
    #: The same from the point at its back; None without that point, too.
    back_mm: float | None


def kind_of(level: str) -> StructureKind:
    """Return the kind of a level by its name.

    >>> kind_of("C4/C5").value
    'intervertebral_disc'
    """
    return DISC if "/" in level else BODY


def read_landmarks(path: Path) -> Landmarks:
    """Read points as `tests/real/points` has them. Raises InputError when the frame is not LPS mm."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored["frame"] != "LPS mm":
        raise InputError(f"{path}: points in {stored['frame']}, not LPS mm")
    points, backs = (
        {name: np.array(point, dtype=np.float64) for name, point in stored[key].items()} for key in ("points", "backs")
    )
    return Landmarks(points=points, backs=backs)


def as_found(findings: Findings, grid: Grid) -> Labelling:
    """Return the structures of `findings`, whose labels lie on `grid`."""
    return Labelling(
        labels=findings.labels,
        grid=grid,
        kinds={found.label: found.kind for found in findings.structures},
        names={found.label: found.level.name for found in findings.structures if found.level is not None},
    )


def as_answered(classes: NDArray[np.uint8], meanings: Mapping[int, StructureKind], grid: Grid) -> Labelling:
    """Return what a network answered before any clean-up: the connected pieces of each class on each sagittal slice."""
    turned, sagittal = turn(classes, grid, "LIP")
    labels = np.zeros(sagittal.shape, dtype=np.int64)
    kinds: dict[int, StructureKind] = {}
    for value, kind in meanings.items():
        for number, plane in enumerate(turned == value):
            pieces, count = connected(plane, structure=np.ones((3, 3)))
            labels[number][plane] = pieces[plane] + len(kinds)
            kinds.update(dict.fromkeys(range(len(kinds) + 1, len(kinds) + count + 1), kind))
    return Labelling(labels=labels, grid=sagittal, kinds=kinds, names={})


def levels_found(labelling: Labelling, landmarks: Landmarks) -> tuple[LevelFound, ...]:
    """Return for each point within the grid how its level was found."""
    labels, grid = turn(labelling.labels, labelling.grid, "LIP")
    places, backs = _on_grid(landmarks.points, grid), _on_grid(landmarks.backs, grid)
    found = []
    for level, place in places.items():
        if not np.all((place >= -0.5) & (place <= np.array(grid.shape) - 0.5)):
            continue
        kind = kind_of(level)
        rivals = {name: other[1:] for name, other in places.items() if kind_of(name) is kind}
        slices = _slices_across(place[0], kind, grid)
        at = {number: _at_point(labels[number], level, rivals, labelling, grid) for number in slices}
        middle = at[min(slices, key=lambda number: abs(number - place[0]))]
        found.append(
            LevelFound(
                level=level,
                once=middle is not None,
                once_across=sum(structure is not None for structure in at.values()),
                slices=len(slices),
                label=middle,
                named=None if middle is None else labelling.names.get(middle),
                distance_mm=_distance_mm(labels, place, level, labelling, grid),
                back_mm=_distance_mm(labels, backs[level], level, labelling, grid) if level in backs else None,
            )
        )
    return tuple(found)


def strays(labelling: Labelling, landmarks: Landmarks) -> tuple[int, ...]:
    """Return the labels at no point of their kind."""
    labels, grid = turn(labelling.labels, labelling.grid, "LIP")
    found = []
    for label, kind in labelling.kinds.items():
        voxels = np.argwhere(labels == label)
        places = _on_grid(landmarks.of(kind), grid)
        if not any(_gap_mm(voxels, place, grid) <= NEAR_MM for place in places.values()):
            found.append(label)
    return tuple(found)


def outside_share(mask: NDArray[np.bool_], grid: Grid, landmarks: Landmarks) -> float:
    """Return which share of the voxels of `mask`, on `grid`, lies outside of a tube around the spine; 0 of nothing.

    The tube's middle is the line through all points, drawn on straight at both ends.
    """
    voxels = grid.to_lps_mm(np.argwhere(mask))
    if not len(voxels):
        return 0.0
    line = _line(np.stack(list(landmarks.points.values())))
    distance, nearest = cKDTree(line[:, 1:]).query(voxels[:, 1:], workers=1)
    beside = np.abs(voxels[:, 0] - line[nearest, 0])
    return float(np.mean((distance > _TUBE_DEPTH_MM) | (beside > _TUBE_SIDE_MM)))


def _on_grid(points: Mapping[str, FloatArray], grid: Grid) -> dict[str, FloatArray]:
    """Return points in LPS mm as slice, row and column."""
    to_index = np.linalg.inv(grid.affine)
    return {name: point @ to_index[:3, :3].T + to_index[:3, 3] for name, point in points.items()}


def _line(points: FloatArray) -> FloatArray:
    """Return places 1 mm or less apart, (n, 3), along the points and beyond both ends."""
    above, below = points[0] - points[2], points[-1] - points[-3]
    ends = (
        points[0] + _TUBE_ABOVE_MM * above / np.linalg.norm(above),
        points[-1] + _TUBE_BELOW_MM * below / np.linalg.norm(below),
    )
    path = np.stack([ends[0], *points, ends[1]])
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.linspace(0.0, length[-1], int(np.ceil(length[-1])) + 1)
    return np.stack([np.interp(at, length, path[:, axis]) for axis in range(3)], axis=1)


def _slices_across(middle: float, kind: StructureKind, grid: Grid) -> list[int]:
    """Return the slices across the width of a structure around `middle`, a place among them; one at least."""
    reach = max(_ACROSS_MM[kind] / grid.spacing_mm[0], 0.5)
    return [number for number in range(grid.shape[0]) if abs(number - middle) <= reach]


def _at_point(
    plane: NDArray[Any],
    level: str,
    rivals: Mapping[str, FloatArray],
    labelling: Labelling,
    grid: Grid,
) -> int | None:
    """Return the label of the one piece that belongs to `level` on a slice and reaches its point; None otherwise.

    `rivals`: row and column of every point of its kind.
    """
    pixel_mm = np.array(grid.spacing_mm[1:])
    points = np.stack(list(rivals.values()))
    own = list(rivals).index(level)
    belonging = []
    for label, pixels in _pieces(plane, kind_of(level), labelling):
        if len(pixels) * pixel_mm.prod() < _LEAST_MM2:
            continue
        away = np.linalg.norm((points - pixels.mean(axis=0)) * pixel_mm, axis=1)
        gap = float(np.linalg.norm(np.maximum(np.abs(pixels - points[own]) - 0.5, 0) * pixel_mm, axis=1).min())
        if gap <= NEAR_MM or (away.argmin() == own and away[own] <= _REACH_MM):
            belonging.append((label, gap))
    return belonging[0][0] if len(belonging) == 1 and belonging[0][1] <= NEAR_MM else None


def _pieces(plane: NDArray[Any], kind: StructureKind, labelling: Labelling) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield the label, and the row and column of the pixels, (n, 2), of each connected piece of a kind on a slice."""
    for label in np.unique(plane[plane > 0]).tolist():
        if labelling.kinds[label] is kind:
            pieces, count = connected(plane == label, structure=np.ones((3, 3)))
            yield from ((label, np.argwhere(pieces == number)) for number in range(1, count + 1))


def _distance_mm(
    labels: NDArray[np.generic], place: FloatArray, level: str, labelling: Labelling, grid: Grid
) -> float | None:
    named = [label for label, name in labelling.names.items() if name == level]
    voxels = np.argwhere(np.isin(labels, named))
    return _gap_mm(voxels, place, grid) if len(voxels) else None


def _gap_mm(voxels: NDArray[np.int64], place: FloatArray, grid: Grid) -> float:
    """Return the distance from a place, in voxels, to the nearest of the boxes of `voxels`; infinite without any."""
    if not len(voxels):
        return float("inf")
    return float(np.linalg.norm(np.maximum(np.abs(voxels - place) - 0.5, 0) * grid.spacing_mm, axis=1).min())
