"""What an operator does to a case, and what the case does then."""

import pytest

from node.domain.case import CaseState, Reason
from node.errors import IllegalTransition, UnknownCase
from node.journal.arrivals import reopen_series
from node.journal.overview import overview

WHY = Reason(code="engine-error", text="the network failed")


@pytest.fixture
def queued(journal, fill):
    journal.arrivals.record(fill.arrival(1))
    fill.open_case(journal)
    return journal


@pytest.fixture
def sending(journal, fill):
    claim = fill.running(journal)
    journal.cases.finish(claim, fill.results(1, "archive"))
    return journal


def attempts(journal):
    return overview(journal.store, latest=1)["latest_cases"][0]["attempts"]


def refuse(journal):
    for delivery in journal.deliveries.pending("archive"):
        journal.deliveries.record_refused(delivery, "store-refused", "no")


@pytest.mark.parametrize("step", ["retry", "hold", "release", "cancel", "reprocess"])
def test_a_case_that_is_not_there_is_unknown(journal, step):
    with pytest.raises(UnknownCase, match="no case 7"):
        getattr(journal.cases, step)(7)


def test_a_quarantined_case_is_retried_as_if_it_were_new(journal, fill):
    journal.cases.fail(fill.running(journal), WHY, retry=False)
    assert journal.cases.retry(1) is CaseState.QUEUED
    assert attempts(journal) == 0
    assert journal.cases.claim("me").attempt == 1


def test_a_case_that_was_quarantined_before_it_had_a_route_is_reprocessed_instead(journal, fill):
    journal.arrivals.record(fill.arrival(1))
    fill.open_case(journal, state=CaseState.QUARANTINED)
    with pytest.raises(IllegalTransition, match="reprocess"):
        journal.cases.retry(1)
    assert journal.cases.reprocess(1) is CaseState.QUARANTINED
    assert [series.series_uid for series in journal.arrivals.open_series()] == [fill.arrival(1).series_uid]


def test_a_worker_of_before_the_retry_cannot_end_the_case_after_it(journal, fill):
    stale = fill.running(journal)
    journal.cases.hold(1)
    journal.cases.release(1)
    journal.cases.fail(journal.cases.claim("me"), WHY, retry=False)
    journal.cases.retry(1)
    fresh = journal.cases.claim("me")
    assert (fresh.owner, fresh.attempt) == (stale.owner, stale.attempt)
    assert not journal.cases.finish(stale, fill.results(1, "archive"))
    assert not journal.cases.put_back(stale)
    assert journal.cases.finish(fresh, fill.results(1, "archive"))


def test_refused_deliveries_are_retried_and_those_that_arrived_are_not(sending, fill):
    seg, report = sending.deliveries.pending("archive")
    sending.deliveries.record_delivered(seg)
    sending.deliveries.record_failed(report, "store-failed", "0xA700")
    refuse(sending)
    assert fill.states(sending) == ["undelivered"]
    assert sending.cases.retry(1) is CaseState.SENDING
    (again,) = sending.deliveries.pending("archive")
    assert (again.sop_instance_uid, again.attempts) == ("9.1.2", 0)
    sending.deliveries.record_delivered(again)
    assert fill.states(sending) == ["delivered"]
    assert "delivery retried" in fill.trail(sending)


@pytest.mark.parametrize("step", ["retry", "release"])
def test_a_case_in_work_is_neither_retried_nor_released(queued, step):
    with pytest.raises(IllegalTransition, match="case 1 is queued"):
        getattr(queued.cases, step)(1)


def test_a_held_case_is_not_claimed_until_it_is_released(queued, fill):
    assert queued.cases.hold(1) is CaseState.HELD
    assert (queued.cases.claim("me"), queued.cases.queued()) == (None, 0)
    assert queued.cases.release(1) is CaseState.QUEUED
    assert (queued.cases.queued(), queued.cases.claim("me").case_id) == (1, 1)


def test_a_running_case_that_is_held_has_left_its_worker(journal, fill):
    claim = fill.running(journal)
    journal.cases.hold(1)
    assert journal.cases.renew("me", [1], 60) == frozenset()
    assert not journal.cases.finish(claim, fill.results(1, "archive"))
    assert journal.cases.fail(claim, WHY, retry=True) is None
    assert (fill.states(journal), fill.deliveries(journal)) == (["held"], [])


def test_a_held_case_is_not_sent_until_it_is_released(sending, fill):
    sending.cases.hold(1)
    assert sending.deliveries.pending("archive") == ()
    assert sending.deliveries.destinations_pending() == {"archive"}
    assert sending.cases.release(1) is CaseState.SENDING
    assert len(sending.deliveries.pending("archive")) == 2


def test_what_arrives_while_a_case_is_held_counts_when_it_is_released(sending, fill):
    under_way = sending.deliveries.pending("archive")
    sending.cases.hold(1)
    for delivery in under_way:
        assert sending.deliveries.record_delivered(delivery)
    assert fill.states(sending) == ["held"]
    assert sending.cases.release(1) is CaseState.DELIVERED
    assert fill.states(sending) == ["delivered"]


def test_a_cancelled_case_sends_nothing_more(sending, fill):
    seg, report = sending.deliveries.pending("archive")
    sending.deliveries.record_sent(seg)
    assert sending.cases.cancel(1) is CaseState.CANCELLED
    assert [state for _, _, state in fill.deliveries(sending)] == ["cancelled", "cancelled"]
    assert (sending.deliveries.pending("archive"), sending.deliveries.awaiting("archive")) == ((), ())
    assert not sending.deliveries.record_delivered(report)
    assert fill.trail(sending)[-4:] == [
        "case cancelled", "delivery cancelled", "delivery cancelled", "delivery delivered after it had ended",
    ]  # fmt: skip


@pytest.mark.parametrize("step", ["hold", "cancel"])
def test_a_delivered_case_is_neither_held_nor_cancelled(journal, fill, step):
    journal.cases.finish(fill.running(journal), fill.results(1))
    with pytest.raises(IllegalTransition, match="cannot go from delivered"):
        getattr(journal.cases, step)(1)


def test_a_delivered_case_is_reprocessed_as_a_new_revision(journal, fill):
    journal.cases.finish(fill.running(journal), fill.results(1))
    assert journal.cases.reprocess(1) is CaseState.DELIVERED
    (series,) = journal.arrivals.open_series()
    assert (series.arrivals, series.instances, series.revisions) == (1, 1, 1)
    assert fill.open_case(journal) == 2
    assert fill.states(journal) == ["delivered", "queued"]
    assert overview(journal.store, latest=1)["latest_cases"][0]["revision"] == 2
    assert fill.trail(journal)[-3:] == ["reprocess asked", "series receiving", "case queued"]


def test_a_series_is_reprocessed_by_its_newest_closed_case_only(queued, fill):
    with pytest.raises(IllegalTransition, match="cannot be reprocessed: it is queued"):
        queued.cases.reprocess(1)
    queued.cases.cancel(1)
    queued.arrivals.record(fill.arrival(2))
    with pytest.raises(IllegalTransition, match="its series still receives"):
        queued.cases.reprocess(1)
    fill.open_case(queued)
    with pytest.raises(IllegalTransition, match="there is a newer revision"):
        queued.cases.reprocess(1)


def test_a_reopened_series_receives_once(queued, fill):
    for series in ("1.2.3", "1.2.3", "7.7"):
        queued.store.run(reopen_series, queued.store, series)
    assert [item.series_uid for item in queued.arrivals.open_series()] == ["1.2.3"]
    assert fill.trail(queued).count("series receiving") == 2
