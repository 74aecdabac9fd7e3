"""Errors that a network makes, put into a labelled spine's classes; the truth stays as it was.

Work is done with slices to the left, rows to the feet, columns to the back (PS3.3 C.7.6.2.1.1 names the patient's
axes); distances in mm.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from spines import BODY, DISC, LabelledSpine, Truth

from node.domain.anatomy import StructureKind
from node.domain.geometry import turn

KINDS = ("holes", "bridges", "specks")
#: A structure keeps at least this share of its voxels.
_KEPT = 0.55


@dataclass(frozen=True, kw_only=True, eq=False)
class _Table:
    """The picture on which the damage is done: `classes` is changed in place."""

    classes: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    spacing_mm: NDArray[np.float64]
    voxels: dict[int, NDArray[np.int64]]  #: index (n, 3) of each structure's voxels, by label


def damage(spine: LabelledSpine, seed: int, kinds: Collection[str] = KINDS) -> LabelledSpine:
    """Return the spine with its classes damaged: "holes", "bridges", "specks", always in this order.

    `labels`, `structures` and all that is told of them keep the undamaged truth. The kinds are added to `features`.
    """
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise ValueError(f"no such damage: {sorted(unknown)}")
    classes, grid = turn(spine.classes, spine.grid, "LIP")
    labels, _ = turn(spine.labels, spine.grid, "LIP")
    order = np.argwhere(labels)
    of = labels[tuple(order.T)]
    table = _Table(
        classes=classes.copy(),
        labels=labels,
        spacing_mm=np.array(grid.spacing_mm),
        voxels={truth.label: order[of == truth.label] for truth in spine.structures},
    )
    does: dict[str, Callable[[np.random.Generator, LabelledSpine, _Table], None]] = {
        "holes": _holes,
        "bridges": _bridges,
        "specks": _specks,
    }
    for number, kind in enumerate(KINDS):
        if kind in kinds:
            does[kind](np.random.default_rng([seed, 77, number]), spine, table)
    damaged, _ = turn(table.classes, grid, spine.grid.orientation())
    return replace(spine, classes=damaged, features=spine.features | set(kinds))


def _holes(rng: np.random.Generator, spine: LabelledSpine, table: _Table) -> None:
    """Take away blobs, tunnels, the ragged rest of lateral slices, and now and then one whole slice of a structure."""
    for truth in spine.structures:
        voxels = table.voxels[truth.label]
        gone = np.zeros(len(voxels), dtype=bool)
        points = voxels * table.spacing_mm
        if rng.random() < 0.35:
            for _ in range(int(rng.integers(1, 4))):
                _add(gone, _blob(rng, points))
        if rng.random() < 0.15:
            _add(gone, _tunnel(rng, points))
        for end in (voxels[:, 0].min(), voxels[:, 0].max()):
            if rng.random() < 0.3:
                _add(gone, (voxels[:, 0] == end) & ~_blob(rng, points, (2.0, 4.0)))
        if rng.random() < 0.04:
            _add(gone, voxels[:, 0] == rng.choice(voxels[:, 0]))
        table.classes[tuple(voxels[gone].T)] = 0


def _add(gone: NDArray[np.bool_], more: NDArray[np.bool_]) -> None:
    """Add `more` to what is gone, unless too little would be left."""
    if (gone | more).mean() <= 1.0 - _KEPT:
        gone |= more


def _blob(
    rng: np.random.Generator, points: NDArray[np.float64], radius_mm: tuple[float, float] = (0.8, 3.5)
) -> NDArray[np.bool_]:
    middle = points[rng.integers(len(points))]
    radii = rng.uniform(*radius_mm, 3) * (1.4, 1.0, 1.0)
    return (((points - middle) / radii) ** 2).sum(axis=1) < 1.0


def _tunnel(rng: np.random.Generator, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    start, way = points[rng.integers(len(points))], rng.normal(0.0, 1.0, 3) * (0.3, 1.0, 1.0)
    way /= np.linalg.norm(way)
    along = (points - start) @ way
    beside = np.linalg.norm(points - start - along[:, None] * way, axis=1)
    return (beside < rng.uniform(0.7, 1.5)) & (along > 0.0)


def _bridges(rng: np.random.Generator, spine: LabelledSpine, table: _Table) -> None:
    """Join some neighbours of a kind, at least one pair."""
    pairs = []
    for kind, share in ((StructureKind.VERTEBRAL_BODY, 0.22), (StructureKind.INTERVERTEBRAL_DISC, 0.15)):
        own = [truth for truth in spine.structures if truth.kind is kind]
        pairs += [(one, two, share) for one, two in pairwise(own)]
    chosen = [(one, two) for one, two, share in pairs if rng.random() < share]
    if not chosen and pairs:
        chosen = [pairs[int(rng.integers(len(pairs)))][:2]]
    for one, two in chosen:
        if one.kind is StructureKind.VERTEBRAL_BODY:
            _join_bodies(rng, table, one, two)
        else:
            _join_discs(rng, spine, table, (one, two))


def _join_bodies(rng: np.random.Generator, table: _Table, upper: Truth, lower: Truth) -> None:
    """Lay a short bar of body between two bodies, mostly at the disc's rim or in a lateral slice."""
    above, below = table.voxels[upper.label], table.voxels[lower.label]
    both = np.intersect1d(above[:, 0], below[:, 0])
    if not both.size:
        return
    k = int(rng.choice((both[0], both[-1], rng.choice(both))))
    above, below = above[above[:, 0] == k], below[below[:, 0] == k]
    away, nearest = cKDTree(below * table.spacing_mm).query(above * table.spacing_mm)
    facing = away < away.min() + 3.0
    column = np.where(facing, above[:, 2], -1)
    front, back = column[facing].min(), column.max()
    wanted = front + (back - front) * rng.choice((0.0, 0.1, 0.9, 1.0, rng.random()))
    pick = np.argmin(np.where(facing, np.abs(above[:, 2] - wanted), np.inf) + away / 100.0)
    start, end = above[pick] * table.spacing_mm, below[nearest[pick]] * table.spacing_mm
    _bar(table, (start, end), float(rng.uniform(0.3, 1.5)), BODY)


