"""Heights, depths and angles against shapes whose size is known."""

import numpy as np
import pytest
from measure.shapes import (
    BODY,
    DISC,
    Lens,
    Prism,
    Rounded,
    Union,
    alone,
    box,
    measured,
    part,
    raster,
    sagittal,
    standing,
)

from node.domain.findings import Quantity

PLACES = [(-0.8, 0.1, 0.3), (0.5, -0.4, 0.9), (0.2, 0.7, -0.6), (1.1, -0.9, 0.0)]
#: Degrees against the rows; a structure that lies along them is tested apart.
TILTS = [-19.0, -11.0, -6.0, 4.0, 17.0]
#: Half of a 10-degree wedge over half of a depth of 16 mm raises the front and lowers the back by 0.7 mm, twice.
WEDGED = {
    Quantity.HEIGHT_ANTERIOR: 14.4,
    Quantity.HEIGHT_MIDDLE: 13.0,
    Quantity.HEIGHT_POSTERIOR: 11.6,
    Quantity.DEPTH: 16.0,
}
PLAIN = {
    Quantity.HEIGHT_ANTERIOR: 13.0,
    Quantity.HEIGHT_MIDDLE: 13.0,
    Quantity.HEIGHT_POSTERIOR: 13.0,
    Quantity.DEPTH: 16.0,
}
BODIES = {
    "box": (lambda tilt: box().moved(degrees=tilt), PLAIN),
    "sheared": (lambda tilt: box(shear=12).moved(degrees=tilt), PLAIN),
    "wedged": (lambda tilt: box(wedge=10).moved(degrees=tilt), WEDGED),
    "round corners": (lambda tilt: Rounded(16, 13, 2.0, tilt), PLAIN),
    "hollow": (
        lambda tilt: box(sag_lower=1.5, sag_upper=0.5).moved(degrees=tilt),
        {**PLAIN, Quantity.HEIGHT_MIDDLE: 11.0},
    ),
}
MM = (Quantity.HEIGHT_ANTERIOR, Quantity.HEIGHT_MIDDLE, Quantity.HEIGHT_POSTERIOR, Quantity.DEPTH)


def runs(make, spacing, kind=BODY, tilts=TILTS):
    return [
        alone(make(tilt), spacing, kind, shift=place, roll=roll)
        for tilt in tilts
        for place, roll in zip(PLACES, (3.0, -4.0, 5.0, -2.5), strict=True)
    ]


def errors(found, truth):
    return {quantity: np.array([one[quantity] - value for one in found]) for quantity, value in truth.items()}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize(
    ("pixel", "mean_mm", "worst_mm"), [(0.9, 0.36, 1.2), (0.6, 0.18, 0.5), (0.3, 0.12, 0.35)], ids=["0.9", "0.6", "0.3"]
)
def test_heights_and_depth_of_a_body_are_finer_than_a_pixel(name, pixel, mean_mm, worst_mm):
    make, truth = BODIES[name]
    if name == "hollow":
        # a hollow of 0.5 mm is hardly told from a straight line by pixels of its size
        mean_mm, worst_mm = {0.9: (0.75, 1.1), 0.6: (0.27, 0.6), 0.3: (0.12, 0.35)}[pixel]
    for quantity, error in errors(runs(make, (4.0, pixel, pixel)), truth).items():
        assert np.sqrt((error**2).mean()) < mean_mm, quantity
        assert np.abs(error).max() < worst_mm, quantity


@pytest.mark.parametrize("name", BODIES)
def test_a_wedge_angle_is_right_to_a_degree_and_a_half(name):
    make, _ = BODIES[name]
    truth = {Quantity.WEDGE_ANGLE: 10.0 if name == "wedged" else 0.0}
    error = errors(runs(make, (4.0, 0.6, 0.6)), truth)[Quantity.WEDGE_ANGLE]
    assert np.sqrt((error**2).mean()) < 0.75
    assert np.abs(error).max() < 1.5


@pytest.mark.parametrize("wedge", [-8.0, 0.0, 6.0])
def test_a_wedge_angle_is_positive_where_the_front_is_higher(wedge):
    found = alone(box(wedge=wedge).moved(degrees=9), (1.0, 0.3, 0.3), roll=3)
    assert found[Quantity.WEDGE_ANGLE] == pytest.approx(wedge, abs=0.5)
    assert found[Quantity.HEIGHT_ANTERIOR] - found[Quantity.HEIGHT_POSTERIOR] == pytest.approx(0.28 * wedge, abs=0.2)


def test_a_body_along_the_rows_is_right_to_the_pixels_it_fills():
    for place in PLACES:
        found = alone(box(), (4.0, 0.6, 0.6), shift=place)
        assert found[Quantity.HEIGHT_MIDDLE] == pytest.approx(13.0, abs=0.6)
        assert found[Quantity.DEPTH] == pytest.approx(16.0, abs=0.6)
        assert found[Quantity.WEDGE_ANGLE] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(("pixel", "worst_mm"), [(0.9, 0.95), (0.6, 0.65), (0.3, 0.33)])
def test_a_disc_shaped_like_a_lens_is_measured_within_a_pixel(pixel, worst_mm):
    # a lens of 5 mm is 5 * (1 - 0.8 ** 2) mm thick at a tenth of its depth; its depth ends where pixels cannot follow
    truth = {Quantity.HEIGHT_ANTERIOR: 1.8, Quantity.HEIGHT_MIDDLE: 5.0, Quantity.HEIGHT_POSTERIOR: 1.8}
    found = runs(lambda tilt: Lens(18, 5, degrees=tilt), (4.0, pixel, pixel), DISC)
    for quantity, error in errors(found, truth).items():
        assert np.abs(error).max() < worst_mm, quantity
    assert np.abs(errors(found, {Quantity.DEPTH: 18.0})[Quantity.DEPTH]).max() < 2.1 * pixel


