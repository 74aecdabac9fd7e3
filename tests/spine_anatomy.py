"""One neck drawn from anatomy: sizes, curve, joined and missing parts. Positions are LPS, lengths mm, angles degrees.

Sizes are rounded from M. M. Panjabi et al., Spine 16(8):861-869 (cervical) and 16(8):888-901 (thoracic), 1991; the dens
is about as in B. J. Doherty and M. H. Heggeness, Spine 20(5):513-517, 1995. What is not in those papers (disc heights,
curves, how often a feature occurs) is chosen to look like clinical pictures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from spine_solids import Body, Dens, Disc, Sampled, Sampler

from node.domain.anatomy import StructureKind
from node.domain.geometry import FloatArray

LEVELS = (*(f"C{n}" for n in range(2, 8)), *(f"T{n}" for n in range(1, 11)))
DISC_LEVELS = tuple(f"{above}/{below}" for above, below in pairwise(LEVELS))
_HEIGHT_MM = (19.0, 13.2, 13.0, 12.8, 12.9, 14.2, 15.6, 16.6, 16.9, 17.3, 17.5, 18.2, 18.9, 19.4, 20.0, 20.6)
_DEPTH_MM = (
    *((13.5, 15.6), (15.2, 15.6), (15.4, 15.9), (15.6, 17.0), (16.4, 17.6), (17.4, 17.4)),
    *((17.8, 18.4), (18.8, 19.8), (20.5, 21.8), (22.2, 23.2), (23.4, 24.4), (24.6, 25.8)),
    *((26.0, 27.0), (27.2, 28.0), (28.2, 28.8), (29.0, 29.6)),
)
_WIDTH_MM = (
    *((21.0, 17.5), (18.4, 17.6), (19.4, 18.4), (20.2, 19.8), (21.6, 22.0), (24.2, 24.0)),
    *((26.0, 26.0), (25.6, 26.2), (25.2, 25.8), (25.2, 26.0), (25.6, 26.8), (26.8, 28.0)),
    *((28.2, 29.0), (29.0, 30.2), (30.4, 31.6), (31.6, 33.0)),
)
_DISC_MM = (4.4, 4.7, 4.8, 4.8, 4.8, 4.4, 3.8, 3.6, 3.5, 3.6, 3.8, 4.0, 4.2, 4.4, 4.6)
_UNCUS_MM = (0.0, 4.6, 4.8, 4.8, 4.6, 4.0, 1.2, *([0.0] * 9))
_FUSED = ("C2-C3", "C5-C6", "C6-C7", "C4-C5", "C3-C4", "C4-C6", "C7-T1")
_FUSED_SHARE = (0.36, 0.3, 0.12, 0.09, 0.05, 0.05, 0.03)
_BOTTOMS, _BOTTOM_SHARE = ("C6", "C7", *LEVELS[6:12]), (0.05, 0.09, 0.16, 0.2, 0.2, 0.16, 0.08, 0.06)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a test asks for; None is left to chance, or with `plain` to normal anatomy in a usual field of view."""

    plain: bool = False
    fused: tuple[str, ...] | None = None  #: "C5-C6", "C4-C6"
    absent: tuple[str, ...] | None = None  #: discs with nothing in their place, bodies well apart
    touching: tuple[str, ...] | None = None  #: discs worn away, bodies 0.3 to 0.8 mm apart
    collapsed: tuple[str, ...] | None = None  #: bodies ("C5") or discs ("C5/C6") of less height
    top: str | None = None  #: "whole", or the picture begins in the "dens", in C2's "body", or "below" C2
    bottom: str | None = None  #: the level in which the picture ends
    lateral: bool | None = None  #: slices cover about half of the bodies' width
    edge: str | None = None  #: "none", or the picture ends in the bodies' "front" or "back"
    lordosis_deg: float | None = None  #: C2 to C7; negative is kyphotic
    cobb_deg: float | None = None
    size: float | None = None
    spacing_mm: tuple[float, float, float] | None = None
    orientation: str | None = None  #: of the array, such as "LIP"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything of a `Wish` decided."""

    fused: tuple[str, ...]
    absent: tuple[str, ...]
    touching: tuple[str, ...]
    collapsed: tuple[str, ...]
    hernias: tuple[str, ...]
    top: str
    bottom: str
    lateral: bool
    edge: str
    lordosis_deg: float
    cobb_deg: float
    size: float
    spacing_mm: tuple[float, float, float]
    orientation: str

    @property
    def bound(self) -> frozenset[str]:
        """The disc levels that lie inside a block."""
        spans = [name.split("-") for name in self.fused]
        return frozenset(DISC_LEVELS[i] for a, b in spans for i in range(LEVELS.index(a), LEVELS.index(b)))

    def block_of(self, level: str) -> str:
        """Return the name under which a body is labelled."""
        for name in self.fused:
            first, last = name.split("-")
            if LEVELS.index(first) <= LEVELS.index(level) <= LEVELS.index(last):
                return name
        return level