def _join_discs(rng: np.random.Generator, spine: LabelledSpine, table: _Table, pair: tuple[Truth, Truth]) -> None:
    """Lay disc along the front or back wall of the body between two discs."""
    one, two = pair
    between = [
        truth
        for truth in spine.structures
        if one.label < truth.label < two.label and truth.kind is StructureKind.VERTEBRAL_BODY
    ]
    if len(between) != 1:
        return
    body = table.voxels[between[0].label]
    both = np.intersect1d(np.intersect1d(table.voxels[one.label][:, 0], table.voxels[two.label][:, 0]), body[:, 0])
    if not both.size:
        return
    k, front = int(rng.choice(both)), bool(rng.random() < 0.5)

    def wall(voxels: NDArray[np.int64]) -> NDArray[np.float64]:
        own = voxels[voxels[:, 0] == k]
        return (own[own[:, 2].argmin() if front else own[:, 2].argmax()] * table.spacing_mm).astype(np.float64)

    rows = np.unique(body[body[:, 0] == k][:, 1])
    inner = [wall(body[body[:, 1] == row]) for row in rows[:: max(1, len(rows) // 6)]]
    line = [wall(table.voxels[one.label]), *inner, wall(table.voxels[two.label])]
    width = float(rng.uniform(0.4, 1.5))
    for start, end in pairwise(line):
        _bar(table, (start, end), width, DISC)


def _bar(table: _Table, ends_mm: tuple[NDArray[np.float64], NDArray[np.float64]], radius_mm: float, value: int) -> None:
    """Set a bar with round ends to `value`; it is a slice thick at least and a voxel wide."""
    start, end = ends_mm
    radii = np.maximum(radius_mm, table.spacing_mm * 0.71)
    low = np.floor((np.minimum(start, end) - radii) / table.spacing_mm).astype(int).clip(0)
    high = np.ceil((np.maximum(start, end) + radii) / table.spacing_mm).astype(int) + 1
    high = np.minimum(high, table.classes.shape)
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    points = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), axis=-1)
    points = points * table.spacing_mm
    way = end - start
    share = np.clip(((points - start) @ way) / max(float(way @ way), 1e-9), 0.0, 1.0)
    off = (points - start - share[..., None] * way) / radii
    table.classes[window][(off**2).sum(axis=-1) <= 1.0] = value


def _specks(rng: np.random.Generator, spine: LabelledSpine, table: _Table) -> None:
    """Strew 3 to 12 small blobs: behind (spinous tips), in front (jaw), above the dens, or anywhere."""
    bodies = [truth for truth in spine.structures if truth.kind is StructureKind.VERTEBRAL_BODY]
    for _ in range(int(rng.integers(3, 13))):
        value, largest = (BODY, 250.0) if rng.random() < 0.65 else (DISC, 70.0)
        volume = float(np.exp(rng.uniform(np.log(0.5), np.log(largest))))
        place = str(rng.choice(("behind", "front", "jaw", "above", "far"), p=(0.35, 0.2, 0.12, 0.08, 0.25)))
        truth = bodies[int(rng.integers(len(bodies)))] if place in {"behind", "front"} else bodies[0]
        middle = table.voxels[truth.label].mean(axis=0) * table.spacing_mm
        shift = {
            "behind": (rng.normal(0, 4), rng.uniform(0, 15), rng.uniform(20, 40) + 8),
            "front": (rng.normal(0, 8), rng.uniform(-8, 8), -rng.uniform(18, 45)),
            "jaw": (rng.normal(0, 15), rng.uniform(-30, 20), -rng.uniform(35, 75)),
            "above": (rng.normal(0, 6), -rng.uniform(32, 50), rng.uniform(-12, 8)),
        }
        if place == "far":
            middle = rng.uniform(0.0, 1.0, 3) * table.classes.shape * table.spacing_mm
        else:
            middle = middle + shift[place]
        _speck(rng, table, middle, volume, value)


def _speck(
    rng: np.random.Generator, table: _Table, middle_mm: NDArray[np.float64], volume_mm3: float, value: int
) -> None:
    """Set the voxels nearest to a point, so many as make the volume, unless they touch a structure."""
    shape = np.array(table.classes.shape)
    centre = np.rint(middle_mm / table.spacing_mm).astype(int)
    if (centre < 0).any() or (centre >= shape).any():
        return
    stretch = rng.uniform(0.6, 1.6, 3)
    reach = np.ceil(2.2 * np.cbrt(volume_mm3) / table.spacing_mm).astype(int) + 1
    low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, shape)
    axes = np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij")
    points = np.stack(axes, axis=-1).reshape(-1, 3)
    away = (((points - centre) * table.spacing_mm / stretch) ** 2).sum(axis=1)
    count = max(1, round(volume_mm3 / float(np.prod(table.spacing_mm))))
    blob = points[np.argsort(away, kind="stable")[:count]]
    window = tuple(
        slice(max(int(a) - 1, 0), int(b) + 2) for a, b in zip(blob.min(axis=0), blob.max(axis=0), strict=True)
    )
    if not table.labels[window].any():
        table.classes[tuple(blob.T)] = value
