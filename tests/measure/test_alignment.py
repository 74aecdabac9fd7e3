"""Slip and lordosis against stacks of bodies whose place and tilt are known."""

import numpy as np
import pytest
from measure.shapes import BODY, DISC, box, measured, part, raster, sagittal

from node.domain.findings import Quantity
from node.domain.geometry import turn

COBB, TANGENT = Quantity.LORDOSIS_COBB, Quantity.LORDOSIS_POSTERIOR_TANGENT
NAMES = ("C2", "C3", "C4", "C5", "C6", "C7", "T1")


def two(slip, degrees=6.0):
    """Two bodies, the upper one `slip` mm before the lower."""
    return [shape.moved(degrees=degrees) for shape in (box().moved(t=-slip, s=-9), box().moved(s=9))]


def slip_of(shapes, pixel=0.6, lean=0.0, shift=(0.0, 0.0, 0.0)):
    grid = sagittal((20, 46, 40), (4.0, pixel, pixel), roll=3, lean=lean, shift=shift)
    (pair,) = measured(raster(shapes, grid), [part(1, level="C4"), part(2, level="C5")], grid).pairs
    assert (pair.upper, pair.lower) == (1, 2)
    return pair.measures[Quantity.SLIP]


@pytest.mark.parametrize("slip", [-4.0, -1.0, 0.0, 2.0, 5.0])
@pytest.mark.parametrize(("pixel", "worst_mm"), [(0.9, 0.8), (0.6, 0.3), (0.3, 0.2)])
def test_slip_is_finer_than_a_pixel_and_positive_toward_the_front(slip, pixel, worst_mm):
    for degrees, shift in ((-12, (0.3, 0.1, 0.2)), (5, (-0.4, 0.5, 0.8)), (14, (0.9, -0.3, -0.5))):
        assert slip_of(two(slip, degrees), pixel, shift=shift) == pytest.approx(slip, abs=worst_mm)


def test_slip_runs_along_the_lower_body_s_endplate_whatever_the_upper_body_s_tilt():
    tilted = box().moved(degrees=10)
    # its posterior-inferior corner goes to the lower body's posterior-superior corner and 3 mm up, 2 mm to the front
    shapes = [tilted.moved(*(np.array([6.0, -9.5]) - tilted.corners[2])), box()]
    assert slip_of([shape.moved(s=4, degrees=8) for shape in shapes]) == pytest.approx(2.0, abs=0.3)


def test_a_step_of_a_millimetre_is_noticed():
    assert slip_of(two(1.0)) - slip_of(two(0.0)) == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize(
    ("levels", "discs", "pairs"),
    [
        (("C4", "C5"), 1, 1),
        (("C4", "C5"), 0, 1),
        (("C4", "C6"), 1, 0),
        ((None, None), 1, 1),
        ((None, "C5"), 2, 0),
        ((("C3", "C4"), "C5"), 1, 1),
        (("C4", ("C5", "C6")), 1, 1),
    ],
)
def test_only_neighbours_are_a_pair(levels, discs, pairs):
    grid = sagittal((20, 46, 40), (4.0, 0.6, 0.6))
    named = [(level, None) if level is None or isinstance(level, str) else level for level in levels]
    labels = raster(two(0.0), grid)
    parts = [part(1, BODY, *named[0]), *[part(3 + n, DISC, None) for n in range(discs)], part(2, BODY, *named[1])]
    assert len(measured(labels, parts, grid).pairs) == pairs


