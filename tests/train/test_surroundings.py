"""What is painted around the spine: in its place, inside the skin, other in every neck, the same by seed."""

from functools import cache

import numpy as np
import pytest

from node.train.acquisition.texture import Texture
from node.train.acquisition.tones import Tones
from node.train.anatomy.blobs import Album, Frame, Oval, Reach
from node.train.anatomy.neck import NeckPainter, draw_neck
from node.train.anatomy.plane import Map, Plane
from node.train.anatomy.spine import SpineField, draw_spine, field_of

ROWS, COLUMNS, PIXEL_MM = 210, 230, 1.2
TONES = Tones(
    marrow=1.0,
    cortex=0.2,
    ligament=0.2,
    annulus=0.4,
    nucleus=1.5,
    csf=4.0,
    cord=1.8,
    fat=2.5,
    muscle=0.5,
    soft=0.8,
    mucosa=1.6,
    vessel=0.1,
    air=0.02,
)
SEEDS = range(5)


@cache
def place(seed: int) -> tuple[SpineField, NeckPainter]:
    """A random neck on a picture of 252 x 276 mm, from the head to the chest."""
    rng = np.random.default_rng(seed)
    z = ((ROWS - 1) / 2 - np.arange(ROWS, dtype=np.float32)) * np.float32(PIXEL_MM)
    y = (np.arange(COLUMNS, dtype=np.float32) - np.float32(0.5 * COLUMNS)) * np.float32(PIXEL_MM)
    plane_y, plane_z = np.broadcast_arrays(y[None, :], z[:, None])
    field = field_of(draw_spine(rng), plane_y, plane_z, 45.0)
    return field, NeckPainter(draw_neck(rng), field, TONES)


@cache
def painted(seed: int, lateral_mm: float) -> Map:
    field, neck = place(seed)
    rng = np.random.default_rng(seed)
    plane = Plane(
        picture=np.full((ROWS, COLUMNS), TONES.air, dtype=np.float32),
        r=np.float32(lateral_mm) - field.drift,
        grain=Texture(rng, field.s, field.t, (2.6, 2.6)).at(0.5),
        streaks=Texture(rng, field.s, field.t, (16.0, 4.5)).at(0.5),
        pixel_mm=PIXEL_MM,
    )
    neck.soft_tissue(plane, lateral_mm)
    neck.head(plane)
    neck.throat(plane)
    neck.chest(plane, lateral_mm)
    neck.brain(plane)
    return plane.picture


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("lateral_mm", [0.0, 12.0, -28.0])
def test_every_plane_is_finite_and_of_single_precision(seed: int, lateral_mm: float) -> None:
    picture = painted(seed, lateral_mm)
    assert picture.dtype == np.float32
    assert np.isfinite(picture).all()
    assert picture.min() >= 0.0


def test_the_same_seed_gives_the_same_neck_and_another_seed_another() -> None:
    first = painted(3, 8.0)
    place.cache_clear()
    painted.cache_clear()
    assert np.array_equal(first, painted(3, 8.0))
    assert not np.array_equal(first, painted(4, 8.0))


def test_the_two_sides_of_a_neck_differ() -> None:
    assert not np.array_equal(painted(2, 28.0), painted(2, -28.0))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("lateral_mm", [0.0, 30.0])
def test_the_spine_lies_well_inside_the_skin_and_the_front_of_the_picture_in_air(seed: int, lateral_mm: float) -> None:
    field, neck = place(seed)
    inside = neck.skin(lateral_mm)
    bodies = (np.abs(field.t) < 8.0) & (field.s > -30.0) & (field.s < 150.0)
    assert inside[bodies].min() > 12.0
    assert inside[(np.abs(field.t) > 200.0) & (field.s < 60.0)].max(initial=-1.0) < 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_no_air_is_painted_where_the_bodies_of_the_neck_stand(seed: int) -> None:
    field, _ = place(seed)
    bodies = (np.abs(field.t) < 0.8 * field.depth) & (field.s > 0.0) & (field.s < 90.0)
    assert np.mean(painted(seed, 0.0)[bodies] < 2 * TONES.air) < 0.01


