"""Probabilities of a FRACTIONAL SEG."""

import dataclasses

import numpy as np
import pytest
from cases import BODY, case_of, synthetic

from node.domain.anatomy import body, disc_below
from node.domain.case import SegmentsOf
from node.encode.encoding import Case
from node.encode.fractions import fractions
from node.encode.segments import divide, label_map


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Two bodies and the disc between, in contact; 1 mm in plane, 3.5 mm between slices."""
    return case_of(synthetic(tmp_path_factory.mktemp("source")), [body("C4"), disc_below("C4"), body("C5")])


def made(case: Case) -> tuple[np.ndarray, np.ndarray]:
    parts = divide(case.findings, SegmentsOf.STRUCTURES)
    labels = label_map(case.findings, parts)
    return labels, fractions(labels, parts, case.segmentation, case.volume.grid)


def with_probabilities(case: Case, values: np.ndarray) -> Case:
    probabilities = {**case.segmentation.probabilities, BODY: values}
    return dataclasses.replace(case, segmentation=dataclasses.replace(case.segmentation, probabilities=probabilities))


def test_a_voxel_of_a_segment_has_the_probability_of_its_class(case: Case) -> None:
    labels, found = made(case)
    assert found.shape == (3, *labels.shape)
    for number in (1, 2, 3):
        assert (found[number - 1][labels == number] == 230).all()


def test_the_halo_holds_what_the_class_is_not_ruled_out_for_within_3_mm(case: Case) -> None:
    _, found = made(with_probabilities(case, np.full(case.volume.grid.shape, 7, dtype=np.uint8)))
    [upper_row] = {int(np.argwhere(found[0])[:, 1].min())}
    labels = case.findings.labels
    assert int(np.argwhere(labels == 1)[:, 1].min()) - upper_row == 2  # the first row of all, no third one there
    columns = np.argwhere(labels[4] == 1)[:, 1]
    reached = np.argwhere(found[0][4])[:, 1]
    assert (columns.min() - reached.min(), reached.max() - columns.max()) == (3, 3)
    slices = np.argwhere(found[0])[:, 0]
    assert (slices.min(), slices.max()) == (1, 7)  # the next slice is 3.5 mm away


def test_voxels_that_the_class_is_ruled_out_for_are_no_halo(case: Case) -> None:
    values = np.where(case.findings.labels == 1, 200, 0).astype(np.uint8)
    labels, found = made(with_probabilities(case, values))
    assert np.array_equal(found[0] > 0, labels == 1)


def test_segments_of_one_class_do_not_overlap_and_each_halo_voxel_counts_to_the_nearest(case: Case) -> None:
    findings = case.findings
    thin = findings.labels.copy()
    thin[thin == 2] = 0
    first, last = (
        int(np.argwhere(findings.labels == 2)[:, 1].min()),
        int(np.argwhere(findings.labels == 2)[:, 1].max()),
    )
    thin[:, first : last - 2][findings.labels[:, first : last - 2] == 2] = 1  # three rows of disc are left
    thin[:, last - 2 : last + 1][findings.labels[:, last - 2 : last + 1] == 2] = 2
    case = dataclasses.replace(case, findings=dataclasses.replace(findings, labels=thin))
    _, found = made(with_probabilities(case, np.full(thin.shape, 9, dtype=np.uint8)))
    assert not ((found[0] > 0) & (found[2] > 0)).any()
    rows, column = slice(last - 2, last + 1), 12
    assert found[0][4, rows, column].tolist()[0] == 9
    assert found[2][4, rows, column].tolist()[2] == 9


def test_a_voxel_of_a_segment_is_never_lost_to_rounding(case: Case) -> None:
    labels, found = made(with_probabilities(case, np.zeros(case.volume.grid.shape, dtype=np.uint8)))
    assert (found[0][labels == 1] == 1).all()
    assert np.count_nonzero(found[0]) == np.count_nonzero(labels == 1)
