"""Dice by level: structures parted and named as the node does it, compared by name."""

import numpy as np
import pytest
from oracle import ALGORITHM, MEANINGS, RUN

from node.batch.evaluate.levels import level_dice
from node.domain.findings import Segmentation
from node.domain.geometry import Grid, Volume, turn
from node.domain.overlap import dice
from node.measure.measure import measure
from node.train.phantom import generate


@pytest.fixture(scope="module")
def neck():
    return generate(5, shape=(13, 256, 128), spacing_mm=(3.9, 0.9, 0.9))


def named(phantom, classes):
    """What `measure` finds, by name."""
    segmentation = Segmentation(
        classes=classes,
        meanings=MEANINGS,
        probabilities={kind: (classes == value).astype(np.uint8) * 255 for value, kind in MEANINGS.items()},
        opinions={},
        algorithm=ALGORITHM,
        run=RUN,
    )
    volume = Volume(grid=phantom.grid, voxels=phantom.image, sources=(), acquired_in_3d=False)
    findings = measure(segmentation, volume)
    return {found.level.name: findings.labels == found.label for found in findings.structures if found.level}


def test_the_names_and_voxels_are_those_of_measure(neck):
    prediction = np.roll(neck.labels, 1, axis=1)
    mine, theirs = named(neck, prediction), named(neck, neck.labels)
    expected = {name: dice(mine[name], theirs[name]) if name in mine else 0.0 for name in theirs}

    answer = level_dice(prediction, neck.labels, MEANINGS, neck.grid)

    assert {"C2", "C2/C3", "C7", "C7/T1"} <= expected.keys()
    assert {name: answer[name] for name in expected} == pytest.approx(expected)


def test_a_mask_agrees_with_itself_at_every_level(neck):
    assert set(level_dice(neck.labels, neck.labels, MEANINGS, neck.grid).values()) == {1.0}


def test_a_structure_that_one_side_lacks_has_a_dice_of_0(neck):
    prediction = neck.labels.copy()
    prediction[named(neck, neck.labels)["C4/C5"]] = 0

    assert level_dice(prediction, neck.labels, MEANINGS, neck.grid)["C4/C5"] == 0.0


def test_a_last_disc_counts_where_people_have_drawn_it(neck):
    structures = named(neck, neck.labels)
    assert "T1" in structures
    down_to_it = np.logical_or.reduce([voxels for name, voxels in structures.items() if name.startswith("C")])
    drawn = np.where(down_to_it, neck.labels, 0).astype(np.uint8)

    of_the_same = level_dice(drawn, drawn, MEANINGS, neck.grid)
    of_more = level_dice(neck.labels, drawn, MEANINGS, neck.grid)

    assert (of_the_same["C7/T1"], of_more["C7/T1"]) == (1.0, 1.0)


def test_the_order_of_the_axes_does_not_matter(neck):
    prediction = np.roll(neck.labels, 1, axis=1)
    (turned, grid), (other, _) = turn(prediction, neck.grid, "RAS"), turn(neck.labels, neck.grid, "RAS")

    assert level_dice(turned, other, MEANINGS, grid) == pytest.approx(
        level_dice(prediction, neck.labels, MEANINGS, neck.grid)
    )


def test_an_empty_reference_has_no_levels_and_an_empty_prediction_misses_them_all(neck):
    empty = np.zeros_like(neck.labels)

    assert level_dice(neck.labels, empty, MEANINGS, neck.grid) == {}
    assert set(level_dice(empty, neck.labels, MEANINGS, neck.grid).values()) == {0.0}


@pytest.mark.parametrize("seed", range(6))
def test_blocks_that_are_no_spine_stop_nothing(seed):
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(2):
        mask = np.zeros((6, 24, 24), dtype=np.uint8)
        for value in rng.integers(1, 3, size=rng.integers(1, 5)):
            low = rng.integers(0, (5, 20, 20))
            high = low + rng.integers(1, (3, 9, 9))
            mask[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = value
        masks.append(mask)
    grid = Grid(shape=(6, 24, 24), affine=np.diag([4.0, 0.6, 0.6, 1.0]))

    assert all(0 <= value <= 1 for value in level_dice(masks[0], masks[1], MEANINGS, grid).values())
