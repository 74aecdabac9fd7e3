"""What belongs together: by table, by name, by place in space; and what is told where these contradict."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.batch.midrc.exam import MatchedBy
from node.batch.midrc.geometry import Box, box_of, fits
from node.batch.midrc.matching import Candidate, Match, Target, match
from node.batch.midrc.names import key_of, parse_name, table_of
from node.domain.geometry import Grid, lay_on, turn

ORIENTATIONS = ("LIP", "RAS", "PSR", "SAL", "IRP", "ALS")


def grid(x: float = 0.0, shape=(4, 6, 5)) -> Grid:
    """A sagittal grid, oblique by some degrees, whose first voxel lies at `x` mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([[4.0, 0.1, 0.0], [-0.3, 0.0, 0.8], [0.0, -0.8, 0.02]])
    affine[:3, 3] = (x, -40.0, 25.0)
    return Grid(shape=shape, affine=affine)


def target(key: str, patient: str = "593973-000001", at: float | None = None, labels=(), digest=None) -> Target:
    return Target(
        key=key,
        labels=frozenset({key, *labels}),
        studies=frozenset(),
        patients=frozenset({patient}),
        box=None if at is None else box_of(grid(at)),
        digest=digest,
    )


def candidate(name: str, at: float | None = None, tabled=(), beside=None, digest=None) -> Candidate:
    box: Box | None = None if at is None else box_of(turn(np.zeros((4, 6, 5)), grid(at), "PSR")[1])
    return Candidate(name=parse_name(name), tabled=frozenset(tabled), beside=beside, box=box, digest=digest)


def codes(found: Match) -> list[str]:
    return [defect.code for defect in found.defects]


OWN, OTHER = "593973-000001_Study-MR-1_Series-3", "593973-000002_Study-MR-2_Series-4"
TWO = (target("1.1", at=0.0), target("1.2", "593973-000002", at=50.0))


@pytest.mark.parametrize(
    ("given", "targets", "key", "by", "said"),
    [
        (candidate("scan", tabled=["1.2"]), TWO, "1.2", MatchedBy.TABLE, []),
        (candidate(OTHER, 50.0), TWO, "1.2", MatchedBy.NAME, []),
        (candidate("scan", 50.0), TWO, "1.2", MatchedBy.GEOMETRY, []),
        (candidate("scan", 20.0), TWO, None, None, []),
        (candidate("scan"), TWO, None, None, []),
        (candidate(OTHER, 50.0, ["1.1"]), TWO, "1.2", MatchedBy.NAME, ["match-contradicts"]),
        (candidate(OTHER, None, ["1.1"]), TWO, "1.1", MatchedBy.TABLE, ["match-contradicts"]),
        (candidate("scan", 50.0, ["1.1"]), TWO, "1.1", MatchedBy.TABLE, []),
        (candidate(OWN, 50.0), (TWO[0], target("1.3", at=50.0)), "1.3", MatchedBy.GEOMETRY, []),
        (candidate(OWN), (TWO[0], target("1.3", at=50.0)), None, None, ["match-ambiguous"]),
        (candidate(OWN), (TWO[0], target("1.3", labels=["x_study-mr-1_series-3"])), "1.3", MatchedBy.NAME, []),
        (candidate("scan", 0.0), (TWO[0], target("1.3", at=0.0)), None, None, ["match-ambiguous"]),
        (
            candidate("scan", 0.0, digest=b"b"),
            (TWO[0], target("1.3", at=0.0, digest=b"b")),
            "1.3",
            MatchedBy.GEOMETRY,
            [],
        ),
        (candidate("scan", tabled=["1.1", "9"]), (TWO[0], target("9")), "1.1", MatchedBy.TABLE, []),
        (candidate("scan", beside="1.2"), TWO, "1.2", MatchedBy.NAME, []),
    ],
)
def test_the_strongest_evidence_decides(given, targets, key, by, said) -> None:
    (found,) = match([given], targets)
    assert (found.key, found.by, codes(found)) == (key, by, said)


