"""What an archive has, held against what is here: a reason for every series."""

from datetime import datetime

import pytest

from node.domain.listing import TOLD, ListedInstance, ListedSeries
from node.domain.series import SeriesHeader
from node.journal.pulls import HeldSeries
from node.pull.gaps import Gap, Terms, gap_of, objection
from node.settings import RouteSettings, Rules

at = datetime.fromisoformat  # an archive tells its local time
NEWEST = at("2026-11-20 12:00")
CERVICAL = RouteSettings(name="cervical")
LUMBAR = RouteSettings(name="lumbar", accept=Rules(region=("lumb",), other_region=()))


def listed(instances=3, untold=(), model_name=None, begun=None, **header):
    told = {"modality": "MR", "study_description": "HWS", "series_description": "T2 sag", **header}
    return ListedSeries(
        study_uid="1.2",
        series_uid="1.2.3",
        header=SeriesHeader(**told),
        untold=frozenset(untold),
        instances=instances,
        model_name=model_name,
        begun=begun,
    )


def held(instances=3, *, receiving=False, own_result=False, purged=False):
    return HeldSeries(
        series_uid="1.2.3", instances=instances, receiving=receiving, own_result=own_result, purged=purged
    )


def terms(*routes, skip_untold=False, begun_before=NEWEST, by_count=True):
    taken = routes or (CERVICAL,)
    return Terms(routes=taken, begun_before=begun_before, skip_untold=skip_untold, by_count=by_count)


@pytest.mark.parametrize(
    ("series", "here", "code"),
    [
        (listed(), None, None),
        (listed(), held(2), None),
        (listed(), held(3), "here"),
        (listed(), held(4), "here"),
        (listed(instances=None), held(3), None),
        (listed(), held(0, purged=True), "purged"),
        (listed(), held(2, receiving=True), "receiving"),
        (listed(), held(2, own_result=True), "own-result"),
        (listed(model_name="cspine-node"), None, "own-result"),
        (listed(begun=at("2026-11-20 12:00")), None, None),
        (listed(begun=at("2026-11-20 12:00:01")), None, "too-recent"),
        (listed(modality="CT"), None, "modality"),
        (listed(modality=None), None, "modality"),
        (listed(series_description="T2 STIR sag"), None, "excluded-description"),
        (listed(protocol_name="lumbar"), None, "other-region"),
        (listed(study_description="MRI"), None, "region"),
        (listed(study_description="MRI", body_part_examined="CSPINE"), None, None),
    ],
)
def test_a_series_is_asked_for_or_there_is_a_reason(series, here, code):
    against = objection(series, here, terms())
    assert (against and against.code) == code


@pytest.mark.parametrize("here", [held(3), held(4)])
def test_a_series_that_is_whole_by_number_is_looked_into_where_the_number_is_not_enough(here):
    assert objection(listed(), here, terms(by_count=False)) is None


@pytest.mark.parametrize(("here", "code"), [(held(0, purged=True), "purged"), (held(3, receiving=True), "receiving")])
def test_what_is_not_asked_for_whatever_is_compared(here, code):
    against = objection(listed(), here, terms(by_count=False))
    assert (against and against.code) == code


def test_what_the_archive_does_not_tell_is_not_held_against_a_series_unless_the_settings_say_so():
    series = listed(study_description="MRI", untold=["BodyPartExamined", "ProtocolName"])
    assert objection(series, None, terms()) is None
    against = objection(series, None, terms(skip_untold=True))
    assert against is not None
    assert (against.code, against.text) == ("untold", "the archive does not tell BodyPartExamined, ProtocolName")


def test_a_modality_that_is_not_told_is_no_objection():
    assert objection(listed(modality=None, untold=TOLD), None, terms()) is None


def test_what_another_route_would_take_is_asked_for_and_else_every_route_says_why():
    assert objection(listed(study_description="LUMBAR"), None, terms(CERVICAL, LUMBAR)) is None
    against = objection(listed(study_description="KNEE"), None, terms(CERVICAL, LUMBAR))
    assert against is not None
    assert against.text.count("cervical: ") == 2
    assert against.text.count("lumbar: ") == 1


def test_a_study_that_is_asked_for_by_its_uid_is_never_too_young():
    assert objection(listed(begun=at("2026-11-21")), None, terms(begun_before=None)) is None


INSTANCES = tuple(ListedInstance(f"1.{n}", "1.2.840.10008.5.1.4.1.1.4") for n in (1, 2, 3))


@pytest.mark.parametrize(
    ("stored", "code", "wanted", "whole"),
    [
        (set(), "missing", (0, 1, 2), True),
        ({"1.7", "1.8", "1.9"}, "differs", (0, 1, 2), True),
        ({"1.1", "1.2", "1.9"}, "differs", (2,), False),
        ({"1.2"}, "incomplete", (0, 2), False),
    ],
)
def test_exactly_what_lacks_is_wanted(stored, code, wanted, whole):
    gap = gap_of(INSTANCES, stored)
    assert isinstance(gap, Gap)
    assert (gap.reason.code, gap.wanted, gap.whole, gap.listed) == (
        code,
        tuple(INSTANCES[number] for number in wanted),
        whole,
        3,
    )


def test_what_is_here_under_other_uids_is_told_with_what_lacks():
    gap = gap_of(INSTANCES, {"1.1", "1.8", "1.9"})
    assert isinstance(gap, Gap)
    assert gap.reason.text == "1 of 3 instances are here, and 2 that the archive does not name"


def test_where_nothing_lacks_or_the_archive_names_nothing_there_is_no_gap():
    assert gap_of(INSTANCES, {"1.1", "1.2", "1.3"}).code == "here"
    assert gap_of(INSTANCES, {"1.1", "1.2", "1.3", "1.9"}).code == "here"
    assert gap_of((), set()).code == "not-listed"
