"""Labelled spines for tests of level naming and of morphometry: label maps alone, drawn from anatomy.

Nothing here knows how levels are found. A body counts to the pedicle junction; C1 is never labelled. `spine_anatomy`
draws the neck, `spine_solids` samples it; positions are LPS, mm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spine_anatomy import DISC_LEVELS, LEVELS, Plan, Solid, Wish, draw_bodies, draw_plan, draw_solids, place, rotation
from spine_solids import HALF, PLANES_A_SLICE, Body, Sampled, Sampler

from node.domain.anatomy import StructureKind
from node.domain.geometry import FloatArray, Grid, turn

BODY, DISC = 1, 2
#: What the issue asks to be named: C2..T1 and C2/C3..C7/T1.
ASKED = (*LEVELS[:7], *DISC_LEVELS[:6])


@dataclass(frozen=True)
class Truth:
    """One structure that is in the picture; `level` is "C2", "C5-C6" (a block) or "C2/C3" (a disc)."""

    kind: StructureKind
    level: str
    label: int
    truncated: bool  #: reaches beyond the field of view


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a ruler would read on the whole solid, whether or not the picture shows all of it. Lengths in mm.

    Heights run along the body's own axis in its mid-plane, in the middle and at 0.8 of the half depth in front and
    behind; C2 and blocks have the middle one alone (C2 from the tip of the dens), a disc is measured between endplates.
    `up` is the direction to the head (LPS) of a body's own axis (of a block, of its lowest member).
    """

    height_mm: float
    front_mm: float | None
    back_mm: float | None
    depth_mm: float
    width_mm: float
    volume_mm3: float
    up: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class LabelledSpine:
    """A label map with the truth. `classes`: 0, 1 body, 2 disc; `labels`: 0 or a `Truth.label`; one shape, one grid."""

    grid: Grid
    classes: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    structures: tuple[Truth, ...]  #: head to feet
    absent: tuple[str, ...]  #: discs missing between two separate bodies that are in the picture
    unseen: tuple[str, ...]  #: of `ASKED`, what is not in the field of view at all
    c2_evident: bool  #: at least 60 % of C2's height with the dens is in the picture
    features: frozenset[str]
    sizes: Mapping[str, Size] = field(default_factory=dict)  #: by level


def draw(seed: int, **asked: Any) -> LabelledSpine:
    """Return the spine of `seed`; `asked` are fields of `Wish`. The same arguments always give the same voxels."""
    wish = Wish(**asked)
    plan = draw_plan(np.random.default_rng([seed, 1]), wish)
    bodies = draw_bodies(np.random.default_rng([seed, 2]), plan)
    bodies, gaps = place(np.random.default_rng([seed, 3]), plan, bodies)
    solids = draw_solids(np.random.default_rng([seed, 4]), plan, bodies, gaps)
    frame = _frame(np.random.default_rng([seed, 5]), plan, bodies)
    return _picture(plan, solids, frame)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Frame:
    """The field of view as a scanner lays it: slices to the left, rows to the feet, columns to the back."""

    shape: tuple[int, int, int]
    affine: FloatArray
    thick: float


def _frame(rng: np.random.Generator, plan: Plan, bodies: tuple[Body, ...]) -> _Frame:
    """Return the grid; extents are taken along its own axes: left, feet, back."""
    axes = rotation(*rng.uniform(-3.5, 3.5, 3)) @ np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
    last = LEVELS.index(plan.bottom)
    shown = bodies[: last + 1]
    corners = np.concatenate([body.corners_lps_mm() for body in shown[1:]]) @ axes
    top = _top(rng, plan.top, bodies, axes)
    end = shown[-1].to_lps_mm(np.array([0.0, 0.0, shown[-1].height_mm * rng.uniform(-0.7, 0.45)])) @ axes
    tall = max(end[1] - top, 60.0)
    front, back = corners[:, 2].min(), corners[:, 2].max()
    wide = max(float(np.clip(tall * rng.uniform(0.75, 1.2), 120.0, 260.0)), back - front + 50.0)
    left = front - (wide - (back - front)) * rng.uniform(0.4, 0.65)
    if plan.edge == "front":
        left = front + rng.uniform(4.0, 9.0)
    elif plan.edge == "back":
        left = back - rng.uniform(4.0, 9.0) - wide
    between, row, column = plan.spacing_mm
    need = int(np.ceil((corners[:, 0].max() - corners[:, 0].min()) / between))
    count = int(np.clip(need + rng.integers(-1, 5), 11, 25))
    middle = (corners[:, 0].max() + corners[:, 0].min()) / 2 + rng.normal(0.0, 1.5)
    if plan.lateral:
        middle += rng.choice((-1.0, 1.0)) * ((count - 1) / 2 * between + rng.uniform(-1.0, 3.0))
    shape = (count, int(tall / row), int(wide / column))
    affine = np.eye(4)
    affine[:3, :3] = axes * np.array(plan.spacing_mm)
    affine[:3, 3] = axes @ np.array([middle - (count - 1) / 2 * between, top, left])
    return _Frame(shape=shape, affine=affine, thick=float(rng.uniform(0.8, 1.0)))