def test_geometry_leaves_alone_what_names_have_taken() -> None:
    twins = (target("1.1", at=0.0), target("1.2", "593973-000002", at=0.0))
    named, unnamed = match([candidate(OWN, 0.0), candidate("scan", 0.0)], twins)
    assert (named.key, named.by, unnamed.key, unnamed.by) == ("1.1", MatchedBy.NAME, "1.2", MatchedBy.GEOMETRY)


def test_of_two_images_of_a_series_one_is_extra() -> None:
    own, other = match([candidate(OWN, 0.0), candidate("scan", 0.0)], TWO)
    assert (own.key, own.extra, other.key, other.extra) == ("1.1", False, "1.1", True)


def test_of_two_that_the_table_gives_to_a_series_the_one_that_fits_is_taken() -> None:
    first, second = match([candidate("a", 20.0, ["1.1"]), candidate("b", 0.0, ["1.1"])], TWO)
    assert (first.extra, second.extra) == (True, False)


def test_one_that_the_table_gives_away_goes_where_its_name_says() -> None:
    own, other = match([candidate(OWN, None, ["1.1"]), candidate(OTHER, None, ["1.1"])], TWO)
    assert (own.key, codes(own)) == ("1.1", [])
    assert (other.key, other.by, codes(other)) == ("1.2", MatchedBy.NAME, ["match-contradicts"])


@pytest.mark.parametrize("one", ORIENTATIONS)
@pytest.mark.parametrize("other", ORIENTATIONS)
def test_a_box_is_the_same_in_every_order_of_the_axes(one: str, other: str) -> None:
    boxes = [box_of(turn(np.zeros((4, 6, 5)), grid(), order)[1]) for order in (one, other)]
    assert fits(*boxes)
    assert boxes[0].shape == (4, 5, 6)


@given(st.floats(-2, 2), st.floats(-2, 2), st.sampled_from(ORIENTATIONS))
def test_boxes_fit_exactly_where_grids_can_be_laid_on_one_another(x: float, z: float, order: str) -> None:
    moved = grid()
    moved.affine[:3, 3] += (x, 0.0, z)
    voxels, turned = turn(np.zeros((4, 6, 5)), moved, order)
    assert fits(box_of(turned), box_of(grid())) == (lay_on(voxels, turned, grid()) is not None)


@pytest.mark.parametrize(
    ("name", "stem", "patient", "numbers"),
    [
        ("a/593973-000003_Study-MR-3_Series-3.nii.gz", "593973-000003_study-mr-3_series-3", "593973-000003", (3, 3)),
        (
            "593973-000003_Study-MR-3_Series-12_SEG.NII.GZ",
            "593973-000003_study-mr-3_series-12",
            "593973-000003",
            (3, 12),
        ),
        ("scan_0042.nii", "scan_0042", None, (None, None)),
    ],
)
def test_names_are_read(name: str, stem: str, patient: str | None, numbers) -> None:
    parsed = parse_name(name)
    assert (parsed.stem, parsed.patient, parsed.numbers) == (stem, patient, numbers)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("mr_series_RSNA_20250321.tsv", "mr_series"),
        ("case.TSV", "case"),
        ("case_RSNA.tsv", "case"),
        ("casework.tsv", None),
        ("case.csv", None),
    ],
)
def test_tables_are_known_by_the_beginning_of_their_names(name: str, table: str | None) -> None:
    assert table_of(name) == table


@given(st.text(min_size=0, max_size=300))
def test_a_key_is_a_name_for_files_and_different_for_different_texts(text: str) -> None:
    key = key_of(text)
    assert 0 < len(key) <= 200
    assert key[0].isalnum()
    assert all(letter.isascii() and (letter.isalnum() or letter in "._-") for letter in key)
    assert key_of(text + "!") != key
