"""The spine of the generator, painted plane by plane: sizes, fused blocks, slipped bodies, dens, uncinates, canal."""

from dataclasses import fields, replace
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from node.train.acquisition.tones import Tones
from node.train.anatomy.morphometry import BODY_DEPTH_MM, BODY_HEIGHT_MM, BODY_WIDTH_MM
from node.train.anatomy.plane import Map, Patch, Plane, rounded
from node.train.anatomy.spine import DiscPlanes, Spine, SpineField, draw_spine, field_of
from node.train.anatomy.vertebrae import SpinePainter

PIXEL_MM = 0.5
_T = TypeVar("_T", bound=np.generic)
TONES = Tones(
    **{field.name: 1.0 for field in fields(Tones)}
    | {"cortex": 0.1, "ligament": 0.1, "annulus": 0.3, "nucleus": 1.5, "csf": 5.0, "cord": 2.0, "fat": 3.0}
)


def plain(seed: int = 1) -> Spine:
    """A straight, upright spine of the nominal size with healthy discs."""
    spine = draw_spine(np.random.default_rng(seed))
    zero = np.zeros_like(spine.discs.centre_s)
    discs = replace(
        spine.discs,
        fused=zero > 0,
        slope=zero,
        wedge=zero,
        hernia_mm=zero,
        bulge_mm=zero,
        half_height=zero + 2.0,
        dome_mm=zero,
        dish_mm=zero,
        node_mm=zero,
        front_lip_mm=zero,
        back_lip_mm=zero,
        flavum_mm=zero,
        centre_s=17.0 * np.arange(zero.size, dtype=np.float64),
    )
    bodies = replace(spine.bodies, slip_mm=np.zeros(zero.size + 1), waist=np.zeros(zero.size + 1))
    return replace(
        spine,
        discs=discs,
        bodies=bodies,
        axis=replace(spine.axis, lean=0.0, tip_s=-38.0),
        lean_rad=np.zeros_like(spine.lean_rad),
        drift_mm=np.zeros_like(spine.drift_mm),
        size=1.0,
        canal_mm=14.0,
        cord_scale=1.0,
    )


def field_at(spine: Spine) -> SpineField:
    """The plane from 60 mm above to 100 mm below C2/C3, 40 mm before to 70 mm behind: s and t are rows and columns."""
    t, s = np.meshgrid(np.arange(-40.0, 70.0, PIXEL_MM), np.arange(-60.0, 100.0, PIXEL_MM))
    return field_of(spine, t.astype(np.float32), -s.astype(np.float32), anchor_s=0.0)


