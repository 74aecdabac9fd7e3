"""How the generated pictures are taken: views as clinical series have them, coils, artefacts, noise, storage."""

import numpy as np
import pytest

from node.train.acquisition.artefacts import Ghost, add_ghosts, add_wrap, cut_corners, saturation, slice_steps
from node.train.acquisition.coil import draw_bias, draw_coil, sensitivity
from node.train.acquisition.framing import draw_framing
from node.train.acquisition.metal import Void, add_metal, draw_metal
from node.train.acquisition.scanner import Scanner, acquire
from node.train.acquisition.texture import Texture
from node.train.acquisition.tones import Tones, draw_tones
from node.train.anatomy.plane import Map
from node.train.anatomy.spine import draw_spine, field_of

QUIET = Scanner(
    acquired_mm=(0.5, 0.5), taper=0.0, blur_px=0.1, noise=0.0, flatten=0.0, curve=1.0, gain=100.0, masked=False
)


def grid(rows: int = 120, columns: int = 160, pixel_mm: float = 1.5) -> tuple[Map, Map]:
    """Return s, t of an upright spine in the middle of the picture, mm."""
    s, t = np.meshgrid(np.arange(rows) * pixel_mm - 30.0, (np.arange(columns) - columns / 2) * pixel_mm, indexing="ij")
    return s.astype(np.float32), t.astype(np.float32)


def test_views_are_those_of_clinical_series() -> None:
    views = [draw_framing(np.random.default_rng(seed), None, None) for seed in range(400)]
    heights = np.array([view.shape[1] * view.spacing_mm[1] for view in views])
    widths = np.array([view.shape[2] * view.spacing_mm[2] for view in views])
    assert heights.min() > 150.0
    assert heights.max() < 402.0
    assert 0.3 < (widths > 318.0).mean() < 0.5
    assert 0.1 < (widths < 226.0).mean() < 0.35
    assert all(11 <= view.shape[0] <= 25 for view in views)
    assert all(0.4 <= view.spacing_mm[1] <= 1.0 for view in views)


def test_the_top_row_lies_above_c2_in_it_or_below_it() -> None:
    views = [draw_framing(np.random.default_rng(seed), None, None) for seed in range(400)]
    top = np.array([view.anchor_s - view.shape[1] * view.spacing_mm[1] / 2 for view in views])
    bottom = np.array([view.anchor_s + view.shape[1] * view.spacing_mm[1] / 2 for view in views])
    assert (top < -48.0).mean() > 0.4
    assert ((top > -48.0) & (top < 0.0)).mean() > 0.15
    assert (top > 0.0).mean() > 0.03
    assert bottom.min() > 80.0


def test_a_view_is_as_asked_for() -> None:
    view = draw_framing(np.random.default_rng(0), (9, 200, 300), (4.0, 0.8, 0.7))
    assert view.shape == (9, 200, 300)
    assert view.spacing_mm == (4.0, 0.8, 0.7)


def test_most_tones_keep_the_order_of_t2() -> None:
    drawn = [draw_tones(np.random.default_rng(seed)) for seed in range(200)]
    assert np.mean([tones.csf > tones.cord >= tones.marrow > tones.cortex for tones in drawn]) > 0.7
    assert np.mean([tones.csf < tones.marrow for tones in drawn]) > 0.02
    assert all(isinstance(tones, Tones) and tones.air < 0.05 for tones in drawn)


@pytest.mark.parametrize("seed", range(8))
def test_a_coil_hears_the_skin_of_the_back_better_than_the_bodies(seed: int) -> None:
    s, t = grid()
    heard = sensitivity(draw_coil(np.random.default_rng(seed)), s, t)
    middle = heard[20:120, 80]
    assert middle.max() == pytest.approx(1.0, abs=0.02)
    assert heard[20:120, 80 + 43].max() > 1.2 * middle.max()
    assert (heard > 0.0).all()


def test_bias_is_smooth_and_about_one() -> None:
    bias = draw_bias(np.random.default_rng(3), (12, 50, 60))
    assert bias.shape == (12, 50, 60)
    assert 0.4 < bias.min() <= bias.max() < 2.5
    assert np.abs(np.diff(bias, axis=2)).max() < 0.05


def test_ghosts_are_faint_copies_of_what_moves() -> None:
    _, t = grid()
    picture = np.zeros((1, *t.shape), dtype=np.float32)
    picture[0, 50:60, 85:95] = 1.0
    ghost = Ghost(axis=1, moving_t=15.0, width_mm=10.0, shift=0.25, strength=0.1)
    add_ghosts(picture, t, [ghost])
    assert picture[0, 85, 90] == pytest.approx(0.1, abs=0.01)
    assert picture[0, 25, 90] == pytest.approx(0.1, abs=0.01)
    assert picture[0, 55, 90] == pytest.approx(1.0)


def test_wrap_adds_nothing_away_from_one_edge() -> None:
    picture = np.ones((2, 100, 100), dtype=np.float32)
    rng = np.random.default_rng(0)
    for _ in range(20):
        add_wrap(rng, picture)
    assert picture.max() > 1.0
    assert (picture[:, 20:80, 20:80] == 1.0).all()


