"""The signal of a disc against its neighbours'."""

import numpy as np
import pytest
from measure.shapes import BODY, DISC, box, measured, part, raster, sagittal

from node.domain.findings import Quantity

MEAN, MEDIAN = Quantity.T2_RATIO_MEAN, Quantity.T2_RATIO_MEDIAN
PARTS = [part(1, level="C5"), part(2, DISC, "C5"), part(3, level="C6")]
SHAPES = [box().moved(s=-9.5), box(16, 5.5), box().moved(s=9.5)]


def scene(pixel=0.6, spacing=4.0, shapes=SHAPES):
    grid = sagittal((28, 44, 36), (spacing, pixel, pixel), lean=5, roll=3)
    return raster(shapes, grid), grid


def ratios(labels, grid, voxels, parts=PARTS):
    found = measured(labels, parts, grid, voxels).by_label[2]
    return {quantity: found[quantity] for quantity in (MEAN, MEDIAN) if quantity in found}


@pytest.mark.parametrize("pixel", [0.43, 0.6, 0.9])
def test_the_ratio_is_the_disc_s_signal_over_its_neighbours(pixel):
    labels, grid = scene(pixel)
    voxels = np.array([10, 80, 120, 160])[labels].astype(np.int16)
    assert ratios(labels, grid, voxels) == pytest.approx({MEAN: 1.0, MEDIAN: 1.0})
    assert ratios(labels, grid, voxels.astype(np.float32) * 7.5) == pytest.approx({MEAN: 1.0, MEDIAN: 1.0})


def test_mean_and_median_are_those_of_the_middle_of_the_disc():
    labels, grid = scene()
    rng = np.random.default_rng(3)
    voxels = np.where(labels == 2, np.where(rng.random(grid.shape) < 0.25, 400.0, 100.0), 100.0)
    found = ratios(labels, grid, voxels)
    # a quarter of 4 and three quarters of 1
    assert found[MEAN] == pytest.approx(1.75, abs=0.2)
    assert found[MEDIAN] == 1.0


def test_the_rim_of_the_disc_and_of_its_neighbours_does_not_count():
    labels, grid = scene()
    inner = raster([box(15.1, 12.1).moved(s=-9.5), box(15.1, 4.6), box(15.1, 12.1).moved(s=9.5)], grid)
    voxels = np.where(inner > 0, np.array([0, 100, 150, 100])[labels], 9999).astype(np.int16)
    assert ratios(labels, grid, voxels) == pytest.approx({MEAN: 1.5, MEDIAN: 1.5})


def test_a_coil_that_falls_off_toward_the_feet_cancels():
    labels, grid = scene()
    down = -grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 2]
    voxels = np.array([0, 100, 130, 100])[labels] * (1 - 0.02 * down)
    assert ratios(labels, grid, voxels) == pytest.approx({MEAN: 1.3, MEDIAN: 1.3}, abs=0.01)


def test_only_the_middle_from_left_to_right_counts():
    labels, grid = scene(spacing=3.3)
    left = np.abs(grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 0])
    voxels = np.where(left > 7.0, 5000, np.array([0, 100, 120, 100])[labels])
    assert ratios(labels, grid, voxels) == pytest.approx({MEAN: 1.2, MEDIAN: 1.2})


def test_marrow_far_from_the_disc_does_not_count():
    shapes = [box(16, 34).moved(s=-20), *SHAPES[1:]]
    labels, grid = scene(shapes=shapes)
    voxels = np.array([0, 100, 120, 100])[labels].astype(float)
    down = -grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 2]
    voxels[(labels == 1) & (down < -21)] = 900
    parts = [part(1, level="C2"), part(2, DISC, "C2"), part(3, level="C3")]
    assert ratios(labels, grid, voxels, parts) == pytest.approx({MEAN: 1.2, MEDIAN: 1.2})


@pytest.mark.parametrize("parts", [PARTS[1:], PARTS[:2], [PARTS[0], part(4, DISC, "C4"), *PARTS[1:]]])
def test_a_disc_that_lacks_a_neighbour_has_no_ratio(parts):
    labels, grid = scene()
    assert ratios(labels, grid, np.full(grid.shape, 100), parts) == {}


def test_a_neighbour_that_the_field_of_view_cuts_still_serves():
    labels, grid = scene()
    parts = [*PARTS[:2], part(3, BODY, "C6", truncated=True)]
    voxels = np.array([10, 80, 120, 160])[labels]
    assert ratios(labels, grid, voxels, parts) == pytest.approx({MEAN: 1.0, MEDIAN: 1.0})


@pytest.mark.parametrize("value", [0.0, -5.0, np.nan, np.inf])
def test_marrow_without_signal_gives_no_ratio(value):
    labels, grid = scene()
    assert ratios(labels, grid, np.where(labels == 2, 100.0, value)) == {}


def test_a_thin_disc_is_read_without_its_outermost_voxels_or_not_at_all():
    thin = [SHAPES[0].moved(s=1.9), box(16, 1.6), SHAPES[2].moved(s=-1.9)]
    labels, grid = scene(0.43, shapes=thin)
    voxels = np.array([10, 80, 120, 160])[labels]
    assert ratios(labels, grid, voxels) == pytest.approx({MEAN: 1.0, MEDIAN: 1.0})
    thinner = [SHAPES[0].moved(s=2.3), box(16, 0.8), SHAPES[2].moved(s=-2.3)]
    labels, grid = scene(0.43, shapes=thinner)
    assert ratios(labels, grid, np.array([10, 80, 120, 160])[labels]) == {}
