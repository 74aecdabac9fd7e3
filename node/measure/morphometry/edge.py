"""A side of an outline: a line or parabola fitted to places of a border, few of which may lie far off."""

from dataclasses import dataclass

import numpy as np

from node.domain.geometry import FloatArray

CONSTANT, LINE, PARABOLA = 0, 1, 2
#: Tukey's biweight: a place this many standard deviations off counts nothing. 4.685 keeps 95 % of the efficiency of
#: least squares on normal errors (P. J. Huber, Robust Statistics, 1981).
_REJECTION = 4.685
_REWEIGHTINGS = 3
#: Keeps a fit to places that all lie on one spot solvable.
_RIDGE = tuple(1e-9 * np.eye(degree + 1) for degree in range(3))
#: A fit needs this share of the places that lie in its span.
_SUPPORT = 0.6
#: Standard deviation, in pixels, of a border that lies anywhere between two voxel centres: 1 / sqrt(12).
_QUANTISATION = 0.289


@dataclass(frozen=True, slots=True)
class Edge:
    """`y = c[0] + c[1] x + c[2] x^2`, mm."""

    degree: int
    c: tuple[float, float, float]

    def at(self, x: float) -> float:
        """Return y."""
        return self.c[0] + x * (self.c[1] + x * self.c[2])

    def slope(self, x: float) -> float:
        """Return dy/dx."""
        return self.c[1] + 2 * x * self.c[2]


def flat(y: float) -> Edge:
    """Return the edge that is `y` everywhere."""
    return Edge(CONSTANT, (y, 0.0, 0.0))


def fitted(
    points: FloatArray, start: Edge, span: tuple[float, float], gate_mm: float, degree: int, pixel_mm: float
) -> Edge | None:
    """Return the edge through those of `points`, float (n, 2) of x and y, whose x lies in `span`.

    Places farther than `gate_mm` from `start` do not count. None where too few are left, or where they cover too
    little of the span to tell where the edge runs.
    """
    x, y = points[:, 0], points[:, 1]
    within = (x > span[0]) & (x < span[1])
    x, y = x[within], y[within]
    near = np.abs(y - (start.c[0] + x * (start.c[1] + x * start.c[2]))) < gate_mm
    if np.count_nonzero(near) < max(3, _SUPPORT * len(x)):
        return None
    x, y = x[near], y[near]
    reach = float(np.ptp(x))
    if reach < 0.5 * (span[1] - span[0] - 2 * pixel_mm):
        return None
    distinct = len(np.unique(np.round(x / pixel_mm, 3)))
    degree = min(degree, max(0, (distinct - 1) // 2))
    centre, scale = float(x.mean()), max(reach / 2, pixel_mm)
    x = (x - centre) / scale
    solution, sigma = _solved(x, y, degree, pixel_mm)
    if degree == PARABOLA:
        bend = _sure(solution[2], sigma, distinct)
        solution = [*_solved(x, y - bend * x**2, LINE, pixel_mm)[0], bend]
    c = [*solution, 0.0, 0.0]
    c0, c1, c2 = c[0], c[1] / scale, c[2] / scale**2
    return Edge(degree, (c0 - c1 * centre + c2 * centre**2, c1 - 2 * c2 * centre, c2))


def _solved(x: FloatArray, y: FloatArray, degree: int, pixel_mm: float) -> tuple[list[float], float]:
    """Return a robust fit by reweighted least squares: coefficients, lowest first, and the spread of the places."""
    powers = np.stack([x**power for power in range(degree + 1)])
    weight = np.ones(len(y))
    solution: FloatArray = np.zeros(degree + 1)
    sigma = 0.0
    for _ in range(_REWEIGHTINGS):
        weighted = powers * weight
        solution = np.asarray(np.linalg.solve(weighted @ powers.T + _RIDGE[degree], weighted @ y), dtype=np.float64)
        off = np.abs(y - solution @ powers)
        # the median, without what `np.median` does besides
        median = float(np.partition(off, len(off) // 2)[len(off) // 2])
        sigma = max(1.4826 * median, _QUANTISATION * pixel_mm)
        weight = np.maximum(1 - (off / (_REJECTION * sigma)) ** 2, 0) ** 2
    return [float(value) for value in solution], sigma


def _sure(bend: float, sigma: float, distinct: int) -> float:
    """Return a bend drawn toward 0 as far as it may be the grid's doing: a straight edge must not end up crooked.

    Its standard deviation over n places, evenly spread from -1 to 1, is that of one place times sqrt(11.25 / n).
    """
    noise = 1.5 * sigma * float(np.sqrt(11.25 / distinct))
    return bend * max(0.0, 1 - (noise / max(abs(bend), 1e-12)) ** 2)


def across(plate: Edge, wall: Edge) -> FloatArray:
    """Return `(t, s)` where a plate, `s` of `t`, meets a wall, `t` of `s`."""
    t = wall.c[0]
    for _ in range(12):
        t = wall.at(plate.at(t))
    return np.array([t, plate.at(t)])
