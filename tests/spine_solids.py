"""Vertebral bodies and discs as solids, and the grid that they are sampled on.

A body is a rigid solid in a frame of its own: x to its left, y to its back, z to its head, mm, the origin at the middle
of its height (of C2: of the part below the dens). `turn` (3, 3) and `centre_mm` (3,) lead from there to the patient,
LPS. A disc is what lies between two bodies' endplates.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import FloatArray

Real = NDArray[np.float32]
Mask = NDArray[np.bool_]
Points = tuple[Real, Real, Real]

PLANES_A_SLICE = 3
#: Of the planes across a slice, how many must lie in a structure.
HALF = 2


@dataclass(frozen=True, kw_only=True)
class Dens:
    """C2 above its own body: mm, degrees."""

    tip_mm: float  #: above the middle of the body's part
    width_mm: float
    depth_mm: float
    lean_deg: float  #: to the back
    shoulder_mm: float  #: where the shoulders meet the dens, above the middle of the body's part


@dataclass(frozen=True, kw_only=True, eq=False)
class Body:
    """One vertebral body; lengths in mm, the tilts of its endplates as slopes along x and y."""

    level: str
    height_mm: float
    depth_mm: tuple[float, float]  #: at the upper and at the lower endplate
    width_mm: tuple[float, float]
    waist: float  #: share of the half depth that front and sides draw in
    shear: float  #: how both endplates rise to the back, as a slope
    cup_mm: tuple[float, float]  #: depth of the upper and of the lower endplate's hollow
    uncus_mm: float  #: height of the lips at the sides of the upper endplate
    spur_mm: float  #: reach of osteophytes beside both endplates
    scoop_mm: float = 0.0  #: what the lips of the body below leave of the lower endplate's sides
    upper_slope: tuple[float, float] = (0.0, 0.0)
    lower_slope: tuple[float, float] = (0.0, 0.0)
    dens: Dens | None = None
    centre_mm: FloatArray | None = None
    turn: FloatArray | None = None

    def top(self, x: Real, y: Real) -> Real:
        """Return z of the upper endplate (of C2: of the shoulders)."""
        if self.dens is not None:
            return self.dens.shoulder_mm - 0.42 * np.maximum(np.abs(x) - 3.0, 0.0)
        half_x, half_y = self.width_mm[0] / 2, self.depth_mm[0] / 2
        u, v = x / np.float32(half_x), y / np.float32(half_y)
        hollow = self.cup_mm[0] * np.maximum(1.0 - u * u, 0.0) * np.maximum(1.0 - v * v, 0.0)
        plane = self.height_mm / 2 + self.upper_slope[0] * x + (self.upper_slope[1] + self.shear) * y
        return plane - hollow + self.uncus_mm * _lip(u, v)

    def bottom(self, x: Real, y: Real) -> Real:
        """Return z of the lower endplate."""
        half_x, half_y = self.width_mm[1] / 2, self.depth_mm[1] / 2
        u, v = x / np.float32(half_x), y / np.float32(half_y)
        hollow = self.cup_mm[1] * np.maximum(1.0 - v * v, 0.0)
        plane = -self.height_mm / 2 + self.lower_slope[0] * x + (self.lower_slope[1] + self.shear) * y
        return plane + hollow + self.scoop_mm * _lip(u, v)

    def holds(self, x: Real, y: Real, z: Real) -> Mask:
        """Return which points, in the body's own frame, lie inside it."""
        top, bottom = self.top(x, y), self.bottom(x, y)
        share = np.clip(z / np.float32(self.height_mm) + 0.5, 0.0, 1.0)
        narrow = 1.0 - np.float32(self.waist) * (1.0 - (2.0 * share - 1.0) ** 4)
        near = np.abs(z - bottom) if self.dens is not None else np.minimum(np.abs(top - z), np.abs(z - bottom))
        spur = np.float32(self.spur_mm) * np.maximum(1.0 - near / 5.0, 0.0)
        half_x = (self.width_mm[1] + share * (self.width_mm[0] - self.width_mm[1])) / 2 * narrow + 0.6 * spur
        half_y = (self.depth_mm[1] + share * (self.depth_mm[0] - self.depth_mm[1])) / 2
        # The back wall is straighter than the front, and spurs are smaller there.
        half_y = np.where(y > 0, half_y * (0.5 + 0.5 * narrow) + 0.4 * spur, half_y * narrow + spur)
        inside = (z < top) & (z > bottom) & _within(x / half_x, y / half_y)
        return inside | self._in_dens(x, y, z) if self.dens is not None else inside

    def _in_dens(self, x: Real, y: Real, z: Real) -> Mask:
        dens = self.dens
        root = dens.shoulder_mm - 9.0
        up = np.maximum(z - np.float32(root), 0.0)
        into_tip = np.clip((z - (dens.tip_mm - 5.5)) / np.float32(5.5), 0.0, 1.0)
        neck = 1.0 - 0.1 * np.exp(-(((z - dens.shoulder_mm - 4.0) / 3.5) ** 2))
        grow = np.clip(1.0 - up / 17.0, 0.0, 1.0)
        size = np.sqrt(np.maximum(1.0 - into_tip**2, 1e-4)) * neck
        half_x = size * (dens.width_mm / 2 + 2.0 * grow)
        half_y = size * (dens.depth_mm / 2 + (self.depth_mm[0] - dens.depth_mm) / 2 * grow)
        middle = np.float32(np.tan(np.deg2rad(dens.lean_deg))) * up
        return (z > root) & (z < dens.tip_mm) & ((x / half_x) ** 2 + ((y - middle) / half_y) ** 2 < 1.0)

    def box_mm(self) -> tuple[FloatArray, FloatArray]:
        """Return the lowest and the highest corner of a box around the body, in its own frame."""
        wide, deep = max(self.width_mm) / 2 + self.spur_mm, max(self.depth_mm) / 2 + self.spur_mm
        rise = wide * max(abs(self.upper_slope[0]), abs(self.lower_slope[0])) + deep * (
            max(abs(self.upper_slope[1]), abs(self.lower_slope[1])) + abs(self.shear)
        )
        low, high = -self.height_mm / 2 - rise, self.height_mm / 2 + rise + self.uncus_mm
        if self.dens is not None:
            high, deep = self.dens.tip_mm, deep + self.dens.depth_mm / 2
        return np.array([-wide, -deep, low]), np.array([wide, deep, high])

    def to_lps_mm(self, points: FloatArray) -> FloatArray:
        """Return LPS positions (..., 3) of points (..., 3) in the body's own frame."""
        return np.asarray(points) @ self.turn.T + self.centre_mm

    def corners_lps_mm(self) -> FloatArray:
        """Return the eight corners of the box, LPS mm, shape (8, 3)."""
        low, high = self.box_mm()
        pick = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)])
        return self.to_lps_mm(np.where(pick, high, low))


