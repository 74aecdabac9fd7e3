"""Structures found, missed and made up, counted by hand."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from node.batch.evaluate.detection import Detection, components, detect, pooled


def line(*runs, length=30):
    """A row of voxels; `runs`: (first, last + 1) of the structures 1, 2, 3 ..."""
    row = np.zeros((1, 1, length), dtype=np.int64)
    for number, (first, last) in enumerate(runs, start=1):
        row[0, 0, first:last] = number
    return row


def counts(prediction, reference, least_iou=0.5):
    found = detect(prediction, reference, least_iou)
    return found.true_positives, found.false_positives, found.false_negatives


def test_a_structure_at_an_iou_of_exactly_one_half_is_found():
    # 2 of 4 voxels; 2 of 5
    assert counts(line((0, 2)), line((0, 4))) == (1, 0, 0)
    assert counts(line((0, 2)), line((0, 5))) == (0, 1, 1)


def test_missed_and_made_up_structures_are_counted():
    found = detect(line((0, 4), (10, 14), (20, 24)), line((0, 4), (14, 18)), 0.5)

    assert (found.true_positives, found.false_positives, found.false_negatives) == (1, 2, 1)
    assert (found.precision, found.recall, found.f1) == pytest.approx((1 / 3, 1 / 2, 2 / 5))


def test_two_structures_that_grew_together_are_one_too_few():
    # one of 8 voxels against two of 4: an intersection over union of 4 / 8 fits one of them
    assert counts(line((0, 8)), line((0, 4), (4, 8))) == (1, 0, 1)
    assert counts(line((0, 9)), line((0, 4), (4, 8))) == (0, 1, 2)


def test_as_many_as_possible_are_matched_and_not_the_best_first():
    # the first fits both (1/2 and 1/4), the second only the former (1/3): the best match alone would leave it out
    prediction, reference = line((2, 8), (0, 2)), line((0, 6), (6, 10))

    assert counts(prediction, reference, least_iou=0.25) == (2, 0, 0)


def test_nothing_on_either_side_has_no_figures():
    nothing = detect(line(), line(), 0.5)

    assert (nothing.true_positives, nothing.false_positives, nothing.false_negatives) == (0, 0, 0)
    assert all(math.isnan(value) for value in (nothing.precision, nothing.recall, nothing.f1))


def test_an_empty_prediction_has_no_precision_and_no_recall_of_what_is_there():
    missed = detect(line(), line((0, 4)), 0.5)

    assert math.isnan(missed.precision)
    assert (missed.recall, missed.f1) == (0.0, 0.0)


def test_voxels_that_share_a_corner_are_one_structure_and_others_are_not():
    mask = np.zeros((3, 3, 5), dtype=np.bool_)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[1, 1, 3] = True

    assert components(mask).max() == 2
    assert components(mask)[0, 0, 0] == components(mask)[1, 1, 1] != components(mask)[1, 1, 3]


def test_pooling_adds_the_structures_of_all_cases():
    # precision 1 and 1/4 of the cases: pooled 3 of 6
    first = Detection(true_positives=2, false_positives=0, false_negatives=1)
    second = Detection(true_positives=1, false_positives=3, false_negatives=0)

    assert pooled([first, second]) == Detection(true_positives=3, false_positives=3, false_negatives=1)
    assert pooled([first, second]).f1 == pytest.approx(6 / 10)


LABELS = hnp.arrays(np.int64, (1, 3, 4), elements=st.integers(0, 4))


@settings(max_examples=80, deadline=None)
@given(LABELS, LABELS, st.sampled_from([0.2, 0.34, 0.5, 0.75]))
def test_the_number_of_matches_is_the_largest_of_all_assignments(prediction, reference, least_iou):
    mine, theirs = sorted({*prediction.flat} - {0}), sorted({*reference.flat} - {0})
    fits = {
        (one, other)
        for one in mine
        for other in theirs
        if np.sum((prediction == one) & (reference == other))
        >= least_iou * np.sum((prediction == one) | (reference == other))
    }
    padded = [*theirs, *[None] * len(mine)]
    best = max(sum(pair in fits for pair in zip(mine, order, strict=True)) for order in permutations(padded, len(mine)))

    assert counts(prediction, reference, least_iou) == (best, len(mine) - best, len(theirs) - best)
