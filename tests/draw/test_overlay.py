"""The picture: upright, face to the left, structures in their colours."""

import io
from dataclasses import replace

import numpy as np
import pytest
from findings_by_hand import C4, NAMELESS, findings
from PIL import Image

from node.domain.anatomy import StructureKind
from node.domain.findings import Findings, Structure
from node.domain.geometry import Grid, Volume, turn
from node.draw.overlay import overlay_png

#: Slices to the left, rows to the feet, columns to the back; 64 x 32 mm in plane.
SAGITTAL = np.array([[4.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
SHAPE = (7, 64, 32)
ORIENTATIONS = ["LIP", "RSA", "SPL", "AIR", "PRS", "ILA"]


def volume(voxels: np.ndarray, orientation: str = "LIP") -> Volume:
    voxels, grid = turn(voxels, Grid(shape=voxels.shape, affine=SAGITTAL), orientation)
    return Volume(grid=grid, voxels=voxels, sources=(), acquired_in_3d=False)


def structure(label: int, kind: StructureKind = StructureKind.VERTEBRAL_BODY) -> Structure:
    return replace(NAMELESS, label=label, kind=kind)


def drawn(item: Volume, found: Findings) -> np.ndarray:
    """Return the sheet as (rows, columns, RGB)."""
    picture = Image.open(io.BytesIO(overlay_png(item, found)))
    assert (picture.format, picture.mode) == ("PNG", "RGB")
    return np.asarray(picture).astype(int)


def tile(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    """Return one of the 2 x 3 tiles of 640 x 320 pixels, which lie 8 pixels apart."""
    top, left = 8 + row * 648, 8 + column * 328
    return sheet[top : top + 640, left : left + 320]


def corner(voxels: np.ndarray) -> np.ndarray:
    """Put a bright block at the head and front of every slice."""
    voxels[:, 4:16, 2:10] = 1000
    return voxels


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_what_lies_at_the_head_and_front_is_drawn_at_the_top_and_left(orientation):
    item = volume(corner(np.zeros(SHAPE, np.int16)), orientation)
    sheet = drawn(item, findings(np.zeros(item.grid.shape)))
    assert sheet.shape == (8 + 2 * 648, 8 + 3 * 328, 3)
    for row in (0, 1):
        for column in (0, 1, 2):
            bright = np.argwhere(tile(sheet, row, column)[30:].min(axis=-1) > 128)
            assert bright.mean(axis=0) == pytest.approx([70, 60], abs=3)
            assert np.ptp(bright, axis=0) == pytest.approx([120, 80], abs=4)


def test_what_is_meant_to_be_shown_white_at_its_lowest_is_drawn_so():
    item = volume(corner(np.zeros(SHAPE, np.int16)))
    found = findings(np.zeros(item.grid.shape))
    plain, turned = tile(drawn(item, found), 0, 1), tile(drawn(replace(item, lowest_is_white=True), found), 0, 1)
    assert plain[70, 60].tolist() == turned[600, 300].tolist() == [255] * 3
    assert plain[600, 300].tolist() == turned[70, 60].tolist() == [0] * 3


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_structures_are_tinted_below_and_not_above(orientation):
    labels = np.zeros(SHAPE, np.uint16)
    labels[3, 40:48, 20:28] = 1
    labels[3, 10:20, 4:12] = 2
    item = volume(np.zeros(SHAPE, np.int16) + np.arange(SHAPE[1], dtype=np.int16)[:, None], orientation)
    turned, _ = turn(labels, Grid(shape=SHAPE, affine=SAGITTAL), orientation)
    disc = structure(2, StructureKind.INTERVERTEBRAL_DISC)
    sheet = drawn(item, findings(turned, structure(1), disc))
    above, below = tile(sheet, 0, 1), tile(sheet, 1, 1)
    assert np.ptp(above[30:], axis=-1).max() == 0
    red, green, blue = below[440, 240]
    assert red > green > blue
    red, green, blue = below[150, 80]
    assert blue > green > red
    assert np.ptp(below[560, 100]) == 0


def test_the_slices_around_what_was_found_are_shown_and_numbered_from_the_right():
    labels = np.zeros(SHAPE, np.uint16)
    labels[5, 20:40, 10:20] = 1
    voxels = np.zeros(SHAPE, np.int16)
    for index in range(SHAPE[0]):
        voxels[index] = 10 * index
    sheet = drawn(volume(voxels), findings(labels, structure(1)))
    levels = [int(tile(sheet, 0, column)[600, 300, 0]) for column in range(3)]
    assert levels == pytest.approx([255 * index / 6 for index in (4, 5, 6)], abs=2)


@pytest.mark.parametrize("slices", [1, 2, 3, 7])
def test_a_volume_where_nothing_was_found_shows_its_middle(slices):
    item = volume(np.zeros((slices, 64, 32), np.int16))
    sheet = drawn(item, findings(np.zeros(item.grid.shape)))
    assert sheet.shape == (1304, 8 + min(slices, 3) * 328, 3)


def test_the_name_of_a_level_stands_in_front_of_its_structure_and_not_on_the_plain_image():
    labels = np.zeros(SHAPE, np.uint16)
    labels[3, 20:30, 16:24] = 1
    voxels = np.zeros(SHAPE, np.int16)
    voxels[:, 60:] = 100
    item = volume(voxels)
    named, nameless = (drawn(item, findings(labels, who)) for who in (C4, structure(1)))
    bare = drawn(item, findings(labels))
    written = np.argwhere((tile(named, 1, 1) != tile(bare, 1, 1)).any(axis=-1))
    front = written[written[:, 1] < 158]
    assert front[:, 0].mean() == pytest.approx(250, abs=4)
    assert 120 < front[:, 1].min() < front[:, 1].max() < 158
    assert (tile(named, 0, 1) == tile(bare, 0, 1)).all()
    assert (tile(named, 1, 1)[:, :158] != tile(nameless, 1, 1)[:, :158]).any()


def test_pixels_are_made_square():
    affine = SAGITTAL @ np.diag([1, 0.5, 2.0, 1])
    item = Volume(grid=Grid(shape=SHAPE, affine=affine), voxels=np.zeros(SHAPE), sources=(), acquired_in_3d=False)
    assert drawn(item, findings(np.zeros(SHAPE))).shape == (8 + 2 * (320 + 8), 8 + 3 * (640 + 8), 3)


def test_intensities_between_0_and_1_are_shown_in_full_contrast():
    voxels = np.zeros(SHAPE, np.float32)
    voxels[:, 20:40, 10:20] = 0.02
    shown = tile(drawn(volume(voxels), findings(np.zeros(SHAPE))), 0, 1)
    assert (int(shown[300, 150, 0]), int(shown[600, 300, 0])) == (255, 0)


def test_the_same_findings_give_the_same_bytes():
    item = volume(corner(np.zeros(SHAPE, np.int16)))
    assert overlay_png(item, findings(np.zeros(SHAPE))) == overlay_png(item, findings(np.zeros(SHAPE)))