def _lip(u: Real, v: Real) -> Real:
    """Return 0..1: how much of an uncinate lip stands at `u` (of the half width), `v` (of the half depth)."""
    side = np.clip((np.abs(u) - 0.5) / 0.45, 0.0, 1.0)
    return side * side * np.clip((v + 0.7) / 0.6, 0.0, 1.0)


def _within(u: Real, v: Real) -> Mask:
    """Return what lies in a kidney shape: an oval with a hollow at the middle of the back."""
    across = np.where(v > 0, v * (1.0 + 0.07 * np.maximum(1.0 - u * u, 0.0)), v)
    return np.abs(u) ** 3 + np.abs(across) ** 3 < 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Disc:
    """What lies between two bodies; also the bone between two fused ones, then with a negative bulge. Lengths in mm."""

    upper: Body
    lower: Body
    bulge_mm: tuple[float, float]  #: beyond the walls, in front and behind
    hernia_mm: float = 0.0  #: further reach behind, around `hernia_x_mm`
    hernia_x_mm: float = 0.0

    @property
    def level(self) -> str:
        return f"{self.upper.level}/{self.lower.level}"

    def frame(self) -> tuple[FloatArray, FloatArray]:
        """Return the middle (3,) and the axes (3, 3) of the disc, LPS."""
        above = self.upper.to_lps_mm(np.array([0.0, 0.0, -self.upper.height_mm / 2]))
        below = self.lower.to_lps_mm(np.array([0.0, 0.0, self.lower.height_mm / 2]))
        u, _, v = np.linalg.svd(self.upper.turn + self.lower.turn)
        return (above + below) / 2, u @ v

    def box_mm(self) -> tuple[FloatArray, FloatArray]:
        wide = (self.upper.width_mm[1] + self.lower.width_mm[0]) / 4 + 1.5
        deep = (self.upper.depth_mm[1] + self.lower.depth_mm[0]) / 4
        front, back = deep + max(self.bulge_mm[0], 0.0), deep + max(self.bulge_mm[1], 0.0) + self.hernia_mm
        tall = 6.0 + self.lower.uncus_mm
        return np.array([-wide, -front - 1.5, -tall]), np.array([wide, back + 1.5, tall])

    def holds(self, own: Points, upper: Points, lower: Points) -> Mask:
        """Return which points lie inside; each is given in the disc's, the upper and the lower body's own frame."""
        x, y, _ = own
        half_x = (self.upper.width_mm[1] + self.lower.width_mm[0]) / 4
        half_y = (self.upper.depth_mm[1] + self.lower.depth_mm[0]) / 4
        behind = self.bulge_mm[1] + self.hernia_mm * np.exp(-(((x - self.hernia_x_mm) / 4.0) ** 2))
        reach = np.where(y > 0, half_y + behind, half_y + self.bulge_mm[0])
        inside = _within(x / np.float32(half_x + min(self.bulge_mm[1], 0.4)), y / reach)
        return inside & _below(self.upper, upper) & _above(self.lower, lower)


