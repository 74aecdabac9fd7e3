"""Key images: what is burned in, which slices they show, and that nobody takes a rejected result for a good one."""

from dataclasses import replace

import numpy as np
import pytest
from findings_by_hand import C4, C4_C5, NAMELESS, doubtful, findings, quality

from node.domain.anatomy import VERTEBRAE, body, colour
from node.domain.findings import Doubt, Findings, Objection, Pair, Quantity, Verdict
from node.domain.geometry import Grid, Volume, turn
from node.draw.keyimage import key_pictures

#: Slices to the left, rows to the feet, columns to the back; 128 x 64 mm in plane.
SAGITTAL = np.array([[4.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
SHAPE = (7, 128, 64)
#: Of the image in a picture: below the words, in the middle of its 860 columns.
TOP, LEFT, HEIGHT, WIDTH = 84, 174, 1024, 512


def volume(orientation: str = "LIP") -> Volume:
    voxels, grid = turn(marked(), Grid(shape=SHAPE, affine=SAGITTAL), orientation)
    return Volume(grid=grid, voxels=voxels, sources=(), acquired_in_3d=False)


def marked() -> np.ndarray:
    """Return a bright block at the head and front of every slice."""
    voxels = np.zeros(SHAPE, np.int16)
    voxels[:, 8:24, 4:20] = 1000
    return voxels


def labels(orientation: str = "LIP") -> np.ndarray:
    found = np.zeros(SHAPE, np.uint16)
    found[3:6, 40:54, 28:44] = 1
    found[3:6, 54:59, 28:44] = 2
    found[3:6, 59:80, 28:44] = 3
    found[3:6, 80:86, 28:44] = 4
    return turn(found, Grid(shape=SHAPE, affine=SAGITTAL), orientation)[0]


def pictures(found: Findings, orientation: str = "LIP") -> list[np.ndarray]:
    return [picture.pixels.astype(int) for picture in key_pictures(volume(orientation), found)]


def image(picture: np.ndarray) -> np.ndarray:
    return picture[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH]


@pytest.mark.parametrize("orientation", ["LIP", "RSA", "SPL", "AIR", "PRS"])
def test_there_are_three_cuts_head_up_and_face_left_and_a_table(orientation: str) -> None:
    *cuts, table = pictures(doubtful(labels=labels(orientation)), orientation)
    assert [cut.shape for cut in cuts] == [(1148, 860, 3)] * 3
    assert table.shape == (1024, 1280, 3)
    for cut in cuts:
        bright = np.argwhere(image(cut)[:300].min(axis=-1) > 128)
        assert bright.mean(axis=0) == pytest.approx([128, 96], abs=4)
        assert np.ptp(bright, axis=0) == pytest.approx([128, 128], abs=6)


@pytest.mark.parametrize(
    ("orientation", "slices"),
    [
        ("LIP", [(3,), (4,), (5,), tuple(range(7))]),
        ("RIP", [(3,), (2,), (1,), tuple(range(7))]),
        ("PIL", [tuple(range(64))] * 4),
    ],
)
def test_a_picture_says_which_slices_it_shows(orientation: str, slices: list[tuple[int, ...]]) -> None:
    made = key_pictures(volume(orientation), doubtful(labels=labels(orientation)))
    assert [picture.slices for picture in made] == slices


def test_outlines_have_the_colours_of_the_levels_and_the_inside_stays_to_be_seen() -> None:
    *_, cut, _ = pictures(doubtful(labels=labels()))
    shown = image(cut)
    for structure, row in ((C4, 321), (C4_C5, 433), (NAMELESS, 641)):
        assert tuple(shown[row, 300]) == colour(structure.kind, structure.level)
    assert shown[380, 300].max() < 50


def test_the_same_level_has_the_same_colour_in_every_picture() -> None:
    for vertebra in VERTEBRAE[1:9]:
        *_, cut, _ = pictures(findings(labels(), replace(C4, level=body(vertebra))))
        assert tuple(image(cut)[321, 300]) == colour(C4.kind, body(vertebra))


def test_names_stand_in_front_and_never_on_one_another() -> None:
    flat = np.zeros(SHAPE, np.uint16)
    structures = [replace(C4, label=number, level=body(VERTEBRAE[number])) for number in range(1, 6)]
    for structure in structures:
        flat[3:6, 40 + 2 * structure.label : 42 + 2 * structure.label, 28:60] = structure.label
    *_, cut, _ = pictures(findings(flat, *structures))
    *_, bare, _ = pictures(findings(flat))
    written = (image(cut)[:, :220] != image(bare)[:, :220]).any(axis=(1, 2))
    starts = np.flatnonzero(np.diff(written.astype(int)) == 1)
    assert len(starts) == 5
    assert np.diff(starts).min() >= 26


def test_names_at_the_foot_of_the_picture_are_not_cut_off() -> None:
    low = np.zeros(SHAPE, np.uint16)
    structures = [replace(C4, label=number, level=body(VERTEBRAE[number])) for number in range(1, 4)]
    for structure in structures:
        low[3:6, 120 + 2 * structure.label : 122 + 2 * structure.label, 28:60] = structure.label
    *_, cut, _ = pictures(findings(low, *structures))
    written = (image(cut)[:, :220].max(axis=-1) > 128).any(axis=1)
    starts = np.flatnonzero(np.diff(written[900:].astype(int)) == 1)
    assert len(starts) == 3
    assert not written[-2:].any()


def test_a_rejected_result_is_one_picture_that_shows_no_measurement() -> None:
    rejected = doubtful(labels=labels(), verdict=Verdict.REJECT)
    [refusal] = pictures(rejected)
    assert refusal.shape == (1024, 1280, 3)
    [without] = pictures(replace(rejected, structures=(), missing=(), pairs=(), curvature={}, class_volume_mm3={}))
    assert (refusal == without).all()


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_picture_has_the_verdict_and_what_it_is_for_at_its_top(verdict: Verdict) -> None:
    others = {other: pictures(findings(labels(), C4, verdict=other)) for other in Verdict}
    for number, picture in enumerate(others[verdict]):
        band = picture[:TOP]
        assert np.ptp(band[:, :500], axis=(0, 1)).min() > 50, "RESEARCH USE"
        for other in set(Verdict) - {verdict}:
            theirs = others[other][min(number, len(others[other]) - 1)][:TOP]
            assert (band[:, -150:] != theirs[:, -150:]).any()


def test_a_long_neck_and_many_objections_make_a_higher_table() -> None:
    many = tuple(
        replace(C4, label=number, ordinal=number, level=body(VERTEBRAE[number % 20 + 1])) for number in range(1, 41)
    )
    objection = Objection(doubt=Doubt.SPECKS, verdict=Verdict.REVIEW, text="a long sentence " * 20)
    *_, table = pictures(findings(labels(), *many, quality=quality(Verdict.REVIEW, *[objection] * 5)))
    assert table.shape[0] > 1500
    assert table[-24:].max() == 0
    assert table[-100:-40].max() > 100
    assert table[:, -16:].max() <= 26


@pytest.mark.parametrize("slices", [1, 2])
def test_a_volume_of_few_slices_where_nothing_was_found_has_pictures(slices: int) -> None:
    item = volume()
    grid = Grid(shape=(slices, *SHAPE[1:]), affine=SAGITTAL)
    made = key_pictures(replace(item, voxels=item.voxels[:slices], grid=grid), findings(np.zeros(grid.shape)))
    assert [picture.slices for picture in made] == [*((index,) for index in range(slices)), tuple(range(slices))]


def test_letters_that_the_font_lacks_are_no_boxes() -> None:
    foreign = replace(findings(labels(), C4).algorithm, intended_use="Nur f\u00fcr Forschung \u2013 \u30c6\u30b9\u30c8")
    plain = replace(foreign, intended_use="Nur f?r Forschung ? ???")
    one, other = (pictures(findings(labels(), C4, algorithm=words))[-1] for words in (foreign, plain))
    assert (one == other).all()


def test_what_rounds_to_zero_has_no_sign() -> None:
    first, second = (
        pictures(
            findings(
                labels(),
                C4,
                pairs=(Pair(upper=1, lower=3, measures={Quantity.SLIP: sign * 0.04}),),
                curvature={Quantity.LORDOSIS_COBB: sign * 0.04},
            )
        )
        for sign in (1, -1)
    )
    assert (first[-1] == second[-1]).all()


def test_the_same_findings_give_the_same_pixels() -> None:
    first, second = (pictures(doubtful(labels=labels())) for _ in range(2))
    assert all((one == other).all() for one, other in zip(first, second, strict=True))
