"""Splitting the classes of the network into structures: one vertebral body, one block or one disc each.

Connected voxels are not yet a structure: neighbours grow together at their rims, holes tear one apart, and specks lie
about. Along the middle of the column, away from the rims, structures do stand apart. So each is first found there, as
a core; what is connected to one core belongs to it, and what is connected to several is shared out between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from scipy.spatial import cKDTree
from skimage.segmentation import watershed

from node.domain.anatomy import StructureKind
from node.domain.geometry import FloatArray, Grid
from node.measure.cores import BODY, DISC, SPECK_MM3, Core, Voxels, core_of, find_cores
from node.measure.spine import SpineCurve, fit_curve

#: So many voxels tell where the curve runs.
_ENOUGH = 20_000

#: Steps between the pieces of a column are no longer, mm: a lost disc leaves 8; spinous processes lie 15 behind.
_LINK_MM = 9.0

#: A piece whose middle lies farther from the curve than this is no part of the column: bodies are up to 22 mm deep
#: and 36 mm wide, so that their halves reach 11 and 18 mm.
_REACH_T_MM = 14.0
_REACH_R_MM = 20.0

#: Half depth and half width of the part of a structure whose height is taken, mm.
_MIDDLE_MM = (3.0, 4.5)
#: What lies farther beyond the core than this is no part of its height: rims and lips reach less far. In mm.
_BEYOND_MM = 2.5

#: What is connected to one core and reaches this deep between the ends of another is the other's, torn off: rims and
#: lips of tilted bodies reach less far. In mm.
_TORN_OFF_MM = 2.0

#: A body with less than this share of the others' volume, this far from the next, is none: mm.
_STRAY_SHARE = 0.25
_STRAY_GAP_MM = 8.0

#: A disc of less than this share of the others' volume that lies beside a body is a speck.
_SPECK_SHARE = 0.2

#: A loose piece belongs to the structure beside it when no more than this lies between them, in mm.
_FRAGMENT_GAP_MM = 3.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """The voxels of one structure: `index` int `(n, 3)`, `place` float `(n, 3)`: s, t, r in mm on the curve.

    `top`, `bottom`: where its core begins and ends, s in mm.
    """

    kind: StructureKind
    index: NDArray[np.int64]
    place: FloatArray
    top: float
    bottom: float

    def height_mm(self) -> float:
        """Return the height around its middle line, where a tilt adds little."""
        s = self.place[:, 0]
        away = np.abs(self.place[:, 1:] - np.median(self.place[:, 1:], axis=0))
        inside = (away <= _MIDDLE_MM).all(axis=1) & (s >= self.top - _BEYOND_MM) & (s <= self.bottom + _BEYOND_MM)
        low, high = np.percentile(s[inside] if inside.any() else s, (3.0, 97.0))
        return float(high - low) / 0.94


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """The structures of a volume from head to feet, and the curve through them."""

    curve: SpineCurve
    pieces: tuple[Piece, ...]


def split(classes: NDArray[np.uint8], meanings: Mapping[int, StructureKind], grid: Grid) -> Column | None:
    """Return the structures in `classes`, `(slices, rows, columns)` on `grid`; None where there is nothing.

    Specks are dropped, but never the largest piece of a kind. Every voxel of the classes belongs to one structure or
    is dropped; none is added. Voxels are connected when they share a face.
    """
    parts = {kind: connected(classes == label) for label, kind in meanings.items()}
    parts = {kind: found for kind, found in parts.items() if found}
    if not parts:
        return None
    curve = _curve_through(parts, grid)
    voxels = {kind: _on_curve(found, curve, grid) for kind, found in parts.items()}
    cores = find_cores(voxels, grid)
    pieces = [piece for kind, found in voxels.items() for piece in _shared_out(kind, found, cores.get(kind, ()), grid)]
    pieces.sort(key=lambda piece: (piece.top + piece.bottom) / 2)
    return Column(curve=curve, pieces=tuple(_without_strays(pieces)))


def _without_strays(pieces: Sequence[Piece]) -> list[Piece]:
    """Return the pieces without small bodies that stand alone above or below all others."""
    bodies = [piece for piece in pieces if piece.kind is BODY]
    if len(bodies) < 3:
        return list(pieces)
    pieces = [piece for piece in pieces if not _is_speck_in_body(piece, pieces)]
    least = _STRAY_SHARE * float(np.median([len(piece.index) for piece in bodies]))
    ends = ((pieces[0], pieces[1].top - pieces[0].bottom), (pieces[-1], pieces[-1].top - pieces[-2].bottom))
    strays = [end for end, gap in ends if end.kind is BODY and len(end.index) < least and gap > _STRAY_GAP_MM]
    return [piece for piece in pieces if not any(piece is stray for stray in strays)]


def _is_speck_in_body(piece: Piece, pieces: Sequence[Piece]) -> bool:
    """Return whether a piece is a small disc most of whose height lies between the ends of a body."""
    if piece.kind is not DISC:
        return False
    least = _SPECK_SHARE * float(np.median([len(other.index) for other in pieces if other.kind is DISC]))
    return len(piece.index) < least and any(
        min(piece.bottom, body.bottom) - max(piece.top, body.top) > 0.5 * (piece.bottom - piece.top)
        for body in pieces
        if body.kind is BODY
    )


def connected(mask: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return the voxel indices, int `(n, 3)`, of each piece whose voxels share faces, the largest first."""
    found = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=6)
    boxes = find_objects(found.astype(np.int32, copy=False))
    pieces = [
        np.argwhere(found[box] == number) + [side.start for side in box] for number, box in enumerate(boxes, start=1)
    ]
    return sorted(pieces, key=len, reverse=True)


