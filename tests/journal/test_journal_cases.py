"""Cases in the journal: opened once, claimed by one, fenced, superseded."""

from dataclasses import replace

import pytest

from node.domain.case import TRANSITIONS, CaseState, Reason
from node.domain.findings import Verdict
from node.errors import IllegalTransition
from node.journal.cases import Account, NewCase, move_case
from node.journal.overview import events, overview
from node.journal.pulls import PullJournal

WHY = Reason(code="engine-error", text="the network failed")


def latest(journal):
    return overview(journal.store, latest=1)["latest_cases"][0]


def test_a_series_that_got_another_instance_meanwhile_is_not_closed(journal, fill):
    journal.arrivals.record(fill.arrival(1))
    (seen,) = journal.arrivals.open_series()
    journal.arrivals.record(fill.arrival(2))
    new = NewCase(series=seen, set_digest="d" * 64, partial=False, route="neck", state=CaseState.QUEUED, reasons=())
    assert journal.cases.open(new) is None
    assert fill.states(journal) == []
    assert [item.arrivals for item in journal.arrivals.open_series()] == [2]


def test_a_series_is_closed_once(journal, fill):
    journal.arrivals.record(fill.arrival(1))
    (seen,) = journal.arrivals.open_series()
    new = NewCase(series=seen, set_digest="d" * 64, partial=True, route="neck", state=CaseState.QUEUED, reasons=())
    assert [journal.cases.open(new), journal.cases.open(new)] == [1, None]
    assert (latest(journal)["revision"], latest(journal)["partial"]) == (1, True)


def test_a_refusal_keeps_its_reasons(journal, fill):
    journal.arrivals.record(fill.arrival(1))
    fill.open_case(journal, state=CaseState.REJECTED, reasons=(WHY,))
    assert latest(journal)["reasons"] == [{"code": "engine-error", "text": "the network failed"}]
    assert journal.cases.claim("me") is None


def test_the_oldest_queued_case_is_claimed_by_one_owner_only(journal, fill):
    for series in ("5.1", "4.1"):
        journal.arrivals.record(fill.arrival(1, series=series))
        fill.open_case(journal, series=series)
    first, second, third = (journal.cases.claim(owner) for owner in ("a", "b", "c"))
    assert (first.series_uid, first.owner, first.attempt, first.route) == ("5.1", "a", 1, "neck")
    assert (second.series_uid, second.owner) == ("4.1", "b")
    assert third is None


def test_a_finished_case_waits_for_its_deliveries_and_one_without_destinations_is_delivered(journal, fill):
    claim = fill.running(journal)
    assert journal.cases.finish(claim, fill.results(claim.case_id, "archive", "backup"))
    assert fill.states(journal) == ["sending"]
    other = fill.running(journal, series="7.1")
    assert journal.cases.finish(other, fill.results(other.case_id))
    assert fill.states(journal) == ["sending", "delivered"]
    assert fill.deliveries(journal) == [
        ("9.1.1", "archive", "pending"),
        ("9.1.1", "backup", "pending"),
        ("9.1.2", "archive", "pending"),
        ("9.1.2", "backup", "pending"),
    ]


def test_each_object_goes_to_the_destinations_that_take_it_and_to_no_other(journal, fill):
    claim = fill.running(journal)
    seg, report = fill.results(claim.case_id)
    journal.cases.finish(claim, [replace(seg, destinations=("archive",)), replace(report, destinations=("backup",))])
    assert fill.deliveries(journal) == [("9.1.1", "archive", "pending"), ("9.1.2", "backup", "pending")]
    assert fill.states(journal) == ["sending"]


def test_a_case_whose_objects_go_nowhere_is_delivered_and_says_why(journal, fill):
    claim = fill.running(journal)
    assert journal.cases.finish(claim, fill.results(claim.case_id), Account(reasons=[WHY]))
    assert (latest(journal)["state"], latest(journal)["reasons"]) == (
        "delivered",
        [{"code": "engine-error", "text": "the network failed"}],
    )
    assert events(journal.store, series_uid="1.2.3")[3]["detail"]["reasons"] == latest(journal)["reasons"]
    assert PullJournal(journal.store).made_here(["9.1.1"])


