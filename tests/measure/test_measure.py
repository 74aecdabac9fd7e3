"""Structures and their measurements, against shapes whose volume is known."""

import math
from itertools import permutations, product

import numpy as np
import pytest
from oracle import ALGORITHM, RUN

from node.domain.anatomy import StructureKind
from node.domain.findings import Segmentation
from node.domain.geometry import Grid, turn
from node.measure.components import split
from node.measure.metrics import measure

BODY, DISC = StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC
ORIENTATIONS = [
    "".join(letters) for axes in permutations([("R", "L"), ("A", "P"), ("I", "S")]) for letters in product(*axes)
]


def segmentation(classes: np.ndarray) -> Segmentation:
    return Segmentation(
        classes=classes.astype(np.uint8),
        meanings={1: BODY, 2: DISC},
        member_agreement={BODY: 0.9, DISC: None},
        algorithm=ALGORITHM,
        run=RUN,
    )


def sagittal(shape: tuple[int, int, int], spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0)) -> Grid:
    """Slices to the left, rows to the feet, columns to the back."""
    affine = np.array(
        [
            [spacing[0], 0, 0, origin[0]],
            [0, 0, spacing[2], origin[1]],
            [0, -spacing[1], 0, origin[2]],
            [0, 0, 0, 1],
        ]
    )
    return Grid(shape=shape, affine=affine)


