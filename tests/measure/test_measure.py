"""From classes to findings: labels, volumes, centroids and what was dropped, against shapes whose volume is known."""

import math
from itertools import permutations, product

import numpy as np
import pytest
from oracle import ALGORITHM, RUN
from spines import draw

from node.domain.anatomy import StructureKind
from node.domain.findings import Doubt, Findings, Presence, Quantity, Segmentation, Verdict
from node.domain.geometry import FrameSource, Grid, Volume, turn
from node.measure.measure import measure

BODY, DISC = StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC
ORIENTATIONS = [
    "".join(letters) for axes in permutations([("R", "L"), ("A", "P"), ("I", "S")]) for letters in product(*axes)
]


def findings(classes: np.ndarray, grid: Grid) -> Findings:
    """Measure classes in a picture that is brighter where a structure is."""
    classes = classes.astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 4, classes.shape)
    volume = Volume(
        grid=grid,
        voxels=(100 + 60 * classes + noise).astype(np.int16),
        sources=tuple(
            FrameSource(sop_class_uid="1.2", sop_instance_uid=f"1.2.{place}", frame_number=None)
            for place in range(grid.shape[0])
        ),
        acquired_in_3d=False,
    )
    segmentation = Segmentation(
        classes=classes,
        meanings={1: BODY, 2: DISC},
        probabilities={BODY: (classes == 1).astype(np.uint8) * 255, DISC: (classes == 2).astype(np.uint8) * 255},
        opinions={},
        algorithm=ALGORITHM,
        run=RUN,
    )
    return measure(segmentation, volume)


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
        (found,) = findings(*ellipsoid(radii_mm, (size, size, size))).structures
        errors.append(abs(found.volume_mm3 - truth) / truth)
        assert found.centroid_lps_mm == pytest.approx((0.3, -0.2, 0.1), abs=size / 4)
    assert errors[0] < 0.08
    assert errors[1] < 0.03
    assert errors[2] < 0.01


def test_thick_slices_are_measured_in_mm():
    (found,) = findings(*ellipsoid((12.0, 8.0, 7.0), (3.3, 0.6, 0.7))).structures
    assert found.volume_mm3 == pytest.approx(4 / 3 * math.pi * 12 * 8 * 7, rel=0.03)
    assert found.centroid_lps_mm == pytest.approx((0.3, -0.2, 0.1), abs=0.4)


def test_the_volume_and_centroid_of_a_box_are_exact():
    classes = np.zeros((6, 30, 20), np.uint8)
    classes[1:5, 10:20, 5:13] = 1
    found = findings(classes, sagittal((6, 30, 20), (3.0, 0.5, 0.75), (-9.0, 10.0, 100.0)))
    (box,) = found.structures
    assert box.volume_mm3 == pytest.approx(360.0, rel=1e-12)
    assert box.centroid_lps_mm == pytest.approx((-1.5, 16.375, 92.75), abs=1e-9)
    assert (box.label, box.kind, box.ordinal, box.level, box.truncated) == (1, BODY, 1, None, False)
    assert found.class_volume_mm3 == {BODY: box.volume_mm3, DISC: 0}
    assert found.labels.dtype == np.uint16
    assert np.array_equal(found.labels, classes)


def test_a_plain_neck_is_named_measured_and_good():
    spine = draw(3, plain=True)
    found = findings(spine.classes, spine.grid)
    names = [structure.level.name for structure in found.structures if structure.level]
    assert names[:6] == ["C2", "C2/C3", "C3", "C3/C4", "C4", "C4/C5"]
    assert len(names) == len(found.structures) == len(spine.structures)
    assert [structure.label for structure in found.structures] == list(range(1, len(names) + 1))
    by_name = {structure.level.name: structure for structure in found.structures if structure.level}
    for name in ("C4", "C5", "C6"):
        assert by_name[name].measures[Quantity.HEIGHT_MIDDLE] == pytest.approx(spine.sizes[name].height_mm, abs=0.6)
        assert by_name[name].level_confidence > 0.95
    assert found.curvature[Quantity.LORDOSIS_COBB] == pytest.approx(18, abs=6)
    assert found.missing == ()
    assert found.quality.objections == ()
    assert found.quality.verdict is Verdict.GOOD


def test_volumes_are_those_of_the_label_map():
    spine = draw(5)
    found = findings(spine.classes, spine.grid)
    for structure in found.structures:
        counted = np.count_nonzero(found.labels == structure.label) * spine.grid.voxel_volume_mm3
        assert structure.volume_mm3 == pytest.approx(counted, rel=1e-9)
    assert ((found.labels > 0) <= (spine.classes > 0)).all()
    dropped = np.count_nonzero((spine.classes > 0) & (found.labels == 0)) * spine.grid.voxel_volume_mm3
    assert found.quality.specks_mm3 == pytest.approx(dropped)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_orientation_of_the_grid_changes_nothing(orientation, straight):
    spine, expected = straight
    classes, grid = turn(spine.classes, spine.grid, orientation)
    turned = findings(classes, grid)
    for one, other in zip(expected.structures, turned.structures, strict=True):
        assert (one.label, one.kind, one.ordinal, one.level) == (other.label, other.kind, other.ordinal, other.level)
        assert one.volume_mm3 == pytest.approx(other.volume_mm3)
        assert one.centroid_lps_mm == pytest.approx(other.centroid_lps_mm, abs=1e-6)
        assert one.truncated == other.truncated
    back, _ = turn(turned.labels, grid, spine.grid.orientation())
    assert np.array_equal(back, expected.labels)


@pytest.fixture(scope="module")
def straight():
    spine = draw(3, plain=True, spacing_mm=(4.0, 0.9, 0.9), bottom="C5")
    return spine, findings(spine.classes, spine.grid)


def test_an_empty_segmentation_has_no_structures_and_is_rejected():
    found = findings(np.zeros((3, 40, 50)), sagittal((3, 40, 50)))
    assert found.structures == ()
    assert found.class_volume_mm3 == {BODY: 0, DISC: 0}
    assert not found.labels.any()
    assert found.quality.verdict is Verdict.REJECT
    assert Doubt.NOTHING_FOUND in {objection.doubt for objection in found.quality.objections}


def test_what_is_missing_is_told_apart_from_what_is_not_in_view():
    spine = draw(11, plain=True, absent=("C4/C5",), bottom="C6")
    found = findings(spine.classes, spine.grid)
    assert [(missing.level.name, missing.presence) for missing in found.missing] == [
        ("C4/C5", Presence.ABSENT),
        *((name, Presence.NOT_IN_VIEW) for name in ("C6/C7", "C7", "C7/T1", "T1") if name in spine.unseen),
    ]
    assert "C7" in spine.unseen


def test_nothing_is_said_to_be_missing_where_levels_are_uncertain():
    spine = draw(11, plain=True, absent=("C4/C5",), top="below")
    found = findings(spine.classes, spine.grid)
    assert all(structure.level is None for structure in found.structures)
    assert found.missing == ()
    assert Doubt.LEVEL_UNCERTAIN in {objection.doubt for objection in found.quality.objections}
    assert found.quality.verdict is Verdict.REVIEW


def test_a_body_that_the_field_of_view_cuts_has_no_height():
    spine = draw(11, plain=True, bottom="C6")
    found = findings(spine.classes, spine.grid)
    last = [structure for structure in found.structures if structure.kind is BODY][-1]
    assert last.truncated
    assert Quantity.HEIGHT_MIDDLE not in last.measures
    assert not found.structures[2].truncated