def draw_plan(rng: np.random.Generator, wish: Wish) -> Plan:
    drawn = _chance(rng)
    if wish.plain:
        drawn |= {"fused": (), "absent": (), "touching": (), "collapsed": (), "hernias": (), "top": "whole"}
        drawn |= {"bottom": "T3", "lateral": False, "edge": "none", "cobb_deg": 2.0, "orientation": "LIP"}
        drawn |= {"lordosis_deg": 18.0, "size": 1.0}
    drawn |= {name: value for name, value in vars(wish).items() if value is not None and name != "plain"}
    plan = Plan(**drawn)
    inner = plan.bound
    keep = {
        name: tuple(level for level in getattr(plan, name) if level not in inner)
        for name in ("absent", "touching", "collapsed", "hernias")
    }
    keep["absent"] = tuple(level for level in keep["absent"] if level not in keep["touching"])
    gone = {*keep["absent"], *keep["touching"]}
    keep["collapsed"] = tuple(level for level in keep["collapsed"] if level not in gone)
    return replace(plan, **keep)


def _chance(rng: np.random.Generator) -> dict[str, Any]:
    def some(levels: tuple[str, ...], share: float) -> tuple[str, ...]:
        return tuple(level for level, chance in zip(levels, rng.random(len(levels)), strict=True) if chance < share)

    fused = (str(rng.choice(_FUSED, p=_FUSED_SHARE)),) if rng.random() < 0.13 else ()
    gone, worn = some(DISC_LEVELS[:10], 0.012), some(DISC_LEVELS[:8], 0.006)
    collapsed = (*some(LEVELS[1:12], 0.012), *some(DISC_LEVELS[:10], 0.05))
    curve = rng.choice(4, p=(0.52, 0.22, 0.16, 0.1))
    lordosis = (rng.uniform(10, 38), rng.uniform(-6, 10), rng.uniform(-28, -6), rng.uniform(-50, -28))[curve]
    pixel = rng.uniform(0.43, 0.9)
    axes = [str(letters) for letters in ("RL", "AP", "IS")]
    axes = [axes[i] for i in rng.permutation(3)]
    any_order = "".join(pair[int(rng.integers(2))] for pair in axes)
    usual = str(rng.choice(("LIP", "RIP", "RPS", "LPS", "PSR", "ASR")))
    return {
        "fused": fused,
        "absent": gone,
        "touching": worn,
        "collapsed": collapsed,
        "hernias": some(DISC_LEVELS[:8], 0.09),
        "top": str(rng.choice(("whole", "dens", "body", "below"), p=(0.76, 0.09, 0.08, 0.07))),
        "bottom": str(rng.choice(_BOTTOMS, p=_BOTTOM_SHARE)),
        "lateral": bool(rng.random() < 0.04),
        "edge": str(rng.choice(("none", "front", "back"), p=(0.97, 0.02, 0.01))),
        "lordosis_deg": float(lordosis),
        "cobb_deg": float(rng.uniform(10, 25) if rng.random() < 0.14 else abs(rng.normal(0, 3))),
        "size": float(np.clip(rng.normal(1.0, 0.08), 0.85, 1.2)),
        "spacing_mm": (float(np.clip(rng.normal(3.9, 0.4), 3.3, 5.3)), float(pixel), float(pixel)),
        "orientation": usual if rng.random() < 0.7 else any_order,
    }


