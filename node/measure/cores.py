"""The cores of structures: what lies around the middle line of the column, where neighbours do not touch.

Rims, lips and lateral slices grow together; the middle of a disc keeps the middles of two bodies apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from node.domain.anatomy import StructureKind
from node.domain.geometry import FloatArray, Grid

BODY, DISC = StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC

#: Half depth and half width of the core, mm: inside the narrowest body, which is 12 mm deep.
_CORE_T_MM = 4.0
_CORE_R_MM = 6.0

#: A smaller piece is a speck, in mm3: about a tenth of the smallest body or disc that the network is asked for. A
#: cervical body holds some 2,500 to 4,500 mm3, a cervical disc 600 to 1,500 mm3.
SPECK_MM3: Mapping[StructureKind, float] = {BODY: 300.0, DISC: 80.0}

#: A smaller core is a speck that lies in the middle, in mm3: a tenth of that of a collapsed disc or of a low body.
_LEAST_MM3: Mapping[StructureKind, float] = {BODY: 100.0, DISC: 15.0}

#: Discs whose middles are no farther apart are pieces of one, in mm: the lowest body is higher.
_ONE_DISC_MM = 6.0

#: Bodies that share more than this part of the shorter one's height lie side by side: one body with a gap in it.
_SIDE_BY_SIDE = 0.5

#: Bodies in touch, both tilted, overlap by less; the parts of a torn one by more. In mm.
_ONE_OVERLAP_MM = 2.5

#: Two pieces of bone are one where what joins them has at least this share of their cross-section. Bridges have less
#: than a quarter, a gap torn into a body leaves more than half.
_NECK = 0.45

#: A core so much higher than the others is two bodies in touch when it is narrow between them; else it is a block.
_HIGH = 1.4
#: How narrow, against its cross-section on both sides: of bodies in touch a third meets, of a block nine tenths.
_JOINT = 0.5
#: How far from the joint the cross-section is that of a body, mm.
_BESIDE_MM = 5.0

#: Bone this far on both sides of a disc's middle makes a core two, in mm.
_BOTH_SIDES_MM = 3.0

_Members = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voxels:
    """All voxels of a kind: `index` int `(n, 3)`, `place` float `(n, 3)`: s, t, r in mm, `piece` int `(n,)`."""

    index: NDArray[np.int64]
    place: FloatArray
    #: Which connected piece each belongs to; 0 is the largest.
    piece: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Core:
    """The core of one structure: `members` of its kind's voxels, and where it begins and ends, s in mm."""

    members: _Members
    top: float
    bottom: float

    @property
    def middle(self) -> float:
        """Half way between both ends, s in mm."""
        return (self.top + self.bottom) / 2

    @property
    def height(self) -> float:
        """From end to end, mm."""
        return self.bottom - self.top


def find_cores(voxels: Mapping[StructureKind, Voxels], grid: Grid) -> dict[StructureKind, list[Core]]:
    """Return the cores of each kind from head to feet."""
    discs = _discs(voxels[DISC], grid) if DISC in voxels else []
    cores = {DISC: discs} if discs else {}
    if BODY in voxels:
        found = [part for core in _connected(BODY, voxels[BODY], grid) for part in _cut(core, voxels, discs, grid)]
        joined = _joined_bodies(sorted(found, key=lambda core: core.middle), voxels[BODY], discs)
        cores[BODY] = _cut_at_joints(joined, voxels[BODY].place, min(grid.spacing_mm))
        if discs:
            cores[DISC] = _joined_discs(discs, voxels[DISC].place, cores[BODY])
    return cores


def _connected(kind: StructureKind, voxels: Voxels, grid: Grid) -> list[Core]:
    """Return the connected cores of a kind, specks left out, head to feet."""
    inside = (np.abs(voxels.place[:, 1]) <= _CORE_T_MM) & (np.abs(voxels.place[:, 2]) <= _CORE_R_MM)
    members = np.flatnonzero(inside)
    if not members.size:
        return []
    index = voxels.index[members]
    low = index.min(axis=0)
    mask = np.zeros(index.max(axis=0) - low + 1, dtype=np.bool_)
    mask[tuple((index - low).T)] = True
    # A thin disc that leans is connected by corners alone; bodies without a disc between may touch there.
    found = cc3d.connected_components(mask, connectivity=26 if kind is DISC else 6)[tuple((index - low).T)]
    sizes = np.bincount(found)[1:] * grid.voxel_volume_mm3
    least = min(_LEAST_MM3[kind], float(sizes.max()))
    cores = [
        core_of(members[found == number], voxels.place) for number, size in enumerate(sizes, start=1) if size >= least
    ]
    return sorted(cores, key=lambda core: core.middle)


def core_of(members: _Members, place: FloatArray) -> Core:
    """Return the core that `members` are; `place` float `(n, 3)` is that of all voxels of the kind."""
    top, bottom = np.percentile(place[members, 0], (4.0, 96.0))
    return Core(members=members, top=float(top), bottom=float(bottom))


def _discs(voxels: Voxels, grid: Grid) -> list[Core]:
    joined: list[Core] = []
    for core in _connected(DISC, voxels, grid):
        if joined and core.middle - joined[-1].middle <= _ONE_DISC_MM:
            joined[-1] = core_of(np.concatenate([joined[-1].members, core.members]), voxels.place)
        else:
            joined.append(core)
    return joined