def ellipsoid(radii_mm, voxel_mm, centre_mm=(0.3, -0.2, 0.1)):
    """Return classes and a grid around an ellipsoid at `centre_mm` LPS with half axes `radii_mm` along L, P, S."""
    sizes = [
        2 * math.ceil((radius + 1) / size) + 1
        for radius, size in zip((radii_mm[0], radii_mm[2], radii_mm[1]), voxel_mm, strict=True)
    ]
    origin = [-(sizes[0] // 2) * voxel_mm[0], -(sizes[2] // 2) * voxel_mm[2], (sizes[1] // 2) * voxel_mm[1]]
    grid = sagittal(tuple(sizes), voxel_mm, origin)
    places = grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    inside = (((places - centre_mm) / radii_mm) ** 2).sum(axis=-1) <= 1
    return inside.astype(np.uint8), grid


@pytest.mark.parametrize("radii_mm", [(8.0, 8.0, 8.0), (9.0, 7.0, 5.0)], ids=["sphere", "ellipsoid"])
def test_the_error_of_a_volume_shrinks_with_the_voxels(radii_mm):
    truth = 4 / 3 * math.pi * math.prod(radii_mm)
    errors = []
    for size in (2.0, 1.0, 0.5):
        classes, grid = ellipsoid(radii_mm, (size, size, size))
        (found,) = measure(segmentation(classes), grid).structures
        errors.append(abs(found.volume_mm3 - truth) / truth)
        assert found.centroid_lps_mm == pytest.approx((0.3, -0.2, 0.1), abs=size / 4)
    assert errors[0] < 0.08
    assert errors[1] < 0.03
    assert errors[2] < 0.01


def test_thick_slices_are_measured_in_mm():
    classes, grid = ellipsoid((12.0, 8.0, 7.0), (3.3, 0.6, 0.7))
    (found,) = measure(segmentation(classes), grid).structures
    assert found.volume_mm3 == pytest.approx(4 / 3 * math.pi * 12 * 8 * 7, rel=0.03)
    assert found.centroid_lps_mm == pytest.approx((0.3, -0.2, 0.1), abs=0.4)


def test_the_volume_and_centroid_of_a_box_are_exact():
    classes = np.zeros((6, 30, 20), np.uint8)
    classes[1:5, 10:20, 5:13] = 1
    found = measure(segmentation(classes), sagittal((6, 30, 20), (3.0, 0.5, 0.75), (-9.0, 10.0, 100.0)))
    (box,) = found.structures
    assert box.volume_mm3 == pytest.approx(360.0, rel=1e-12)
    assert box.centroid_lps_mm == (-1.5, 16.375, 92.75)
    assert (box.label, box.kind, box.ordinal, box.level) == (1, BODY, 1, None)
    assert found.class_volume_mm3 == {BODY: box.volume_mm3, DISC: 0}
    assert found.labels.dtype == np.uint16
    assert np.array_equal(found.labels, classes)


def neck() -> np.ndarray:
    """Return three bodies and two discs between them, head first, (6, 70, 24) voxels of 1 mm3."""
    classes = np.zeros((6, 70, 24), np.uint8)
    for top in (2, 24, 46):
        classes[1:5, top : top + 16, 4:20] = 1
    for top in (18, 40):
        classes[1:5, top : top + 6, 4:20] = 2
    return classes


def test_structures_are_numbered_from_head_to_feet_and_within_their_kind():
    found = measure(segmentation(neck()), sagittal((6, 70, 24)))
    assert [(item.label, item.kind, item.ordinal) for item in found.structures] == [
        (1, BODY, 1),
        (2, DISC, 1),
        (3, BODY, 2),
        (4, DISC, 2),
        (5, BODY, 3),
    ]
    assert [item.centroid_lps_mm[2] for item in found.structures] == [-9.5, -20.5, -31.5, -42.5, -53.5]
    assert [item.volume_mm3 for item in found.structures] == [1024, 384, 1024, 384, 1024]
    assert found.class_volume_mm3 == {BODY: 3072, DISC: 768}
    assert found.quality.specks_mm3 == 0
    assert found.quality.member_agreement == {BODY: 0.9, DISC: None}
    assert found.algorithm is ALGORITHM


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_orientation_of_the_grid_changes_nothing(orientation):
    straight = measure(segmentation(neck()), sagittal((6, 70, 24), (3.0, 0.7, 0.6)))
    classes, grid = turn(neck(), sagittal((6, 70, 24), (3.0, 0.7, 0.6)), orientation)
    turned = measure(segmentation(classes), grid)
    for one, other in zip(straight.structures, turned.structures, strict=True):
        assert (one.label, one.kind, one.ordinal) == (other.label, other.kind, other.ordinal)
        assert one.volume_mm3 == pytest.approx(other.volume_mm3)
        assert one.centroid_lps_mm == pytest.approx(other.centroid_lps_mm, abs=1e-6)
    back, _ = turn(turned.labels, grid, "LIP")
    assert np.array_equal(back, straight.labels)


def test_specks_are_dropped_and_told():
    classes = neck()
    classes[0, 69, 0:3] = 1
    classes[0, 0, 0] = 2
    found = measure(segmentation(classes), sagittal((6, 70, 24)))
    assert len(found.structures) == 5
    assert found.quality.specks_mm3 == 4
    assert found.labels[0, 69, 0] == found.labels[0, 0, 0] == 0


@pytest.mark.parametrize(("voxels", "kept"), [(299, 1), (300, 2)])
def test_a_body_is_a_speck_below_300_mm3(voxels, kept):
    classes = np.zeros((2, 20, 40), np.uint8)
    classes[0, :, :20] = 1
    line = np.zeros(20 * 15, np.uint8)
    line[:voxels] = 1
    classes[0, :, 25:40] = line.reshape(15, 20).T
    labels, kinds = split(segmentation(classes), sagittal(classes.shape))
    assert len(kinds) == kept
    assert np.count_nonzero(labels) == 400 + (voxels if kept == 2 else 0)


def test_the_largest_piece_of_a_kind_stays_however_small_it_is():
    classes = np.zeros((4, 20, 20), np.uint8)
    classes[0, 0, 0:3] = 1
    classes[2, 10, 10] = 1
    classes[3, 15, 0:2] = 2
    found = measure(segmentation(classes), sagittal((4, 20, 20)))
    assert [(item.kind, item.volume_mm3) for item in found.structures] == [(BODY, 3), (DISC, 2)]
    assert found.quality.specks_mm3 == 1


def test_an_empty_segmentation_has_no_structures():
    found = measure(segmentation(np.zeros((3, 4, 5))), sagittal((3, 4, 5)))
    assert found.structures == ()
    assert found.class_volume_mm3 == {BODY: 0, DISC: 0}
    assert not found.labels.any()


@pytest.mark.parametrize(
    ("step", "count"),
    [((0, 0, 10), 1), ((0, 10, 10), 2), ((10, 10, 0), 2), ((10, 10, 10), 2), ((10, 0, 0), 1)],
    ids=["face", "edge in plane", "edge between slices", "corner", "face between slices"],
)
def test_voxels_belong_together_only_when_they_share_a_face(step, count):
    classes = np.zeros((20, 20, 20), np.uint8)
    classes[:10, :10, :10] = 1
    classes[step[0] : step[0] + 10, step[1] : step[1] + 10, step[2] : step[2] + 10] = 1
    _, kinds = split(segmentation(classes), sagittal((20, 20, 20)))
    assert kinds == (BODY,) * count


def test_neighbours_of_different_kinds_are_never_one_structure():
    labels, kinds = split(segmentation(neck()), sagittal((6, 70, 24)))
    assert kinds == (BODY, DISC, BODY, DISC, BODY)
    assert [int(label) for label in labels[2, [2, 20, 30, 42, 50], 10]] == [1, 2, 3, 4, 5]