def draw_bodies(rng: np.random.Generator, plan: Plan) -> tuple[Body, ...]:
    """Return C2 to T10, not yet placed."""
    slim, tall = rng.normal(1.0, 0.05), rng.normal(1.0, 0.05)
    shear = rng.uniform(0.02, 0.16)
    age = rng.beta(1.4, 1.6)
    lips = rng.uniform(0.6, 1.25)
    found = []
    for index, level in enumerate(LEVELS):
        own = rng.normal(1.0, 0.03, 3)
        height = _HEIGHT_MM[index] * plan.size * tall * own[0]
        wedge = rng.normal(0.0, 0.02)
        spur = rng.uniform(0.0, 0.5) + (rng.uniform(0.5, 3.0) if rng.random() < 0.4 * age else 0.0)
        if level in plan.collapsed:
            height, wedge = height * rng.uniform(0.45, 0.75), rng.uniform(0.04, 0.16)
        dens = _dens(rng, height, plan.size) if index == 0 else None
        found.append(
            Body(
                level=level,
                height_mm=height,
                depth_mm=tuple(np.array(_DEPTH_MM[index]) * plan.size * slim * own[1]),
                width_mm=tuple(np.array(_WIDTH_MM[index]) * plan.size * slim * own[2]),
                waist=rng.uniform(0.06, 0.14),
                shear=shear * (1.0 if index < 6 else 0.3) + rng.normal(0, 0.015),
                cup_mm=tuple(rng.uniform((0.2, 0.4), (0.9, 1.4))),
                uncus_mm=_UNCUS_MM[index] * lips * plan.size * rng.uniform(0.8, 1.15),
                spur_mm=spur * (0.2 if plan.block_of(level) != level else 1.0),
                upper_slope=(0.0, wedge / 2),
                lower_slope=(0.0, -wedge / 2),
                dens=dens,
            )
        )
    return (*(replace(one, scoop_mm=0.85 * after.uncus_mm) for one, after in pairwise(found)), found[-1])


def _dens(rng: np.random.Generator, height_mm: float, size: float) -> Dens:
    whole = rng.uniform(35.0, 41.5) * size
    return Dens(
        tip_mm=whole - height_mm / 2,
        width_mm=rng.uniform(9.4, 11.2) * size,
        depth_mm=rng.uniform(10.0, 12.0) * size,
        lean_deg=rng.uniform(-2.0, 12.0),
        shoulder_mm=height_mm / 2 + rng.uniform(1.5, 3.5) * size,
    )


def rotation(pitch_deg: float, roll_deg: float, yaw_deg: float) -> FloatArray:
    """Return turns about x (head end to the front), y and z, applied in that order, shape (3, 3)."""
    result = np.eye(3)
    for axis, angle in enumerate(np.deg2rad((pitch_deg, roll_deg, yaw_deg))):
        one, two = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[one, one] = step[two, two] = np.cos(angle)
        step[one, two], step[two, one] = -np.sin(angle), np.sin(angle)
        result = step @ result
    return result


def _turns(rng: np.random.Generator, plan: Plan) -> list[FloatArray]:
    """Return the axes (3, 3) of each body in the patient."""
    count = len(LEVELS)
    c7 = float(np.clip(0.45 * plan.lordosis_deg + rng.normal(10.0, 4.0), -8.0, 32.0))
    shares = np.cumsum(rng.dirichlet(np.full(5, 6.0)))
    neck = c7 - plan.lordosis_deg * (1.0 - np.concatenate([[0.0], shares]))
    chest = c7 + 2.0 - rng.uniform(2.0, 4.0) * np.arange(count - 6)
    lean = np.concatenate([neck, chest]) + np.concatenate(
        [[0.0], rng.normal(0.0, 1.2, 4), [0.0], rng.normal(0, 1.0, count - 6)]
    )
    start, long = rng.uniform(-1.0, 3.0), rng.uniform(5.0, 9.0)
    phase = np.clip((np.arange(count) - start) / long, 0.0, 1.0)
    roll = rng.choice((-1.0, 1.0)) * plan.cobb_deg / 2 * np.cos(np.pi * phase) + rng.normal(0.0, 0.8, count)
    fading = np.maximum(1.0 - np.arange(count) / 5.0, 0.0)
    head_roll, head_yaw = np.clip(rng.normal(0.0, 3.5, 2), -12.0, 12.0)
    yaw = head_yaw * fading + rng.uniform(-0.6, 0.6) * roll
    whole = rotation(*np.clip(rng.normal(0.0, 4.5, 3), -12.0, 12.0))
    return [whole @ rotation(*angles) for angles in zip(lean, roll + head_roll * fading**2, yaw, strict=True)]


def _gaps(rng: np.random.Generator, plan: Plan) -> dict[str, float]:
    """Return the distance of the endplates' rims at each disc, mm."""
    thick, age = rng.uniform(0.75, 1.2), rng.uniform(0.0, 0.25)
    gaps = {}
    for level, mean in zip(DISC_LEVELS, _DISC_MM, strict=True):
        gap = float(np.clip(mean * thick * plan.size * rng.normal(1.0 - age / 2, 0.1), 2.0, 6.5))
        if level in plan.collapsed:
            gap = rng.uniform(1.0, 1.8)
        if level in plan.touching:
            gap = rng.uniform(0.3, 0.8)
        if level in plan.absent:
            gap = max(gap, 2.5)
        if level in plan.bound:
            gap = rng.uniform(0.3, 1.0) * gap
        gaps[level] = gap
    return gaps