def _top(rng: np.random.Generator, kind: str, bodies: tuple[Body, ...], axes: FloatArray) -> float:
    """Return where the picture begins, mm along the direction to the feet."""
    c2 = bodies[0]
    tip = c2.to_lps_mm(np.array([0.0, 0.0, c2.dens.tip_mm])) @ axes
    foot = c2.to_lps_mm(np.array([0.0, 0.0, -c2.height_mm / 2])) @ axes
    if kind == "whole":
        return float(tip[1] - rng.uniform(12.0, 55.0))
    if kind == "below":
        return float((c2.corners_lps_mm() @ axes)[:, 1].max() + rng.uniform(0.0, 16.0))
    share = rng.uniform(0.05, 0.38) if kind == "dens" else rng.uniform(0.44, 0.9)
    return float(tip[1] + share * (foot[1] - tip[1]))


def _picture(plan: Plan, solids: tuple[Solid, ...], frame: _Frame) -> LabelledSpine:
    shape, sampler = frame.shape, Sampler(affine=frame.affine, thick=frame.thick)
    sampled = {solid.level: solid.sampled(sampler) for solid in solids}
    labels, classes = _resolve(shape, solids, sampled)
    counts = np.bincount(labels.ravel(), minlength=len(solids) + 1)
    grid = Grid(shape=shape, affine=frame.affine)
    lost = []
    for index, solid in enumerate(solids, start=1):
        # A disc thinner than a pixel leaves crumbs at best: nobody would draw it.
        thin = solid.kind is StructureKind.INTERVERTEBRAL_DISC and counts[index] * grid.voxel_volume_mm3 < 40.0
        if thin and counts[index] and not sampled[solid.level].outside(shape):
            lost.append(index)
    gone = np.isin(labels, lost)
    labels[gone], classes[gone] = 0, 0
    counts[lost] = 0
    shown = [index for index in range(1, counts.size) if counts[index]]
    order = np.zeros(counts.size, dtype=np.uint16)
    order[shown] = np.arange(1, len(shown) + 1)
    structures = tuple(
        Truth(solids[i - 1].kind, solids[i - 1].level, int(order[i]), sampled[solids[i - 1].level].outside(shape))
        for i in shown
    )
    sizes = {
        truth.level: _size(solids[i - 1], sampled[truth.level], grid.voxel_volume_mm3)
        for truth, i in zip(structures, shown, strict=True)
    }
    turned, turned_grid = turn(order[labels], grid, plan.orientation)
    absent, unseen = _missing(plan, structures)
    return LabelledSpine(
        grid=turned_grid,
        classes=turn(classes, grid, plan.orientation)[0],
        labels=turned,
        structures=structures,
        absent=absent,
        unseen=unseen,
        c2_evident=_c2_share(solids[0].bodies[0], frame) >= 0.6,
        features=_features(plan, structures, absent),
        sizes=sizes,
    )


