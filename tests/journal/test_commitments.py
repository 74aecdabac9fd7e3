"""Storage commitment in the journal: asked before it is sent, answered late, twice, in parts or never."""

import pytest

from node.domain.commitment import CommitmentReport, CommitmentRequest, Failure, Reference
from node.journal.commitments import DueReport

SEG = Reference(sop_class_uid="1.2.840.10008.5.1.4.1.1.1", sop_instance_uid="9.1.1")
REPORT = Reference(sop_class_uid="1.2.840.10008.5.1.4.1.1.2", sop_instance_uid="9.1.2")


def told(transaction="5.5", *, committed=(), failed=()):
    failures = tuple(Failure(reference=reference, reason=0x0112) for reference in failed)
    return CommitmentReport(transaction_uid=transaction, committed=tuple(committed), failed=failures)


def states(journal, fill):
    return [state for _, _, state in fill.deliveries(journal)]


@pytest.fixture
def sent(journal, fill):
    """A case with two objects that the archive has taken."""
    claim = fill.running(journal)
    journal.cases.finish(claim, fill.results(1, "archive"))
    for delivery in journal.deliveries.pending("archive"):
        assert journal.deliveries.record_sent(delivery, None)
    return journal


@pytest.fixture
def asked(sent):
    sent.commitments.begin("archive", "5.5", sent.deliveries.awaiting("archive"))
    return sent


def test_what_was_taken_is_not_delivered_before_it_is_confirmed(sent, fill):
    assert sent.deliveries.pending("archive") == ()
    (seg, report) = sent.deliveries.awaiting("archive")
    assert (seg.destination, seg.study_uid, seg.attempts) == ("archive", "1.2", 1)
    assert seg.sent_age_s > 0
    assert (fill.states(sent), sent.deliveries.destinations_pending()) == (["sending"], {"archive"})
    sent.deliveries.record_delivered(seg, None)
    sent.deliveries.record_delivered(report, None)
    assert fill.states(sent) == ["delivered"]


def test_what_was_taken_and_is_not_there_is_sent_again(sent, fill):
    seg, report = sent.deliveries.awaiting("archive")
    assert sent.deliveries.record_unconfirmed(seg, "not-confirmed", "not found")
    assert not sent.deliveries.record_unconfirmed(seg, "not-confirmed", "not found")
    (again,) = sent.deliveries.pending("archive")
    assert (again.sop_instance_uid, again.attempts, again.sent_age_s) == ("9.1.1", 1, None)
    assert sent.deliveries.record_refused(report, "attempts-spent", "never confirmed")
    assert states(sent, fill) == ["pending", "refused"]


def test_a_question_is_open_until_all_of_it_is_answered(asked, fill):
    (found,) = asked.commitments.open("archive")
    assert (found.transaction_uid, len(found.deliveries), found.age_s > 0) == ("5.5", 2, True)
    assert asked.commitments.open("backup") == ()
    assert asked.commitments.settle(told(committed=[SEG]))
    (found,) = asked.commitments.open("archive")
    assert [item.sop_instance_uid for item in found.deliveries] == ["9.1.2"]
    assert asked.commitments.settle(told(committed=[REPORT]))
    assert (asked.commitments.open("archive"), fill.states(asked)) == ((), ["delivered"])


def test_what_is_not_committed_is_sent_again_and_the_rest_is_delivered(asked, fill):
    assert asked.commitments.settle(told(committed=[SEG], failed=[REPORT]))
    assert states(asked, fill) == ["delivered", "pending"]
    (again,) = asked.deliveries.pending("archive")
    assert (again.sop_instance_uid, again.attempts) == ("9.1.2", 1)
    assert (fill.states(asked), asked.commitments.open("archive")) == (["sending"], ())


def test_a_failure_that_is_told_twice_counts_once(asked, fill):
    for _ in range(2):
        assert asked.commitments.settle(told(failed=[SEG]))
    (again,) = asked.deliveries.pending("archive")
    asked.deliveries.record_sent(again)
    assert asked.commitments.settle(told(failed=[SEG]))
    assert states(asked, fill) == ["sent", "sent"]