def test_most_necks_have_a_dark_airway_before_the_spine() -> None:
    found = []
    for seed in SEEDS:
        field, _ = place(seed)
        before = (field.t < -8.0) & (field.t > -45.0) & (field.s > 50.0) & (field.s < 90.0)
        found.append(painted(seed, 0.0)[before].min() < 0.5 * TONES.muscle)
    assert sum(found) >= len(found) - 1


@pytest.mark.parametrize("seed", SEEDS)
def test_fat_under_the_skin_of_the_nape_is_brighter_than_the_muscle_below(seed: int) -> None:
    field, neck = place(seed)
    inside, picture = neck.skin(28.0), painted(seed, 28.0)
    nape = (field.t > 25.0) & (field.s > 20.0) & (field.s < 90.0)
    fat = np.median(picture[nape & (inside > 2.5) & (inside < 4.0)])
    assert fat > 1.3 * np.median(picture[nape & (inside > 12.0)])


def frame(seed: int = 1) -> tuple[SpineField, Frame]:
    field, _ = place(seed)
    return field, Frame(field, 35.0, np.random.default_rng(seed))


def test_a_frame_continues_the_spine_coordinates() -> None:
    field, fitted = frame()
    u, w = fitted.whole()
    near = (np.abs(field.s - 35.0) < 8.0) & (np.abs(field.t) < 8.0)
    assert np.abs(u + field.t)[near].max() < 6.0
    assert np.abs(w + field.s - 35.0)[near].max() < 6.0


def test_a_window_holds_its_structure_and_is_none_outside_the_picture() -> None:
    _, fitted = frame()
    window = fitted.window(20.0, 5.0, 12.0)
    assert window is not None
    u, w = fitted.coordinates(window)
    away = np.hypot(u - 20.0, w - 5.0)
    assert away.min() < PIXEL_MM
    whole_u, whole_w = fitted.whole()
    assert (np.hypot(whole_u - 20.0, whole_w - 5.0) < 11.0).sum() == (away < 11.0).sum()
    assert fitted.window(900.0, 0.0, 20.0) is None


@pytest.mark.parametrize("power", [2.0, 4.0])
def test_an_oval_has_the_area_of_its_formula(power: float) -> None:
    u, w = np.meshgrid(np.arange(-30.0, 30.0, 0.25), np.arange(-30.0, 30.0, 0.25))
    inside = Oval(u=1.0, w=-2.0, half_u=12.0, half_w=6.0, turn_deg=30.0, power=power).inside(u, w)
    share = {2.0: np.pi / 4, 4.0: 0.927}[power]
    assert (inside > 0).sum() / 16 == pytest.approx(share * 24.0 * 12.0, rel=0.02)
    assert inside.max() == pytest.approx(6.0, abs=0.2)


def test_an_oval_with_a_positive_turn_lifts_its_front() -> None:
    bar = Oval(u=0.0, w=0.0, half_u=20.0, half_w=2.0, turn_deg=30.0)
    assert bar.inside(np.array([13.0, 13.0]), np.array([7.5, -7.5])).round(1).tolist()[0] > 0.0
    assert bar.inside(np.array([13.0]), np.array([-7.5]))[0] < 0.0


def test_a_structure_is_thick_at_its_middle_and_absent_beyond_its_reach() -> None:
    both, left = Reach(at=20.0, half=5.0), Reach(at=20.0, half=5.0, side=1)
    assert both.share(20.0) == both.share(-20.0) == left.share(20.0) == 1.0
    assert 0.0 < both.share(23.0) < 1.0
    assert both.share(26.0) == both.share(0.0) == left.share(-20.0) == 0.0


def test_a_bone_is_painted_only_in_its_window_and_reach() -> None:
    _, fitted = frame()
    album = Album(np.random.default_rng(0), TONES)
    album.bone(fitted, Oval(u=30.0, w=0.0, half_u=9.0, half_w=9.0), Reach(at=0.0, half=10.0))
    zero = np.zeros((ROWS, COLUMNS), dtype=np.float32)
    plane = Plane(picture=zero.copy(), r=zero, grain=zero, streaks=zero, pixel_mm=PIXEL_MM)
    for blob in album.blobs:
        blob.paint(plane, 11.0)
    assert not plane.picture.any()
    for blob in album.blobs:
        blob.paint(plane, 0.0)
    u, w = fitted.whole()
    away = np.hypot(u - 30.0, w)
    assert plane.picture[away < 5.0].min() > 0.2
    assert not plane.picture[away > 12.0].any()
