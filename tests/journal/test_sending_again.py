"""Results sent to one destination more, or once more to one that has them: what goes, and what is refused."""

import pytest

from node.domain.case import CaseState, Reason
from node.domain.findings import Verdict
from node.errors import IllegalTransition, UnknownCase
from node.journal.cases import Account
from node.journal.operators import Forms

FORMS = Forms(usable=frozenset({"SEG", "SR"}), rejected=frozenset({"SR"}))


@pytest.fixture
def finished(journal, fill):
    """Return a function that ends a case with results, for some destinations and with a verdict."""

    def finish(*destinations, verdict=Verdict.GOOD):
        claim = fill.running(journal)
        assert journal.cases.finish(claim, fill.results(claim.case_id, *destinations), Account(verdict=verdict))
        return claim.case_id

    return finish


def arrive(journal, destination):
    for delivery in journal.deliveries.pending(destination):
        journal.deliveries.record_delivered(delivery)


def test_a_delivered_case_is_sent_to_another_destination(journal, fill, finished):
    case = finished("archive")
    arrive(journal, "archive")
    assert journal.cases.send(case, "research", FORMS) is CaseState.SENDING
    assert [item.sop_instance_uid for item in journal.deliveries.pending("research")] == ["9.1.1", "9.1.2"]
    assert journal.deliveries.pending("archive") == ()
    arrive(journal, "research")
    assert fill.states(journal) == ["delivered"]
    assert fill.trail(journal)[-5:] == [
        "send asked", "case sending", "delivery delivered", "delivery delivered", "case delivered",
    ]  # fmt: skip


def test_what_a_destination_has_or_has_refused_is_sent_once_more(journal, fill, finished):
    case = finished("archive")
    seg, report = journal.deliveries.pending("archive")
    journal.deliveries.record_delivered(seg)
    journal.deliveries.record_refused(report, "store-refused", "no")
    assert fill.states(journal) == ["undelivered"]
    assert journal.cases.send(case, "archive", FORMS) is CaseState.SENDING
    assert [(item.sop_instance_uid, item.attempts) for item in journal.deliveries.pending("archive")] == [
        ("9.1.1", 0), ("9.1.2", 0),
    ]  # fmt: skip
    assert {"delivery repeated", "delivery retried"} <= set(fill.trail(journal))


def test_what_is_on_its_way_goes_on(journal, fill, finished):
    case = finished("archive")
    seg, _ = journal.deliveries.pending("archive")
    journal.deliveries.record_sent(seg)
    assert journal.cases.send(case, "archive", FORMS) is CaseState.SENDING
    assert [state for _, _, state in fill.deliveries(journal)] == ["sent", "pending"]


def test_a_held_case_stays_held_and_sends_when_it_is_released(journal, finished):
    case = finished("archive")
    journal.cases.hold(case)
    assert journal.cases.send(case, "research", FORMS) is CaseState.HELD
    assert journal.deliveries.pending("research") == ()
    journal.cases.release(case)
    assert len(journal.deliveries.pending("research")) == 2


def test_of_a_result_that_is_not_to_be_used_only_the_report_is_sent(journal, finished):
    case = finished(verdict=Verdict.REJECT)
    assert journal.cases.send(case, "research", FORMS) is CaseState.SENDING
    assert [item.sop_instance_uid for item in journal.deliveries.pending("research")] == ["9.1.2"]


def test_a_result_of_which_nobody_knows_the_verdict_is_not_sent(journal, finished):
    case = finished(verdict=None)
    with pytest.raises(IllegalTransition, match="case 1 cannot be sent to research: nobody knows any more whether"):
        journal.cases.send(case, "research", FORMS)


def test_a_form_that_was_not_made_is_named(journal, fill, finished):
    case = finished("archive")
    arrive(journal, "archive")
    forms = Forms(usable=frozenset({"SEG", "sr-enhanced", "key"}), rejected=frozenset())
    with pytest.raises(IllegalTransition, match="it has no key, sr-enhanced for it; a route to this destination makes"):
        journal.cases.send(case, "research", forms)
    assert fill.states(journal) == ["delivered"]


@pytest.mark.parametrize("step", ["queue", "cancel", "fail"])
def test_a_case_without_results_to_send_is_refused(journal, fill, finished, step):
    if step == "cancel":
        journal.cases.cancel(finished("archive"))
    else:
        claim = fill.running(journal)
        journal.cases.fail(claim, Reason(code="engine-error", text="no"), retry=step == "queue")
    state = fill.states(journal)[0]
    with pytest.raises(IllegalTransition, match=f"case 1 cannot be sent to research: it is {state}"):
        journal.cases.send(1, "research", FORMS)


def test_a_held_case_that_was_never_worked_on_has_no_results(journal, fill):
    journal.arrivals.record(fill.arrival(1))
    fill.open_case(journal)
    journal.cases.hold(1)
    with pytest.raises(IllegalTransition, match="it has no results"):
        journal.cases.send(1, "research", FORMS)


def test_a_case_that_is_not_there_is_unknown(journal):
    with pytest.raises(UnknownCase, match="no case 7"):
        journal.cases.send(7, "research", FORMS)


def test_a_purged_case_has_nothing_to_send(journal, finished):
    case = finished("archive")
    arrive(journal, "archive")
    assert journal.retention.forget("1.2.3")
    with pytest.raises(IllegalTransition, match="its results have been purged"):
        journal.cases.send(case, "research", FORMS)