def place(rng: np.random.Generator, plan: Plan, bodies: tuple[Body, ...]) -> tuple[tuple[Body, ...], dict[str, float]]:
    """Return the bodies placed in the patient, and the distance of their endplates by disc level, mm.

    Where two bodies stand at a larger angle than the disc can take up, the endplates give way by half each.
    """
    turns, gaps = _turns(rng, plan), _gaps(rng, plan)
    squeeze = {name: rng.uniform(0.84, 1.0) for name in plan.fused}
    bodies = tuple(
        replace(one, height_mm=one.height_mm * squeeze.get(plan.block_of(one.level), 1.0)) if one.dens is None else one
        for one in bodies
    )
    slips = rng.normal(0.0, 0.3, len(bodies)) + (rng.random(len(bodies)) < 0.03) * rng.uniform(-3.5, 3.5, len(bodies))
    placed = [replace(bodies[0], turn=turns[0], centre_mm=rng.uniform(-150.0, 150.0, 3))]
    for index, body in enumerate(bodies[1:], start=1):
        above, axes, gap = placed[-1], turns[index], gaps[DISC_LEVELS[index - 1]]
        normal = above.turn.T @ axes[:, 2]
        bend = np.array([normal[0], normal[1]]) / normal[2]
        half = np.array([above.width_mm[1] + body.width_mm[0], above.depth_mm[1] + body.depth_mm[0]]) / 4
        room = np.minimum(np.abs(bend) * 0.6, 0.6 * gap / half)
        give = np.sign(bend) * (np.abs(bend) - room) / 2
        lower = tuple(np.array(above.lower_slope) - give)
        upper = tuple(np.array(body.upper_slope) + give)
        placed[-1] = replace(above, lower_slope=lower)
        end = above.to_lps_mm(np.array([0.0, 0.0, -above.height_mm / 2]))
        middle = above.turn[:, 2] + axes[:, 2]
        slip = 0.0 if DISC_LEVELS[index - 1] in plan.bound else slips[index]
        shear = axes[:, 1] * (slip + 0.5 * gap * body.shear)
        centre = end - gap * middle / np.linalg.norm(middle) - axes[:, 2] * body.height_mm / 2 + shear
        placed.append(replace(body, turn=axes, centre_mm=centre, upper_slope=upper))
    return tuple(placed), gaps


@dataclass(frozen=True, kw_only=True, eq=False)
class Solid:
    """A structure to be sampled: bodies and what binds them, or one disc."""

    kind: StructureKind
    level: str
    bodies: tuple[Body, ...]
    discs: tuple[Disc, ...]

    def sampled(self, sampler: Sampler) -> Sampled:
        parts = [sampler.body(body) for body in self.bodies] + [sampler.disc(disc) for disc in self.discs]
        whole = parts[0]
        for part in parts[1:]:
            whole = whole.plus(part)
        return whole


def draw_solids(
    rng: np.random.Generator, plan: Plan, bodies: tuple[Body, ...], gaps: Mapping[str, float]
) -> tuple[Solid, ...]:
    """Return all structures, head to feet."""
    members: dict[str, list[Body]] = {}
    for body in bodies:
        members.setdefault(plan.block_of(body.level), []).append(body)
    joints = {}
    for above, below in pairwise(bodies):
        level = f"{above.level}/{below.level}"
        hernia = rng.uniform(2.0, 5.0) if level in plan.hernias else 0.0
        bulge = rng.uniform(-0.6, 0.8), rng.uniform(-0.4, 1.4)
        if level in plan.bound:
            bulge, hernia = (-rng.uniform(0.3, 1.8), -rng.uniform(0.1, 0.8)), 0.0
        joints[level] = Disc(
            upper=above, lower=below, bulge_mm=bulge, hernia_mm=hernia, hernia_x_mm=float(rng.normal(0.0, 3.5))
        )
    found = []
    for name, own in members.items():
        inner = tuple(joints[f"{a.level}/{b.level}"] for a, b in pairwise(own))
        found.append(Solid(kind=StructureKind.VERTEBRAL_BODY, level=name, bodies=tuple(own), discs=inner))
        last = LEVELS.index(own[-1].level)
        if last < len(DISC_LEVELS) and DISC_LEVELS[last] not in {*plan.absent, *plan.touching}:
            disc = joints[DISC_LEVELS[last]]
            found.append(Solid(kind=StructureKind.INTERVERTEBRAL_DISC, level=disc.level, bodies=(), discs=(disc,)))
    return tuple(found)