def test_a_result_has_its_verdict_and_its_times(journal, fill):
    claim = fill.running(journal)
    assert latest(journal)["verdict"] is None
    told = Account(verdict=Verdict.REVIEW, timings_s={"segment": 12.5, "encode": 0.25}, seconds=13.0)
    assert journal.cases.finish(claim, fill.results(claim.case_id, "archive"), told)
    assert (latest(journal)["state"], latest(journal)["verdict"]) == ("sending", "review")
    (sending,) = [event for event in events(journal.store, series_uid="1.2.3") if event["what"] == "case sending"]
    assert sending["detail"] == {
        "reasons": [],
        "verdict": "review",
        "timings_s": {"segment": 12.5, "encode": 0.25},
        "seconds": 13.0,
    }


def test_a_case_without_objects_does_not_wait_for_ever(journal, fill):
    claim = fill.running(journal)
    assert journal.cases.finish(claim, [])
    assert fill.states(journal) == ["delivered"]


def test_a_failure_is_tried_again_or_ends_in_quarantine(journal, fill):
    claim = fill.running(journal)
    assert journal.cases.fail(claim, WHY, retry=True) is CaseState.QUEUED
    again = journal.cases.claim("me")
    assert (again.case_id, again.attempt) == (claim.case_id, 2)
    assert journal.cases.fail(again, WHY, retry=False) is CaseState.QUARANTINED
    assert (latest(journal)["state"], latest(journal)["attempts"], latest(journal)["owner"]) == ("quarantined", 2, None)
    assert journal.cases.claim("me") is None


@pytest.mark.parametrize("change", [{"owner": "another"}, {"attempt": 2}, {"attempt": 0}, {"case_id": 99}])
def test_a_claim_that_is_not_the_one_handed_out_can_do_nothing(journal, fill, change):
    claim = fill.running(journal)
    stale = replace(claim, **change)
    assert not journal.cases.finish(stale, fill.results(claim.case_id, "archive"))
    assert journal.cases.fail(stale, WHY, retry=True) is None
    journal.cases.give_up(stale)
    assert fill.states(journal) == ["running"]
    assert fill.deliveries(journal) == []
    assert not PullJournal(journal.store).made_here(["9.1.1"])


def test_a_claim_that_was_released_and_claimed_anew_is_stale_even_for_the_same_owner(journal, fill):
    stale = fill.running(journal)
    assert journal.cases.release_claims(attempts=3, owner_prefix="me") == 1
    fresh = journal.cases.claim("me")
    assert not journal.cases.finish(stale, fill.results(1, "archive"))
    assert journal.cases.fail(stale, WHY, retry=False) is None
    assert journal.cases.finish(fresh, fill.results(1, "archive"))


def test_a_claim_cannot_be_ended_twice(journal, fill):
    claim = fill.running(journal)
    assert journal.cases.finish(claim, fill.results(1, "archive"))
    assert not journal.cases.finish(claim, fill.results(1, "archive"))
    assert journal.cases.fail(claim, WHY, retry=True) is None
    assert len(fill.deliveries(journal)) == 2


def test_after_a_crash_claims_are_queued_again_until_their_attempts_are_spent(journal, fill):
    fill.running(journal)
    assert journal.cases.release_claims(attempts=2, owner_prefix="me") == 1
    assert fill.states(journal) == ["queued"]
    assert journal.cases.claim("me again").attempt == 2
    assert journal.cases.release_claims(attempts=2, owner_prefix="me") == 1
    assert fill.states(journal) == ["quarantined"]
    assert latest(journal)["reasons"] == [
        {"code": "attempts-spent", "text": "the process died 2 times while it held this case"}
    ]
    assert journal.cases.release_claims(attempts=2, owner_prefix="me") == 0


