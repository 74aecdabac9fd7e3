"""The yardstick itself: points, what counts as found, what lies outside, and a scan that keeps places."""

from itertools import pairwise

import numpy as np
import pytest
from real.necks import NECKS, POINTS, landmarks_of

from node.domain.geometry import Grid
from node.errors import InputError
from node.train.landmarks import (
    BODY,
    DISC,
    Labelling,
    Landmarks,
    kind_of,
    levels_found,
    outside_share,
    read_landmarks,
    strays,
)
from node.train.realvolumes import Scan, part, scanned

#: Eleven sagittal slices of 4 mm, pixels of 1 mm; index to LPS: to the left, down, back.
GRID = Grid(shape=(11, 80, 60), affine=np.array([[4.0, 0, 0, -20], [0, 0, 1.0, -30], [0, -1.0, 0, 40], [0, 0, 0, 1]]))
#: A straight spine: bodies of 12 mm and discs of 5.
TOWER = {"C2": 30.0, "C2/C3": 21.5, "C3": 13.0, "C3/C4": 4.5, "C4": -4.0, "C4/C5": -12.5, "C5": -21.0}
POINTS_OF_TOWER = Landmarks(
    points={name: np.array([0.0, 0.0, z]) for name, z in TOWER.items()},
    backs={name: np.array([0.0, 10.0, z]) for name, z in TOWER.items() if "/" in name},
)


def tower(**names: str) -> Labelling:
    """The tower as labels in its order from 1, all rightly named but for what `names` say (label_2="C9")."""
    labels = np.zeros(GRID.shape, dtype=np.uint16)
    kinds, called = {}, {}
    for number, (name, z) in enumerate(TOWER.items(), start=1):
        half = 2 if kind_of(name) is DISC else 6
        row = round(40 - z)
        labels[3:8, row - half : row + half, 23:38] = number
        kinds[number], called[number] = kind_of(name), names.get(f"label_{number}", name)
    return Labelling(labels=labels, grid=GRID, kinds=kinds, names=called)


def test_a_right_labelling_is_found_once_everywhere_and_rightly_named() -> None:
    for level in levels_found(tower(), POINTS_OF_TOWER):
        assert level.once
        assert level.once_across == level.slices == (3 if "/" in level.level else 5)
        assert level.named == level.level
        assert level.distance_mm == 0.0
        # the tower ends at 7.5 mm, the points at its back lie at 10
        assert level.back_mm == (pytest.approx(2.5) if "/" in level.level else None)


def test_a_name_one_too_high_is_told_and_its_distance_is_a_level() -> None:
    shifted = dict(zip((f"label_{n}" for n in range(1, 8)), ("C1", "C1/C2", *list(TOWER)[:5]), strict=True))
    found = {level.level: level for level in levels_found(tower(**shifted), POINTS_OF_TOWER)}
    assert found["C3/C4"].named == "C2/C3"
    # 17 mm from disc to disc, less half of a disc and of a pixel
    assert found["C3/C4"].distance_mm == pytest.approx(15.0, abs=1.0)
    assert found["C5"].distance_mm is None


def test_a_level_in_two_parts_or_without_any_is_not_found_once() -> None:
    torn = tower()
    torn.labels[5, 35:37, 23:38] = 0
    torn.labels[5, 33:35, 23:38] = 9
    torn.labels[5, 37:40, 23:38] = 9
    torn.kinds[9] = DISC
    torn.labels[torn.labels == 6] = 0
    found = {level.level: level for level in levels_found(torn, POINTS_OF_TOWER)}
    assert (found["C4/C5"].once, found["C4/C5"].named, found["C4/C5"].distance_mm) == (False, None, None)
    assert found["C3/C4"].once_across == 2
    assert not found["C3/C4"].once


def test_a_level_out_of_view_is_not_asked_for() -> None:
    low = Landmarks(points={**POINTS_OF_TOWER.points, "C5/C6": np.array([0.0, 0.0, -45.0])}, backs={})
    assert [level.level for level in levels_found(tower(), low)] == list(TOWER)


def test_a_structure_at_no_point_is_a_stray() -> None:
    labelling = tower()
    labelling.labels[5, 5:8, 50:55] = 8
    labelling.kinds[8] = DISC
    assert strays(labelling, POINTS_OF_TOWER) == (8,)


def test_what_lies_beside_or_behind_the_spine_is_outside() -> None:
    mask = tower().labels > 0
    assert outside_share(mask, GRID, POINTS_OF_TOWER) == 0.0
    beside = np.zeros_like(mask)
    beside[10, 20:60, 30] = True  # 20 mm to the left
    assert outside_share(beside, GRID, POINTS_OF_TOWER) == 1.0
    behind = np.zeros_like(mask)
    behind[5, 20:60, 46:56] = True  # 16 mm behind and more
    assert outside_share(behind, GRID, POINTS_OF_TOWER) == 1.0
    assert outside_share(np.zeros_like(mask), GRID, POINTS_OF_TOWER) == 0.0