@pytest.mark.parametrize(("pixel", "worst_mm"), [(0.9, 0.6), (0.6, 0.35), (0.3, 0.15)])
@pytest.mark.parametrize(("height", "outer"), [(3.0, 3.0), (5.0, 4.86)])
def test_a_disc_with_round_ends_is_finer_than_a_pixel(height, outer, pixel, worst_mm):
    found = runs(lambda tilt: Rounded(17, height, 0.45 * height, tilt), (4.0, pixel, pixel), DISC)
    truth = {Quantity.HEIGHT_ANTERIOR: outer, Quantity.HEIGHT_MIDDLE: height, Quantity.HEIGHT_POSTERIOR: outer}
    for quantity, error in errors(found, truth).items():
        assert np.abs(error).max() < worst_mm, quantity
    assert np.abs(errors(found, {Quantity.DEPTH: 17.0})[Quantity.DEPTH]).max() < 1.25 * pixel


def test_the_height_index_is_the_mean_of_the_outer_heights_over_the_depth():
    found = alone(box(depth=18, height=4.5, wedge=4).moved(degrees=7), (1.0, 0.3, 0.3), DISC, roll=3)
    # 18 mm * 0.8 * tan(2 degrees) lie between the outer heights and the middle, one more, one less
    assert found[Quantity.HEIGHT_ANTERIOR] == pytest.approx(5.0, abs=0.1)
    assert found[Quantity.HEIGHT_POSTERIOR] == pytest.approx(4.0, abs=0.1)
    assert found[Quantity.DISC_HEIGHT_INDEX] == pytest.approx(0.25, abs=0.01)


def test_what_bulges_beyond_the_rims_does_not_count_as_the_disc_s_depth():
    hernia = Prism(np.array([[7, -1.5], [12, -1.5], [12, 1.5], [7, 1.5]]))
    disc = Union((box(16, 5), hernia))
    bodies = box().moved(s=-9.1), box().moved(s=9.1)
    grid = sagittal((20, 44, 40), (3.3, 0.5, 0.5), roll=3, lean=6)
    labels = raster([bodies[0], disc, bodies[1]], grid)
    parts = [part(1, level="C5"), part(2, DISC, "C5"), part(3, level="C6")]
    between = measured(labels, parts, grid).by_label[2]
    assert between[Quantity.DEPTH] == pytest.approx(16.0, abs=0.5)
    assert between[Quantity.HEIGHT_POSTERIOR] == pytest.approx(5.0, abs=0.25)
    by_itself = alone(disc, (3.3, 0.5, 0.5), DISC, roll=3)
    assert by_itself[Quantity.DEPTH] == pytest.approx(20.0, abs=0.5)


LIP = Prism(np.array([[-10, 5.2], [-7, 5.2], [-7, 7.4], [-10, 7.4]]))


@pytest.mark.parametrize("tilt", [-14.0, 5.0])
def test_an_osteophyte_at_a_corner_moves_no_endplate(tilt):
    grid = sagittal((20, 40, 40), (3.3, 0.6, 0.6), roll=3, lean=-tilt)
    plain, lipped = (standing(raster([shape], grid), grid) for shape in (box(), with_lip()))
    for quantity in MM:
        assert lipped[quantity] == pytest.approx(plain[quantity], abs=0.3)


def with_lip():
    return Union((box(), LIP))


@pytest.mark.parametrize("seed", range(6))
def test_ragged_edges_and_holes_cost_less_than_a_pixel(seed):
    rng = np.random.default_rng(seed)
    grid = sagittal((20, 40, 40), (3.3, 0.6, 0.6), roll=3, lean=7)
    labels = raster([box()], grid)
    inner = raster([box(15.5, 12.5)], grid) == 1
    outer = raster([box(16.5, 13.5)], grid) == 1
    rim = outer & ~inner
    labels[rim] = rng.random(np.count_nonzero(rim)) < 0.5
    labels[inner & (rng.random(grid.shape) < 0.08)] = 0
    found = standing(labels, grid)
    for quantity, value in PLAIN.items():
        assert found[quantity] == pytest.approx(value, abs=0.5)


@pytest.mark.parametrize("pixel", [0.4, 0.6, 0.9])
def test_a_millimetre_more_or_less_is_noticed(pixel):
    first = alone(box(16, 13).moved(degrees=6), (4.0, pixel, pixel), roll=3)
    higher = alone(box(16, 14).moved(degrees=6), (4.0, pixel, pixel), roll=3)
    deeper = alone(box(17, 13).moved(degrees=6), (4.0, pixel, pixel), roll=3)
    for quantity in MM[:3]:
        assert higher[quantity] - first[quantity] == pytest.approx(1.0, abs=0.4)
        assert deeper[quantity] - first[quantity] == pytest.approx(0.0, abs=0.4)
    assert deeper[Quantity.DEPTH] - first[Quantity.DEPTH] == pytest.approx(1.0, abs=0.4)
    assert higher[Quantity.DEPTH] - first[Quantity.DEPTH] == pytest.approx(0.0, abs=0.4)


def test_isotropic_voxels_are_measured_as_well():
    found = alone(box(wedge=6).moved(degrees=8), (1.0, 1.0, 1.0), roll=4)
    # tan(3 degrees) * 16 mm is 0.8 mm
    for quantity, value in zip(MM, (13.8, 13.0, 12.2, 16.0), strict=True):
        assert found[quantity] == pytest.approx(value, abs=0.5)