def painted(spine: Spine, r: float = 0.0) -> tuple[SpineField, Map, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return field, picture, and where bodies and discs are, `r` mm to the left."""
    field = field_at(spine)
    flat = np.zeros_like(field.s)
    plane = Plane(picture=flat.copy(), r=flat + np.float32(r), grain=flat, streaks=flat, pixel_mm=PIXEL_MM)
    painter = SpinePainter(np.random.default_rng(0), spine, field, TONES)
    for part in (painter.posterior, painter.canal, painter.pedicles, painter.atlas):
        part(plane)
    body, disc = painter.bodies(plane)
    return field, plane.picture, body >= 0.5, disc >= 0.5


def column(field: SpineField, picture: NDArray[_T]) -> NDArray[_T]:
    """The pixels down the middle of the spine."""
    return picture[:, int(np.argmin(np.abs(field.t[field.t.shape[0] // 2])))]


def depth_mm(field: SpineField, mask: NDArray[np.bool_], s: float) -> float:
    row = int(np.argmin(np.abs(field.s[:, field.s.shape[1] // 2] - s)))
    return float(mask[row].sum() * PIXEL_MM)


def test_a_body_is_as_deep_as_published() -> None:
    field, _, body, _ = painted(plain())
    assert depth_mm(field, body, 3 * 17.0 - 8.5) == pytest.approx(BODY_DEPTH_MM[3], abs=1.5)


def test_bodies_and_discs_share_the_way_from_disc_to_disc() -> None:
    """With discs every 17 mm and endplates that belong to the discs, a body is 11 to 13 mm high."""
    field, _, body, disc = painted(plain())
    between = (column(field, field.s > 17.0)) & (column(field, field.s < 34.0))
    high = (column(field, body) & between).sum() * PIXEL_MM
    assert 10.5 <= high <= 13.0
    assert high + (column(field, disc) & between).sum() * PIXEL_MM == pytest.approx(17.0, abs=0.6)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_beyond_its_published_half_width_a_body_ends_and_only_background_is_left(side: float) -> None:
    _, _, within, _ = painted(plain(), side * (BODY_WIDTH_MM[3] / 2 - 2.0))
    _, picture, body, disc = painted(plain(), side * (BODY_WIDTH_MM[8] / 2 + 6.0))
    assert within.sum() > 1000
    assert not body.any()
    assert not disc.any()
    assert (picture > 0).sum() > 2000  # pillars, pedicles, transverse processes


def test_behind_the_bodies_nothing_is_labelled() -> None:
    for seed in range(3):
        field, _, body, disc = painted(draw_spine(np.random.default_rng(seed)))
        assert not ((body | disc) & (field.t - field.shift > field.depth + 8.0)).any()


def test_a_fused_block_is_body_through_and_through_and_has_the_number_of_its_upper_body() -> None:
    spine = plain()
    fused = spine.discs.fused.copy()
    fused[2] = True
    joined = replace(spine, discs=replace(spine.discs, fused=fused))
    field, _, body, disc = painted(joined)
    inside = column(field, (field.s > 22.0) & (field.s < 46.0))
    assert column(field, body)[inside].all()
    assert not column(field, disc)[inside].any()
    numbers, discs = DiscPlanes(joined.discs, field).structures(np.zeros_like(field.s))
    found = np.unique(np.where(body, numbers, 0) + np.where(disc & ~body, discs, 0))
    assert found.tolist()[:8] == [0, 1, 2, 3, 4, 5, 8, 9]


def test_the_line_left_in_a_fused_block_is_darker_than_its_marrow() -> None:
    spine = plain()
    fused, remnant = spine.discs.fused.copy(), np.zeros_like(spine.discs.remnant)
    fused[2], remnant[2] = True, 0.8
    field, picture, _, _ = painted(replace(spine, discs=replace(spine.discs, fused=fused, remnant=remnant)))
    line = column(field, picture)
    s = column(field, field.s)
    assert line[np.argmin(np.abs(s - 34.0))] < 0.6 * line[np.argmin(np.abs(s - 28.0))]


def test_a_slipped_body_lies_further_back_than_its_neighbours() -> None:
    spine = plain()
    slip = spine.bodies.slip_mm.copy()
    slip[2] = 3.0
    field, _, body, _ = painted(replace(spine, bodies=replace(spine.bodies, slip_mm=slip)))
    own = (field.s > 20.0) & (field.s < 31.0)
    above = (field.s > 3.0) & (field.s < 14.0)
    assert field.t[body & own].mean() - field.t[body & above].mean() == pytest.approx(3.0, abs=0.4)


def test_c2_has_a_dens_narrower_than_its_body_and_no_disc_above_its_lower_endplate() -> None:
    field, _, body, disc = painted(plain())
    assert depth_mm(field, body, -30.0) < depth_mm(field, body, -8.0)
    assert field.s[body].min() == pytest.approx(-38.0, abs=1.2)
    assert field.s[disc].min() > -4.0
    _, _, beside, _ = painted(plain(), 7.5)
    assert depth_mm(field, beside, -8.0) > 8.0
    assert depth_mm(field, beside, -30.0) == 0.0


@pytest.mark.parametrize("strength", [-0.8, 0.7])
def test_the_old_growth_plate_of_c2_is_seen_and_labelled_body(strength: float) -> None:
    spine = plain()
    axis = replace(spine.axis, synchondrosis=strength, synchondrosis_s=-19.0, synchondrosis_mm=1.0)
    field, picture, body, disc = painted(replace(spine, axis=axis))
    s = column(field, field.s)
    line = column(field, picture)
    plate, marrow = line[np.argmin(np.abs(s + 19.0))], line[np.argmin(np.abs(s + 12.0))]
    assert (plate > 1.3 * marrow) == (strength > 0)
    assert (plate < 0.7 * marrow) == (strength < 0)
    assert column(field, body)[(s > -30.0) & (s < -5.0)].all()
    assert not disc[field.s < -5.0].any()


def test_uncinate_processes_rise_beside_the_disc() -> None:
    spine = plain()
    uncus = np.zeros_like(spine.discs.uncus_mm)
    uncus[2] = 4.0
    high = replace(spine, discs=replace(spine.discs, uncus_mm=uncus))
    tops = []
    for r in (0.0, 7.5):
        field, _, body, _ = painted(high, r)
        under = DiscPlanes(high.discs, field).below(np.full_like(field.s, r)) > 0
        own = column(field, body & under & (field.s > 28.0) & (field.s < 48.0))
        tops.append(column(field, field.s)[own].min())
    assert 1.0 < tops[0] - tops[1] < 6.0


def test_a_herniation_reaches_into_the_canal_on_its_side_only() -> None:
    spine = plain()
    hernia = np.zeros_like(spine.discs.hernia_mm)
    hernia[3] = 4.0
    sick = replace(spine, discs=replace(spine.discs, hernia_mm=hernia, hernia_r=np.zeros_like(hernia)))
    field, _, _, disc = painted(sick)
    _, _, _, beside = painted(sick, 8.0)
    reach = (field.t > field.depth + 2.0) & (np.abs(field.s - 51.0) < 4.0)
    assert (disc & reach).any()
    assert not (beside & reach).any()


def test_marrow_beside_a_worn_disc_may_be_bright_or_dark() -> None:
    spine = plain()
    modic = np.zeros_like(spine.discs.modic_below)
    modic[2] = 0.8
    field, picture, _, _ = painted(replace(spine, discs=replace(spine.discs, modic_below=modic)))
    s, line = column(field, field.s), column(field, picture)
    assert line[np.argmin(np.abs(s - 37.8))] > 1.2 * line[np.argmin(np.abs(s - 44.0))]


def test_the_cord_is_6_to_9_mm_deep_in_csf_behind_the_bodies() -> None:
    field, picture, _, _ = painted(plain())
    row = int(np.argmin(np.abs(field.s[:, field.s.shape[1] // 2] - 42.0)))
    sac = (field.t[row] > field.depth[row]) & (field.t[row] < field.depth[row] + 20.0)
    cord = sac & (np.abs(picture[row] - 2.0) < 0.6)
    csf = sac & (picture[row] > 3.5)
    assert 5.5 <= cord.sum() * PIXEL_MM <= 9.0
    assert csf.sum() * PIXEL_MM >= 3.0


def test_discs_lie_a_body_and_a_disc_apart_in_any_neck() -> None:
    """C3 to C7 are about 13 mm high; fused and compressed ones less."""
    for seed in range(60):
        spine = draw_spine(np.random.default_rng(seed))
        pitch = np.diff(spine.discs.centre_s[:6])
        assert (pitch > 8.5).all()
        assert (pitch < 26.0).all()
        assert np.median(pitch) > 0.8 * np.mean(BODY_HEIGHT_MM[:5])


def test_about_one_spine_in_nine_has_a_fused_block() -> None:
    fused = [draw_spine(np.random.default_rng(seed)).discs.fused.any() for seed in range(400)]
    assert 0.06 < np.mean(fused) < 0.17


def test_a_patch_brings_its_pixels_back_to_a_part_of_a_picture() -> None:
    whole = np.zeros((6, 8), dtype=np.float32)
    part = whole[1:4, 2:6]
    flat = np.zeros_like(part)
    plane = Plane(picture=part, r=flat, grain=flat, streaks=flat, pixel_mm=1.0)
    chosen = np.zeros(part.shape, dtype=np.bool_)
    chosen[0, 1] = chosen[2, 3] = True
    patch = Patch(chosen)
    packed = patch.pack(plane)
    packed.picture[:] = (5.0, 7.0)
    patch.unpack(packed, plane)
    assert (whole[1, 3], whole[3, 5], whole.sum()) == (5.0, 7.0, 12.0)
    assert patch.spread(packed.picture).tolist() == [[0, 5, 0, 0], [0, 0, 0, 0], [0, 0, 0, 7]]


def test_rounded_corners_keep_the_sides_and_lose_the_corner() -> None:
    one, other = np.array([5.0, 0.0, 0.2], np.float32), np.array([0.5, 3.0, 0.2], np.float32)
    assert rounded(one, other, 2.0).tolist() == pytest.approx([0.5, 0.0, 2.0 - 1.8 * 2**0.5])