def _curve_through(parts: Mapping[StructureKind, Sequence[NDArray[np.int64]]], grid: Grid) -> SpineCurve:
    """Fit the curve to the largest chain of large pieces; then to all that lie near it, twice.

    What a network finds in the face, at spinous tips and in the picture's corners lies apart from the chain.
    """
    every = 1 + sum(len(piece) for pieces in parts.values() for piece in pieces) // _ENOUGH
    large = [
        grid.to_lps_mm(piece[::every])
        for kind, pieces in parts.items()
        for number, piece in enumerate(pieces)
        if number == 0 or len(piece) * grid.voxel_volume_mm3 >= SPECK_MM3[kind]
    ]
    near = _largest_chain(large)
    for _ in range(2):
        curve = fit_curve(np.concatenate(near), grid)
        near = [points for points in large if _is_near(curve.coordinates(points))] or near
    return fit_curve(np.concatenate(near), grid)


def _largest_chain(pieces: Sequence[FloatArray]) -> list[FloatArray]:
    """Return the pieces, points (n, 3) in mm, that hang together by short steps and have most points."""
    trees = [cKDTree(points) for points in pieces]
    chains: list[set[int]] = []
    for number, tree in enumerate(trees):
        beside = [chain for chain in chains if any(tree.count_neighbors(trees[one], _LINK_MM) for one in chain)]
        chains = [chain for chain in chains if not any(chain is one for one in beside)]
        chains.append({number}.union(*beside))
    largest = max(chains, key=lambda chain: sum(len(pieces[number]) for number in chain))
    return [pieces[number] for number in sorted(largest)]


def _is_near(place: FloatArray) -> bool:
    _, back, left = place.mean(axis=0)
    return bool(abs(back) <= _REACH_T_MM and abs(left) <= _REACH_R_MM)


def _on_curve(pieces: Sequence[NDArray[np.int64]], curve: SpineCurve, grid: Grid) -> Voxels:
    index = np.concatenate(pieces)
    return Voxels(
        index=index,
        place=curve.coordinates(grid.to_lps_mm(index)),
        piece=np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces]),
    )