def test_a_claim_that_somebody_works_on_is_not_released(journal, fill):
    held = fill.running(journal)
    assert journal.cases.release_claims(attempts=3, but={held.case_id}, owner_prefix="me") == 0
    assert fill.states(journal) == ["running"]
    assert journal.cases.release_claims(attempts=3, but={held.case_id + 1}, owner_prefix="me") == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [("queued", "superseded"), ("running", "superseded"), ("sending", "superseded"), ("quarantined", "superseded"),
     ("undelivered", "superseded"), ("rejected", "superseded"), ("delivered", "delivered")],
)  # fmt: skip
def test_a_new_revision_supersedes_what_has_not_reached_every_destination(journal, fill, before, after):
    journal.arrivals.record(fill.arrival(1))
    fill.open_case(journal, state=CaseState.REJECTED if before == "rejected" else CaseState.QUEUED)
    if before not in {"queued", "rejected"}:
        claim = journal.cases.claim("me")
        if before == "quarantined":
            journal.cases.fail(claim, WHY, retry=False)
        elif before != "running":
            journal.cases.finish(claim, fill.results(1, *([] if before == "delivered" else ["archive"])))
        if before == "undelivered":
            for delivery in journal.deliveries.pending("archive"):
                journal.deliveries.record_refused(delivery, "store-refused", "no")
    assert fill.states(journal) == [before]
    journal.arrivals.record(fill.arrival(2))
    fill.open_case(journal)
    assert fill.states(journal) == [after, "queued"]
    assert latest(journal)["revision"] == 2


def test_deliveries_of_a_superseded_revision_are_cancelled_and_those_done_stay_done(journal, fill):
    claim = fill.running(journal)
    journal.cases.finish(claim, fill.results(1, "archive"))
    seg, report = journal.deliveries.pending("archive")
    journal.deliveries.record_delivered(seg, None)
    journal.arrivals.record(fill.arrival(2))
    fill.open_case(journal)
    assert fill.deliveries(journal) == [("9.1.1", "archive", "delivered"), ("9.1.2", "archive", "cancelled")]
    assert journal.deliveries.pending("archive") == ()
    journal.deliveries.record_delivered(report, None)
    assert fill.states(journal) == ["superseded", "queued"]


def test_another_series_is_not_superseded(journal, fill):
    fill.running(journal, series="7.1")
    journal.arrivals.record(fill.arrival(1))
    fill.open_case(journal)
    assert fill.states(journal) == ["running", "queued"]


def test_a_worker_that_is_overtaken_by_a_late_slice_cannot_end_its_case(journal, fill):
    claim = fill.running(journal)
    journal.arrivals.record(fill.arrival(2))
    fill.open_case(journal)
    assert not journal.cases.finish(claim, fill.results(1, "archive"))
    assert journal.cases.fail(claim, WHY, retry=True) is None
    assert fill.states(journal) == ["superseded", "queued"]


def test_a_worker_can_give_a_changed_series_up(journal, fill):
    journal.cases.give_up(fill.running(journal))
    assert fill.states(journal) == ["superseded"]


@pytest.mark.parametrize("start", list(CaseState))
def test_only_the_transitions_of_the_table_are_possible(journal, fill, start):
    journal.arrivals.record(fill.arrival(1))
    fill.open_case(journal, state=start)
    for end in CaseState:
        if end in TRANSITIONS[start]:
            continue
        with pytest.raises(IllegalTransition), journal.store.transaction() as connection:
            move_case(journal.store, connection, 1, end)
    assert fill.states(journal) == [start.value]


def test_every_step_of_a_case_is_an_event_and_none_is_ever_removed(journal, fill):
    claim = fill.running(journal)
    journal.cases.fail(claim, WHY, retry=True)
    journal.cases.finish(journal.cases.claim("me"), fill.results(1, "archive"))
    for delivery in journal.deliveries.pending("archive"):
        journal.deliveries.record_delivered(delivery, None)
    assert fill.trail(journal) == [
        "series receiving",
        "case queued",
        "case running",
        "case queued",
        "case running",
        "case sending",
        "delivery delivered",
        "delivery delivered",
        "case delivered",
    ]
    third = events(journal.store, series_uid="1.2.3")[3]
    assert third["detail"] == {"reasons": [{"code": "engine-error", "text": "the network failed"}]}
