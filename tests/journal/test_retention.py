"""What may be deleted: only what every destination has."""

from datetime import UTC, datetime

import pytest

from node.domain.arrivals import Expectation, ExpectedBy
from node.domain.case import CaseState
from node.errors import IllegalTransition
from node.journal.arrivals import Outcome
from node.journal.pulls import PullJournal
from node.journal.retention import SettledSeries

LATER = datetime(2027, 1, 1, tzinfo=UTC)
EARLIER = datetime(2025, 1, 1, tzinfo=UTC)
ALL = SettledSeries(
    series_uid="1.2.3",
    paths=(f"spool/{1:064x}.dcm",),
    result_folders=("results/1",),
)


@pytest.fixture
def delivered(journal, fill):
    claim = fill.running(journal)
    journal.cases.finish(claim, fill.results(1, "archive"))
    for delivery in journal.deliveries.pending("archive"):
        journal.deliveries.record_delivered(delivery)
    return journal


def test_a_delivered_series_is_settled_from_its_time_on(delivered):
    assert delivered.retention.settled(LATER, None) == (ALL,)
    assert delivered.retention.settled(EARLIER, LATER) == ()
    assert delivered.retention.settled(None, LATER) == ()
    assert delivered.retention.settled(None, None) == ()


def test_a_refused_series_is_settled_by_its_own_time(journal, fill):
    journal.arrivals.record(fill.arrival(1))
    fill.open_case(journal, state=CaseState.REJECTED)
    (found,) = journal.retention.settled(None, LATER)
    assert (found.series_uid, found.result_folders) == ("1.2.3", ())
    assert journal.retention.settled(LATER, EARLIER) == ()


@pytest.mark.parametrize("state", ["queued", "running", "held", "sending", "sent", "undelivered", "quarantined"])
def test_nothing_is_settled_before_everything_is(journal, fill, state):
    journal.arrivals.record(fill.arrival(1))
    fill.open_case(journal, state=CaseState.QUARANTINED if state == "quarantined" else CaseState.QUEUED)
    if state == "held":
        journal.cases.hold(1)
    claim = journal.cases.claim("me")
    if state in {"sending", "sent", "undelivered"}:
        journal.cases.finish(claim, fill.results(1, "archive"))
        step = {"sent": journal.deliveries.record_sent,
                "undelivered": lambda item: journal.deliveries.record_refused(item, "store-refused", "no"),
                "sending": lambda item: None}[state]  # fmt: skip
        for delivery in journal.deliveries.pending("archive"):
            step(delivery)
    assert journal.retention.settled(LATER, LATER) == ()
    assert not journal.retention.forget("1.2.3")
    assert len(journal.arrivals.instances("1.2.3")) == 1


def test_a_series_that_receives_again_is_kept(delivered, fill):
    delivered.arrivals.record(fill.arrival(2))
    assert delivered.retention.settled(LATER, LATER) == ()
    assert not delivered.retention.forget("1.2.3")
    assert len(delivered.arrivals.instances("1.2.3")) == 2


def test_every_version_and_every_revision_is_told(delivered, fill):
    delivered.arrivals.record(fill.arrival(1, digest="f" * 64))
    fill.open_case(delivered)
    delivered.cases.finish(delivered.cases.claim("me"), fill.results(2))
    (found,) = delivered.retention.settled(LATER, None)
    assert found.paths == (f"spool/{1:064x}.dcm", f"spool/{'f' * 64}.dcm")
    assert found.result_folders == ("results/1", "results/2")


def test_what_is_forgotten_is_new_when_it_comes_again(delivered, fill):
    delivered.arrivals.expect("1.2.3", Expectation(instances=1, by=ExpectedBy.QUERY))
    assert delivered.retention.forget("1.2.3")
    assert delivered.retention.settled(LATER, LATER) == ()
    assert not delivered.retention.forget("1.2.3")
    assert (delivered.arrivals.instances("1.2.3"), delivered.arrivals.held(["1.2.3.1"])) == ((), ())
    assert PullJournal(delivered.store).made_here(["9.1.1"])
    with pytest.raises(IllegalTransition, match="has been purged"):
        delivered.cases.reprocess(1)
    assert delivered.arrivals.record(fill.arrival(1)) is Outcome.NEW
    (series,) = delivered.arrivals.open_series()
    assert (series.instances, series.revisions, series.expected) == (1, 1, None)
    assert "purged" in fill.trail(delivered)


def test_another_series_keeps_its_instances(delivered, fill):
    delivered.arrivals.record(fill.arrival(1, series="7.1"))
    delivered.retention.forget("1.2.3")
    assert len(delivered.arrivals.instances("7.1")) == 1