def stack(lordosis, pixel=0.6, square=90.0):
    """C2 to T1 along a circle, each turned by an equal share; `square`: from endplate to back wall, degrees.

    Positive `lordosis`: from C2's to C7's lower endplate, the necks bows to the front.
    """
    step = lordosis / 5
    shapes, at, direction = [], np.array([0.0, -55.0]), lordosis / 2
    for number, name in enumerate(NAMES):
        # down, turned so that what points back points down by `direction`
        down = np.array([-np.sin(np.radians(direction)), np.cos(np.radians(direction))])
        if number:
            direction -= step
            turned = np.array([-np.sin(np.radians(direction)), np.cos(np.radians(direction))])
            at = at + 8.75 * down + 8.75 * turned
        height = 26.0 if name == "C2" else 13.0
        body = box(15, height, shear=90 - square).moved(s=(13.0 - height) / 2)
        shapes.append(body.moved(*at, degrees=direction))
    grid = sagittal((20, 150, 80), (4.0, pixel, pixel), roll=3, lean=4, shift=(0.2, 0.3, 0.4))
    return raster(shapes, grid), grid


def named(*skip, last=None):
    return [
        part(n, level=name, last=last if name == "C6" else None) for n, name in enumerate(NAMES, 1) if n not in skip
    ]


@pytest.mark.parametrize("lordosis", [-15.0, 0.0, 12.0, 35.0])
@pytest.mark.parametrize(("pixel", "worst_deg"), [(0.9, 4.0), (0.6, 1.5), (0.3, 0.8)])
def test_lordosis_is_positive_where_the_neck_is_hollow_toward_the_back(lordosis, pixel, worst_deg):
    labels, grid = stack(lordosis, pixel)
    found = measured(labels, named(), grid).curvature
    assert found[COBB] == pytest.approx(lordosis, abs=worst_deg)
    assert found[TANGENT] == pytest.approx(lordosis, abs=worst_deg)


def test_the_curve_bows_to_the_front_when_lordosis_is_positive():
    labels, grid = stack(35.0)
    backs = [grid.to_lps_mm(np.argwhere(labels == label).mean(axis=0))[1] for label in (1, 4, 7)]
    assert backs[1] < min(backs[0], backs[2])


def test_walls_that_lean_on_their_endplates_change_neither_angle():
    labels, grid = stack(20.0, square=83.0)
    found = measured(labels, named(), grid).curvature
    assert found[COBB] == pytest.approx(20.0, abs=1.5)
    assert found[TANGENT] == pytest.approx(20.0, abs=1.5)


@pytest.mark.parametrize("orientation", ["LIP", "RSA", "PSL", "IAR"])
def test_the_orientation_of_the_array_changes_no_angle(orientation):
    labels, grid = stack(20.0)
    turned, other = turn(labels, grid, orientation)
    found = measured(turned.astype(np.uint16), named(), other).curvature
    assert found == pytest.approx(measured(labels, named(), grid).curvature, abs=1e-6)


def test_a_block_that_ends_at_c7_has_its_endplate_and_not_its_wall():
    labels, grid = stack(20.0)
    bridged = labels.copy()
    bridged[labels == 6] = 5
    parts = named(6, last="C7")
    found = measured(bridged, parts, grid).curvature
    assert set(found) == {COBB}
    assert found[COBB] == pytest.approx(20.0, abs=1.5)


@pytest.mark.parametrize("change", ["no C2", "no C7", "C2 unnamed", "C7 cut", "C2 and C3 a block"])
def test_without_both_ends_there_is_no_angle(change):
    labels, grid = stack(20.0)
    parts = {
        "no C2": named(1),
        "no C7": named(6),
        "C2 unnamed": [part(1, level=None), *named(1)],
        "C7 cut": [*named(6, 7), part(6, level="C7", truncated=True), *named(1, 2, 3, 4, 5, 6)],
        "C2 and C3 a block": [part(1, level="C2", last="C3"), *named(1, 2)],
    }[change]
    assert measured(labels, parts, grid).curvature == {}


def test_a_head_bent_to_the_side_does_not_count():
    labels, grid = stack(20.0)
    affine = grid.affine.copy()
    angle = np.radians(12)
    affine[:3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]] @ affine[:3]
    leaning = type(grid)(shape=grid.shape, affine=affine)
    found = measured(labels, named(), leaning).curvature
    assert found[COBB] == pytest.approx(20.0, abs=1.5)
