"""Fifty studies in Orthanc, ten of them with gaps here: exactly what lacks is fetched, whatever the way."""

import pytest
from pullrig import image, run, study, wanted_uids

pytestmark = pytest.mark.peer("orthanc")

#: Studies of which nothing came, and those of which one instance did not.
MISSING, INCOMPLETE = (3, 8, 14, 21, 33, 47), (5, 19, 28, 50)
by_every_way = pytest.mark.parametrize(
    "way", [{"retrieve": "move"}, {"retrieve": "get"}, {"archive": "web"}], ids=["move", "get", "wado"]
)
GAPS = sorted([*wanted_uids(MISSING), *(f"1.2.{number}.1.2" for number in INCOMPLETE)])


@pytest.fixture
def gappy(node):
    """A node that lacks something of ten studies, and has everything of the other forty."""
    for number in range(1, 51):
        came = [one for one in study(number)[:3] if one.SOPInstanceUID not in GAPS]
        node.receive(came)
    node.close_all()
    assert len(node.stored()) == 150 - 22
    return node


@by_every_way
def test_a_pull_of_fifty_studies_with_ten_gaps_fetches_exactly_what_is_missing(gappy, way):
    outcome, items = run(gappy.pull(**way))
    assert gappy.arrivals() == GAPS
    assert gappy.stored() == wanted_uids(range(1, 51))
    told = outcome.document()
    assert (told["studies"], told["series"], told["fetched"], told["failed"], told["instances"]) == (50, 250, 10, 0, 22)
    assert told["reasons"] == {
        "excluded-description": 50,
        "here": 40,
        "modality": 50,
        "other-region": 50,
        "own-result": 50,
    }
    assert sorted((item.series.series_uid, item.reason.code) for item in items if item.wanted) == sorted(
        [(f"1.2.{number}.1", "missing") for number in MISSING]
        + [(f"1.2.{number}.1", "incomplete") for number in INCOMPLETE]
    )

    gappy.arrived.clear()
    gappy.close_all()
    again, _ = run(gappy.pull(**way))
    assert gappy.arrivals() == []
    assert (again.document()["fetched"], again.document()["reasons"]["here"]) == (0, 50)


def test_a_dry_run_names_the_ten_gaps_and_fetches_nothing(gappy):
    outcome, items = run(gappy.pull(), dry_run=True)
    assert gappy.arrivals() == []
    assert outcome.document()["lacking"] == 10
    assert {item.series.series_uid: (item.reason.text, item.wanted) for item in items if item.wanted} == {
        **{f"1.2.{number}.1": ("none of 3 instances is here", 3) for number in MISSING},
        **{f"1.2.{number}.1": ("2 of 3 instances are here", 1) for number in INCOMPLETE},
    }
    assert all(item.reason.code and item.reason.text for item in items)


@by_every_way
def test_instances_that_the_archive_has_instead_of_others_are_noticed_only_where_instances_are_compared(node, way):
    corrected, in_part = 4, 6
    came = {number: study(number)[:3] for number in range(1, 51)}
    came[corrected] = [image(corrected, 1, number) for number in (91, 92, 93)]
    came[in_part][1] = image(in_part, 1, 92)
    node.receive([one for of_study in came.values() for one in of_study])
    node.close_all()

    unseen, _ = run(node.pull(**way))
    assert (node.arrivals(), unseen.document()["reasons"]["here"]) == ([], 50)

    outcome, items = run(node.pull(**way, compare="instances"))
    assert node.arrivals() == sorted([*wanted_uids([corrected]), f"1.2.{in_part}.1.2"])
    assert (outcome.document()["fetched"], outcome.document()["reasons"]["here"]) == (2, 48)
    assert {item.series.series_uid: (item.reason.code, item.reason.text) for item in items if item.wanted} == {
        f"1.2.{corrected}.1": ("differs", "none of 3 instances is here, and 3 that the archive does not name"),
        f"1.2.{in_part}.1": ("differs", "2 of 3 instances are here, and 1 that the archive does not name"),
    }

    node.arrived.clear()
    node.close_all()
    again, _ = run(node.pull(**way, compare="instances"))
    assert (node.arrivals(), again.document()["reasons"]["here"]) == ([], 50)