def _shared_out(kind: StructureKind, voxels: Voxels, cores: Sequence[Core], grid: Grid) -> list[Piece]:
    """Give every voxel to a core, or drop it; a large piece without a core is a structure by itself."""
    owner = np.full(len(voxels.index), -1)
    for number, core in enumerate(cores):
        owner[core.members] = number
    found = list(cores)
    for piece in range(int(voxels.piece[-1]) + 1):
        inside = np.flatnonzero(voxels.piece == piece)
        owners = np.unique(owner[inside])
        owners = owners[owners >= 0]
        if len(owners) == 1:
            owner[inside] = _with_torn_off(voxels.place[inside, 0], owner[inside], found)
            owners = np.unique(owner[inside][owner[inside] >= 0])
        if len(owners) == 1:
            owner[inside] = owners[0]
        elif len(owners) > 1:
            owner[inside] = _spread(voxels.index[inside], owner[inside])
        elif (beside := _beside(voxels, inside, owner, found, grid)) is not None:
            owner[inside] = beside
        elif _stands_alone(kind, voxels, inside, found, grid):
            owner[inside] = len(found)
            found.append(core_of(inside, voxels.place))
    return _pieces(kind, voxels, owner, found, grid)


def _with_torn_off(s: FloatArray, owner: NDArray[np.int64], cores: Sequence[Core]) -> NDArray[np.int64]:
    """Return the owners of a piece's voxels, at `s` mm, with what lies between the ends of other cores than its own."""
    own = cores[int(owner.max())]
    beyond = (s < own.top - _BEYOND_MM) | (s > own.bottom + _BEYOND_MM)
    result = owner.copy()
    for number, core in enumerate(cores):
        result[beyond & (s >= core.top + _TORN_OFF_MM) & (s <= core.bottom - _TORN_OFF_MM)] = number
    return result


def _stands_alone(
    kind: StructureKind, voxels: Voxels, inside: NDArray[np.int64], cores: Sequence[Core], grid: Grid
) -> bool:
    """Return whether a piece that no core owns is a structure: the only one, or a sliver that the view leaves."""
    place = voxels.place[inside]
    if not cores:
        return True
    rows = voxels.index[inside, 1]
    cut = rows.min() == 0 or rows.max() == grid.shape[1] - 1
    middle = float(np.median(place[:, 0]))
    free = not any(core.top - _BEYOND_MM <= middle <= core.bottom + _BEYOND_MM for core in cores)
    return bool(cut and free and len(place) * grid.voxel_volume_mm3 >= SPECK_MM3[kind] and _is_near(place))


def _pieces(
    kind: StructureKind, voxels: Voxels, owner: NDArray[np.int64], cores: Sequence[Core], grid: Grid
) -> list[Piece]:
    """Return what each core owns; specks go, unless nothing larger is there."""
    sizes = np.bincount(owner[owner >= 0], minlength=len(cores)) * grid.voxel_volume_mm3
    return [
        Piece(
            kind=kind,
            index=voxels.index[owner == number],
            place=voxels.place[owner == number],
            top=core.top,
            bottom=core.bottom,
        )
        for number, core in enumerate(cores)
        if sizes[number] >= SPECK_MM3[kind] or number == np.argmax(sizes)
    ]


def _spread(index: NDArray[np.int64], owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the owners of the voxels of one connected piece, each from the owned voxel that is fewest steps away."""
    low = index.min(axis=0)
    where = tuple((index - low).T)
    markers = np.zeros(index.max(axis=0) - low + 1, dtype=np.int32)
    mask = np.zeros(markers.shape, dtype=np.bool_)
    markers[where], mask[where] = owner + 1, True
    shared: NDArray[np.int32] = watershed(mask, markers, mask=mask)  # type: ignore[no-untyped-call]
    return np.asarray(shared[where] - 1, dtype=np.int64)


def _beside(
    voxels: Voxels, inside: NDArray[np.int64], owner: NDArray[np.int64], cores: Sequence[Core], grid: Grid
) -> int | None:
    """Return the core that a loose piece is a fragment of: at the same height and hardly apart; None without one."""
    if not _is_near(voxels.place[inside]):
        return None
    s = float(np.median(voxels.place[inside, 0]))
    number = next((number for number, core in enumerate(cores) if core.top - 1 <= s <= core.bottom + 1), None)
    if number is None:
        return None
    whole = grid.to_lps_mm(voxels.index[owner == number])
    gap = cKDTree(whole).query(grid.to_lps_mm(voxels.index[inside]))[0].min()
    return number if gap <= max(_FRAGMENT_GAP_MM, 1.2 * max(grid.spacing_mm)) else None