def _below(body: Body, points: Points) -> Mask:
    x, y, z = points
    deep = np.float32(body.depth_mm[1] / 2)
    return z <= body.bottom(x, np.clip(y, -deep, deep))


def _above(body: Body, points: Points) -> Mask:
    x, y, z = points
    deep = np.float32(body.depth_mm[0] / 2)
    return z >= body.top(x, np.clip(y, -deep, deep))


@dataclass(frozen=True, kw_only=True, eq=False)
class Sampled:
    """How many planes of each voxel lie in a solid: `cover` (slices, rows, columns) from index `start` on.

    The window may reach beyond the grid: what lies there is not in the picture.
    """

    start: NDArray[np.int64]
    cover: NDArray[np.uint8]

    def plus(self, other: "Sampled") -> "Sampled":
        """Return both together; where they meet, the larger cover."""
        start = np.minimum(self.start, other.start)
        stop = np.maximum(self.start + self.cover.shape, other.start + other.cover.shape)
        cover = np.zeros(stop - start, dtype=np.uint8)
        for one in (self, other):
            place = tuple(slice(a, a + n) for a, n in zip(one.start - start, one.cover.shape, strict=True))
            cover[place] = np.minimum(cover[place] + one.cover, PLANES_A_SLICE)
        return Sampled(start=start, cover=cover)

    def visible(self, shape: tuple[int, int, int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Return the part of the grid that the window meets, and the part of the window that meets the grid."""
        stop = np.minimum(self.start + self.cover.shape, shape)
        low = np.minimum(np.maximum(self.start, 0), np.maximum(stop, 0))
        stop = np.maximum(stop, low)
        grid = tuple(slice(int(a), int(b)) for a, b in zip(low, stop, strict=True))
        window = tuple(slice(int(a), int(b)) for a, b in zip(low - self.start, stop - self.start, strict=True))
        return grid, window

    def outside(self, shape: tuple[int, int, int]) -> bool:
        """Say whether any voxel of the solid lies beyond the grid."""
        taken = self.cover >= HALF
        return int(taken.sum()) > int(taken[self.visible(shape)[1]].sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class Sampler:
    """Samples solids at voxel centres, in three planes across each slice. `affine`: index to LPS mm."""

    affine: FloatArray
    thick: float  #: share of the slice distance that the slice is thick

    def body(self, body: Body) -> Sampled:
        start, ticks = self._window(body.centre_mm, body.turn, body.box_mm())
        x, y, z = self._local(ticks, body.centre_mm, body.turn)
        return _collect(start, body.holds(x, y, z))

    def disc(self, disc: Disc) -> Sampled:
        middle, turn = disc.frame()
        start, ticks = self._window(middle, turn, disc.box_mm())
        upper = self._local(ticks, disc.upper.centre_mm, disc.upper.turn)
        lower = self._local(ticks, disc.lower.centre_mm, disc.lower.turn)
        return _collect(start, disc.holds(self._local(ticks, middle, turn), upper, lower))

    def _window(
        self, origin_mm: FloatArray, turn: FloatArray, box: tuple[FloatArray, FloatArray]
    ) -> tuple[NDArray[np.int64], list[Real]]:
        """Return the first index, and along each array axis the indices of the planes to be sampled."""
        pick = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)])
        corners = np.where(pick, box[1], box[0]) @ turn.T + origin_mm
        index = np.linalg.solve(self.affine[:3, :3], (corners - self.affine[:3, 3]).T).T
        start = np.floor(index.min(axis=0)).astype(np.int64)
        stop = np.ceil(index.max(axis=0)).astype(np.int64) + 1
        offsets = (np.arange(PLANES_A_SLICE) - (PLANES_A_SLICE - 1) / 2) / PLANES_A_SLICE * self.thick
        ticks = [np.arange(a, b, dtype=np.float32) for a, b in zip(start, stop, strict=True)]
        ticks[0] = (ticks[0][:, None] + offsets.astype(np.float32)).ravel()
        return start, ticks

    def _local(self, ticks: list[Real], origin_mm: FloatArray, turn: FloatArray) -> Points:
        matrix = (turn.T @ self.affine[:3, :3]).astype(np.float32)
        shift = (turn.T @ (self.affine[:3, 3] - origin_mm)).astype(np.float32)
        k, i, j = ticks[0][:, None, None], ticks[1][None, :, None], ticks[2][None, None, :]
        return tuple(
            matrix[axis, 0] * k + matrix[axis, 1] * i + (matrix[axis, 2] * j + shift[axis]) for axis in range(3)
        )


def _collect(start: NDArray[np.int64], inside: Mask) -> Sampled:
    planes = inside.reshape(-1, PLANES_A_SLICE, *inside.shape[1:])
    return Sampled(start=start, cover=planes.sum(axis=1, dtype=np.uint8))