def test_a_report_that_comes_after_the_question_was_abandoned_is_believed_where_it_is_good(asked, fill):
    asked.commitments.abandon("5.5")
    assert asked.commitments.open("archive") == ()
    assert states(asked, fill) == ["sent", "sent"]
    assert asked.commitments.settle(told(committed=[SEG], failed=[REPORT]))
    assert states(asked, fill) == ["delivered", "sent"]


def test_a_report_that_comes_after_the_object_was_queued_again_spares_the_sending(asked, fill):
    for delivery in asked.deliveries.awaiting("archive"):
        asked.deliveries.record_unconfirmed(delivery, "not-confirmed", "no report")
    asked.commitments.settle(told(committed=[SEG, REPORT]))
    assert (states(asked, fill), fill.states(asked)) == (["delivered", "delivered"], ["delivered"])
    assert asked.commitments.settle(told(committed=[SEG, REPORT]))


def test_a_report_on_another_question_or_other_objects_changes_nothing(asked, fill):
    stranger = Reference(sop_class_uid="1.2", sop_instance_uid="4.4.4")
    assert not asked.commitments.settle(told("6.6", committed=[SEG]))
    assert asked.commitments.settle(told(committed=[stranger], failed=[stranger]))
    assert states(asked, fill) == ["sent", "sent"]


def test_a_report_does_not_revive_what_was_superseded(asked, fill):
    asked.arrivals.record(fill.arrival(2))
    fill.open_case(asked)
    assert states(asked, fill) == ["cancelled", "cancelled"]
    assert asked.commitments.settle(told(committed=[SEG, REPORT]))
    assert states(asked, fill) == ["cancelled", "cancelled"]
    assert fill.states(asked) == ["superseded", "queued"]


def test_a_held_case_takes_its_confirmation_and_is_delivered_on_release(asked, fill):
    asked.cases.hold(1)
    asked.commitments.settle(told(committed=[SEG, REPORT]))
    assert (states(asked, fill), fill.states(asked)) == (["delivered", "delivered"], ["held"])
    asked.cases.release(1)
    assert fill.states(asked) == ["delivered"]


def test_a_question_that_is_begun_twice_is_one(asked):
    asked.commitments.begin("archive", "5.5", asked.deliveries.awaiting("archive"))
    assert len(asked.commitments.open("archive")) == 1


REQUEST = CommitmentRequest(transaction_uid="8.8", asked_by="MODALITY", references=(SEG, REPORT))


def due(journal):
    return [(item.request, item.attempts) for item in journal.commitments.due()]


def test_what_somebody_asks_is_due_once_until_it_is_reported(journal):
    journal.commitments.ask(REQUEST)
    journal.commitments.ask(REQUEST)
    (item,) = journal.commitments.due()
    assert isinstance(item, DueReport)
    assert (item.request, item.attempts, item.age_s > 0) == (REQUEST, 0, True)
    journal.commitments.record_report_failed(REQUEST, "peer-unreachable")
    assert due(journal) == [(REQUEST, 1)]
    journal.commitments.record_reported(REQUEST, failed=1)
    assert due(journal) == []


def test_a_question_that_comes_again_after_its_report_is_reported_again(journal):
    journal.commitments.ask(REQUEST)
    journal.commitments.record_reported(REQUEST, failed=0)
    journal.commitments.ask(REQUEST)
    assert due(journal) == [(REQUEST, 0)]


def test_two_who_ask_by_the_same_transaction_uid_are_told_each(journal):
    other = CommitmentRequest(transaction_uid="8.8", asked_by="OTHER", references=(SEG,))
    journal.commitments.ask(REQUEST)
    journal.commitments.ask(other)
    journal.commitments.record_reported(REQUEST, failed=0)
    assert due(journal) == [(other, 0)]