def _resolve(
    shape: tuple[int, int, int], solids: tuple[Solid, ...], sampled: Mapping[str, Sampled]
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Return, by voxel, 1 + the index of its structure or 0, and its class; the larger share wins, bodies a tie."""
    best = {kind: np.zeros(shape, dtype=np.uint8) for kind in StructureKind}
    total = {kind: np.zeros(shape, dtype=np.uint8) for kind in StructureKind}
    owner = {kind: np.zeros(shape, dtype=np.uint16) for kind in StructureKind}
    for index, solid in enumerate(solids, start=1):
        grid, window = sampled[solid.level].visible(shape)
        cover = sampled[solid.level].cover[window]
        wins = cover > best[solid.kind][grid]
        best[solid.kind][grid][wins] = cover[wins]
        owner[solid.kind][grid][wins] = index
        total[solid.kind][grid] += cover
    body, disc = (total[kind] for kind in (StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC))
    taken = body + disc >= HALF
    is_disc = taken & (disc > body)
    labels = np.where(is_disc, owner[StructureKind.INTERVERTEBRAL_DISC], owner[StructureKind.VERTEBRAL_BODY])
    labels[~taken] = 0
    classes = taken.astype(np.uint8) * np.uint8(BODY)
    classes[is_disc] = DISC
    return labels, classes


def _size(solid: Solid, sampled: Sampled, voxel_mm3: float) -> Size:
    volume = float(sampled.cover.sum()) / PLANES_A_SLICE * voxel_mm3
    if not solid.bodies:
        (disc,) = solid.discs
        depth = (disc.upper.depth_mm[1] + disc.lower.depth_mm[0]) / 2
        width = (disc.upper.width_mm[1] + disc.lower.width_mm[0]) / 2
        ends = [_gap(disc.upper, disc.lower, share) for share in (0.0, -0.8, 0.8)]
        up = disc.frame()[1][:, 2]
    else:
        first, last = solid.bodies[0], solid.bodies[-1]
        depth, width, up = sum(last.depth_mm) / 2, sum(last.width_mm) / 2, last.turn[:, 2]
        ends = [_height(last, share) for share in (0.0, -0.8, 0.8)]
        if first is not last or first.dens is not None:
            tip = first.height_mm / 2 if first.dens is None else first.dens.tip_mm
            high = first.to_lps_mm(np.array([0.0, 0.0, tip]))
            low = last.to_lps_mm(np.array([0.0, 0.0, float(last.bottom(np.zeros(1), np.zeros(1))[0])]))
            ends = [float(np.linalg.norm(high - low)), None, None]
    return Size(
        height_mm=ends[0],
        front_mm=ends[1],
        back_mm=ends[2],
        depth_mm=float(depth),
        width_mm=float(width),
        volume_mm3=volume,
        up=tuple(float(value) for value in up),
    )


def _height(body: Body, share: float) -> float:
    x, half = np.zeros(1), min(body.depth_mm) / 2
    y = np.array([share * half])
    return float((body.top(x, y) - body.bottom(x, y))[0])


def _gap(upper: Body, lower: Body, share: float) -> float:
    x, half = np.zeros(1), min(upper.depth_mm[1], lower.depth_mm[0]) / 2
    y = np.array([share * half])
    above = upper.to_lps_mm(np.array([0.0, y[0], float(upper.bottom(x, y)[0])]))
    below = lower.to_lps_mm(np.array([0.0, y[0], float(lower.top(x, y)[0])]))
    return float(np.linalg.norm(above - below))


def _missing(plan: Plan, structures: tuple[Truth, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the discs missing between two visible bodies, and what of `ASKED` is not in the field of view."""
    shown = {truth.level for truth in structures}
    absent = tuple(
        level
        for level in DISC_LEVELS
        if level not in shown
        and level not in plan.bound
        and {plan.block_of(level.split("/")[0]), plan.block_of(level.split("/")[1])} <= shown
    )
    inside = plan.bound | {level for level in LEVELS if plan.block_of(level) in shown}
    unseen = tuple(level for level in ASKED if level not in shown and level not in absent and level not in inside)
    return absent, unseen


def _c2_share(c2: Body, frame: _Frame) -> float:
    """Return which share of C2's height, dens included, has at least 30 % of its section in the field of view."""
    low, high = c2.box_mm()
    axes = [np.linspace(low[axis] + 0.25, high[axis] - 0.25, count) for axis, count in enumerate((20, 20, 48))]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    inside = c2.holds(x, y, z)
    points = c2.to_lps_mm(np.stack([x, y, z], axis=-1))
    index = (points - frame.affine[:3, 3]) @ np.linalg.inv(frame.affine[:3, :3]).T
    seen = inside & ((index >= -0.5) & (index <= np.array(frame.shape) - 0.5)).all(axis=-1)
    whole, part = inside.sum(axis=(0, 1)), seen.sum(axis=(0, 1))
    return float(np.mean(part[whole > 0] >= 0.3 * whole[whole > 0]))


def _features(plan: Plan, structures: tuple[Truth, ...], absent: tuple[str, ...]) -> frozenset[str]:
    shown = {truth.level for truth in structures}
    return frozenset(
        name
        for name, holds in {
            "fused": any(name in shown for name in plan.fused),
            "absent": bool(absent),
            "touching": any(level in absent for level in plan.touching),
            "collapsed": any(level in shown for level in plan.collapsed),
            "hernia": any(level in shown for level in plan.hernias),
            f"top:{plan.top}": True,
            "lateral": plan.lateral,
            f"edge:{plan.edge}": plan.edge != "none",
            "kyphosis": plan.lordosis_deg <= -6.0,
            "lordosis": plan.lordosis_deg >= 10.0,
            "scoliosis": plan.cobb_deg >= 10.0,
            "small": plan.size < 0.9,
        }.items()
        if holds
    )