def test_a_saturation_band_lies_in_front_of_the_spine() -> None:
    _, t = grid()
    bands = [saturation(np.random.default_rng(seed), t, 1.5) for seed in range(100)]
    factors = [band for band in bands if band is not None]
    assert 15 < len(factors) < 50
    for factor in factors:
        assert factor.min() < 0.65
        assert (factor[20:100, 80:] == 1.0).all()


def test_slices_differ_a_little_in_brightness() -> None:
    steps = slice_steps(np.random.default_rng(1), 15)
    assert steps.shape == (15, 1, 1)
    assert 0.0 < steps.std() < 0.2


def test_cut_corners_leave_the_middle() -> None:
    cuts = [cut_corners(np.random.default_rng(seed), (100, 200), wide=True) for seed in range(60)]
    empty = [cut for cut in cuts if cut is not None]
    assert len(empty) > 10
    assert all(cut.any() and not cut[15:85, 30:170].any() for cut in empty)


def test_metal_is_a_void_with_a_bright_rim() -> None:
    y, z = np.meshgrid(np.linspace(-40, 40, 81), np.linspace(60, -60, 121))
    field = field_of(draw_spine(np.random.default_rng(3)), y.astype(np.float32), z.astype(np.float32), 60.0)
    picture = np.ones(field.s.shape, dtype=np.float32)
    void = Void(s=60.0, t=0.0, r=0.0, half_s=8.0, half_t=6.0, half_r=5.0)
    add_metal(picture, np.zeros_like(picture), field, [void])
    assert picture[60, 40] < 0.01
    assert picture.max() > 1.3
    assert (picture[:30] > 0.99).all()


def test_one_phantom_in_twenty_five_has_metal() -> None:
    spine = draw_spine(np.random.default_rng(3))
    found = [bool(draw_metal(np.random.default_rng(seed), spine)) for seed in range(600)]
    assert 0.02 < np.mean(found) < 0.07


def test_a_texture_changes_from_side_to_side() -> None:
    s, t = grid()
    texture = Texture(np.random.default_rng(0), s, t, (2.6, 2.6))
    right, left = texture.at(0.0), texture.at(1.0)
    assert right.dtype == np.float32
    assert 0.5 < right.std() < 1.3
    assert abs(np.corrcoef(right.ravel(), left.ravel())[0, 1]) < 0.2


def acquired(scanner: Scanner, clean: Map, pixel_mm: float = 0.5) -> Map:
    heard = np.ones(clean.shape[1:], dtype=np.float32)
    return acquire(clean.copy(), heard, scanner, (pixel_mm, pixel_mm), np.random.default_rng(0))


def changed(**values: object) -> Scanner:
    return Scanner(**({name: getattr(QUIET, name) for name in QUIET.__slots__} | values))  # type: ignore[arg-type]


def test_a_quiet_scanner_stores_the_picture_times_its_gain() -> None:
    clean = np.random.default_rng(1).random((2, 40, 40), dtype=np.float32) + 0.5
    assert acquired(QUIET, clean) == pytest.approx(100.0 * clean, rel=1e-3)


def test_coarse_acquisition_rings_at_an_edge() -> None:
    clean = np.full((1, 64, 64), 1.0, dtype=np.float32)
    clean[:, :, 30:40] = 3.0
    sharp = acquired(changed(acquired_mm=(0.5, 1.2)), clean)[0, 32]
    soft = acquired(changed(acquired_mm=(0.5, 1.2), taper=0.6), clean)[0, 32]
    assert sharp[:28].min() < 90.0
    assert soft[:28].min() > sharp[:28].min()


def test_noise_is_rician_and_as_strong_as_said_also_where_k_space_is_cut() -> None:
    clean = np.full((4, 80, 80), 1.0, dtype=np.float32)
    for acquired_mm in ((0.5, 0.5), (1.0, 1.0)):
        noisy = acquired(changed(noise=0.1, acquired_mm=acquired_mm), clean)
        assert noisy.std() == pytest.approx(10.0, rel=0.15)
    air = acquired(changed(noise=0.1), np.zeros_like(clean))
    assert air.mean() == pytest.approx(12.5, rel=0.1)


def test_flattening_takes_the_coil_away_and_lets_the_noise_grow() -> None:
    heard = np.ones((60, 60), dtype=np.float32)
    heard[:, :30] = 0.25
    clean = np.broadcast_to(heard, (4, 60, 60)).copy()
    scanner = changed(noise=0.02, flatten=1.0)
    flat = acquire(clean, heard, scanner, (0.5, 0.5), np.random.default_rng(0))
    assert flat[:, :, 5:25].mean() == pytest.approx(flat[:, :, 35:55].mean(), rel=0.03)
    assert flat[:, :, 5:25].std() > 3 * flat[:, :, 35:55].std()


def test_masked_air_is_zero() -> None:
    clean = np.zeros((2, 40, 40), dtype=np.float32)
    clean[:, 10:30, 10:30] = 1.0
    stored = acquired(changed(noise=0.05, masked=True), clean)
    assert (stored[:, :5] == 0.0).all()
    assert (stored[:, 15:25, 15:25] > 0.0).all()