def _joined_discs(discs: Sequence[Core], place: FloatArray, bodies: Sequence[Core]) -> list[Core]:
    """Join the discs that lie next to each other without a body between."""
    joined = [discs[0]]
    for disc in discs[1:]:
        between = any(joined[-1].middle < core.middle < disc.middle for core in bodies)
        if not between and disc.top - joined[-1].bottom < _ONE_DISC_MM / 2:
            joined[-1] = core_of(np.concatenate([joined[-1].members, disc.members]), place)
        else:
            joined.append(disc)
    return joined


def _cut(core: Core, voxels: Mapping[StructureKind, Voxels], discs: Sequence[Core], grid: Grid) -> list[Core]:
    """Return the core in parts where discs lie in it, with bone above and below."""
    inside = [disc for disc in discs if core.top + _BOTH_SIDES_MM < disc.middle < core.bottom - _BOTH_SIDES_MM]
    parts, rest = [], core
    place = voxels[BODY].place
    for disc in inside:
        below = place[rest.members, 0] > _height_of(disc, voxels[DISC].place, place[rest.members])
        sizes = np.array([np.count_nonzero(~below), np.count_nonzero(below)]) * grid.voxel_volume_mm3
        if sizes.min() >= _LEAST_MM3[BODY]:
            parts.append(core_of(rest.members[~below], place))
            rest = core_of(rest.members[below], place)
    return [*parts, rest]


def _cut_at_joints(cores: Sequence[Core], place: FloatArray, row_mm: float) -> list[Core]:
    """Return the cores, those in parts that are high enough for two bodies and narrow between them."""
    parts = []
    usual = float(np.median([core.height for core in cores[1:]])) if len(cores) > 1 else 0.0
    for number, core in enumerate(cores):
        beside = [other.height for other in (*cores[max(1, number - 2) : number], *cores[number + 1 : number + 3])]
        # Blocks may stand beside, or the bodies grow toward the chest: whichever is lower.
        high = bool(beside) and core.height > _HIGH * min(usual, float(np.median(beside)))
        cut = _joint(core, place, row_mm) if high else None
        if cut is None:
            parts.append(core)
        else:
            below = place[core.members, 0] >= cut
            parts += [core_of(core.members[~below], place), core_of(core.members[below], place)]
    return parts if len(parts) == len(cores) else _cut_at_joints(parts, place, row_mm)


def _joint(core: Core, place: FloatArray, row_mm: float) -> float | None:
    """Return where a core is narrow, s in mm; None where it is as wide everywhere."""
    step = row_mm / 4
    edges = np.arange(core.top, core.bottom, step)
    beside = round(_BESIDE_MM / step)
    if len(edges) < 2 * beside + 2:
        return None
    # Rows of voxels fall into the bins unevenly until they are smoothed over a row.
    areas = gaussian_filter1d(np.histogram(place[core.members, 0], edges)[0].astype(np.float64), 3.0)
    inner = range(beside, len(areas) - beside)
    shares = [
        areas[at] / max(1e-9, min(np.median(areas[at - beside : at]), np.median(areas[at + 1 : at + 1 + beside])))
        for at in inner
    ]
    narrowest = int(np.argmin(shares))
    return float(edges[inner[narrowest]] + step / 2) if shares[narrowest] < _JOINT else None


def _height_of(disc: Core, disc_place: FloatArray, at: FloatArray) -> FloatArray:
    """Return where a disc's plane lies, s in mm, at places `at`, float `(n, 3)`."""
    own = disc_place[disc.members]
    design = np.column_stack([np.ones(len(own)), own[:, 1:]])
    plane = np.linalg.lstsq(design, own[:, 0], rcond=None)[0]
    return np.asarray(np.column_stack([np.ones(len(at)), at[:, 1:]]) @ plane)


def _joined_bodies(cores: Sequence[Core], voxels: Voxels, discs: Sequence[Core]) -> list[Core]:
    joined: list[Core] = []
    for core in cores:
        if joined and _is_one(joined[-1], core, voxels, discs):
            joined[-1] = core_of(np.concatenate([joined[-1].members, core.members]), voxels.place)
        else:
            joined.append(core)
    return joined


def _is_one(upper: Core, lower: Core, voxels: Voxels, discs: Sequence[Core]) -> bool:
    """Return whether two cores are one body: side by side, or bone all the way without a disc between."""
    shared = upper.bottom - lower.top
    if shared > _SIDE_BY_SIDE * min(upper.height, lower.height):
        return True
    if any(upper.middle < disc.middle < lower.middle for disc in discs):
        return False
    if shared > _ONE_OVERLAP_MM:
        return True
    pieces = np.union1d(voxels.piece[upper.members], voxels.piece[lower.members])
    s = voxels.place[np.isin(voxels.piece, pieces), 0]
    edges = np.arange(upper.middle, lower.middle + 1.0)
    areas = np.histogram(s, edges)[0]
    if not areas.size:
        return True
    between = areas[max(0, int(upper.bottom - edges[0]) - 1) : int(lower.top - edges[0]) + 2]
    if not between.size:
        between = areas
    # The dens is narrower than the body that it stands on: what joins them is held against the narrower.
    ends = min(np.median(areas[: max(1, len(areas) // 3)]), np.median(areas[-max(1, len(areas) // 3) :]))
    return bool(between.min() >= _NECK * ends)