@pytest.mark.parametrize("neck", NECKS)
def test_points_run_from_c2_to_the_chest_in_turns_as_far_apart_as_vertebrae(neck) -> None:
    points = landmarks_of(neck).points
    assert list(points)[:17] == [
        *("C2", "C2/C3", "C3", "C3/C4", "C4", "C4/C5", "C5", "C5/C6", "C6", "C6/C7"),
        *("C7", "C7/T1", "T1", "T1/T2", "T2", "T2/T3", "T3"),
    ]
    for kind, (least, most) in ((BODY, (14.0, 24.0)), (DISC, (15.0, 24.0))):
        own = list(landmarks_of(neck).of(kind).values())[:-1]
        apart = [float(np.linalg.norm(one - other)) for one, other in pairwise(own)]
        assert least <= min(apart)
        assert max(apart) <= most


def test_points_in_another_frame_are_refused(tmp_path) -> None:
    path = tmp_path / "points.json"
    path.write_text((POINTS / "errsm_20.json").read_text().replace("LPS mm", "RAS mm"))
    with pytest.raises(InputError, match="RAS mm"):
        read_landmarks(path)


@pytest.mark.parametrize(
    "scan",
    [
        Scan(),
        Scan(slice_mm=3.0, pixel_mm=0.8),
        Scan(slice_mm=5.0, shift_mm=(6.0, -4.0)),
        Scan(turn_deg=(3.0, -3.0, 3.0)),
    ],
    ids=["plain", "fine", "moved", "turned"],
)
def test_a_bright_place_lies_where_it_was_in_each_scan(scan) -> None:
    affine = np.array([[-1.0, 0, 0, 20], [0, 0, 1.0, -30], [0, -1.0, 0, 40], [0, 0, 0, 1]])
    grid = Grid(shape=(40, 70, 60), affine=affine)
    places = np.moveaxis(np.indices(grid.shape), 0, -1)
    bright = grid.to_lps_mm(np.array([21.0, 38.0, 27.0]))
    voxels = 1000 * np.exp(-(np.linalg.norm(grid.to_lps_mm(places) - bright, axis=-1) ** 2) / 50)
    volume = scanned(voxels.astype(np.float32), grid, scan)
    weight = volume.voxels.astype(np.float64)
    index = np.moveaxis(np.indices(weight.shape), 0, -1)
    centre = np.average(volume.grid.to_lps_mm(index).reshape(-1, 3), axis=0, weights=weight.reshape(-1))
    assert centre == pytest.approx(bright, abs=0.2)
    assert volume.grid.spacing_mm == pytest.approx((scan.slice_mm, scan.pixel_mm, scan.pixel_mm))


def test_a_slice_is_the_mean_of_its_planes_and_what_was_not_scanned_is_air() -> None:
    random = np.random.default_rng(3)
    voxels = random.uniform(100, 200, (9, 12, 10)).astype(np.float32)
    grid = Grid(shape=(9, 12, 10), affine=np.eye(4))
    thick = scanned(voxels, grid, Scan())
    assert thick.grid.shape == (2, 12, 10)
    assert np.abs(thick.voxels[1] - voxels[4:8].mean(axis=0)).max() <= 0.51
    moved = scanned(voxels, grid, Scan(shift_mm=(4.0, 0.0)))
    assert np.array_equal(moved.voxels[:, :8], thick.voxels[:, 4:])
    assert not moved.voxels[:, 8:].any()


def test_noise_follows_its_seed_and_leaves_no_voxel_below_zero() -> None:
    voxels = np.full((8, 20, 20), 100, dtype=np.float32)
    grid = Grid(shape=(8, 20, 20), affine=np.eye(4))
    one, same, other = (scanned(voxels, grid, Scan(noise=0.1), seed).voxels for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.min() >= 0
    assert float(one.std()) == pytest.approx(10.0, abs=1.0)


def test_a_part_of_a_volume_keeps_its_places() -> None:
    voxels = np.arange(2 * 6 * 5, dtype=np.float32).reshape(2, 6, 5)
    cut, grid = part(voxels, GRID, rows=slice(2, 5), columns=slice(1, None))
    assert cut.shape == grid.shape == (2, 3, 4)
    assert cut[1, 0, 0] == voxels[1, 2, 1]
    assert grid.to_lps_mm(np.array([1, 0, 0])).tolist() == GRID.to_lps_mm(np.array([1, 2, 1])).tolist()
